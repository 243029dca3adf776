"""A link in a stranger's run or folder never makes a command write elsewhere."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pellucid.model.inside import inside

Run = Callable[..., int]


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder


@pytest.fixture
def foreign(trained: Path, tmp_path: Path) -> Path:
    return shutil.copytree(trained, tmp_path / "foreign")


def led_elsewhere(run: Path, name: str, elsewhere: Path) -> None:
    if (run / name).is_dir():
        shutil.copytree(run / name, elsewhere, dirs_exist_ok=True)
        shutil.rmtree(run / name)
    (run / name).symlink_to(elsewhere)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("training", ["train", "PHOTOS", "--out", "RUN", "--resume", "--size", 32, "--steps", 200]),
        ("detector", ["detector", "RUN", "--normal", "PHOTOS", "--anomalous", "scenes"]),
        ("onnx", ["export", "RUN"]),
    ],
)
def test_a_folder_of_a_run_that_is_a_link_is_refused(
    name: str,
    command: list[object],
    run: Run,
    foreign: Path,
    photos: Path,
    elsewhere: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    led_elsewhere(foreign, name, elsewhere)
    before = contents(elsewhere)
    known: dict[object, object] = {"RUN": foreign, "PHOTOS": photos}
    assert run(*(known.get(word, word) for word in command)) == 2
    assert f"{foreign / name}: expected a file or folder of the run's own" in capsys.readouterr().err
    assert contents(elsewhere) == before


@pytest.mark.parametrize("name", ["training", "metrics.jsonl", "config.json"])
def test_a_new_run_is_not_begun_where_a_link_lies(
    name: str, run: Run, photos: Path, elsewhere: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also one that leads to nothing yet: appending to it would make a file there."""
    out = tmp_path / "out"
    out.mkdir()
    (out / name).symlink_to(elsewhere if name == "training" else elsewhere / "made")
    assert run("train", photos, "--out", out, "--size", 32, "--steps", 2) == 2
    assert "got a link to" in capsys.readouterr().err
    assert not list(elsewhere.iterdir())


def test_a_run_that_is_itself_reached_by_a_link_is_fine(foreign: Path, tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to(foreign)
    assert inside(tmp_path / "latest", Path("training") / "checkpoint.safetensors").is_file()
