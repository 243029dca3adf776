import numpy as np
import pytest
from scipy import stats

from pellucid.data.hashing import uniform, uniforms
from pellucid.data.store import row_positions

ROWS = {
    "counting": np.arange(4000),
    "multiples of 2**20": np.arange(4000) * 2**20,
    "large": np.arange(4000) + 2**62,
    "negative": -np.arange(4000) - 1,
}


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS.keys())
def test_every_stream_is_uniform(rows: np.ndarray) -> None:
    values = uniforms(rows, 0, 64)
    assert values.min() >= 0
    assert values.max() < 1
    # Kolmogorov and Smirnov's test: of 64 fair p-values, the least is below 1e-5 once in 1,600 times.
    assert min(stats.kstest(values[:, stream], "uniform").pvalue for stream in range(64)) > 1e-5


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS.keys())
def test_streams_are_uncorrelated_with_each_other_and_with_the_split(rows: np.ndarray) -> None:
    values = np.column_stack([uniforms(rows, 0, 64), row_positions(rows)])
    correlations = np.corrcoef(values, rowvar=False) - np.eye(65)
    assert np.abs(correlations).max() < 5 / np.sqrt(len(rows))  # five deviations of a correlation by chance


@pytest.mark.parametrize("lag", [1, 2, 64])
def test_a_row_says_nothing_of_the_next(lag: int) -> None:
    values = uniform(np.arange(20_000), 3)
    assert abs(np.corrcoef(values[lag:], values[:-lag])[0, 1]) < 4 / np.sqrt(20_000)
    counts, *_ = np.histogram2d(values[lag:], values[:-lag], bins=10, range=[[0, 1], [0, 1]])
    assert stats.chisquare(counts.ravel()).pvalue > 1e-4


def test_no_row_of_one_stream_is_a_row_of_another() -> None:
    values = uniforms(np.arange(5000), 0, 100)
    assert len(np.unique(values)) == values.size


def test_many_streams_at_once_are_the_same_as_one_by_one() -> None:
    rows = np.array([5, 0, 2**53, 5])
    together = uniforms(rows, 7, 5)
    np.testing.assert_array_equal(together, np.stack([uniform(rows, stream) for stream in range(7, 12)], 1))
    np.testing.assert_array_equal(together[0], together[3])


def test_numbers_are_those_of_splitmix_in_plain_integers() -> None:
    def split_mix(counter: int) -> int:
        mixed = (counter + 1) * 0x9E3779B97F4A7C15 % 2**64
        mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB % 2**64
        return mixed ^ mixed >> 31

    assert split_mix(0) == 0xE220A8397B1DCDAF  # the first output for seed 0 of the published generator
    for row, stream in [(0, 0), (1, 0), (0, 1), (123_456_789, 1001)]:
        mixed = split_mix((split_mix(row) + split_mix(split_mix(stream))) % 2**64)
        assert uniform(np.array([row]), stream)[0] == (mixed >> 11) / 2**53
