import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pellucid.model.predictor import load


def test_training_lists_what_it_could_not_read(trained: Path) -> None:
    lines = (trained / "skipped.txt").read_text().splitlines()
    assert [line.split("\t")[0] for line in lines] == [f"{i:03d}.png" for i in (7, 27, 47, 67, 87, 107)]
    assert all(line.split("\t")[1] for line in lines)


def test_a_run_holds_what_the_design_says(trained: Path) -> None:
    expected = {
        "config.json",
        "model.safetensors",
        "latents.json",
        "README.md",
        "metrics.jsonl",
        "training",
        "report.html",
    }
    assert expected <= {path.name for path in trained.iterdir()}
    card = (trained / "README.md").read_text()
    assert "114 photographs from" in card
    assert "6 unreadable left out" in card


def test_no_file_name_breaks_the_list_of_what_could_not_be_read(
    run: Callable[..., int], photos: Path, tmp_path: Path
) -> None:
    folder, out, elsewhere = tmp_path / "photos", tmp_path / "run", tmp_path / "elsewhere"
    folder.mkdir()
    for picture in sorted(photos.glob("00[0-5].png")):
        shutil.copy(picture, folder)
    for name in (b"line\nbreak.png", b"tab\tstop.png", b"no utf8 \xff.png", b"\x1b[2J.png"):
        (folder / os.fsdecode(name)).write_bytes(b"no picture")
    elsewhere.write_text("mine")
    out.mkdir()
    (out / "skipped.txt").symlink_to(elsewhere)
    settings = (
        "--size",
        32,
        "--latents",
        2,
        "--steps",
        1,
        "--batch-size",
        2,
        "--device",
        "cpu",
        "--threads",
        1,
    )
    assert run("train", folder, "--out", out, *settings) == 0
    lines = (out / "skipped.txt").read_text(encoding="utf-8").splitlines()
    assert [line.split("\t")[0] for line in lines] == [
        "\\x1b[2J.png",
        "line\\nbreak.png",
        "no utf8 \\udcff.png",
        "tab\\tstop.png",
    ]
    assert elsewhere.read_text() == "mine"  # a link in the folder is replaced, not written through


def test_training_says_which_tables_it_used(
    run: Callable[..., int], photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    for picture in sorted(photos.glob("00[0-5].png")):
        shutil.copy(picture, folder)
    (folder / "labels.csv").write_text("file_name,hat\n000.JPG,1\n001,0\n", encoding="utf-8")
    (folder / "sub" / "more.csv").write_text("file_name,hat\n000.png,1\n")
    settings = ("--size", 32, "--latents", 2, "--steps", 1, "--batch-size", 2, "--device", "cpu")
    assert run("train", folder, "--out", tmp_path / "run", *settings) == 0
    said = capsys.readouterr().err
    assert "Note: labels.csv: 1 attribute (hat); 2 of 6 images matched." in said
    assert "Note: Tables that were seen and are not used: sub/more.csv." in said


def test_a_window_is_kept_with_the_model_and_used_wherever_images_are_read(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out, chance = tmp_path / "scans", tmp_path / "run", np.random.default_rng(0)
    folder.mkdir()
    for at in range(30):
        Image.fromarray(chance.integers(0, 4096, (40, 40)).astype(np.uint16)).save(folder / f"{at:02d}.png")
    settings = ("--size", 32, "--latents", 2, "--batch-size", 8, "--device", "cpu", "--channels", 1)
    assert run("train", folder, "--out", tmp_path / "dark", *settings, "--steps", 1) == 0
    assert "the values found are 0 to 4,095, of 0 to 65,535" in capsys.readouterr().err
    assert run("train", folder, "--out", out, *settings, "--steps", 2, "--window", "0,4095") == 0
    assert "of one shade" not in capsys.readouterr().err
    assert "| black and white | 0 and 4095 |" in (out / "README.md").read_text()
    assert run("train", folder, "--out", out, *settings, "--steps", 2, "--window", "0,4095", "--resume") == 0
    assert run("train", folder, "--out", out, *settings, "--steps", 2, "--resume") == 2
    assert "--resume" in capsys.readouterr().err
    model = load(out)
    assert model.config.preprocessing.window == (0, 4095)
    raw = np.asarray(Image.open(folder / "00.png"))
    in_8_bits = Image.fromarray(np.rint(raw / 4095 * 255).astype(np.uint8))
    seen = model.to_tensor(folder / "00.png")
    assert torch.equal(seen, model.to_tensor(Image.open(folder / "00.png")))
    assert torch.equal(seen, model.to_tensor(in_8_bits))
    assert seen.max() > 0.9
    assert run("latents", out) == 0  # opens its own images as it was trained on them
    assert run("train", folder, "--out", tmp_path / "bad", *settings, "--window", "5,1") == 2
    assert "window: expected two numbers" in capsys.readouterr().err


def test_an_array_is_opened_again_with_the_axes_it_was_trained_with(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 3, 64, 3), np.uint8)
    np.save(tmp_path / "b.npy", pixels)
    settings = ("--size", 32, "--latents", 2, "--batch-size", 4, "--device", "cpu", "--steps", 1)
    assert run("train", tmp_path / "b.npy", "--out", tmp_path / "run", *settings) == 2
    assert "--axes NHWC or --axes NCHW" in capsys.readouterr().err
    options = ("--axes", "NHWC", "--crop", "whole")
    assert run("train", tmp_path / "b.npy", "--out", tmp_path / "run", *settings, *options) == 0
    assert run("latents", tmp_path / "run") == 0
