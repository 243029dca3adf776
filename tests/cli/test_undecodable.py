"""Names that are no UTF-8 (old archives, other systems' disks), and users without a home."""

import csv
import json
import os
import pwd
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from small import NETWORKS

from pellucid.data.paths import cache_folder, expanded
from pellucid.data.store import open_dataset
from pellucid.errors import ConfigError
from pellucid.model.sealed import read_sealed, write_sealed
from pellucid.report.html import REPORT

Run = Callable[..., int]
SMALL = ("--steps", 2, "--batch-size", 2, "--latents", 2, *NETWORKS)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems' names are always Unicode")


def undecodable(name: bytes) -> str:
    return os.fsdecode(name)


@pytest.fixture
def pictures(photos: Path, tmp_path: Path) -> Path:
    folder = tmp_path / undecodable(b"d\xff") / undecodable(b"pictures\xfe")
    folder.mkdir(parents=True)
    for at, photo in enumerate(sorted(photos.iterdir())[:30]):
        shutil.copy(photo, folder / undecodable(b"p\xff%03d.png" % at))
    return folder


def test_such_names_of_everything_are_trained_on_and_reported(
    run: Run, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = pictures.parent / undecodable(b"run\xff")
    monkeypatch.setattr(sys, "argv", ["pellucid", "train", str(pictures), "--out", str(out)])
    assert run("train", pictures, "--out", out, *SMALL, "--device", "cpu") == 0
    config = read_sealed(out / "config.json")
    assert config["data"]["source"] == str(pictures)  # the very path, which can be opened again
    assert "\\udcff" in (out / REPORT).read_text(encoding="utf-8")
    assert (out / "README.md").read_text(encoding="utf-8")
    assert run("latents", out) == 0


def test_such_names_are_rows_of_every_table(
    run: Run, trained: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(trained, pictures.parent / undecodable(b"copy\xff"))
    photo, other = sorted(pictures.iterdir())[:2]
    tables = [pictures.parent / undecodable(b"t\xff" + ending) for ending in (b".csv", b".npz", b".parquet")]
    for table in tables:
        assert run("features", copy, pictures, "--out", table) == 0
    with tables[0].open(encoding="utf-8", newline="") as file:
        assert sum("p\\udcff" in row["name"] for row in csv.DictReader(file)) == 30
    capsys.readouterr()
    figure = pictures.parent / undecodable(b"c\xff.png")
    assert run("compare", copy, photo, other, "--out", figure, "--json") == 0
    assert json.loads(capsys.readouterr().out)["a"] == str(photo)
    assert run("gallery", copy, photo, pictures, "--out", figure) == 0
    assert run("traverse", copy, "--image", photo, "--out", figure) == 0
    assert run("detector", copy, "--normal", pictures, "--threshold", "false-alarm=0.125") == 0
    assert run("detect", copy, photo, "--explain", pictures.parent) == 0


def test_sealed_json_keeps_any_name(tmp_path: Path) -> None:
    content = {"odd": undecodable(b"\xff\xfe"), "usual": "schön \\udcff"}
    write_sealed(tmp_path / "some.json", content)
    (tmp_path / "some.json").read_text(encoding="utf-8")
    assert read_sealed(tmp_path / "some.json") == content


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_: object) -> pwd.struct_passwd:
        raise KeyError("uid not found")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name in ("HOME", "PELLUCID_CACHE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("homeless")
def test_without_a_home_what_needs_no_cache_works_and_the_rest_says_what_to_set(
    run: Run,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path))
    assert run("train", "people", "--limit", 40, "--out", "drawn", *SMALL, "--device", "cpu") == 0
    assert run("latents", "drawn") == 0
    capsys.readouterr()
    assert run("train", photos, "--out", "read", *SMALL) == 2
    assert "pellucid: PELLUCID_CACHE: expected a folder" in capsys.readouterr().err
    assert not (tmp_path / "~").exists()
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    assert run("train", photos, "--out", "read", *SMALL, "--device", "cpu") == 0


@pytest.mark.usefixtures("homeless")
def test_a_home_that_there_is_not_is_a_name_like_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert expanded("~nobody-of-that-name/x") == Path("~nobody-of-that-name/x")
    with pytest.raises(ConfigError, match="no home folder"):
        cache_folder()
    monkeypatch.setenv("HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/.cache/pellucid")
    assert expanded("~/x") == Path("/somewhere/x")


@pytest.mark.parametrize("command", ["train", "detect", "features", "reproduce"])
def test_an_unknown_users_folder_is_one_line(
    command: str, run: Run, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = "~nobody-of-that-name/pictures"
    words: dict[str, list[object]] = {
        "train": [missing, "--out", tmp_path / "run"],
        "detect": [trained, missing],
        "features": [trained, missing, "--out", tmp_path / "t.csv"],
        "reproduce": ["--data", missing, "--out", tmp_path / "pages"],
    }
    run(command, *words[command])
    assert "Traceback" not in capsys.readouterr().err


def test_a_folder_that_is_called_like_a_home_is_opened(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(photos, tmp_path / "~nobody-of-that-name")
    assert len(open_dataset("~nobody-of-that-name", size=32)) == 114
