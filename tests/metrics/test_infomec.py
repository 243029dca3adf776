"""InfoMEC against scikit-learn, closed forms, and codes whose scores are known."""

import math

import numpy as np
import pytest
from sklearn.feature_selection import mutual_info_classif
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, mutual_info_score

from pellucid.errors import ConfigError, DataError
from pellucid.metrics.infomec import InfoMEC, infomec, neighbour_information


@pytest.fixture(scope="module")
def few(grid: np.ndarray) -> np.ndarray:
    """Rows of 2,000 images."""
    return np.random.default_rng(2).choice(len(grid), 2000, replace=False)


def score(codes: np.ndarray, factors: np.ndarray, **settings: float) -> InfoMEC:
    return infomec(codes, factors, generator=np.random.default_rng(0), **settings)


def scores(found: InfoMEC) -> tuple[float, float, float]:
    return found.modularity, found.explicitness, found.compactness


def concentration(shares: np.ndarray) -> float:
    return (shares.max() / shares.sum() - 1 / len(shares)) / (1 - 1 / len(shares))


@pytest.mark.parametrize("counts", [[300, 200, 100], [400, 7, 2, 1, 1], [30] * 20])
def test_information_is_that_of_scikit_learn(rng: np.random.Generator, counts: list[int]) -> None:
    classes = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    latent = rng.standard_normal(len(classes)) + 2 * (classes % 4)
    expected = mutual_info_classif(latent[:, None], classes, n_neighbors=10, random_state=0)[0]
    assert max(neighbour_information(latent, classes), 0) == pytest.approx(expected, abs=1e-6)


def test_information_of_overlapping_uniforms_is_half_a_bit(rng: np.random.Generator) -> None:
    # half of each class lies where the other never is, and half where both are as likely
    classes = np.arange(20_000) % 2
    latent = rng.random(20_000) + 0.5 * classes
    assert neighbour_information(latent, classes) == pytest.approx(math.log(2) / 2, abs=0.01)


def test_images_that_are_alone_in_their_class_tell_nothing(rng: np.random.Generator) -> None:
    assert neighbour_information(rng.standard_normal(5), np.arange(5)) == 0


def test_the_factors_as_codes_score_1(identity: np.ndarray, grid: np.ndarray, few: np.ndarray) -> None:
    found = score(identity[few], grid[few])
    assert scores(found) == pytest.approx((1, 1, 1), abs=0.02)
    assert np.diag(found.information) == pytest.approx(np.ones(4), abs=0.01)
    assert found.active.all()


def test_noise_scores_0(noise: np.ndarray, grid: np.ndarray, few: np.ndarray) -> None:
    found = score(noise[few], grid[few])
    assert scores(found) == pytest.approx((0, 0, 0), abs=0.03)
    assert not found.active.any()


def test_latents_of_noise_take_nothing_from_a_perfect_code(
    identity: np.ndarray, noise: np.ndarray, grid: np.ndarray, few: np.ndarray
) -> None:
    found = score(np.concatenate([noise, identity], axis=1)[few], grid[few])
    assert found.active.tolist() == [False] * 4 + [True] * 4
    assert scores(found) == pytest.approx((1, 1, 1), abs=0.02)


def test_a_duplicated_latent_costs_compactness_only(
    duplicated: np.ndarray, grid: np.ndarray, few: np.ndarray
) -> None:
    # of 8 latents two share each factor: (1/2 - 1/8) / (1 - 1/8)
    assert scores(score(duplicated[few], grid[few])) == pytest.approx((1, 1, 3 / 7), abs=0.02)


def test_a_rotation_by_45_degrees_lies_between_and_stays_explicit(
    rotated: np.ndarray, noise: np.ndarray, grid: np.ndarray, few: np.ndarray
) -> None:
    modularity, explicitness, compactness = scores(score((rotated + 0.05 * noise)[few], grid[few]))
    assert 0.2 < modularity < 0.7
    assert 0.2 < compactness < 0.7
    assert explicitness > 0.9


def test_a_constant_code_scores_0(grid: np.ndarray, few: np.ndarray) -> None:
    found = score(np.full((2000, 3), 0.1), grid[few])
    assert scores(found) == pytest.approx((0, 0, 0), abs=1e-9)
    assert (found.information == 0).all()


def test_a_single_latent_is_compact_for_what_it_tells(
    identity: np.ndarray, grid: np.ndarray, few: np.ndarray
) -> None:
    found = score(identity[few][:, 1:2], grid[few])
    assert found.compactness_per_factor.tolist() == [0, 1, 0, 0]
    assert found.modularity == pytest.approx(1, abs=0.05)


def test_modularity_and_compactness_follow_from_the_information(
    rotated: np.ndarray, identity: np.ndarray, noise: np.ndarray, grid: np.ndarray, few: np.ndarray
) -> None:
    codes = np.concatenate([rotated, identity[:, 2:] + noise[:, 2:], noise], axis=1)
    found = score(codes[few], grid[few])
    table = found.information[found.active]
    assert found.active.sum() == 6
    assert found.modularity == pytest.approx(np.mean([concentration(row) for row in table]))
    assert found.compactness == pytest.approx(np.mean([concentration(column) for column in table.T]))


def test_information_is_a_share_of_the_factors_entropy(
    identity: np.ndarray, noise: np.ndarray, grid: np.ndarray, few: np.ndarray
) -> None:
    codes, factors = (identity + 0.5 * noise)[few], grid[few]
    expected = [
        mutual_info_classif(codes[:, [j]], factors[:, j], n_neighbors=10, random_state=0)[0]
        / mutual_info_score(factors[:, j], factors[:, j])
        for j in range(4)
    ]
    assert np.diag(score(codes, factors).information) == pytest.approx(expected, abs=1e-5)


def test_explicitness_is_that_of_scikit_learns_regression(
    identity: np.ndarray, noise: np.ndarray, grid: np.ndarray, few: np.ndarray
) -> None:
    codes, factors = (identity + noise)[few], grid[few]
    expected = []
    for column in factors.T[:2]:
        model = LogisticRegression(C=1e8, max_iter=1000, tol=1e-6).fit(codes, column)
        entropy = mutual_info_score(column, column)
        expected.append(1 - log_loss(column, model.predict_proba(codes)) / entropy)
    assert score(codes, factors).explicitness_per_factor[:2] == pytest.approx(expected, abs=1e-4)


def test_explicitness_of_noise_is_its_documented_optimism(grid: np.ndarray, few: np.ndarray) -> None:
    noise = np.random.default_rng(3).standard_normal((2000, 10))
    nats = score(noise, grid[few]).explicitness_per_factor * np.log([3, 6, 40, 32])
    assert nats == pytest.approx(np.array([2, 5, 39, 31]) * 10 / (2 * 2000), rel=0.2, abs=0.003)


def test_permuting_and_rescaling_latents_changes_nothing(
    rotated: np.ndarray, noise: np.ndarray, grid: np.ndarray, few: np.ndarray
) -> None:
    codes, factors = (rotated + 0.5 * noise)[few], grid[few]
    expected = scores(score(codes, factors))
    rescaled = score(codes * np.array([4.0, -0.01, 1.0, 100.0]), factors, least_range=0)
    assert scores(rescaled) == pytest.approx(expected, abs=1e-3)
    assert scores(score(codes[:, [2, 0, 3, 1]], factors)) == pytest.approx(expected, abs=1e-3)


def test_a_latent_that_hardly_moves_is_pruned(
    identity: np.ndarray, grid: np.ndarray, few: np.ndarray
) -> None:
    codes = identity[few] * np.array([1.0, 1.0, 1.0, 0.03])
    assert score(codes, grid[few]).active.tolist() == [True, True, True, False]
    assert score(codes, grid[few]).compactness == pytest.approx(3 / 4, abs=0.02)
    assert score(codes, grid[few], least_range=0).active.all()


@pytest.mark.parametrize("images", [4, 30])
def test_few_images_with_rare_values_give_numbers_between_0_and_1(
    rng: np.random.Generator, images: int
) -> None:
    factors = np.stack([np.arange(images) == 0, np.arange(images) % 3], axis=1).astype(float)
    found = score(rng.standard_normal((images, 2)), factors)
    assert all(0 <= value <= 1 for value in scores(found))


def test_unusable_input_is_refused(rng: np.random.Generator) -> None:
    codes = rng.standard_normal((40, 2))
    with pytest.raises(ConfigError, match="at least 2 factors"):
        score(codes, np.arange(40.0)[:, None] % 4)
    with pytest.raises(DataError, match="factor 1: expected at least two different values"):
        score(codes, np.stack([np.arange(40.0) % 4, np.ones(40)], axis=1))
