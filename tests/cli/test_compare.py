import json
from collections.abc import Callable
from pathlib import Path

import pytest


def test_two_pictures_are_compared(
    run: Callable[..., int],
    trained: Path,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "compared.png"
    assert run("latents", trained) == 0
    capsys.readouterr()
    assert run("compare", trained, photos / "000.png", photos / "001.png", "--out", out, "--json") == 0
    record = json.loads(capsys.readouterr().out)
    first = record["differences"][0]
    assert first["raw"] == pytest.approx(first["b"] - first["a"])
    assert record["counterfactual"] == first["latent"]
    assert record["same_probability"] is None
    assert out.read_bytes()[:4] == b"\x89PNG"
    assert run("compare", trained, photos / "000.png", photos / "001.png") == 0
    printed = capsys.readouterr().out
    assert "population" in printed
    assert printed.startswith(("Alike", "Different"))


def test_what_cannot_be_compared(
    run: Callable[..., int],
    trained: Path,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("latents", trained) == 0
    pictures = (photos / "000.png", photos / "001.png")
    for arguments, says in (
        ((pictures[0], photos / "007.png"), "007.png"),
        ((*pictures, "--out", tmp_path / "a.gif"), ".pdf"),
        ((*pictures, "--swap", "hat", "--json"), "hat"),
        ((*pictures, "--swap", "z0"), "--swap: does nothing without --out or --json"),
    ):
        capsys.readouterr()
        assert run("compare", trained, *arguments) == 2
        error = capsys.readouterr().err
        assert error.startswith("pellucid: ")
        assert says in error
    assert list(tmp_path.iterdir()) == []
