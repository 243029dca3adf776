"""What each command does to the machine is what docs/security.md says it does."""

import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from footprint import Footprint, footprint
from small import NETWORKS

from pellucid.cli import app

ROOT = Path(__file__).parent.parent.parent
ROW = re.compile(r"^\| `(\w+)` \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
SMALL = ("--batch-size", 8, "--latents", 3, *NETWORKS, "--device", "cpu")
COMMANDS: dict[str, list[object]] = {
    "train": ["train", "photos", "--out", "out", "--steps", 4, "--workers", 2, *SMALL],
    "latents": ["latents", "run", "--data", "photos"],
    "name": ["name", "run", "z0", "edge"],
    "traverse": ["traverse", "run", "--latent", "z0", "--data", "photos", "--out", "out/t.png"],
    "metrics": ["metrics", "run", "--data", "people", "--limit", 200, "--factors", "sunglasses,hat"],
    "detector": ["detector", "run", "--normal", "photos", "--anomalous", "scenes", "--anomalous-limit", 60],
    "detect": ["detect", "run", "photos/000.png", "--table", "out/v.csv", "--explain", "out/why"],
    "features": ["features", "run", "photos", "people", "--limit", 700, "--out", "out/f.csv", "--workers", 2],
    "compare": ["compare", "run", "photos/000.png", "photos/003.png", "--out", "out/c.png"],
    "gallery": ["gallery", "run", "photos/000.png", "photos", "--out", "out/g.png"],
    "same": ["same", "run", "--persons", 60],
    "export": ["export", "run"],
    "sweep": ["sweep", "photos", "--out", "out", "--betas", "1", "--seeds", 2, "--steps", 4, *SMALL],
    "doctor": ["doctor"],
    "completion": ["completion", "bash"],
}
ALWAYS = ("train", "name", "detect", "features", "doctor")
"""Those that together do nearly everything; the others by `make torture`."""
SEEN_ELSEWHERE = {
    "live": "tests/live, on a server that is watched and attacked",
    "demo": "does what train, latents, traverse, detector, detect and compare do",
    "reproduce": "does what train, latents, detector and compare do",
}


def documented() -> dict[str, tuple[set[str], str, set[str]]]:
    """Command -> what it writes, whom it talks to, which programs it starts."""
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    section = text.partition("## What each command touches")[2].partition("\n## ")[0]
    return {
        name: (set(writes.split(", ")), network, set(programs.split(", ")))
        for name, writes, network, programs in ROW.findall(section)
    }


@pytest.fixture(scope="module")
def place(trained_once: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run that has a detector, images, a home, and things that are nobody's business."""
    folder = tmp_path_factory.mktemp("footprint")
    shutil.copytree(trained_once, folder / "run")
    (folder / "photos").mkdir()
    for photo in sorted(photos.iterdir())[:60]:
        shutil.copy(photo, folder / "photos")
    for private in (folder / "private", folder / "home" / ".ssh"):
        private.mkdir(parents=True)
        (private / "key").write_text("secret")
    (folder / "tmp").mkdir()
    return folder


def run(name: str, place: Path) -> Footprint:
    shutil.rmtree(place / "out", ignore_errors=True)
    known = {word: os.environ[word] for word in ("PATH", "VIRTUAL_ENV") if word in os.environ}
    environment = {**known, "HOME": str(place / "home"), "TMPDIR": str(place / "tmp"), "OMP_NUM_THREADS": "1"}
    return footprint(COMMANDS[name], place, environment)


def kind_of(path: Path, place: Path) -> str:
    roots = {
        "run": place / "run",
        "out": place / "out",
        "cache": place / "home" / ".cache" / "pellucid",
        "temporary": place / "tmp",
    }
    if path.is_relative_to(place / "home") and "matplotlib" in path.parts:
        return "matplotlib"
    parents = {place / "home" / ".cache", place / "home" / ".config"}  # made on the way to a cache
    if path in parents or path == Path(os.devnull):
        return "matplotlib" if path in parents else "nothing"
    if path == place:  # a temporary file without a name
        return "here"
    if path == place / "home":  # likewise, as long as there is no folder for the cache yet
        return "cache"
    return next((kind for kind, root in roots.items() if path.is_relative_to(root)), str(path))


def test_every_command_has_its_row() -> None:
    commands = {name for name in app if not name.startswith("-")}
    assert set(documented()) == commands == set(COMMANDS) | set(SEEN_ELSEWHERE)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other places and helpers")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.torture(int(name in ALWAYS), 1)) for name in COMMANDS]
)
@pytest.mark.usefixtures("rounds")
def test_a_command_touches_what_is_documented_and_nothing_else(name: str, place: Path) -> None:
    writes, network, programs = documented()[name]
    if name == "detect" and not (place / "run" / "detector.json").exists():
        run("detector", place)
    seen = run(name, place)
    changed = {kind_of(path, place) for path in seen.written} - {"nothing"}
    assert changed <= writes
    assert {"run", "out"} & changed == {"run", "out"} & writes  # caches may be there already
    assert seen.addresses <= ({"::1"} if network == "itself" else set())
    assert seen.programs <= programs
    assert seen.processes == 1 or "Python" in programs
    assert seen.processes > 1 or name not in ("train", "features")  # with two workers
    unasked = {path for path in seen.read if path.is_relative_to(place)} - {place, place / "."}
    allowed = ("run", "out", "photos", "tmp", "home/.cache", "home/.config/matplotlib", "home/.fonts")
    allowed += ("home/.local/share/fonts", "home/.local/lib")  # installed for this user only
    roots = [place / root for root in allowed]
    assert not {path for path in unasked if not any(path.is_relative_to(root) for root in roots)}
