"""Bins and information against numpy, scipy and scikit-learn."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import mutual_info_score

from pellucid.errors import DataError
from pellucid.metrics.mutual_information import (
    check_codes,
    discretise_codes,
    discretise_factors,
    entropies,
    mutual_information,
)


def test_information_of_every_pair_is_that_of_scikit_learn(rng: np.random.Generator) -> None:
    factors = rng.integers(0, [2, 7, 30], (500, 3))
    codes = (factors[:, [0, 1, 1, 2]] + rng.integers(0, 4, (500, 4))) % 20
    expected = [[mutual_info_score(code, factor) for factor in factors.T] for code in codes.T]
    assert mutual_information(codes, factors) == pytest.approx(np.array(expected))


def test_entropy_is_that_of_scipy(rng: np.random.Generator) -> None:
    classes = rng.geometric(0.3, (400, 3))
    expected = [stats.entropy(np.unique(column, return_counts=True)[1]) for column in classes.T]
    assert entropies(classes) == pytest.approx(expected)


def test_information_on_itself_is_the_entropy_and_on_independent_columns_exactly_0(grid: np.ndarray) -> None:
    classes = grid.astype(np.int64)
    expected = np.diag(np.log([3, 6, 40, 32]))
    assert mutual_information(classes, classes) == pytest.approx(expected, abs=1e-12)
    assert (mutual_information(classes, classes)[~np.eye(4, dtype=bool)] == 0).all()


def test_chance_information_is_about_millers_bias(rng: np.random.Generator) -> None:
    found = mutual_information(rng.integers(0, 20, (10_000, 30)), rng.integers(0, 32, (10_000, 10)))
    assert found.mean() == pytest.approx(19 * 31 / 20_000, rel=0.02)


def test_bins_of_codes_are_numpys_histogram(rng: np.random.Generator) -> None:
    codes = rng.standard_normal((1000, 3)) * [1e-3, 1, 1e3] + [5, 0, -1e4]
    expected = [np.digitize(code, np.histogram(code, 20)[1][:-1]) - 1 for code in codes.T]
    assert (discretise_codes(codes) == np.transpose(expected)).all()
    assert discretise_codes(codes).max() == 19
    assert discretise_codes(codes, bins=7).max() == 6


def test_a_constant_latent_is_one_bin() -> None:
    assert (discretise_codes(np.full((10, 2), 3.25)) == 0).all()


def test_up_to_50_values_are_classes_in_ascending_order(rng: np.random.Generator) -> None:
    values = rng.permutation(np.repeat(np.linspace(-3, 2, 50), 4))
    expected = np.searchsorted(np.linspace(-3, 2, 50), values)
    assert (discretise_factors(values[:, None])[:, 0] == expected).all()


def test_more_values_are_cut_in_20_bins_of_equal_counts(rng: np.random.Generator) -> None:
    values = rng.standard_cauchy(1000)
    classes = discretise_factors(values[:, None])[:, 0]
    assert (np.bincount(classes) == 50).all()
    assert (np.diff(classes[np.argsort(values)]) >= 0).all()


@pytest.mark.parametrize("sign", [1, -1])
def test_equal_values_stay_in_one_bin_and_apart_from_the_others(sign: int) -> None:
    values = sign * np.concatenate([np.zeros(980), np.arange(1.0, 61)])  # 94 % of all are equal
    classes = discretise_factors(values[:, None])[:, 0]
    assert len(np.unique(classes[:980])) == 1
    assert not np.isin(classes[980:], classes[:980]).any()


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        (np.full((10, 1), 2.0), "factor 0: expected at least two different values"),
        (np.array([[0.0], [1.0], [np.nan]]), "finite"),
        (np.array([[0.0], [1.0], [np.inf]]), "finite"),
    ],
)
def test_a_factor_that_says_nothing_is_refused(factors: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        discretise_factors(factors)


@pytest.mark.parametrize(
    ("codes", "factors", "message"),
    [
        (np.zeros((5, 2)), np.zeros((4, 1)), "got 5 rows of codes and 4 of factors"),
        (np.zeros((1, 2)), np.zeros((1, 1)), "at least 2 images"),
        (np.zeros((5, 0)), np.zeros((5, 1)), "at least 2 images, 1 latent"),
        (np.zeros((5, 2)), np.zeros((5, 0)), "1 factor"),
        (np.array([[0.0], [np.nan]]), np.zeros((2, 1)), "codes: .* got nan in row 1, column 0"),
        (np.zeros((2, 1)), np.array([[0.0], [np.inf]]), "factors: .* got inf in row 1, column 0"),
    ],
)
def test_codes_and_factors_that_do_not_fit_are_refused(
    codes: np.ndarray, factors: np.ndarray, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        check_codes(codes, factors)
