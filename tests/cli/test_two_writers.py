"""Two of every writing command on one target: the second is told who is at work, and loses nothing."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from untrained_run import make_untrained_run

from pellucid.anomaly.detector import Detector
from pellucid.anomaly.storage import save_detector
from pellucid.cli import describing
from pellucid.data.images import to_float
from pellucid.data.store import open_dataset
from pellucid.latents import names
from pellucid.latents.activity import encode_dataset, measure_activity
from pellucid.latents.names import LATENTS, change_latents, read_latents, rename, with_activity
from pellucid.live.engine import Engine
from pellucid.model.directory import DETECTOR, SAME
from pellucid.model.predictor import load
from pellucid.report.html import REPORT
from pellucid.storage.writing import locked, locked_folder

SHORT = ("--size", 32, "--latents", 3, "--preset", "burgess", "--batch-size", 16, "--device", "cpu")


@pytest.fixture(scope="module")
def judging_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained run with measured latents and a detector."""
    run = make_untrained_run(tmp_path_factory.mktemp("judging") / "run", latents=32, spread=4)
    model = load(run, device="cpu")
    drawn = [open_dataset(name, size=32, limit=60) for name in ("people", "scenes")]
    activity = measure_activity(encode_dataset(model, drawn[0], drawn[0].rows("all")))
    change_latents(run, model.latents, lambda table: with_activity(table, activity))
    save_detector(Detector(model).fit(*(to_float(some.fetch(some.rows("all"))) for some in drawn)), run)
    return run


@pytest.fixture
def judging(judging_once: Path, tmp_path: Path) -> Path:
    return shutil.copytree(judging_once, tmp_path / "run")


@contextmanager
def another_writer(path: Path, *, folder: bool) -> Iterator[None]:
    """Somebody else who holds the lock."""
    lock, ended, began = (locked_folder if folder else locked)(path), threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            began.set()
            ended.wait(60)

    with ThreadPoolExecutor(1) as other:
        held = other.submit(hold)
        began.wait(60)
        try:
            yield
        finally:
            ended.set()
            held.result()


@pytest.mark.parametrize(
    ("command", "target", "folder"),
    [
        (("train", "BARS", "--out", "NEW", "--steps", 2, *SHORT), "NEW", True),
        (("train", "BARS", "--out", "RUN", "--steps", 2, *SHORT, "--resume"), "RUN", True),
        (("sweep", "BARS", "--out", "NEW", "--steps", 2, *SHORT), "NEW", True),
        (("reproduce", "--out", "NEW", "--minutes", 0.1), "NEW", True),
        (("demo", "--out", "NEW"), "NEW", True),
        (("latents", "RUN", "--data", "people", "--limit", 20), f"RUN/{REPORT}", False),
        (("name", "RUN", "z1", "hat"), f"RUN/{LATENTS}", False),
        (("detector", "RUN", "--normal", "scenes", "--limit", 100), f"RUN/{DETECTOR}", False),
        (("same", "RUN", "--persons", 2), f"RUN/{SAME}", False),
        (("export", "RUN"), "RUN/onnx", True),
        (("export", "RUN", "--out", "NEW"), "NEW", True),
        (("features", "RUN", "people", "--limit", 2, "--out", "NEW.csv"), "NEW.csv", False),
        (("detect", "RUN", "people", "--limit", 2, "--table", "NEW.csv"), "NEW.csv", False),
        (("detect", "RUN", "people", "--limit", 2, "--explain", "NEW"), "NEW", True),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_the_second_of_two_writers_is_refused_and_changes_nothing(
    command: tuple[object, ...],
    target: str,
    folder: bool,
    judging: Path,
    bars: Path,
    run: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(names, "SOON", 0)
    monkeypatch.setattr(describing, "_PATIENCE", 0)
    places = {"RUN": str(judging), "NEW": str(judging.parent / "new"), "BARS": str(bars)}

    def placed(text: object) -> str:
        head, slash, rest = str(text).partition("/")
        stem, dot, ending = head.partition(".")
        return f"{places.get(stem, stem)}{dot}{ending}{slash}{rest}"

    before = contents(judging.parent)
    with another_writer(Path(placed(target)), folder=folder):
        assert run(*map(placed, command)) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith(f"pellucid: {placed(target)}: process {os.getpid()} on ")
    assert "is writing it. Wait" in said
    assert contents(judging.parent) == before


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_names_given_by_the_command_and_on_the_live_page_at_once_are_all_kept(
    judging: Path, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    engine = Engine(judging, device="cpu")

    def on_the_page() -> None:
        for latent in range(0, 32, 2):
            engine.change({"latent": latent, "name": f"page {latent}"})

    def by_the_library() -> None:
        for latent in range(1, 32, 4):
            change_latents(judging, 32, lambda table, latent=latent: rename(table, latent, f"call {latent}"))  # type: ignore[misc]

    with ThreadPoolExecutor(2) as others:
        working = [others.submit(on_the_page), others.submit(by_the_library)]
        for latent in range(3, 32, 4):
            assert run("name", judging, f"z{latent}", f"command {latent}") == 0
        for work in working:
            work.result()
    given = [record.name for record in read_latents(judging, 32).records]
    whose = ("page", "call", "page", "command")
    assert given == [f"{whose[latent % 4]} {latent}" for latent in range(32)]


def pellucid(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "pellucid", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_of_two_trainings_into_one_folder_one_is_made_and_the_other_refused(
    bars: Path, tmp_path: Path
) -> None:
    """In processes of their own, which start together."""
    out = tmp_path / "run"
    both = [pellucid("train", bars, "--out", out, "--steps", 40, *SHORT, "--seed", seed) for seed in (1, 2)]
    said = [process.communicate(timeout=240)[1] for process in both]
    codes = [process.returncode for process in both]
    assert sorted(codes) == [0, 2], said
    seed, refused = codes.index(0) + 1, said[codes.index(2)]
    assert "is writing it" in refused or "holds a run already" in refused
    model = load(out, device="cpu")
    assert model.config.training["seed"] == seed
    assert model.config.training["steps_taken"] == 40
    assert not [path for path in out.rglob("*") if path.name.endswith((".part", ".lock"))]


def test_of_two_scorings_into_one_table_both_or_one_give_the_whole(judging: Path, tmp_path: Path) -> None:
    out = tmp_path / "table.npz"
    command = (
        "features",
        judging,
        "people",
        "--limit",
        600,
        "--out",
        out,
        "--workers",
        0,
        "--device",
        "cpu",
    )
    both = [pellucid(*command) for _ in range(2)]
    said = [process.communicate(timeout=240)[1] for process in both]
    codes = [process.returncode for process in both]
    assert sorted(codes) in ([0, 0], [0, 2]), said
    assert all("is writing it" in text for text, code in zip(said, codes, strict=True) if code)
    assert len(np.load(out)["values"]) == 600
    assert [path.name for path in tmp_path.iterdir() if "table" in path.name] == ["table.npz"]
