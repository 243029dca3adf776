from collections.abc import Callable
from pathlib import Path

import pytest


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
