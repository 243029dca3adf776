from math import pi, sqrt

import numpy as np
import pytest
import torch
from scipy import stats

from pellucid.data import scenes, sprites
from pellucid.data.scenes.canvas import Canvas, cells, noise
from pellucid.data.scenes.color import LUMINANCE, tint
from pellucid.data.scenes.sprites import _outlines
from pellucid.errors import ConfigError, DataError, ImageError


@pytest.fixture(scope="module")
def numbers() -> np.ndarray:
    return scenes.sample(900, torch.Generator().manual_seed(3))


@pytest.fixture(scope="module")
def pictures(numbers: np.ndarray) -> torch.Tensor:
    return scenes.render(numbers)


def one_of_each_kind(count: int) -> np.ndarray:
    """`count` scenes of every kind, the calmest and the busiest among them."""
    numbers = np.arange(4000)
    kinds, levels = scenes.kind_of(numbers), scenes.texture_of(numbers)
    chosen = []
    for kind in range(len(scenes.KINDS)):
        of_kind = np.flatnonzero(kinds == kind)
        order = of_kind[np.argsort(levels[of_kind])]
        chosen.append(order[np.linspace(0, len(order) - 1, count).astype(int)])
    return np.concatenate(chosen)


def test_the_texture_level_orders_pictures_by_their_busyness(
    numbers: np.ndarray, pictures: torch.Tensor
) -> None:
    levels, busy, kinds = scenes.texture_of(numbers), scenes.busyness(pictures), scenes.kind_of(numbers)
    assert stats.spearmanr(levels, busy).statistic >= 0.9
    for kind, name in enumerate(scenes.KINDS):
        assert stats.spearmanr(levels[kinds == kind], busy[kinds == kind]).statistic >= 0.85, name


def test_kinds_are_equally_busy_at_the_same_level(numbers: np.ndarray, pictures: torch.Tensor) -> None:
    # What the table of efforts promises: 0.006 at level 0, 0.090 at level 1, evenly between.
    expected = 0.006 + 0.084 * scenes.texture_of(numbers)
    excess, kinds = scenes.busyness(pictures) - expected, scenes.kind_of(numbers)
    for kind, name in enumerate(scenes.KINDS):
        assert abs(excess[kinds == kind].mean()) < 0.006, name


def test_the_calmest_are_almost_blank_and_the_busiest_are_not() -> None:
    numbers = np.arange(40_000)
    levels = scenes.texture_of(numbers)
    order = np.argsort(levels)
    calm = scenes.busyness(scenes.render(numbers[order[:60]]))
    busy = scenes.busyness(scenes.render(numbers[order[-60:]]))
    assert calm.max() < 0.02
    assert busy.min() > 0.05


def test_kinds_are_equally_frequent_and_levels_uniform_in_each() -> None:
    numbers = np.arange(9000)
    kinds, levels = scenes.kind_of(numbers), scenes.texture_of(numbers)
    assert len(scenes.KINDS) >= 7
    assert stats.chisquare(np.bincount(kinds, minlength=len(scenes.KINDS))).pvalue > 1e-4
    for kind in range(len(scenes.KINDS)):
        assert stats.kstest(levels[kinds == kind], "uniform").pvalue > 1e-4


def test_a_scene_is_the_same_alone_and_in_company() -> None:
    numbers = one_of_each_kind(5)
    together = scenes.render(numbers)
    alone = torch.cat([scenes.render(numbers[at : at + 1]) for at in range(len(numbers))])
    assert torch.equal(together, alone)
    assert torch.equal(scenes.render(numbers[::-1].copy()), together.flip(0))


def test_a_scene_is_the_same_picture_at_every_size() -> None:
    numbers = one_of_each_kind(4)
    usual = scenes.render(numbers, 64)
    for size in (128, 256):
        smaller = torch.nn.functional.avg_pool2d(scenes.render(numbers, size), size // 64)
        assert (smaller - usual).abs().mean((1, 2, 3)).max() < 0.025
        assert (smaller - usual).abs().mean() < 0.004
    assert torch.equal(scenes.render(numbers, 32), torch.nn.functional.avg_pool2d(usual, 2))


def test_pictures_are_finite_and_in_range_at_every_size() -> None:
    numbers = one_of_each_kind(3)
    for size in (32, 64, 128, 256):
        drawn = scenes.render(numbers, size)
        assert drawn.shape == (len(numbers), 3, size, size)
        assert torch.isfinite(drawn).all()
        assert drawn.min() >= 0
        assert drawn.max() <= 1


def test_no_picture_is_blank_and_no_two_are_alike(pictures: torch.Tensor) -> None:
    assert pictures.flatten(1).std(dim=1).min() > 0.01
    small = torch.nn.functional.avg_pool2d(pictures, 4).flatten(1)
    distances = torch.cdist(small, small) / sqrt(small.shape[1])  # root mean square
    assert distances.fill_diagonal_(1).min() > 0.02


def test_each_kind_has_many_colours(numbers: np.ndarray, pictures: torch.Tensor) -> None:
    means, kinds = pictures.mean((2, 3)), torch.from_numpy(scenes.kind_of(numbers))
    for kind in range(len(scenes.KINDS)):
        of_kind = means[kinds == kind]
        assert (of_kind.std(dim=0) > 0.04).all()  # between pictures
        assert (of_kind - of_kind.mean(dim=1, keepdim=True)).abs().mean() > 0.02  # from grey


def test_the_generator_decides_the_sample() -> None:
    first = scenes.sample(100, torch.Generator().manual_seed(1))
    assert np.array_equal(first, scenes.sample(100, torch.Generator().manual_seed(1)))
    assert len(np.unique(first)) == 100
    assert first.dtype == np.int64


def test_rendering_leaves_the_number_of_threads_as_it_was() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        scenes.render(np.arange(3))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_no_scenes_are_no_pictures() -> None:
    assert scenes.render(np.zeros(0, dtype=np.int64)).shape == (0, 3, 64, 64)


@pytest.mark.parametrize("size", [0, 16, 48, 512])
def test_other_sizes_are_refused(size: int) -> None:
    with pytest.raises(ConfigError, match="size: expected 32, 64, 128 or 256"):
        scenes.render(np.arange(2), size)


@pytest.mark.parametrize("wrong", [np.zeros(2), np.zeros((2, 2), dtype=int), np.array(3), np.array([True])])
def test_what_is_not_a_list_of_whole_numbers_is_refused(wrong: np.ndarray) -> None:
    for function in (scenes.kind_of, scenes.texture_of, scenes.render):
        with pytest.raises(DataError, match="scenes: expected whole numbers"):
            function(wrong)


def test_busyness_of_flat_slanted_and_checked_pictures() -> None:
    row = torch.arange(64) / 64
    slanted = (0.3 * row[None, :] + 0.4 * row[:, None]).expand(1, 3, 64, 64)
    checked = ((torch.arange(64)[:, None] + torch.arange(64)) % 2).float().expand(1, 3, 64, 64)
    images = torch.cat([torch.full((1, 3, 64, 64), 0.7), slanted, checked])
    # Slopes of 0.3 and 0.4 a side are 0.5 / 64 a pixel; neighbours in a checkerboard differ by 1 both ways.
    np.testing.assert_allclose(scenes.busyness(images), [0, 0.5 / 64, sqrt(2)], atol=1e-6)


def test_busyness_weighs_the_channels_by_their_luminance() -> None:
    stripes = (torch.arange(64) % 2).float().expand(64, 64)
    images = torch.stack([torch.eye(3)[channel][:, None, None] * stripes for channel in range(3)])
    np.testing.assert_allclose(scenes.busyness(images), LUMINANCE, atol=1e-6)


def test_busyness_at_another_size_is_refused() -> None:
    with pytest.raises(ImageError, match="expected 64x64 pixels, got 32x32"):
        scenes.busyness(torch.zeros(1, 3, 32, 32))


def test_a_tint_has_the_luminance_asked_for() -> None:
    hue = torch.linspace(0, 1, 25)
    colors = tint(hue[None], 0.1, torch.full((1, 25), 0.4))[0]
    torch.testing.assert_close(torch.tensor(LUMINANCE) @ colors, torch.full((25,), 0.4))
    assert colors[:, 0].argmax() == 0  # red
    assert colors[:, 16].argmax() == 2  # blue


@pytest.mark.parametrize("radius", [0.02, 0.1, 0.4])
@pytest.mark.parametrize("size", [64, 256])
def test_antialiasing_keeps_the_area_of_a_disc(radius: float, size: int) -> None:
    canvas = Canvas.of(size)
    distance = torch.sqrt((canvas.x - 0.503).square() + (canvas.y - 0.491).square()) - radius
    # A ramp a pixel wide around the outline adds a twelfth of a pixel's square to the radius' square.
    expected = pi * (radius**2 + canvas.pixel**2 / 12)
    assert canvas.coverage(distance).mean().item() == pytest.approx(expected, rel=0.02)


def test_noise_is_centred_of_unit_deviation_and_passes_through_straight_lines() -> None:
    lattice = torch.rand(400, 12, 12, generator=torch.Generator().manual_seed(0))
    place = torch.linspace(1, 10, 40)
    drawn = noise(lattice, place[None, None, :], place[None, :, None])
    assert drawn.mean().item() == pytest.approx(0, abs=0.02)
    assert drawn.std().item() == pytest.approx(1, abs=0.03)
    # B-splines reproduce linear functions, so equal steps in the lattice are equal steps in the picture.
    steps = torch.arange(12.0).expand(1, 12, 12)
    drawn = noise(steps, place[None, None, :], place[None, :, None])
    np.testing.assert_allclose(drawn.diff(dim=2).std().item(), 0, atol=1e-4)


def test_cells_number_the_squares_of_a_grid_and_repeat() -> None:
    place = torch.tensor([-0.25, 0.5, 3.75, 4.5])
    grid = cells(place[None, None, :], place[None, :, None], side=4)
    np.testing.assert_array_equal(grid.number[0], np.array([[3], [0], [3], [0]]) * 4 + [3, 0, 3, 0])
    np.testing.assert_allclose(grid.u[0, 0], [0.75, 0.5, 0.75, 0.5])
    table = torch.arange(16.0)[None]
    np.testing.assert_array_equal(grid.plane(table)[0], grid.number[0])


@pytest.mark.parametrize(("form", "farthest"), [(0, 9.6 * sqrt(2)), (1, 12.757), (2, 11.25)])
def test_coloured_sprites_have_the_outlines_of_dsprites(form: int, farthest: float) -> None:
    genuine = sprites.render(np.array([[form, 5, 0, 15, 15]]))[0]
    origin = 16 + 32 * 15 / 31
    rows, columns = np.indices((64, 64)) + 0.5 - origin
    radius, angle = np.hypot(columns, rows), np.arctan2(rows, columns) % (2 * pi)
    radii = _outlines()[0][form].numpy()[(angle / (2 * pi) * 256).astype(int) % 256]
    drawn = radius <= radii * farthest
    assert (drawn & (genuine > 0)).sum() / (drawn | (genuine > 0)).sum() > 0.96
