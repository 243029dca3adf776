from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.mark.parametrize("suffix", ["png", "pdf", "gif"])
def test_traversals_are_drawn(
    run: Callable[..., int], trained: Path, photos: Path, tmp_path: Path, suffix: str
) -> None:
    out = tmp_path / f"a.{suffix}"
    assert (
        run("traverse", trained, "--latent", "z0", "--image", photos / "000.png", "--out", out, "--steps", 3)
        == 0
    )
    assert out.read_bytes()[:4] in (b"\x89PNG", b"%PDF", b"GIF8")


def test_traversal_of_every_latent_and_of_held_out_seeds(
    run: Callable[..., int], trained: Path, tmp_path: Path
) -> None:
    assert run("traverse", trained, "--out", tmp_path / "prior.png") == 0
    assert run("traverse", trained, "--latent", "z0", "--seeds", 2, "--out", tmp_path / "seeds.png") == 0
    assert (tmp_path / "prior.png").stat().st_size > 1000
    assert (tmp_path / "seeds.png").stat().st_size > 1000


def test_figures_that_cannot_be_drawn(
    run: Callable[..., int], trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "no.jpg"
    assert run("traverse", trained, "--latent", "z0", "--image", missing, "--out", tmp_path / "a.png") == 2
    assert run("traverse", trained, "--out", tmp_path / "a.bmp") == 2
    assert "gif" in capsys.readouterr().err
