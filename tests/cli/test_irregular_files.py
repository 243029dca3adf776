"""Every file that a command opens, with a FIFO, an endless device or a folder in its place.

Which files those are is not listed here: the commands are watched while all is well. So a new file, or a new
way of opening one, is in the matrix without a word.
"""

import os
import shutil
import signal
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import uvicorn
from matplotlib.figure import Figure
from PIL import Image
from untrained_run import make_untrained_run

from pellucid.report.ink import encode
from pellucid.reproduction.catalogue import CATALOGUE
from pellucid.reproduction.context import RUNS
from pellucid.reproduction.exhibit import Exhibit, Part, Picture
from pellucid.reproduction.settings import Settings, keep_settings
from pellucid.reproduction.storage import write_part
from pellucid.scoring.scorer import scorer_of

Run = Callable[..., int]
SECONDS = 60

SETTINGS = ("--size", 32, "--latents", 2, "--batch-size", 8, "--preset", "burgess", "--threads", 1)
COMMANDS: dict[str, tuple[object, ...]] = {
    "latents": ("latents", "run", "--data", "others"),
    "name": ("name", "run", "z1", "edge"),
    "traverse": ("traverse", "run", "--out", "traversal.png", "--image", "photos/000.png"),
    "detector": ("detector", "run", "--normal", "photos", "--anomalous", "others", "--splits", 0),
    "detect": ("detect", "run", "photos/000.png", "photos/001.png", "shard.tar", "table.parquet"),
    "detect by ONNX": ("detect", "run", "photos/000.png", "--runtime", "onnx"),
    "features": ("features", "run", "images.npy", "images.npz", "table.parquet", "--out", "table.csv"),
    "compare": ("compare", "run", "photos/000.png", "photos/001.png"),
    "gallery": ("gallery", "run", "photos/000.png", "photos"),
    "same": ("same", "run", "celeba"),
    "metrics": ("metrics", "run", "--data", "people", "--limit", 200, "--factors", "hat", "--resamples", 4),
    "live": ("live", "run", "--no-browser", "--port", 0),
    "sweep": ("sweep", "photos", "--out", "grid", "--betas", "1", "--seeds", 2, "--steps", 2, *SETTINGS),
    "reproduce": ("reproduce", "--out", "pages", "--minutes", 1, "--parts", "autoencoder"),
    "export": ("export", "run"),
    "train": ("train", "celeba", "--out", "run2", "--steps", 2, *SETTINGS),
    "resume": ("train", "photos", "--out", "run", "--resume", "--steps", 20, *SETTINGS),
}


@pytest.fixture(scope="module")
def whole(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run that has a detector, and images in every form."""
    folder = tmp_path_factory.mktemp("whole")
    chance = np.random.default_rng(0)
    for name in ("photos", "others", "celeba/img_align_celeba"):
        (folder / name).mkdir(parents=True)
        for at in range(40):
            pixels = chance.integers(0, 256 if name == "others" else 99, (32, 32, 3), np.uint8)
            pixels[:, : at % 32] = 200
            Image.fromarray(pixels).save(folder / name / f"{at:03d}.png")
    (folder / "celeba" / "list_attr_celeba.txt").write_text(
        "3\nBald Young\n000.png 1 -1\n001.png -1 -1\n002.png 1 1\n"
    )
    (folder / "celeba" / "list_eval_partition.txt").write_text("000.png 0\n001.png 1\n002.png 0\n")
    (folder / "celeba" / "identity_CelebA.txt").write_text(
        "".join(f"{at:03d}.png {at // 2}\n" for at in range(40))
    )
    images = chance.integers(0, 256, (5, 32, 32, 3), np.uint8)
    np.save(folder / "images.npy", images)
    np.savez(folder / "images.npz", images=images)
    cells = [(folder / "photos" / f"{at:03d}.png").read_bytes() for at in range(5)]
    pyarrow.parquet.write_table(pa.table({"image": cells}), folder / "table.parquet")
    with tarfile.open(folder / "shard.tar", "w") as archive:
        archive.add(folder / "photos" / "002.png", "002.png")
    make_untrained_run(folder / "run", latents=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run(*COMMANDS["latents"]) == 0
        assert run(*COMMANDS["detector"]) == 0
    (folder / "pages").mkdir()
    keep_settings(folder / "pages", Settings(minutes=1))
    write_part(folder / "pages", quick_part())
    shutil.copytree(folder / "run", folder / "pages" / RUNS / "people")
    return folder


def quick_part(_: object = None) -> Part:
    picture = Picture("some", "flat", encode(Figure(figsize=(1, 1)), "png"))
    return Part("autoencoder", (Exhibit((1,), "title", "gist", ("shown",), (picture,)),), {})


def without_waiting(patch: pytest.MonkeyPatch) -> None:
    """A server ends as soon as it could begin, and no model is trained for a part that is computed anew."""
    patch.setattr(uvicorn.Server, "run", lambda self, sockets: None)
    patch.setattr(sys, "setswitchinterval", lambda _: None)
    patch.setitem(CATALOGUE, "autoencoder", replace(CATALOGUE["autoencoder"], make=quick_part))  # type: ignore[misc]


@pytest.fixture(scope="module")
def trained_and_exported(whole: Path, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a run that has been trained, which takes a while."""
    folder = tmp_path_factory.mktemp("trained") / "whole"
    shutil.copytree(whole, folder)
    shutil.rmtree(folder / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PELLUCID_CACHE", str(tmp_path_factory.mktemp("trained_cache")))
        assert run("train", "photos", "--out", "run", "--steps", 20, *SETTINGS) == 0
        for name in ("latents", "detector", "export"):
            assert run(*COMMANDS[name]) == 0, name
    return folder


class Watch:
    """Notes which files are opened for reading."""

    def __init__(self) -> None:
        self.opened: list[str] | None = None
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.opened is None or event != "open" or not isinstance(arguments[0], str | os.PathLike):
            return
        if not arguments[2] & (os.O_WRONLY | os.O_RDWR):
            self.opened.append(os.fspath(arguments[0]))

    @contextmanager
    def over(self, folder: Path) -> Iterator[list[str]]:
        """Collect the files below a folder that are opened meanwhile, relative to it."""
        found = list[str]()
        self.opened = []
        try:
            yield found
        finally:
            opened, self.opened = self.opened, None
            places = {Path(os.path.abspath(folder / name)) for name in opened}  # noqa: PTH100
            found += sorted(
                str(p.relative_to(folder)) for p in places if p.is_relative_to(folder) and p.is_file()
            )


@pytest.fixture(scope="module")
def watch() -> Watch:
    return Watch()


class WaitedError(BaseException):
    """It took too long; nothing in between may catch this."""


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    def waited(number: int, frame: object) -> None:
        raise WaitedError

    before = signal.signal(signal.SIGALRM, waited)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


NEED_TRAINING = ("export", "detect by ONNX", "resume")

REPLACED: dict[str, Callable[[Path], object]] = {
    "FIFO": os.mkfifo,
    "endless device": lambda path: path.symlink_to("/dev/zero"),
    "folder": Path.mkdir,
}


def one_of_each(opened: list[str]) -> list[str]:
    """Of many images in a folder the first one."""
    first = dict[tuple[Path, str], str]()
    for name in opened:
        path = Path(name)
        first.setdefault((path.parent, path.suffix if path.suffix == ".png" else path.name), name)
    return list(first.values())


@pytest.mark.torture(1, 3)
@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in NEED_TRAINING])
def test_what_is_no_regular_file_is_refused_in_time(
    command: str,
    whole: Path,
    tmp_path: Path,
    run: Run,
    watch: Watch,
    capsys: pytest.CaptureFixture[str],
    rounds: int,
) -> None:
    try_all(command, whole, tmp_path / "here", run, watch, capsys, rounds)


@pytest.mark.torture(0, 3)
@pytest.mark.parametrize("command", NEED_TRAINING)
def test_what_is_no_regular_file_in_a_trained_run_is_refused_in_time(
    command: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    run: Run,
    watch: Watch,
    capsys: pytest.CaptureFixture[str],
    rounds: int,
) -> None:
    trained = request.getfixturevalue("trained_and_exported")  # not made for a test that is skipped
    try_all(command, trained, tmp_path / "here", run, watch, capsys, rounds)


def try_all(
    command: str,
    whole: Path,
    here: Path,
    run: Run,
    watch: Watch,
    capsys: pytest.CaptureFixture[str],
    kinds: int,
) -> None:
    """Run a command on what is whole, then with each of the files that it opened replaced."""

    def run_in_a_copy(name: str = "", replace: Callable[[Path], object] | None = None) -> tuple[int, str]:
        shutil.rmtree(here, ignore_errors=True)
        shutil.copytree(whole, here)
        if replace is not None:
            (here / name).unlink()
            replace(here / name)
        capsys.readouterr()
        scorer_of.cache_clear()  # each command has a process of its own
        with pytest.MonkeyPatch.context() as patch, at_most(SECONDS):
            patch.chdir(here)
            without_waiting(patch)
            code = run(*COMMANDS[command])
        return code, "".join(capsys.readouterr())

    with watch.over(here) as opened:
        code, told = run_in_a_copy()
    assert code in (0, 1), told
    names = one_of_each([name for name in opened if (whole / name).exists()])
    assert names
    for kind, name in product(list(REPLACED)[:kinds], names):
        code, told = run_in_a_copy(name, REPLACED[kind])
        if code != 2:  # it was made anew, or it is an image, of which its row or a count tells
            table = here / "table.csv"
            told += table.read_text() if table.exists() else ""
            unread = ("not a regular file", "it is a folder", "1 unreadable", "1 image is left out")
            assert (here / name).is_file() or any(words in told for words in unread), f"{kind} {name}: {told}"
        assert "Traceback" not in told, f"{kind} {name}"
