import numpy as np
import pytest

from pellucid.report.outlines import outlines


def square(channels: int, low: int = 20, high: int = 44) -> np.ndarray:
    """A dark square on white."""
    image = np.ones((channels, 64, 64), np.float32)
    image[:, low:high, low:high] = 0.0
    return image


@pytest.mark.parametrize("channels", [1, 3])
def test_lines_run_along_the_edges_of_a_dark_square(channels: int) -> None:
    lines = outlines(square(channels))
    assert lines
    points = np.concatenate([np.reshape(line, (-1, 2)) for line in lines])
    low, high = 20 / 64, 44 / 64
    to_edge = np.minimum(np.abs(points - low), np.abs(points - high)).min(axis=1)
    assert to_edge.max() < 0.09
    assert ((points > low - 0.09) & (points < high + 0.09)).all()
    for corner in ((low, low), (high, low), (low, high), (high, high)):
        assert np.hypot(*(points - corner).T).min() < 0.09


def test_a_mark_that_moves_takes_its_lines_along() -> None:
    here, there = (
        np.concatenate([np.reshape(line, (-1, 2)) for line in outlines(square(1, low, low + 16))])
        for low in (16, 32)
    )
    np.testing.assert_allclose(there.mean(0) - here.mean(0), 16 / 64, atol=0.01)


def test_a_flat_picture_has_no_lines() -> None:
    assert outlines(np.full((3, 64, 64), 0.4, np.float32)) == []


def test_noise_stays_within_the_bounds() -> None:
    lines = outlines(np.random.default_rng(0).random((3, 128, 128)).astype(np.float32))
    assert 0 < len(lines) <= 60
    assert sum(len(line) for line in lines) <= 2 * 3000
