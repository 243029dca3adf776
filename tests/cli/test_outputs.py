"""No command writes among the images that it, or the next one, reads."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pellucid.data.paths import refuse_inside
from pellucid.errors import ConfigError

Run = Callable[..., int]


@pytest.fixture
def place(trained: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with some images in `in`, and a run beside it."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained, "run")
    for who in "ab":
        for at in range(6):
            (folder := tmp_path / "in" / who).mkdir(parents=True, exist_ok=True)
            shutil.copy(photos / f"{at:03d}.png", folder / f"{at}.png")
    return tmp_path


COMMANDS = (
    "train in --out in/run --steps 2",
    "train . --out run2 --steps 2",
    "train in --out in --steps 2",
    "sweep in --out in/sweep --steps 2",
    "reproduce --data in --out in/report",
    "features run in --out in/t.csv",
    "features run . --out ../t.csv",  # the run lies among the images
    "detect run in --explain in/why",
    "detect run in --table in/t.parquet",
    "detect run file://{here}/in --explain in/a/why",
    "detector run --normal in --anomalous scenes --anomalous-limit 10 --out in/figures",
    "detector run --normal in/a --anomalous in/b --out in/b/figures",
    "detector run --normal .",
    "latents run --data .",
    "metrics run --data .",
    "same run .",
    "gallery run in/a/0.png in/b --out in/b/ranks.png",
    "gallery run in/a in/b --out in/a/ranks.png",
    "gallery run in/a/0.png in/b --out in/a/0.png",
    "compare run in/a/0.png in/b/1.png --out in/b/1.png",
    "traverse run --image in/a/0.png --latent z0 --out in/a/0.png",
    "traverse run --latent z0 --data in --out in/t.png",
    "traverse run --latent z0 --out {photos}/t.png",  # what the model was trained on
    "export run --out {photos}/onnx",
    "detect run in --explain {photos}/why",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_an_output_among_the_images_is_refused_at_the_start(
    run: Run,
    place: Path,
    photos: Path,
    command: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pellucid.data.trained_here.trained_here", lambda *_: True)
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert run(*command.format(here=place, photos=photos).split()) == 2
    error = capsys.readouterr().err
    assert "expected a place outside" in error or "is read itself" in error
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before
    assert not list(photos.rglob("t.png"))


def test_a_place_is_compared_by_what_it_is_and_not_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "in")
    (tmp_path / "inside").mkdir()
    for place in ("link/x", "in/deep/../x.png", "in/deep/x", "in"):
        with pytest.raises(ConfigError, match="outside"):
            refuse_inside(tmp_path / place, ["people", tmp_path / "in"])
    with pytest.raises(ConfigError, match="outside"):
        refuse_inside(tmp_path / "in" / "x", [f"file://{tmp_path}/link/*.png"])
    for other in ("inside/x", "x", "in.png", "../x"):
        refuse_inside(
            tmp_path / other, [tmp_path / "in", "s3://bucket/in", "nul\0", "nothing here", "people"]
        )
    refuse_inside(None, [tmp_path])


def test_what_is_proposed_works(run: Run, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`cd photos; pellucid train . --out run` is refused; what it proposes trains, and can be looked at."""
    monkeypatch.chdir(place / "in")
    small = ("--size", 32, "--latents", 2, "--preset", "burgess", "--steps", 2, "--batch-size", 2)
    assert run("train", ".", "--out", "mine", *small) == 2
    assert run("train", ".", "--out", place / "mine", *small) == 0
    assert run("latents", place / "mine") == 0
    assert run("latents", place / "mine") == 0
