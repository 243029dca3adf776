"""Whatever stops their writing leaves checkpoint and model whole; what others wrote in them is refused."""

import errno
import hashlib
import json
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from pellucid.data.dataset import Dataset
from pellucid.data.images import Preprocessing
from pellucid.errors import RunError, TrainingError
from pellucid.model.architecture import Architecture
from pellucid.model.directory import ModelConfig, read_model, save_model
from pellucid.model.predictor import load
from pellucid.model.vae import VAE
from pellucid.objective.objectives import Objective
from pellucid.training import checkpoint
from pellucid.training.checkpoint import (
    CHECKPOINT,
    Learners,
    Position,
    read_checkpoint,
    read_settings,
    write_checkpoint,
)
from pellucid.training.config import TrainingConfig
from pellucid.training.loop import train

pytestmark = pytest.mark.usefixtures("as_installed")

ARCHITECTURE = Architecture("burgess", 32, 1, 2)
CONFIG = ModelConfig(ARCHITECTURE, Preprocessing(32, 1, "center"), {}, {})
FULL = OSError(errno.ENOSPC, "No space left on device")


def learners(seed: int) -> Learners:
    vae = VAE(ARCHITECTURE)
    vae.initialise(torch.Generator().manual_seed(seed))
    return {"vae": (vae, torch.optim.Adam(vae.parameters(), fused=True))}


def save(run: Path, seed: int) -> None:
    """What a training saves: its own state, then the model."""
    state = learners(seed)
    write_checkpoint(run, state, Position(seed, 1.0, {"seed": seed}))
    save_model(run, state["vae"][0].state_dict(), CONFIG)


class Disk:
    """A disk that is full from one operation on; counts the operations."""

    def __init__(self, patch: pytest.MonkeyPatch, full_from: int) -> None:
        self.operations, self.full_from = 0, full_from
        for owner, name in ((os, "fsync"), (Path, "replace")):
            patch.setattr(owner, name, self._wrapped(getattr(owner, name)))
        opened = Path.open
        patch.setattr(
            Path, "open", lambda path, mode="r", **more: self._open(opened(path, mode, **more), mode)
        )

    def operate(self) -> None:
        self.operations += 1
        if self.operations > self.full_from:
            raise FULL

    def _wrapped(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any) -> Any:
            self.operate()
            return function(*arguments)

        return wrapped

    def _open(self, file: Any, mode: str) -> Any:
        return Half(file, self) if mode == "xb" else file


class Half:
    """A file of which half is written when the disk turns out to be full."""

    def __init__(self, file: Any, disk: Disk) -> None:
        self._file, self._disk = file, disk

    def write(self, content: bytes) -> None:
        self._file.write(content[: len(content) // 2])
        self._disk.operate()
        self._file.write(content[len(content) // 2 :])

    def __enter__(self) -> "Half":
        return self

    def __exit__(self, *what: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def test_a_disk_that_fills_up_at_any_point_leaves_a_checkpoint_and_a_model_that_load(tmp_path: Path) -> None:
    def seed_of(network: torch.nn.Module) -> int:
        found = [
            seed
            for seed in (1, 2)
            if all(
                torch.equal(a, b)
                for a, b in zip(
                    network.state_dict().values(), states[seed]["vae"][0].state_dict().values(), strict=True
                )
            )
        ]
        return found[0]

    states = {seed: learners(seed) for seed in (1, 2)}
    save(tmp_path / "whole", 1)
    with pytest.MonkeyPatch.context() as patch:
        disk = Disk(patch, 10**9)
        save(tmp_path / "counted", 2)
        save(tmp_path / "counted", 2)
    points = disk.operations * 4 // 7  # of the second: the first has no old model to be kept apart from
    assert points == 4 * 3  # checkpoint, config, weights, config: half written, synced, renamed
    ends = []
    for point in range(points):
        run = tmp_path / f"{point}"
        shutil.copytree(tmp_path / "whole", run)
        with pytest.MonkeyPatch.context() as patch:
            Disk(patch, point)
            with pytest.raises((OSError, TrainingError), match="No space left"):
                save(run, 2)
        blank = learners(0)
        step = read_checkpoint(run, blank).step
        assert step == seed_of(blank["vae"][0])
        ends.append((step, seed_of(read_model(run)[0])))
        assert not list(run.rglob("*.part"))
        shutil.rmtree(run)
    # Three operations each: an old checkpoint, a new one beside the old model, and both new.
    assert ends == [(1, 1)] * 3 + [(2, 1)] * 6 + [(2, 2)] * 3


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[Path]:
    """A real file system of that size; skips where one may not be mounted."""
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"may not mount a file system: {mounted.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)  # weights may still be mapped


@pytest.mark.torture(0, 40)
def test_on_a_real_disk_that_is_full_a_run_stays_whole_and_goes_on_bit_for_bit(
    dataset: Dataset, tmp_path: Path, rounds: int
) -> None:
    config = TrainingConfig(
        Objective(losses=(("cross_entropy", 1.0),)),
        steps=12,
        batch_size=16,
        precision="float32",
        log_every=1,
        validations=3,
        checkpoint_minutes=1e-9,
    )
    train(dataset, ARCHITECTURE, config, tmp_path / "whole", device="cpu")
    expected = load_file(tmp_path / "whole" / "model.safetensors")
    needed = sum(path.stat().st_size for path in (tmp_path / "whole").rglob("*") if path.is_file())
    chance, failed = random.Random(0), 0
    with small_disk(tmp_path / "disk", f"{4 * needed}") as disk:
        for _ in range(rounds):
            run, ballast = disk / "run", disk / "ballast"
            train(dataset, ARCHITECTURE, replace(config), run, device="cpu", on_progress=stop_at(3))
            ballast.write_bytes(bytes(int(chance.uniform(0.3, 1) * shutil.disk_usage(disk).free)))
            with suppress(TrainingError, OSError):
                train(dataset, ARCHITECTURE, config, run, resume=True, device="cpu")
                failed -= 1
            failed += 1
            load(run, device="cpu")
            ballast.unlink()
            train(dataset, ARCHITECTURE, config, run, resume=True, device="cpu")
            found = load_file(run / "model.safetensors")
            assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
            shutil.rmtree(run)
    assert failed > rounds / 4


def stop_at(step: int) -> Callable[[Any], None]:
    import signal

    def stop(progress: Any) -> None:
        if progress.step == step:
            signal.raise_signal(signal.SIGINT)

    return stop


def sealed(run: Path, tensors: dict[str, torch.Tensor], record: str) -> None:
    """As an attacker writes a checkpoint: with the checksum that goes with it."""
    metadata = {"position": record, "sha256": checkpoint._checksum(tensors, record)}
    save_file(tensors, run / CHECKPOINT, metadata)


@pytest.mark.parametrize(
    "position",
    [
        "[" * 100_000,
        "[]",
        "{}",
        '{"step": "x", "seconds": 1.0, "settings": {}}',
        '{"step": -1, "seconds": 1.0, "settings": {}}',
        '{"step": 1e3, "seconds": 1.0, "settings": {}}',
        '{"step": true, "seconds": 1.0, "settings": {}}',
        '{"step": 1' + "0" * 400 + ', "seconds": 1.0, "settings": {}}',
        '{"step": 1, "seconds": NaN, "settings": {}}',
        '{"step": 1, "seconds": 1e999, "settings": {}}',
        '{"step": 1, "seconds": 1.0, "settings": []}',
        '{"step": 1, "seconds": 1.0, "settings": {}, "code": "x"}',
    ],
)
def test_a_position_that_lies_under_a_checksum_that_fits_is_refused(tmp_path: Path, position: str) -> None:
    save(tmp_path, 1)
    sealed(tmp_path, load_file(tmp_path / CHECKPOINT), position)
    with pytest.raises(RunError, match="damaged"):
        read_checkpoint(tmp_path, learners(1))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.int32, torch.complex64])
def test_moments_of_another_type_are_refused(tmp_path: Path, dtype: torch.dtype) -> None:
    save(tmp_path, 1)
    tensors = load_file(tmp_path / CHECKPOINT)
    name = next(name for name in tensors if "exp_avg" in name and name.endswith("bias"))
    with safe_open(tmp_path / CHECKPOINT, framework="pt") as file:
        record = file.metadata()["position"]
    other = {**tensors, name: tensors[name].to(dtype)}
    with suppress(TypeError):  # numpy has no bfloat16 to take a checksum of
        sealed(tmp_path, other, record)
        with pytest.raises(RunError, match="damaged"):
            read_checkpoint(tmp_path, learners(1))
        return
    save_file(other, tmp_path / CHECKPOINT, {"position": record, "sha256": "0" * 64})
    with pytest.raises(RunError, match="damaged"):
        read_checkpoint(tmp_path, learners(1))


@pytest.mark.torture(60, 4000)
def test_flipped_and_cut_checkpoints_are_refused_or_the_same(tmp_path: Path, rounds: int) -> None:
    save(tmp_path, 1)
    path, chance, target = tmp_path / CHECKPOINT, random.Random(0), learners(1)
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    before = {name: tensor.clone() for name, tensor in target["vae"][0].state_dict().items()}
    refused = 0
    for _ in range(rounds):
        content = bytearray(whole)
        at = chance.randrange(header if chance.random() < 0.7 else len(whole))
        content[at] ^= 1 << chance.randrange(8)
        path.write_bytes(content if chance.random() < 0.8 else content[:at])
        try:
            read_settings(tmp_path)
            read_checkpoint(tmp_path, target)
        except RunError:
            refused += 1
        assert all(
            torch.equal(before[name], tensor) for name, tensor in target["vae"][0].state_dict().items()
        )
    assert refused > 0.9 * rounds


def test_a_pipe_in_place_of_a_checkpoint_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).parent.mkdir()
    os.mkfifo(tmp_path / CHECKPOINT)
    for reading in (read_settings, lambda run: read_checkpoint(run, learners(1))):
        with pytest.raises(RunError):
            reading(tmp_path)


def test_the_checksum_is_of_names_shapes_values_and_position(tmp_path: Path) -> None:
    save(tmp_path, 1)
    with safe_open(tmp_path / CHECKPOINT, framework="pt") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in sorted(file.keys())}
    digest = hashlib.sha256(metadata["position"].encode())
    for name, tensor in tensors.items():
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode() + tensor.numpy().tobytes())
    assert metadata["sha256"] == digest.hexdigest()
    assert json.loads(metadata["position"]) == {"step": 1, "seconds": 1.0, "settings": {"seed": 1}}
