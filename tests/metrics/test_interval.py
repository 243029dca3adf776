"""Intervals against the standard error of the mean, and against scores of other images."""

import numpy as np
import pytest
from scipy import stats

from pellucid.metrics.interval import Splitting, half_widths, part_scores

SPLITTINGS = pytest.mark.parametrize(
    "splitting", [Splitting(25, 2), Splitting(2, 4)], ids=["cheap", "costly"]
)


def test_one_split_in_two_is_students_interval_of_two_numbers() -> None:
    scores = np.array([[[3.0], [7.0]]])
    low, high = stats.t.interval(0.95, 1, loc=5, scale=stats.sem([3.0, 7.0]))
    assert half_widths(scores) == pytest.approx([(high - low) / 2])


@SPLITTINGS
def test_parts_of_a_split_share_no_image_and_are_equally_large(
    splitting: Splitting, rng: np.random.Generator
) -> None:
    seen: list[np.ndarray] = []

    def measure(rows: np.ndarray) -> list[float]:
        seen.append(rows)
        return [0.0]

    assert part_scores(measure, 103, splitting, rng).shape == (splitting.splits, splitting.parts, 1)
    for split in range(splitting.splits):
        rows = np.concatenate(seen[split * splitting.parts : (split + 1) * splitting.parts])
        assert len(np.unique(rows)) == len(rows) == 103 // splitting.parts * splitting.parts


@SPLITTINGS
def test_the_interval_of_a_mean_holds_the_truth_95_times_in_100(
    splitting: Splitting, rng: np.random.Generator
) -> None:
    held = 0
    for _ in range(400):
        values = rng.exponential(1, 400)
        parts = part_scores(lambda rows, values=values: [values[rows].mean()], 400, splitting, rng)
        held += abs(values.mean() - 1) <= half_widths(parts)[0]
    assert held / 400 == pytest.approx(0.95, abs=0.025)
