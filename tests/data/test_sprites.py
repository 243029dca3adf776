from itertools import product
from math import pi
from pathlib import Path

import numpy as np
import pytest

from pellucid.data import sprites
from pellucid.errors import DataError

TILES = Path(__file__).parents[3] / "shared/data/sprites/real_tiles.npy"
SQUARE, ELLIPSE, HEART = range(3)


def draw(shape: int, *, scale: int = 5, orientation: int = 0, x: int = 0, y: int = 0) -> np.ndarray:
    return sprites.render(np.array([[shape, scale, orientation, x, y]]))[0]


def mean_area(shape: int, scale: int) -> float:
    positions = np.arange(0, 32, 3)
    combinations = list(product([shape], [scale], range(0, 39, 4), positions, positions))
    return float(sprites.render(np.array(combinations)).sum(axis=(1, 2)).mean())


@pytest.mark.parametrize(("scale", "factor"), list(enumerate([0.5, 0.6, 0.7, 0.8, 0.9, 1.0])))
def test_mean_areas_equal_the_closed_forms(scale: int, factor: float) -> None:
    # By the Fourier terms of 16 sin³t = 12 sin t - 4 sin 3t and of y, the classic heart has area 180π.
    closed = {
        SQUARE: 19.2**2,
        ELLIPSE: pi * 12.757 * 7.209,
        HEART: 180 * pi * 9.5915 / 16 * 0.66236,
    }
    for shape, area in closed.items():
        assert mean_area(shape, scale) == pytest.approx(area * factor**2, rel=0.003)


def test_heart_equals_a_polygon_of_its_parametric_curve() -> None:
    path = pytest.importorskip("matplotlib.path")
    t = np.linspace(0, 2 * pi, 4000)
    height = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    outline = path.Path(np.stack([9.5915 * np.sin(t) ** 3, -(0.66236 * height + 1.4347)], axis=1) * 0.7)
    angle, origin = 2 * pi * 7 / 39, 16 + 32 * np.array([20, 11]) / 31
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    rows, columns = np.indices((64, 64))
    centres = np.stack([columns.ravel(), rows.ravel()], axis=1) + 0.5
    expected = outline.contains_points((centres - origin) @ rotation.T).reshape(64, 64)
    np.testing.assert_array_equal(draw(HEART, scale=2, orientation=7, x=20, y=11), expected)


def test_first_and_last_rows_are_the_first_and_last_combinations() -> None:
    ends = sprites.indices_of(np.array([0, 737_279]))
    np.testing.assert_array_equal(ends, [[0, 0, 0, 0, 0], [2, 5, 39, 31, 31]])


def test_rows_count_position_y_fastest_and_shape_slowest() -> None:
    rows = sprites.indices_of(np.array([1, 32, 32 * 32, 40 * 32 * 32, 6 * 40 * 32 * 32]))
    np.testing.assert_array_equal(rows, np.eye(5, dtype=int)[::-1])


def test_values_span_the_published_ranges() -> None:
    values = sprites.values_of(sprites.indices_of(np.array([0, 737_279])))
    np.testing.assert_allclose(values, [[0, 0.5, 0, 0, 0], [2, 1, 2 * pi, 1, 1]], rtol=1e-6)
    assert values.dtype == np.float32


def test_a_full_turn_is_no_turn() -> None:
    for shape in (SQUARE, ELLIPSE, HEART):
        np.testing.assert_array_equal(draw(shape, orientation=39, x=9, y=4), draw(shape, x=9, y=4))


def test_thirty_one_steps_of_position_move_a_sprite_by_32_pixels() -> None:
    for shape in (SQUARE, ELLIPSE, HEART):
        image = draw(shape, orientation=5)
        np.testing.assert_array_equal(draw(shape, orientation=5, x=31), np.roll(image, 32, axis=1))
        np.testing.assert_array_equal(draw(shape, orientation=5, y=31), np.roll(image, 32, axis=0))


def test_unturned_ellipse_lies_flat_and_unturned_heart_points_down() -> None:
    ellipse, heart = draw(ELLIPSE), draw(HEART)
    assert ellipse.any(axis=0).sum() == 26
    assert ellipse.any(axis=1).sum() == 14
    lit = np.flatnonzero(heart.any(axis=1))
    assert heart[lit[0]].sum() > 2 > heart[lit[-1]].sum() - 1
    np.testing.assert_array_equal(heart[:, :32], heart[:, 31::-1])


def test_positive_turns_are_clockwise_on_the_screen() -> None:
    # 92 degrees: the tip points left, the lobes right, where the centroid is 1.98 pixels from the origin
    rows, columns = np.nonzero(draw(HEART, orientation=10))
    assert columns.mean() + 0.5 - 16 == pytest.approx(1.98, abs=0.15)
    assert rows.mean() + 0.5 - 16 == pytest.approx(0.08, abs=0.15)


def test_images_do_not_depend_on_the_others_drawn_with_them() -> None:
    indices = sprites.indices_of(np.random.default_rng(0).integers(0, 737_280, 300))
    together = sprites.render(indices)
    alone = np.concatenate([sprites.render(indices[row : row + 1]) for row in range(300)])
    np.testing.assert_array_equal(together, alone)
    assert set(np.unique(together)) == {0, 1}


def test_no_sprite_is_cut_by_its_window(monkeypatch: pytest.MonkeyPatch) -> None:
    indices = np.array(list(product(range(3), [5], range(40), [0, 1, 16, 30], [0, 15, 30])))
    usual = sprites.render(indices)
    monkeypatch.setattr(sprites, "_WINDOW", 32)
    np.testing.assert_array_equal(usual, sprites.render(indices))


def test_no_images_are_no_images() -> None:
    none = sprites.indices_of(np.zeros(0, dtype=np.int64))
    assert none.shape == (0, 5)
    assert sprites.render(none).shape == (0, 64, 64)


@pytest.mark.parametrize(
    "indices",
    [
        np.zeros((2, 5)),
        np.zeros((2, 5), dtype=bool),
        np.zeros((2, 4), dtype=int),
        np.zeros(5, dtype=int),
        np.array([[3, 0, 0, 0, 0]]),
        np.array([[0, 0, -1, 0, 0]]),
        np.array([[0, 0, 0, 0, 2**63]], dtype=np.uint64),
    ],
)
def test_malformed_indices_are_refused(indices: np.ndarray) -> None:
    with pytest.raises(DataError, match="indices: expected"):
        sprites.render(indices)
    with pytest.raises(DataError, match="indices: expected"):
        sprites.values_of(indices)


@pytest.mark.parametrize(
    "rows", [np.array([737_280]), np.array([-1]), np.array([0.0]), np.zeros((1, 1), dtype=int)]
)
def test_rows_outside_the_set_are_refused(rows: np.ndarray) -> None:
    with pytest.raises(DataError, match="rows: expected"):
        sprites.indices_of(rows)


def best_match(tile: np.ndarray) -> tuple[float, int]:
    """Search the factors that could have made a tile: the best intersection over union, and its shape."""
    rows, columns = np.nonzero(tile)
    area, centre = len(rows), np.array([columns.mean(), rows.mean()]) + 0.5
    turns, combinations = 2 * pi * np.arange(39) / 39, []
    for shape, full in ((SQUARE, 368.6), (ELLIPSE, 288.9), (HEART, 224.6)):
        scale = int(np.abs(full * np.linspace(0.5, 1, 6) ** 2 - area).argmin())
        if abs(full * (0.5 + scale / 10) ** 2 - area) > 8:
            continue
        above = (1.98 if shape == HEART else 0) * (0.5 + scale / 10)  # the heart's centroid above its origin
        origin = centre - above * np.stack([np.sin(turns), -np.cos(turns)], axis=1)
        nearest = np.rint((origin - 16) * 31 / 32).astype(int)
        for orientation, (x, y) in enumerate(nearest):
            combinations += [
                (shape, scale, orientation, x + i, y + j) for i, j in product((-1, 0, 1), repeat=2)
            ]
    indices = np.array(combinations)
    indices = indices[((indices >= 0) & (indices < 32 + 8 * (np.arange(5) == 2))).all(axis=1)]
    images = sprites.render(indices)
    overlap = (images & tile).sum(axis=(1, 2)) / (images | tile).sum(axis=(1, 2))
    return float(overlap.max()), int(indices[overlap.argmax(), 0])


@pytest.mark.skipif(not TILES.exists(), reason="needs genuine tiles in ../shared/data/sprites")
def test_genuine_tiles_are_reproduced() -> None:
    tiles = np.load(TILES, allow_pickle=False)
    matches = [best_match(tile) for tile in tiles]
    assert min(overlap for overlap, _ in matches) >= 0.99
    assert sum(overlap == 1 for overlap, _ in matches) >= len(tiles) - 1
    assert {shape for _, shape in matches} == {SQUARE, ELLIPSE, HEART}
