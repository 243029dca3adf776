import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


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
