"""Tracking against scikit-learn, scipy, enumeration and the bootstrap."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from pellucid.latents.tracking import Tracking, track


def one(codes: np.ndarray, values: np.ndarray, kind: str) -> Tracking:
    (tracking,) = track(codes[:, None], np.asarray(values, np.float64)[:, None], ["it"], [kind])
    return tracking


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("decimals", [8, 0], ids=["without ties", "with many ties"])
def test_auc_is_that_of_scikit_learn(rng: np.random.Generator, decimals: int) -> None:
    has = rng.random((300, 5)) < 0.3
    codes = np.round(rng.standard_normal((300, 4)) + has[:, :4], decimals)
    found = track(codes, has.astype(np.float64), list("abcde"), ["binary"] * 5)
    assert len(found) == 20
    for tracking in found:
        column = has[:, "abcde".index(tracking.attribute)]
        auc = roc_auc_score(column, codes[:, tracking.latent])
        assert tracking.value == pytest.approx(max(auc, 1 - auc))
        assert tracking.direction == np.sign(auc - 0.5)
        assert tracking.positives == column.sum()


def test_the_auc_of_a_small_sample_with_a_tie_is_counted_by_hand() -> None:
    # positives 2, 3 against negatives 1, 2: three pairs won, one tied, of four
    tracking = one(np.array([1.0, 2.0, 2.0, 3.0]), np.array([0, 0, 1, 1]), "binary")
    assert tracking.value == 3.5 / 4


def test_auc_interval_is_that_of_the_bootstrap(rng: np.random.Generator) -> None:
    has = np.arange(600) < 150
    codes = rng.standard_normal(600) + 1.0 * has
    aucs = []
    for _ in range(1000):
        drawn = np.concatenate([rng.choice(codes[has], 150), rng.choice(codes[~has], 450)])
        aucs.append(stats.mannwhitneyu(drawn[:150], drawn[150:]).statistic / (150 * 450))
    tracking = one(codes, has, "binary")
    assert (tracking.low, tracking.high) == pytest.approx(np.quantile(aucs, [0.025, 0.975]), abs=0.01)


def test_auc_interval_of_many_images_is_delong_by_enumeration(rng: np.random.Generator) -> None:
    positive, negative = rng.normal(1, 1, 400), rng.normal(0, 2, 900)
    wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    auc = wins.mean()
    error = math.sqrt(wins.mean(1).var(ddof=1) / 400 + wins.mean(0).var(ddof=1) / 900) / (auc * (1 - auc))
    logit = math.log(auc / (1 - auc))
    tracking = one(np.concatenate([positive, negative]), np.arange(1300) < 400, "binary")
    expected = [1 / (1 + math.exp(-(logit + side * 1.96 * error))) for side in (-1, 1)]
    assert (tracking.low, tracking.high) == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize(("count", "shift", "spread"), [(10, 1.0, 1.0), (20, 2.5, 1.0), (20, 4.0, 2.0)])
def test_auc_interval_of_few_positives_holds_the_truth(
    rng: np.random.Generator, count: int, shift: float, spread: float
) -> None:
    truth = stats.norm.cdf(shift / math.hypot(1, spread))
    has = np.arange(500) < count
    held = 0
    for _ in range(300):
        tracking = one(np.where(has, rng.normal(shift, spread, 500), rng.standard_normal(500)), has, "binary")
        held += tracking.low <= truth <= tracking.high
    assert held / 300 > 0.92


def test_perfect_separation_has_an_interval_that_still_depends_on_the_count() -> None:
    few, many = (one(np.arange(4.0 * k), np.arange(4 * k) >= 3 * k, "binary") for k in (5, 50))
    assert few.value == many.value == 1
    assert few.low == pytest.approx(5 / (5 + 1.96**2), abs=1e-4)
    assert many.low == pytest.approx(50 / (50 + 1.96**2), abs=1e-4)


def test_spearman_is_that_of_scipy_with_ties(rng: np.random.Generator) -> None:
    values = rng.integers(0, 6, 200)
    codes = np.round(-0.4 * values + rng.standard_normal(200), 1)
    tracking = one(codes, values, "ordinal")
    expected = stats.spearmanr(codes, values).statistic
    assert tracking.value == pytest.approx(-expected)
    assert tracking.direction == -1
    assert tracking.positives is None


def test_spearman_interval_is_near_the_bootstrap(rng: np.random.Generator) -> None:
    values = rng.standard_normal(400)
    codes = values + rng.standard_normal(400)
    rows = rng.integers(0, 400, (1000, 400))
    drawn = [stats.spearmanr(codes[row], values[row]).statistic for row in rows]
    tracking = one(codes, values, "ordinal")
    assert (tracking.low, tracking.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.02)


def test_a_class_is_told_from_all_others(rng: np.random.Generator) -> None:
    values = rng.integers(0, 3, 300)
    codes = rng.standard_normal(300) - 3 * (values == 2)
    tracking = one(codes, values, "categorical")
    assert tracking.category == 2
    assert tracking.direction == -1
    assert tracking.positives == (values == 2).sum()
    assert tracking.value == pytest.approx(roc_auc_score(values == 2, -codes))
    assert tracking.describe().startswith("it class 2 AUC 0.9")


@pytest.mark.parametrize("symmetry", [1, 2, 4])
def test_any_function_of_the_angle_is_tracked(rng: np.random.Generator, symmetry: int) -> None:
    angles = rng.uniform(0, 2 * np.pi, 2000)
    tracking = one(np.cos(symmetry * angles), angles, "periodic")
    # averaging over a bin of width w leaves sinc(symmetry * w / 2) of a cosine's amplitude
    half = symmetry * np.pi / 20
    assert tracking.value == pytest.approx(np.sin(half) / half, abs=0.01)
    assert tracking.direction == 0


def test_correlation_ratio_is_the_root_of_kelleys_epsilon(rng: np.random.Generator) -> None:
    angles = rng.integers(0, 4, 200) * np.pi / 2 + 0.1
    codes = rng.standard_normal(200) + (angles > 3)
    groups = [codes[angles == angle] for angle in np.unique(angles)]
    within = sum(((group - group.mean()) ** 2).sum() for group in groups) / (200 - 4)
    tracking = one(codes, angles, "periodic")
    assert tracking.value == pytest.approx(math.sqrt(1 - within / codes.var(ddof=1)))


def test_chance_is_rarely_called_tracking(rng: np.random.Generator) -> None:
    codes = rng.standard_normal((500, 40))
    values = np.stack(
        [rng.random(500) < 0.2, rng.standard_normal(500), rng.uniform(0, 2 * np.pi, 500)], axis=1
    ).astype(np.float64)
    found = track(codes, values, ["a", "b", "c"], ["binary", "ordinal", "periodic"])
    assert len(found) == 120
    assert sum(tracking.above_chance for tracking in found) <= 12  # 5 % of 120, and twice as many for luck


def test_unknown_values_are_left_out(rng: np.random.Generator) -> None:
    codes, has = rng.standard_normal(100), (rng.random(100) < 0.5).astype(np.float64)
    padded = one(np.append(codes, [9.0, -9.0]), np.append(has, [np.nan, np.nan]), "binary")
    assert padded == one(codes, has, "binary")
    assert padded.images == 100


@pytest.mark.parametrize("kind", ["binary", "categorical", "ordinal", "periodic"])
@pytest.mark.parametrize("value", [0.0, 1.0, np.nan])
def test_a_constant_or_unknown_attribute_is_not_tracked(
    rng: np.random.Generator, kind: str, value: float
) -> None:
    assert track(rng.standard_normal((50, 2)), np.full((50, 1), value), ["it"], [kind]) == ()


@pytest.mark.parametrize("kind", ["binary", "categorical", "ordinal", "periodic"])
@pytest.mark.parametrize("value", [0.0, 3.0, np.nan])
def test_a_constant_latent_tracks_nothing(rng: np.random.Generator, kind: str, value: float) -> None:
    codes = np.stack([rng.standard_normal(100), np.full(100, value)], axis=1)
    found = track(codes, rng.integers(0, 2, (100, 1)).astype(np.float64), ["it"], [kind])
    assert [tracking.latent for tracking in found] == [0]


@given(
    st.lists(st.tuples(st.integers(-3, 3), st.sampled_from([0.0, 1.0, 2.0, np.nan])), max_size=40),
    st.sampled_from(["binary", "categorical", "ordinal", "periodic"]),
)
def test_every_number_is_finite_and_within_its_interval(rows: list[tuple[int, float]], kind: str) -> None:
    codes = np.array([[code] for code, _ in rows], np.float64).reshape(-1, 1)
    values = np.array([[value] for _, value in rows], np.float64).reshape(-1, 1)
    for tracking in track(codes, values, ["it"], [kind]):
        chance = 0.5 if tracking.statistic == "AUC" else 0.0
        assert chance <= tracking.value <= 1
        assert -1 <= tracking.low <= tracking.value + 1e-9
        assert tracking.value - 1e-9 <= tracking.high <= 1


def test_the_evidence_is_one_line_for_people() -> None:
    tracking = Tracking(3, "Wearing_Hat", "AUC", 0.80, -1, 1000, 45, 0.74, 0.86)
    assert tracking.describe() == "Wearing_Hat AUC 0.80 (0.74-0.86), 1,000 images, 45 with it; falls with it"
    correlated = Tracking(3, "scale", "correlation", 0.91, 1, 2000, None, 0.9, 0.92)
    assert correlated.describe() == "scale correlation 0.91 (0.90-0.92), 2,000 images; rises with it"
