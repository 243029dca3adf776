"""A command that is ended at any stage leaves no process, and the same command makes whole what it left."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from untrained_run import make_untrained_run

from pellucid.model import directory
from pellucid.scoring import inputs

DIES = """
import os, signal, sys
from importlib import import_module
from pellucid.scoring import inputs
inputs.PART = 10
stage, nth, number, *command = sys.argv[1:]
if stage:
    module, cls, name = stage.split(":")
    owner = getattr(import_module(module), cls)
    real, calls = getattr(owner, name), 0
    def dies(*arguments, **more):
        global calls
        calls += 1
        if calls == int(nth):
            os.kill(os.getpid(), int(number))
        return real(*arguments, **more)
    setattr(owner, name, dies)
from pellucid.cli import main
main(command)
"""
STAGES = {
    "workers have started": ("pellucid.data.crew:_Workers:submit", 3, 2),
    "the plan is made": ("pellucid.scoring.storage:Parts:done", 1, 0),
    "two parts are scored": ("pellucid.scoring.storage:Parts:write", 3, 2),
    "the table is begun": ("pellucid.scoring.storage:Parts:read", 3, 0),
    "the table is written": ("pellucid.scoring.score:Scoring:finish", 1, 0),
    "some parts are deleted": ("pathlib:Path:unlink", 3, 0),
    "the folder is left": ("pathlib:Path:rmdir", 1, 0),
}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stopped") / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for at in range(60):
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8)).save(folder / f"{at:02d}.png")
    return folder


@pytest.fixture
def undisturbed(
    photos: Path, tmp_path: Path, run: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> bytes:
    monkeypatch.setattr(inputs, "PART", 10)
    make_untrained_run(photos.parent / "run")
    table = tmp_path / "undisturbed.csv"
    assert run(*scoring(photos, table, 0)) == 0
    content = table.read_bytes()
    table.unlink()
    return content


def scoring(photos: Path, table: Path, workers: int) -> tuple[object, ...]:
    run = photos.parent / "run"
    return ("features", run, photos, "--out", table, "--workers", workers, "--device", "cpu")


def heeds_hanging_up() -> None:
    """Whatever these tests were started by: nohup has SIGHUP ignored, a shell in the background SIGINT."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def ended(command: tuple[object, ...], dies: tuple[str, int, int], mark: str, **environment: str) -> str:
    """Run a command until it ends itself by a signal, in the nth call of a method; gives what it said."""
    with subprocess.Popen(
        [sys.executable, "-c", DIES, *map(str, dies), *map(str, command)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "MARK": mark, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heeds_hanging_up,
    ) as process:
        said = process.communicate(timeout=240)[1]
    assert process.returncode == (-signal.SIGKILL if dies[2] == signal.SIGKILL else 130), said
    wait_until_none_has(mark)
    return said


@pytest.fixture
def usual_signals() -> Iterator[None]:
    """As in a terminal, whatever these tests were started by."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGTERM, signal.SIGHUP)}
    before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("usual_signals")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_command_that_is_ended_says_so_and_exits_with_130(
    end: signal.Signals,
    run: Callable[..., int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(directory, "read_config", lambda _: signal.raise_signal(end))
    assert run("name", tmp_path) == 130
    assert capsys.readouterr().err == "\npellucid: stopped.\n"


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are found in /proc")
def test_sigterm_ends_a_local_ray_cluster_too(photos: Path, undisturbed: bytes, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    table = tmp_path / "table.csv"
    dies = (STAGES["two parts are scored"][0], 3, signal.SIGTERM)
    said = ended((*scoring(photos, table, 1), "--engine", "ray"), dies, secrets.token_hex(8))
    assert "Traceback" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv.parts"]
    kept = sorted(path.name for path in (tmp_path / "table.csv.parts").iterdir())
    assert len(kept) >= 3
    assert not [name for name in kept if name.startswith(".")]


def with_mark(mark: str) -> list[str]:
    """Command lines of all processes that were started with this mark in their environment."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and f"MARK={mark}\0".encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:  # it has ended meanwhile
            continue
    return found


def wait_until_none_has(mark: str, seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while left := with_mark(mark):
        assert time.monotonic() < until, left
        time.sleep(0.05)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are found in /proc")
@pytest.mark.parametrize(
    ("stage", "end"),
    [
        *((stage, signal.SIGKILL) for stage in STAGES),
        ("workers have started", signal.SIGTERM),
        ("the table is begun", signal.SIGINT),
        ("the table is begun", signal.SIGTERM),
        ("some parts are deleted", signal.SIGHUP),
    ],
)
def test_a_scoring_that_is_ended_leaves_no_process_and_the_same_command_gives_its_table(
    stage: str,
    end: signal.Signals,
    photos: Path,
    undisturbed: bytes,
    tmp_path: Path,
    run: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    method, nth, workers = STAGES[stage]
    table = tmp_path / "table.csv"
    said = ended(scoring(photos, table, workers), (method, nth, end), secrets.token_hex(8))
    if end != signal.SIGKILL:
        assert said.endswith("\npellucid: stopped.\n")
        assert "Traceback" not in said
        assert not [path for path in tmp_path.rglob("*") if path.name.endswith((".part", ".lock"))]
    capsys.readouterr()
    assert run(*scoring(photos, table, 0)) == 0
    assert capsys.readouterr().err == ""
    assert table.read_bytes() == undisturbed
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are found in /proc")
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_workers_that_decode_for_a_training_end_with_it(
    end: signal.Signals, photos: Path, tmp_path: Path
) -> None:
    command = ("train", photos, "--out", tmp_path / "run", "--workers", 2, "--steps", 2, "--batch-size", 8)
    cache = tmp_path / "cache"
    dies = ("pellucid.data.crew:_Workers:submit", 2, end)
    ended(command, dies, secrets.token_hex(8), PELLUCID_CACHE=str(cache))
    if end == signal.SIGTERM:
        assert not (tmp_path / "run").exists()
        assert list(cache.iterdir()) == []
