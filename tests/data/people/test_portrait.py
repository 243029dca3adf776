"""What the pictures show is what the factors say."""

import numpy as np
import pytest
import torch
from torch.nn.functional import avg_pool2d

from pellucid.data import people
from pellucid.data.people.features import blended
from pellucid.data.people.solids import Canvas
from pellucid.errors import DataError


def picture(size: int = 64, **values: float) -> torch.Tensor:
    return people.render(people.with_factors(people.neutral(), **values), size)[0]


def changed(size: int = 64, **values: float) -> torch.Tensor:
    """Which pixels differ from the average person's: bool [height width]."""
    difference = (picture(size, **values) - picture(size)).abs().amax(0)
    return difference > 0.02


def test_pictures_at_half_the_size_are_the_large_ones_averaged(generator: torch.Generator) -> None:
    factors = people.sample(16, generator)
    large, small = people.render(factors, 256), people.render(factors, 64)
    assert (avg_pool2d(large, 4) - small).abs().mean() < 0.01


def test_a_mirrored_person_is_the_mirrored_picture(generator: torch.Generator) -> None:
    factors = people.sample(32, generator)
    mirrored = factors.clone()
    for name in ("azimuth", "light_azimuth", "hair_part"):
        mirrored[:, people.NAMES.index(name)] *= -1
    assert torch.allclose(people.render(mirrored), people.render(factors).flip(3), atol=2e-3)


def test_a_picture_does_not_depend_on_its_neighbours(generator: torch.Generator) -> None:
    factors = people.sample(130, generator)
    together = people.render(factors, 32)
    alone = torch.cat([people.render(row[None], 32) for row in factors[::10]])
    assert torch.allclose(together[::10], alone, atol=1e-6)


def test_half_a_hat_is_half_see_through_whoever_else_wears_one() -> None:
    people_in_hats = people.with_factors(people.neutral().repeat(4, 1), background_color=1.0)
    people_in_hats[:, people.NAMES.index("hat")] = torch.tensor([0.0, 0.5, 1.0, 0.0])
    bare, half, full, bare_too = people.render(people_in_hats)
    felt = (full - bare).abs().amax(0) > 0.3
    assert felt.sum() > 300
    share = ((half - bare) / (full - bare))[:, felt]
    assert (share[share.isfinite()] - 0.5).abs().median() < 0.02
    assert torch.equal(bare, bare_too)


def test_layers_are_blended_as_one_painted_over_the_other(generator: torch.Generator) -> None:
    ground, first, second = torch.rand(3, 2, 3, generator=generator)
    alphas = torch.rand(2, 2, 5, 7, generator=generator)
    expected = ground[:, :, None, None].expand(2, 3, 5, 7)
    for color, alpha in zip((first, second), alphas, strict=True):
        expected = color[:, :, None, None] * alpha[:, None] + expected * (1 - alpha[:, None])
    found = blended(ground, [(first, alphas[0]), (second, alphas[1])])
    assert torch.allclose(found, expected, atol=1e-6)


def test_values_are_colours_at_every_corner_of_the_ranges(generator: torch.Generator) -> None:
    low, high = (torch.tensor([getattr(f, end) for f in people.FACTORS]) for end in ("low", "high"))
    corners = torch.where(torch.rand(200, len(people.FACTORS), generator=generator) < 0.5, low, high)
    pictures = people.render(corners, 32)
    assert bool(torch.isfinite(pictures).all())
    assert (pictures.min().item() >= 0, pictures.max().item() <= 1) == (True, True)


def test_no_window_cuts_anything_off(generator: torch.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    low, high = (torch.tensor([getattr(f, end) for f in people.FACTORS]) for end in ("low", "high"))
    corners = torch.where(torch.rand(200, len(people.FACTORS), generator=generator) < 0.5, low, high)
    in_windows = people.render(corners)
    whole = (slice(None), slice(None))
    monkeypatch.setattr(Canvas, "window", lambda canvas, box: (canvas, *whole))
    assert torch.allclose(people.render(corners), in_windows, atol=1e-3)


@pytest.mark.parametrize("factor", people.FACTORS, ids=lambda factor: factor.name)
def test_every_factor_shows(factor: people.Factor) -> None:
    difference = (picture(**{factor.name: factor.high}) - picture(**{factor.name: factor.low})).abs()
    assert (difference.amax(0) > 0.1).sum() >= 8


def test_clothes_change_below_the_chin_only() -> None:
    rows = changed(clothes_color=1.0).any(1).nonzero()
    assert rows.min() > 44


def test_sunglasses_change_the_height_of_the_eyes_only() -> None:
    rows = changed(sunglasses=1.0).any(1).nonzero()
    assert (rows.min().item() > 20, rows.max().item() < 36) == (True, True)
    assert picture(sunglasses=1.0)[:, 28, 24].max() < 0.3


def test_a_smile_changes_the_lower_face_and_lifts_the_corners_of_the_mouth() -> None:
    where = changed(256, smile=1.0)[140:].nonzero()
    assert len(where) > 100
    assert (where[:, 1].min().item() > 80, where[:, 1].max().item() < 176) == (True, True)


def test_the_background_is_the_corner_and_not_the_face() -> None:
    moved = changed(background_color=0.0)
    assert bool(moved[0].all())
    assert not bool(moved[26:40, 26:38].any())


@pytest.mark.parametrize(("name", "row", "column"), [("skin_tone", 36, 32), ("hair_color", 9, 36)])
def test_tones_are_in_order(name: str, row: int, column: int) -> None:
    shades = [picture(**{name: value})[:, row, column].mean().item() for value in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert shades == sorted(shades, reverse=name == "skin_tone")
    assert abs(shades[0] - shades[-1]) > 0.25


def test_light_from_the_right_lights_the_right() -> None:
    lit = picture(light_azimuth=60.0).mean(0)
    cheeks = lit[34:40, 25:28].mean(), lit[34:40, 37:40].mean()
    assert cheeks[1] > 1.3 * cheeks[0]


def test_long_hair_covers_what_short_hair_shows() -> None:
    dark = {"hair_color": 0.0, "background_color": 1.0}
    short, long = (picture(hair_length=value, **dark).mean(0) for value in (0.0, 1.0))
    beside_the_neck = np.s_[40:46, 18:21]
    assert short[beside_the_neck].mean() > 0.6
    assert long[beside_the_neck].mean() < 0.2


def test_a_turned_head_shows_the_nose_to_that_side() -> None:
    """The face's skin, where blue is far below red, moves to the side that the head turns to."""

    def middle(azimuth: float) -> float:
        shown = picture(azimuth=azimuth, hair_color=0.0, light_azimuth=0.0)[:, 24:42]
        skin = (shown[0] - shown[2] > 0.12).float()
        return float((skin.sum(0) * torch.arange(64)).sum() / skin.sum())

    centres = [middle(azimuth) for azimuth in (-40.0, -20.0, 0.0, 20.0, 40.0)]
    assert centres == sorted(centres)
    assert centres[-1] - centres[0] > 6


def test_other_sizes_are_told() -> None:
    with pytest.raises(DataError, match="size: expected one of 32, 64, 128, 256, got 100"):
        people.render(people.neutral(), 100)
