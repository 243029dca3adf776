"""Every command that reads images says how many cannot be read, and which; `--json` holds them all."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pellucid.data.dataset import left_out

Run = Callable[..., int]

DAMAGED = ("007.png", "027.png", "047.png", "067.png")
SAID = "4 images are left out, because they cannot be read: 007.png, 027.png, 047.png and 1 more."
SMALL = ("--size", 32, "--preset", "burgess", "--latents", 2, "--batch-size", 8, "--steps", 2)


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """220 images, four of them damaged, with a table of what is on each and whom it shows."""
    folder = tmp_path_factory.mktemp("described") / "images"
    folder.mkdir()
    for at, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (220, 32, 32, 3), np.uint8)):
        pixels[:, at % 5 * 6 :] = 200
        path = folder / f"{at:03d}.png"
        Image.fromarray(pixels).save(path)
        if path.name in DAMAGED:
            path.write_bytes(path.read_bytes()[:60])
    rows = "".join(f"{at:03d}.png,{at // 4},{at % 5}\n" for at in range(220))
    (folder / "labels.csv").write_text(f"file_name,identity,place\n{rows}")
    return folder


@pytest.fixture(scope="module")
def measured(run: Run, trained_once: Path, described: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("runs") / "run"
    shutil.copytree(trained_once, copy, ignore=shutil.ignore_patterns("training"))
    assert run("latents", copy, "--data", described) == 0
    return copy


COMMANDS = {
    "latents": ("RUN", "--data", "IMAGES"),
    "metrics": ("RUN", "--data", "IMAGES", "--resamples", 4),
    "detector": ("RUN", "--normal", "IMAGES", "--threshold", "false-alarm=0.2"),
    "gallery": ("RUN", "IMAGES/000.png", "IMAGES"),
    "same": ("RUN", "IMAGES"),
    "features": ("RUN", "IMAGES", "--out", "OUT.csv"),
    "sweep": ("IMAGES", "--out", "OUT", "--betas", "1", "--seeds", 2, *SMALL),
}
WITHOUT_JSON = {
    "train": ("IMAGES", "--out", "OUT", *SMALL),
    "traverse": ("RUN", "--data", "IMAGES", "--latent", "z0", "--out", "OUT.png"),
    "name": ("RUN", "--suggest", "--data", "IMAGES"),
}


def placed(words: tuple[object, ...], **places: Path) -> list[str]:
    texts = [str(word) for word in words]
    for name, place in places.items():
        texts = [text.replace(name, str(place)) for text in texts]
    return texts


def check(error: str, folder: Path) -> None:
    (line,) = [line for line in error.splitlines() if "cannot be read" in line]
    assert line.replace(f"{folder}/", "").startswith(SAID)


@pytest.mark.parametrize("command", COMMANDS)
def test_one_line_says_what_is_left_out_and_json_holds_all_of_it(
    run: Run,
    measured: Path,
    described: Path,
    tmp_path: Path,
    command: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = placed(COMMANDS[command], RUN=measured, IMAGES=described, OUT=tmp_path / "out")
    assert run(command, *words, "--json") == 0
    said = capsys.readouterr()
    skipped = json.loads(said.out)["skipped"]
    assert [Path(entry["name"]).name for entry in skipped] == list(DAMAGED)
    assert all("damaged" in entry["reason"] for entry in skipped)
    check(said.err, described)


@pytest.mark.parametrize("command", WITHOUT_JSON)
def test_commands_without_json_say_so_as_well(
    run: Run,
    measured: Path,
    described: Path,
    tmp_path: Path,
    command: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = placed(WITHOUT_JSON[command], RUN=measured, IMAGES=described, OUT=tmp_path / "out")
    assert run(command, *words) == 0
    check(capsys.readouterr().err, described)


def test_wanted_images_that_are_left_out_count_as_well(
    run: Run, measured: Path, described: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for name in ("001.png", "002.png", "003.png", "007.png"):
        shutil.copy(described / name, few / f"other{name}")
    capsys.readouterr()
    assert run("gallery", measured, few, described, "--json") == 0
    said = capsys.readouterr()
    skipped = json.loads(said.out)["skipped"]
    assert [entry["source"] for entry in skipped] == [str(few)] + 4 * [str(described)]
    assert "1 image is left out, because it cannot be read: other007.png." in said.err


def test_names_cannot_move_the_cursor() -> None:
    assert left_out(["c\x1b[2J"]) == "1 image is left out, because it cannot be read: c\\x1b[2J."
