import errno
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.table import Table
from small import NETWORKS

from pellucid.cli.mistakes import in_one_line
from pellucid.cli.printing import print_table
from pellucid.errors import DataError
from pellucid.model.sealed import read_sealed, write_sealed

Run = Callable[..., int]
SMALL = ("--steps", 2, "--batch-size", 2, "--latents", 2, *NETWORKS)


def picture(path: Path, *shape: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(len(path.name)).integers(0, 255, shape, np.uint8)
    Image.fromarray(pixels).save(path, format="PNG")
    return path


@pytest.fixture
def said(run: Run, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command that must fail as every mistake does, and gives its one line."""

    def said(*arguments: object) -> str:
        capsys.readouterr()
        assert run(*arguments) == 2
        *before, line = capsys.readouterr().err.splitlines()
        assert line.startswith("pellucid: ")
        assert not [text for text in before if "Error" in text or "Traceback" in text]
        return line.removeprefix("pellucid: ")

    return said


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("latents", "no/such/run"), "pellucid train"),
        (("train", "no/such/data", "--out", "x"), "no/such/data"),
        (("train", "sprites", "--out", "x", "--loss", "l2"), "l2"),
        (("train", "sprites", "--out", "x", "--steps", "5", "--minutes", "1"), "one of"),
        (("train", "sprites", "--out", "x", "--objective", "vae", "--beta", "4"), "beta"),
        (("train", "sprites", "--out", "x", "--latents", "0"), "latents"),
        (("train", "sprites", "--out", "x", "--steps", "0"), "steps: expected 1"),
        (("train", "sprites", "--out", "x", "--steps", "-5"), "steps: expected 1"),
        (("train", "sprites", "--out", "x", "--epochs", "0"), "epochs: expected"),
        (("train", "sprites", "--out", "x", "--minutes", "0"), "minutes: expected"),
        (("train", "sprites", "--out", "x", "--minutes", "nan"), "minutes: expected"),
        (("train", "sprites", "--out", "x", "--batch-size", "1"), "batch_size: expected 2"),
        (("train", "sprites", "--out", "x", "--learning-rate", "0"), "learning_rate: expected"),
        (("train", "sprites", "--out", "x", "--learning-rate", "-1"), "learning_rate: expected"),
        (("train", "sprites", "--out", "x", "--beta", "nan"), "beta"),
        (("train", "sprites", "--out", "x", "--seed", "-1"), "seed"),
        (("train", "sprites", "--out", "x", "--limit", "0"), "limit >= 1"),
        (("train", "sprites", "--out", "x", "--skip", "-1"), "skip >= 0"),
        (("train", "sprites", "--out", "x", "--workers", "-1"), "workers: expected 0 or more"),
        (("train", "sprites", "--out", "x", "--threads", "0"), "--threads: expected 1 or more"),
        (("train", "sprites", "--out", "x", "--device", "abacus"), "--device cpu"),
        (("train", "sprites", "--out", "x", "--resume"), "no checkpoint"),
        (("demo", "--out", "x", "--train", "--images", "63"), "--images: expected 64"),
        (("demo", "--out", "x", "--images", "640"), "--images: does nothing without --train"),
        (("traverse", "run", "--out", "x.png", "--latent", "z0", "--seeds", "0"), "--seeds: expected 1"),
        (("train", "sprites", "--out", "x", "--minuts", "3"), "Did you mean --minutes? See: pellucid train"),
        (("train", "sprites", "--out", "x", "--steps", "many"), '"many"'),
        (("train", "sprites", "--out"), "--out requires"),
        (("train",), "DATA"),
        (("latents", "run", "other"), "expected nothing more, got 'other'"),
        (("tarin", "photos"), 'Did you mean "train"?'),
        (("detect", "run", "-x.png"), "write ./-x.png"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    said: Callable[..., str], arguments: tuple[str, ...], says: str, here: Path
) -> None:
    assert says in said(*arguments)
    assert list(here.iterdir()) == []


def test_a_fault_of_our_own_is_not_told_as_a_mistake() -> None:
    assert in_one_line(ValueError("a bug")) is None
    assert in_one_line(AssertionError("a bug")) is None
    assert in_one_line(DataError("a\nb\udcff")) == "a\\nb\\udcff"
    assert "Lower --batch-size" in (in_one_line(MemoryError()) or "")


@pytest.mark.parametrize(
    ("number", "advice"),
    [(errno.ENOSPC, "Free some space."), (errno.EACCES, "Allow it"), (errno.EROFS, "another place")],
)
def test_what_the_system_refuses_is_told_with_the_file_and_what_to_do(number: int, advice: str) -> None:
    line = in_one_line(OSError(number, os.strerror(number), "a\nb.png"))
    assert line == f"a\\nb.png: {os.strerror(number)}. {line.rpartition('. ')[2]}"  # type: ignore[union-attr]
    assert advice in line


def test_a_folder_without_a_readable_picture_is_no_data(said: Callable[..., str], here: Path) -> None:
    (here / "empty").mkdir()
    assert "empty: expected pictures (.jpg, .png or .webp)" in said("train", "empty", "--out", "x", *SMALL)
    (here / "bad").mkdir()
    (here / "bad" / "a.png").write_bytes(b"no picture")
    (here / "bad" / "b.jpg").touch()
    assert "none of 2 images can be read; a.png: expected a JPEG" in said(
        "train", "bad", "--out", "x", *SMALL
    )
    assert not (here / "x").exists()


def test_one_image_is_too_few_to_train_on_and_leaves_nothing_behind(
    said: Callable[..., str], here: Path
) -> None:
    picture(here / "one" / "a.png", 40, 40, 3)
    assert "at least 2 training images, one batch, got 1" in said("train", "one", "--out", "x", *SMALL)
    assert not (here / "x").exists()


def test_two_images_of_a_pixel_or_three_train_a_model_that_judges_nothing_but_runs(
    run: Run, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture(here / "two" / "a.png", 1, 1, 3)
    picture(here / "two" / "b.png", 3, 3)
    assert run("train", "two", "--out", "x", *SMALL) == 0
    assert "measured on all images" in capsys.readouterr().err
    assert run("compare", "x", "two/a.png", "two/b.png", "--json") in (0, 2)


def test_grey_and_coloured_pictures_are_fitted_to_the_model(
    run: Run, here: Path, trained: Path, bars: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grey, colour = picture(here / "grey.png", 40, 30), picture(here / "colour.png", 40, 30, 3)
    assert run("train", bars, "--out", "bars", *SMALL, "--channels", 1) == 0
    for model in (trained, here / "bars"):
        for image in (grey, colour):
            assert run("traverse", model, "--image", image, "--latent", "z0", "--out", here / "t.png") == 0
    assert read_sealed(here / "bars" / "config.json")["architecture"]["channels"] == 1


def test_measuring_on_a_handful_of_images_does_not_forget_what_is_known(
    said: Callable[..., str], here: Path, trained: Path
) -> None:
    shutil.copytree(trained, here / "run")
    before = (here / "run" / "latents.json").read_bytes()
    picture(here / "one" / "a.png", 40, 40, 3)
    assert "at least 10 images" in said("latents", "run", "--data", "one")
    assert (here / "run" / "latents.json").read_bytes() == before


def test_without_pyarrow_the_install_line_of_parquet_is_named(
    said: Callable[..., str], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "x.parquet").write_bytes(b"PAR1")
    for name in [name for name in sys.modules if name.partition(".")[0] == "pyarrow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "pip install 'pellucid[parquet]'" in said("train", "x.parquet", "--out", "x", *SMALL)


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every sync to the disk finds it full, as a disk that had only promised the space."""

    def refuse(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", refuse)


def test_a_full_disk_is_told_by_the_file_that_was_meant_and_leaves_no_scraps(
    said: Callable[..., str], here: Path, trained: Path, full_disk: None
) -> None:
    image = picture(here / "a.png", 40, 40, 3)
    line = said("traverse", trained, "--image", image, "--latent", "z0", "--out", "t.png")
    assert line == "t.png: No space left on device. Free some space."
    line = said("train", "people", "--limit", 40, "--out", "x", *SMALL)
    assert "cannot be written (No space left on device); there is none yet. Free some space" in line
    assert "PELLUCID_CACHE" in said("latents", trained, "--data", here)
    assert [path for path in here.rglob("*") if path.is_file()] == [image]


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that not even root can write to")
def test_a_folder_that_cannot_be_written_is_told(said: Callable[..., str], here: Path, trained: Path) -> None:
    image = picture(here / "a.png", 40, 40, 3)
    assert "/proc/self/x: cannot be written" in said(
        "train", "people", "--limit", 40, "--out", "/proc/self/x", *SMALL
    )
    line = said("traverse", trained, "--image", image, "--latent", "z0", "--out", "/proc/self/t.png")
    assert line.startswith("/proc/self/t.png: ")


def test_what_is_no_run_is_told_with_what_it_is_and_which_was_meant(
    said: Callable[..., str], here: Path, trained: Path
) -> None:
    (here / "file").touch()
    (here / "empty").mkdir()
    picture(here / "photos" / "a.png", 8, 8)
    shutil.copytree(trained, here / "runs" / "mine")
    make = "Make one: pellucid train DATA --out RUN. Or take one that comes with Pellucid: people."
    assert said("latents", "file") == f"file: expected the folder of a run, got a file. {make}"
    assert said("latents", "empty").endswith(f"got an empty folder. {make}")
    assert said("latents", "photos").endswith(f"got a folder without config.json. {make}")
    assert said("latents", "nothing").endswith(f"got nothing there. {make}")
    assert said("latents", "runs").endswith("Did you mean runs/mine?")
    assert said("latents", "runs/mine/config.json").endswith("got a file. Did you mean runs/mine?")
    (here / "empty" / "config.json").write_text('{"name": "of another program"}')
    assert "expected a file of Pellucid's" in said("latents", "empty")


def test_a_run_of_a_newer_version_asks_for_an_update(
    said: Callable[..., str], here: Path, trained: Path
) -> None:
    shutil.copytree(trained, here / "run")
    config = here / "run" / "config.json"
    content = read_sealed(config)
    write_sealed(config, {**content, "version": content["version"] + 1})
    expected = f"expected version {content['version']}, got {content['version'] + 1}"
    assert said("latents", "run").endswith(f"{expected}. Update Pellucid to read it.")


def test_a_run_and_a_file_are_never_written_over(said: Callable[..., str], here: Path, trained: Path) -> None:
    (here / "file").touch()
    before = {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()}
    assert "holds a run already" in said("train", "sprites", "--out", trained, *SMALL)
    assert "is a file" in said("train", "sprites", "--out", "file", *SMALL)
    assert "is a file" in said("train", "sprites", "--out", "file/run", *SMALL)
    assert {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()} == before


def test_odd_names_are_read_and_told_in_any_encoding(
    run: Run, here: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["with space.png", "new\nline.png", "-x.png", "schön.png"]
    if sys.platform == "linux":
        names.append(os.fsdecode(b"b\xff.png"))
    for name in names:
        picture(here / "odd" / name, 40, 40, 3)
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding="ascii", errors="strict")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        assert run("train", "odd", "--out", "schön", *SMALL) == 0
    assert b"Report: sch\\xf6n" in written.getvalue()
    monkeypatch.chdir(here / "odd")
    assert run("traverse", trained, "--image", "./-x.png", "--latent", "z0", "--out", "./-t.png") == 0
    assert run("traverse", trained, "--image=-x.png", "--latent", "z0", "--out=-t.png") == 0


@pytest.mark.parametrize("width", [20, 40, 200])
def test_no_number_of_a_table_is_cut_however_narrow_the_terminal(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    table = Table()
    for name in ("latent", "raw", "posterior", "population"):
        table.add_column(name)
    table.add_row("z1 a rather long name of many words", "+0.123", "-12.345", "+1.234")
    print_table(table)
    out = capsys.readouterr().out
    assert all(number in out for number in ("+0.123", "-12.345", "+1.234", "words"))
    assert "…" not in out


@pytest.mark.skipif(os.name != "posix", reason="a pipe whose reader has gone is another error on Windows")
def test_a_reader_that_has_gone_ends_the_command_quietly() -> None:
    program = (
        "import sys, pellucid.cli as cli; cli.app.command(lambda: print('x' * 100_000), name='talk');"
        "cli.main(['talk'])"
    )
    for buffered in ("", "1"):
        with subprocess.Popen(
            [sys.executable, "-c", program],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": buffered},
        ) as talker:
            assert talker.stdout is not None
            assert talker.stderr is not None
            talker.stdout.close()
            assert talker.stderr.read() == b""
        assert talker.returncode == 141


def test_a_command_works_without_stdout(
    run: Run, trained: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(trained, here / "named")
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert run("name", here / "named", "z0", "edge", "--json") == 0
    sys.stdout.close()
    sys.stderr.close()


def test_a_run_of_somebody_elses_cannot_move_the_cursor_or_fill_the_screen(
    run: Callable[..., int], trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for value in ("\x1b[2J\x1b]0;owned\x07\n" * 3, "x" * 1_000_000):
        hostile = tmp_path / f"{len(value)}"
        shutil.copytree(trained, hostile)
        content = read_sealed(hostile / "config.json")
        content["architecture"]["preset"] = content["preprocessing"]["crop"] = value
        write_sealed(hostile / "config.json", {**content, value: 1})
        assert run("latents", hostile) == 2
        error = capsys.readouterr().err
        assert error.removesuffix("\n").isprintable()
        assert len(error) < 2_100


@pytest.mark.parametrize(
    "change", [{"skip": "0"}, {"skip": [1]}, {"skip": 1.5}, {"limit": {}}, {"limit": True}, {"source": ["a"]}]
)
def test_a_run_that_lies_about_its_data_is_one_line(
    run: Callable[..., int],
    trained: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, object],
) -> None:
    shutil.copytree(trained, tmp_path / "run")
    content = read_sealed(tmp_path / "run" / "config.json")
    content["data"] |= change
    write_sealed(tmp_path / "run" / "config.json", content)
    assert run("latents", tmp_path / "run") == 2
    assert "does not say what it was trained on" in capsys.readouterr().err
