import hashlib
import json
import os
import pickle
import random
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save, save_file

from pellucid.errors import PellucidError, RunError
from pellucid.model import directory
from pellucid.model.directory import CONFIG, WEIGHTS, ModelConfig, read_config, read_model, save_model
from pellucid.model.sealed import read_sealed, write_sealed
from pellucid.model.vae import VAE

pytestmark = pytest.mark.usefixtures("as_installed")


def same_weights(a: VAE, b: VAE) -> bool:
    return all(torch.equal(a.state_dict()[name], tensor) for name, tensor in b.state_dict().items())


def test_weights_and_config_come_back_bit_for_bit(run: Path, vae: VAE, config: ModelConfig) -> None:
    loaded, read, digest = read_model(run)
    assert same_weights(loaded, vae)
    assert read == config
    assert digest == hashlib.sha256((run / WEIGHTS).read_bytes()).hexdigest()


def test_only_safetensors_and_json_are_written(run: Path) -> None:
    assert sorted(path.name for path in run.iterdir()) == [CONFIG, WEIGHTS]


def mutate(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(chance.choice((1, 1, 2, 8))):
        place = chance.randrange(len(content))
        match chance.randrange(5):
            case 0:
                content[place] ^= 1 << chance.randrange(8)
            case 1:
                content[place] = chance.randrange(256)
            case 2:
                del content[place:]
            case 3:
                content[place:place] = bytes(chance.randrange(256) for _ in range(chance.randrange(1, 9)))
            case 4:
                del content[place : place + chance.randrange(1, 65)]
        if not content:
            break
    path.write_bytes(content)


@pytest.mark.torture(300, 4000)
def test_a_mutated_directory_is_a_typed_error_or_the_same_model(
    run: Path, vae: VAE, config: ModelConfig, rounds: int
) -> None:
    chance = random.Random(0)
    originals = {path: path.read_bytes() for path in run.iterdir()}
    refused = 0
    for _ in range(rounds):
        path = chance.choice(sorted(originals))
        mutate(path, chance)
        try:
            loaded, read, _ = read_model(run)
            assert same_weights(loaded, vae)
            assert read == config
        except RunError:
            refused += 1
        path.write_bytes(originals[path])
    assert refused > rounds / 2


def reseal(run: Path, **changes: object) -> None:
    content = read_sealed(run / CONFIG)
    for dotted, value in changes.items():
        section, _, key = dotted.partition("__")
        if key:
            content[section][key] = value
        else:
            content[section] = value
    write_sealed(run / CONFIG, content)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"architecture__latents": 10**12}, "latents"),
        ({"architecture__latents": 2.5}, "latents"),
        ({"architecture__latents": "4"}, "latents"),
        ({"architecture__latents": True}, "latents: expected a whole number"),
        ({"architecture__size": 32.0}, "size: expected a whole number"),
        ({"architecture__channels": True}, "channels: expected a whole number"),
        ({"architecture__channels": 3.0}, "channels: expected a whole number"),
        ({"architecture__latents": [10**12]}, "latents: expected a whole number"),
        ({"architecture__size": 1 << 40}, "size"),
        ({"architecture__preset": "../../evil"}, "preset"),
        ({"architecture__extra": 1}, "extra"),
        ({"architecture": []}, "architecture"),
        ({"preprocessing__crop": "eyes"}, "crop"),
        ({"preprocessing__size": 64}, "32 x 32"),
        ({"version": 3}, "Update"),
        ({"preprocessing__window": [1, 1]}, "window"),
        ({"preprocessing__window": ["a", {}]}, "window"),
        ({"preprocessing__window": 5}, "window"),
        ({"version": True}, "version|format"),
        ({"format": "other"}, "format"),
        ({"weights_sha256": "x"}, "weights_sha256"),
        ({"unknown": 1}, "unknown"),
        ({"architecture__latents": 5}, "at most|tensors"),
    ],
)
def test_a_config_that_lies_is_refused_before_anything_is_allocated(
    run: Path, changes: dict[str, object], says: str
) -> None:
    reseal(run, **changes)
    with pytest.raises(RunError, match=says):
        read_model(run)


def test_tensors_of_another_type_are_refused(run: Path) -> None:
    doubles = {name: tensor.double() for name, tensor in load_file(run / WEIGHTS).items()}
    save_file(doubles, run / WEIGHTS)
    reseal(run, weights_sha256=[hashlib.sha256((run / WEIGHTS).read_bytes()).hexdigest()])
    with pytest.raises(RunError, match="tensors"):
        read_model(run)


def put_weights(run: Path, content: bytes) -> None:
    """As an attacker does it: with the digest that goes with them."""
    (run / WEIGHTS).write_bytes(content)
    reseal(run, weights_sha256=[hashlib.sha256(content).hexdigest()])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(run: Path, value: float) -> None:
    tensors = load_file(run / WEIGHTS)
    next(iter(tensors.values())).view(-1)[7] = value
    put_weights(run, save(tensors))
    with pytest.raises(RunError, match="finite"):
        read_model(run)


@pytest.mark.parametrize("dtype", ["F4", "F8_E8M0", "F6_E2M3", "F8_E4M3", "C64", "U64", "BOOL", "F1024"])
def test_tensors_of_types_that_torch_has_not_are_refused(run: Path, dtype: str) -> None:
    header = json.dumps({"encoder.0.bias": {"dtype": dtype, "shape": [0], "data_offsets": [0, 0]}}).encode()
    put_weights(run, len(header).to_bytes(8, "little") + header)
    with pytest.raises(RunError, match="expected safetensors|its tensors are not"):
        read_model(run)


@pytest.mark.torture(40, 4000)
def test_mutated_weights_with_a_digest_that_fits_are_refused_or_finite(
    run: Path, vae: VAE, rounds: int
) -> None:
    chance = random.Random(1)
    whole = (run / WEIGHTS).read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    refused = 0
    for _ in range(rounds):
        # Most often in the header, which is all that is parsed.
        at, content = chance.randrange(header if chance.random() < 0.9 else len(whole)), bytearray(whole)
        match chance.randrange(3):
            case 0:
                content[at] = chance.randrange(256)
            case 1:
                del content[at : at + chance.randrange(1, 9)]
            case 2:
                content[at:at] = bytes(chance.choice(b'0123456789[]{}",:') for _ in range(3))
        put_weights(run, bytes(content))
        try:
            loaded, _, _ = read_model(run)
            assert all(tensor.isfinite().all() for tensor in loaded.state_dict().values())
        except RunError:
            refused += 1
    assert refused > rounds / 2


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_a_link_to_an_endless_device_and_a_pipe_are_refused_at_once(run: Path, name: str) -> None:
    (run / name).unlink()
    (run / name).symlink_to("/dev/zero")
    with pytest.raises(RunError, match="not a regular file"):
        read_model(run)
    (run / name).unlink()
    os.mkfifo(run / name)
    with pytest.raises(RunError, match="not a regular file"):
        read_model(run)


def test_a_pickle_beside_the_weights_is_never_opened(run: Path, tmp_path: Path) -> None:
    class Canary:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "code ran",))

    for name in ("model.pt", "pytorch_model.bin", "detector.pkl", "model.joblib", "training.ckpt"):
        (run / name).write_bytes(pickle.dumps(Canary()))
    read_model(run)
    assert not (tmp_path / "code ran").exists()
    (run / WEIGHTS).write_bytes(pickle.dumps(Canary()))
    with pytest.raises(RunError):
        read_model(run)
    assert not (tmp_path / "code ran").exists()


@pytest.mark.parametrize("writes", [1, 2, 3])
def test_a_kill_between_the_writes_leaves_a_pair_that_loads(
    run: Path, vae: VAE, config: ModelConfig, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    changed = {name: tensor + 1 for name, tensor in vae.state_dict().items()}
    done = 0

    def counted(write):  # type: ignore[no-untyped-def]
        def killed(*arguments: object) -> None:
            nonlocal done
            if done == writes:
                raise KeyboardInterrupt
            done += 1
            write(*arguments)

        return killed

    monkeypatch.setattr(directory, "write_file", counted(directory.write_file))
    monkeypatch.setattr(directory, "write_sealed", counted(directory.write_sealed))
    if writes < 3:
        with pytest.raises(KeyboardInterrupt):
            save_model(run, changed, config)
    else:
        save_model(run, changed, config)
    weights = read_model(run)[0].state_dict()
    expected = vae.state_dict() if writes < 2 else changed
    assert all(torch.equal(weights[name], tensor) for name, tensor in expected.items())


def test_a_missing_run_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="pellucid train"):
        read_config(tmp_path / "none")
    with pytest.raises(PellucidError, match="got an empty folder. Make one: pellucid train"):
        read_config(tmp_path)


def test_seal_covers_every_value_of_the_config(run: Path) -> None:
    content = json.loads((run / CONFIG).read_text())
    content["data"]["description"] = "photographs"
    (run / CONFIG).write_text(json.dumps(content))
    with pytest.raises(RunError, match="checksum"):
        read_config(run)


def test_weights_stored_as_float16_are_read_as_float32(run: Path, vae: VAE, config: ModelConfig) -> None:
    halved = {name: tensor.half() for name, tensor in vae.state_dict().items()}
    save_model(run, halved, config)
    loaded, _, _ = read_model(run)
    assert {tensor.dtype for tensor in loaded.state_dict().values()} == {torch.float32}
    assert all(torch.equal(loaded.state_dict()[name], tensor.float()) for name, tensor in halved.items())
    save_model(run, {name: tensor.bfloat16() for name, tensor in halved.items()}, config)
    with pytest.raises(RunError, match="its tensors are not those"):
        read_model(run)
