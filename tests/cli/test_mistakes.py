import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pellucid.model.sealed import read_sealed, write_sealed


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("latents", "no/such/run"), "pellucid train"),
        (("train", "no/such/data", "--out", "x"), "no/such/data"),
        (("train", "sprites", "--out", "x", "--loss", "l2"), "l2"),
        (("train", "sprites", "--out", "x", "--steps", "5", "--minutes", "1"), "one of"),
        (("train", "sprites", "--out", "x", "--objective", "vae", "--beta", "4"), "beta"),
        (("train", "sprites", "--out", "x", "--latents", "0"), "latents"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    run: Callable[..., int],
    arguments: tuple[str, ...],
    says: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.startswith("pellucid: ")
    assert error.count("\n") <= 2
    assert list(tmp_path.iterdir()) == []


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
