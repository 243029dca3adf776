"""Texture against closed forms, on pictures drawn by hand."""

import pytest
import torch

from pellucid.anomaly.texture import TEXTURE, texture
from pellucid.data.scenes.busyness import busyness
from pellucid.errors import ImageError


def measures(light: torch.Tensor) -> dict[str, float]:
    """The measures of one grey picture [height width]."""
    return dict(zip(TEXTURE, texture(light[None, None]).squeeze(0).tolist(), strict=True))


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_one_flat_colour_has_no_texture(level: float) -> None:
    assert measures(torch.full((8, 8), level)) == pytest.approx(dict.fromkeys(TEXTURE, 0.0), abs=1e-12)


def test_one_edge_is_seen_once_by_the_gradient_and_from_both_sides_by_the_laplacian() -> None:
    half = torch.zeros(10, 10)
    half[:, 5:] = 1
    expected = {"contrast": 0.5, "gradient": 1 / 9, "detail": 2 * 0.25 / 8, "entropy": 1.0}
    assert measures(half) == pytest.approx(expected)


def test_a_chessboard_of_pixels_has_the_most_of_all_but_entropy() -> None:
    board = (torch.arange(8)[:, None] + torch.arange(8)) % 2
    expected = {"contrast": 0.5, "gradient": 2**0.5, "detail": 1.0, "entropy": 1.0}
    assert measures(board.float()) == pytest.approx(expected)


def test_a_slope_has_a_gradient_but_no_detail() -> None:
    slope = (torch.arange(9) / 8).expand(9, 9)
    found = measures(slope)
    assert found["gradient"] == pytest.approx(1 / 8)
    assert found["detail"] == pytest.approx(0, abs=1e-7)


def test_every_level_as_often_as_the_others_is_six_bits() -> None:
    levels = (torch.arange(64) + 0.5) / 64
    assert measures(levels.reshape(8, 8))["entropy"] == pytest.approx(6)


def test_the_gradient_of_a_colour_picture_is_its_busyness(generator: torch.Generator) -> None:
    images = torch.rand((5, 3, 64, 64), generator=generator)
    gradient = texture(images)[:, TEXTURE.index("gradient")]
    assert gradient.numpy() == pytest.approx(busyness(images), rel=1e-6)


def test_grey_is_a_colour_and_swapping_dark_and_light_changes_nothing(generator: torch.Generator) -> None:
    images = torch.randint(0, 256, (4, 1, 16, 16), generator=generator).double() / 255
    assert torch.allclose(texture(images.expand(-1, 3, -1, -1)), texture(images))
    assert torch.allclose(texture(1 - images), texture(images))


@pytest.mark.parametrize("shape", [(1, 2, 8, 8), (1, 4, 8, 8), (1, 1, 2, 8)])
def test_what_is_neither_grey_nor_rgb_or_too_small_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match="1 or 3 channels"):
        texture(torch.zeros(shape))
