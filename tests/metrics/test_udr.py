"""UDR against a loop over the paper's formula, scipy and scikit-learn, and closed forms."""

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import Lasso

from pellucid.errors import ConfigError, DataError
from pellucid.metrics.udr import udr

METHODS = pytest.mark.parametrize("method", ["spearman", "lasso"])


@pytest.fixture
def independent(rng: np.random.Generator) -> np.ndarray:
    """Three latents that are uncorrelated exactly."""
    orthogonal, _ = np.linalg.qr(np.column_stack([np.ones(2000), rng.standard_normal((2000, 3))]))
    return orthogonal[:, 1:] * math.sqrt(2000)


def slow_udr(runs: list[np.ndarray], kls: list[np.ndarray], method: str) -> list[float]:
    """Duan et al.'s double sum, entry by entry."""
    scores = []
    for i, mine in enumerate(runs):
        pairs = []
        for j, theirs in enumerate(runs):
            if i == j:
                continue
            total, counted = 0.0, 0
            alike = np.zeros((theirs.shape[1], mine.shape[1]))
            for a in range(theirs.shape[1]):
                for b in range(mine.shape[1]):
                    alike[a, b] = abs(stats.spearmanr(theirs[:, a], mine[:, b]).statistic)
            if method == "lasso":
                alike[:] = 0
                kept = np.flatnonzero(kls[j] > 0.01)
                for b in range(mine.shape[1]):
                    model = Lasso(alpha=0.1).fit(stats.zscore(theirs[:, kept]), stats.zscore(mine[:, b]))
                    alike[kept, b] = abs(model.coef_)
            alike = alike * np.outer(kls[j] > 0.01, kls[i] > 0.01)
            for table, kl in ((alike, kls[i]), (alike.T, kls[j])):
                for b in range(table.shape[1]):
                    if kl[b] > 0.01:
                        counted += 1
                        total += table[:, b].max() ** 2 / table[:, b].sum() if table[:, b].any() else 0
            pairs.append(total / counted)
        scores.append(float(np.median(pairs)))
    return scores


@METHODS
def test_it_is_the_papers_formula(rng: np.random.Generator, method: str) -> None:
    shared = rng.standard_normal((200, 3))
    runs = [shared @ rng.standard_normal((3, n)) + 0.3 * rng.standard_normal((200, n)) for n in (3, 4, 3, 5)]
    kls = [rng.choice([0.0, 1.0], run.shape[1], p=[0.3, 0.7]) for run in runs]
    kls = [np.maximum(kl, np.eye(len(kl))[0]) for kl in kls]
    assert udr(runs, kls, method=method) == pytest.approx(slow_udr(runs, kls, method), abs=1e-3)


@pytest.mark.parametrize(("method", "ceiling"), [("spearman", 1.0), ("lasso", 0.9)])
def test_the_same_latents_in_another_order_sign_and_scale_reach_the_ceiling(
    independent: np.ndarray, method: str, ceiling: float
) -> None:
    ones = np.ones(3)
    runs = [independent, independent[:, [2, 0, 1]] * [-3, 0.1, 50], independent * [1, -1, 1] + 4]
    # ranks of uncorrelated latents are correlated a little
    assert udr(runs, [ones] * 3, method=method) == pytest.approx([ceiling] * 3, abs=0.04)


@METHODS
def test_the_run_that_mixes_scores_less_and_noise_least(
    independent: np.ndarray, rng: np.random.Generator, method: str
) -> None:
    mixed, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    runs = [
        independent,
        independent * -1,
        independent * 2,
        independent @ mixed,
        rng.standard_normal((2000, 3)),
    ]
    scores = udr(runs, [np.ones(3)] * 5, method=method)
    assert (scores[:3] > scores[3] + 0.1).all()
    assert scores[3] > scores[4] + 0.1
    assert scores[4] < 0.1


def test_two_latents_turned_by_45_degrees_have_half_their_correlation_to_spare(
    rng: np.random.Generator,
) -> None:
    # every |correlation| is the root of a half, so max² / sum = 0.35
    codes = rng.standard_normal((20_000, 2))
    turned = codes @ np.array([[1.0, -1.0], [1.0, 1.0]])
    scores = udr([codes, turned], [np.ones(2)] * 2, method="spearman")
    assert scores == pytest.approx([math.sqrt(0.5) / 2] * 2, abs=0.02)


@METHODS
def test_latents_without_information_do_not_count(
    independent: np.ndarray, rng: np.random.Generator, method: str
) -> None:
    padded = np.concatenate([independent, rng.standard_normal((2000, 4)), np.ones((2000, 1))], axis=1)
    kl = np.array([1.0, 1.0, 1.0, 0.009, 0.0, 0.0, 0.0, 0.0])
    plain = udr([independent, independent], [np.ones(3)] * 2, method=method)
    assert udr([padded, padded], [kl, kl], method=method) == pytest.approx(plain)


@METHODS
def test_a_run_without_informative_latents_scores_0(independent: np.ndarray, method: str) -> None:
    runs, kls = [independent] * 3, [np.ones(3), np.ones(3), np.zeros(3)]
    scores = udr(runs, kls, method=method)
    assert scores[2] == 0
    assert (scores[:2] > 0.4).all()  # the median of 0.9 or more, and 0


def test_a_latent_that_is_there_twice_counts_half(independent: np.ndarray) -> None:
    # a copy has two matches: 1 / (1 + 1) for two of four latents, 1 for the others
    runs = [np.concatenate([independent[:, :1], independent], axis=1)] * 2
    assert udr(runs, [np.ones(4)] * 2, method="spearman") == pytest.approx([0.75] * 2, abs=0.04)


def test_what_cannot_be_compared_is_refused() -> None:
    codes, kl = np.zeros((10, 2)), np.ones(2)
    with pytest.raises(ConfigError, match="at least 2 runs"):
        udr([codes], [kl])
    with pytest.raises(DataError, match=r"\[9, 10\] rows"):
        udr([codes, codes[1:]], [kl, kl])
    with pytest.raises(DataError, match="run 1: .* got 3 KLs"):
        udr([codes, codes], [kl, np.ones(3)])
    with pytest.raises(DataError, match="run 0"):
        udr([codes + np.nan, codes], [kl, kl])
