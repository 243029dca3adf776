"""A run from a stranger, read by everything that reads one: what is in it is refused, or can be used."""

import hashlib
import json
import pickle
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pellucid.comparison.known import learn, read_known, write_known
from pellucid.data.store import open_dataset
from pellucid.errors import PellucidError
from pellucid.latents.activity import encode_dataset
from pellucid.latents.names import mark, read_latents
from pellucid.live.engine import Engine, rgb
from pellucid.live.wire import pack
from pellucid.model.predictor import load
from pellucid.model.sealed import read_sealed, write_sealed
from pellucid.report.wording import command, provenance, story, training_facts

pytestmark = pytest.mark.usefixtures("as_installed")

JSON = ("config.json", "detector.json", "latents.json", "same.json", "typical.json")


@pytest.fixture(scope="session")
def whole_run(measured_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with everything that one can hold."""
    run = tmp_path_factory.mktemp("whole") / "run"
    shutil.copytree(measured_run, run)
    model = load(run, device="cpu")
    people = open_dataset("people", size=32, limit=80)
    codes = encode_dataset(model, people, people.rows("all")).mean
    table = mark(read_latents(run, model.latents), 1, nuisance=True)
    write_known(model, learn(codes, np.repeat(np.arange(40), 2), table, "pairs of people"))
    content = read_sealed(run / "config.json")
    content["data"] |= {
        "train": 80,
        "validation": 5,
        "test": 5,
        "skipped": 0,
        "fingerprint": people.fingerprint,
    }
    content["training"] |= {
        "objective": {"name": "beta-tcvae", "beta": 4.0, "losses": {"ssim": 1.0}},
        "learning_rate": 1e-3,
        "minutes_taken": 0.5,
        "steps_taken": 10,
        "batch_size": 8,
        "images_seen": 80,
        "seed": 0,
    }
    write_sealed(run / "config.json", content)
    assert set(JSON) <= {path.name for path in run.iterdir()}
    return run


@pytest.fixture
def copy(whole_run: Path, tmp_path: Path) -> Path:
    """One that may be changed."""
    shutil.copytree(whole_run, tmp_path / "run")
    return tmp_path / "run"


def use(run: Path) -> list[Any]:
    """Everything that the live tool and the report say of a run and of one of its pictures."""
    engine = Engine(run, device="cpu")
    seen = engine.look(engine.picture(0), {})
    a, b = (memoryview(rgb(engine.picture(number))) for number in (0, 1))
    people = open_dataset("people", size=32, limit=3)
    said = [
        engine.describe(),
        engine.judge(seen),
        engine.compare(a, b, None)[0],
        repr(read_known(engine.model)),
        [vars(fact) for fact in training_facts(engine.model, people) + provenance(engine.model, people)],
        story(engine.model, people, 2),
        command(engine.model.config, "out"),
    ]
    return [json.loads(bytes(pack({"said": one})[4:])) for one in said]  # refuses nan, which JSON has not


def test_the_whole_run_can_be_used(whole_run: Path) -> None:
    assert use(whole_run)[1]["said"]["verdict"]["verdict"] in ("normal", "anomalous")


@pytest.mark.torture(25, 2000)
def test_flipped_and_cut_files_of_a_run_are_refused_or_say_the_same(
    whole_run: Path, copy: Path, rounds: int
) -> None:
    chance, expected = random.Random(0), use(whole_run)
    files, refused = sorted(path for path in copy.iterdir() if path.is_file()), 0
    for _ in range(rounds):
        path = chance.choice(files)
        whole = path.read_bytes()
        content = bytearray(whole)
        for at in (chance.randrange(len(content)) for _ in range(chance.choice((1, 1, 4)))):
            content[at] = chance.randrange(256)
        path.write_bytes(content if chance.random() < 0.7 else content[: chance.randrange(len(content))])
        try:
            assert use(copy) == expected
        except PellucidError:
            refused += 1
        path.write_bytes(whole)
    assert refused > rounds / 2


LIES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    10**18,
    10**400,
    -0.0,
    0.5,
    1e-308,
    1e100,
    -1e300,
    1.7e308,
    "",
    "x",
    "../../../etc/passwd",
    "/dev/zero",
    "http://evil.example/",
    "<script>alert(1)</script>",
    "=1+1",
    "\x1b[2J\x07",
    "\n",
    "\u202e",
    "x" * 100_000,
    [],
    [[]],
    [None] * 1000,
    {},
    {"a": {"b": []}},
)


def places(content: Any) -> list[tuple[Any, Any]]:
    """Every key of every object and list, as (container, key)."""
    keys = content.keys() if isinstance(content, dict) else range(len(content))
    found = []
    for key in list(keys):
        found.append((content, key))
        if isinstance(content[key], dict | list):
            found += places(content[key])
    return found


def lie(content: dict[str, Any], chance: random.Random) -> None:
    """Change one thing: another value, nothing, one more, or the value of another place."""
    container, key = chance.choice(places(content))
    match chance.randrange(6):
        case 0:
            del container[key]
        case 1 if isinstance(container, dict):
            container["surprise"] = chance.choice(LIES)
        case 2 if isinstance(container, list):
            container.append(chance.choice(LIES))
        case 3:
            other, place = chance.choice(places(content))
            container[key] = json.loads(json.dumps(other[place]))
        case 4 if type(container[key]) in (int, float):
            container[key] = container[key] * chance.choice((-1, 0, 2, 1e-30, 1e30, 1e300))
        case _:
            container[key] = chance.choice(LIES)


@pytest.mark.torture(50, 2000)
def test_well_sealed_lies_are_refused_or_can_be_used(copy: Path, rounds: int) -> None:
    chance, refused, used = random.Random(0), 0, 0
    originals = {name: (copy / name).read_bytes() for name in JSON}
    for _ in range(rounds):
        name = chance.choice(JSON)
        content = read_sealed(copy / name)
        for _ in range(chance.choice((1, 1, 2))):
            lie(content, chance)
        try:
            write_sealed(copy / name, content)
        except ValueError:  # no JSON: 1e300 times 1e300
            continue
        try:
            use(copy)
            used += 1
        except PellucidError:
            refused += 1
        (copy / name).write_bytes(originals[name])
    assert refused > rounds / 10
    assert used > rounds / 50


def reseal_beside(run: Path, stem: str, content: bytes) -> None:
    """Arrays of an attacker's, under the digest that goes with them."""
    digest = hashlib.sha256(content).hexdigest()
    (run / f"{stem}-{digest[:16]}.safetensors").write_bytes(content)
    record = read_sealed(run / f"{stem}.json")
    if stem == "typical":
        record["arrays"] = digest
    else:
        record["reference"]["sha256"] = digest
    write_sealed(run / f"{stem}.json", record)


@pytest.mark.torture(25, 2000)
@pytest.mark.parametrize("stem", ["typical", "detector"])
def test_lies_in_arrays_with_a_digest_that_fits_are_refused_or_can_be_used(
    copy: Path, stem: str, rounds: int
) -> None:
    chance = random.Random(0)
    (file,) = copy.glob(f"{stem}-*.safetensors")
    whole, refused = file.read_bytes(), 0
    header = 8 + int.from_bytes(whole[:8], "little")
    for _ in range(rounds):
        content = bytearray(whole)
        at = chance.randrange(header if chance.random() < 0.6 else len(whole))
        match chance.randrange(4):
            case 0:
                content[at] = chance.randrange(256)
            case 1:
                del content[at : at + chance.randrange(1, 9)]
            case 2:
                content[at:at] = bytes(chance.choice(b'0123456789[]{}",:') for _ in range(3))
            case 3:  # infinity, nan and huge numbers among the float64 ones
                content[(at & ~7) : (at & ~7) + 8] = np.float64(
                    chance.choice((np.inf, np.nan, 1e300, -1e300, 1e-310))
                ).tobytes()
        reseal_beside(copy, stem, bytes(content))
        try:
            use(copy)
        except PellucidError:
            refused += 1
        for other in copy.glob(f"{stem}-*.safetensors"):
            if other != file:
                other.unlink()
    assert refused > rounds / 4


class Canary:
    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.place,)


def test_a_pickle_in_place_of_any_file_of_a_run_is_refused_and_never_opened(
    copy: Path, tmp_path: Path
) -> None:
    canary = tmp_path / "code ran"
    content = pickle.dumps(Canary(canary))
    for path in sorted(copy.iterdir()):
        whole = path.read_bytes()
        path.write_bytes(content)
        with pytest.raises(PellucidError):
            use(copy)
        path.write_bytes(whole)
    for stem in ("typical", "detector"):
        record = (copy / f"{stem}.json").read_bytes()
        reseal_beside(copy, stem, content)
        with pytest.raises(PellucidError, match="expected safetensors"):
            use(copy)
        (copy / f"{stem}.json").write_bytes(record)
    assert not canary.exists()
    pickle.loads(content)  # noqa: S301
    assert canary.exists()  # it would have run


@pytest.mark.parametrize("target", ["/dev/zero", "/dev/stdin", "/", "nowhere"])
def test_links_to_what_is_no_file_are_refused_at_once(copy: Path, target: str) -> None:
    for path in sorted(copy.iterdir()):
        whole = path.read_bytes()
        path.unlink()
        path.symlink_to(target)
        optional = target == "nowhere" and path.name in JSON[1:]
        if not optional:  # a link to nothing is as good as no file
            with pytest.raises(PellucidError):
                use(copy)
        path.unlink()
        path.write_bytes(whole)


def test_a_detector_cannot_name_a_file_elsewhere(copy: Path, tmp_path: Path) -> None:
    (file,) = copy.glob("detector-*.safetensors")
    (tmp_path / "secret.safetensors").write_bytes(file.read_bytes())
    for digest in (
        "../secret",
        "/" + "0" * 63,
        f"{tmp_path}/secret",
        "..",
        "\0" * 64,
        "0" * 15 + "/" + "0" * 48,
    ):
        record = read_sealed(copy / "detector.json")
        record["reference"]["sha256"] = digest
        write_sealed(copy / "detector.json", record)
        with pytest.raises(PellucidError, match="expected a reference with its digest"):
            Engine(copy, device="cpu")
