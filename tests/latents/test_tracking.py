"""Tracking against scikit-learn, scipy, enumeration and the bootstrap."""

import math
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from pellucid.errors import DataError
from pellucid.latents.tracking import _MEASURES, Tracking, _rank, track


def twice(*columns: np.ndarray) -> list[np.ndarray]:
    """The same images in the half that chooses and in the half that measures."""
    order = np.random.default_rng(0).permutation(2 * len(columns[0]))
    return [np.concatenate([column, column])[np.argsort(order)] for column in columns]


def one(codes: np.ndarray, values: np.ndarray, kind: str) -> Tracking:
    codes, values = twice(codes[:, None], np.asarray(values, np.float64)[:, None])
    (tracking,) = track(codes, values, ["it"], [kind])
    return tracking


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("decimals", [8, 0], ids=["without ties", "with many ties"])
def test_auc_is_that_of_scikit_learn(rng: np.random.Generator, decimals: int) -> None:
    has = rng.random((300, 5)) < 0.3
    codes = np.round(rng.standard_normal((300, 4)) + has[:, :4], decimals)
    found = track(*twice(codes, has.astype(np.float64)), list("abcde"), ["binary"] * 5)
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
    error = math.sqrt(wins.mean(1).var(ddof=1) / 400 + wins.mean(0).var(ddof=1) / 900)
    tracking = one(np.concatenate([positive, negative]), np.arange(1300) < 400, "binary")
    assert (tracking.low, tracking.high) == pytest.approx((auc - 1.96 * error, auc + 1.96 * error), abs=3e-3)
    as_many = stats.binomtest(round(1e6 * auc), 10**6).proportion_ci(method="wilson")
    scale = error / math.sqrt(auc * (1 - auc) / 1e6)
    assert tracking.high - tracking.low == pytest.approx(scale * (as_many.high - as_many.low), rel=0.01)


@pytest.mark.parametrize(
    ("count", "shift", "spread", "width"),
    [(10, 1.0, 1.0, 0.32), (20, 2.5, 1.0, 0.13), (20, 4.0, 2.0, 0.15), (64, 4.0, 1.0, 0.05)],
)
def test_auc_interval_of_few_positives_holds_the_truth_and_is_not_wide(
    rng: np.random.Generator, count: int, shift: float, spread: float, width: float
) -> None:
    truth = stats.norm.cdf(shift / math.hypot(1, spread))
    has = np.arange(500) < count
    codes = np.where(has, rng.normal(shift, spread, (1000, 500)), rng.standard_normal((1000, 500)))
    (measured,) = _MEASURES["binary"](_rank(codes), has.astype(np.float64)).values()
    low, high = (1 + measured.low) / 2, (1 + measured.high) / 2
    assert ((low <= truth) & (truth <= high)).mean() > 0.92
    assert (high - low).mean() < width


def test_a_latent_that_tells_nearly_perfectly_is_above_chance(rng: np.random.Generator) -> None:
    has = np.arange(300) < 64
    codes = rng.standard_normal(300) + 4 * has
    codes[0] = -0.5  # one of them is out of order
    tracking = one(codes, has, "binary")
    assert 0.98 < tracking.value < 1
    assert tracking.low > 0.93


def test_perfect_separation_has_an_interval_that_still_depends_on_the_count() -> None:
    few, many = (one(np.arange(4.0 * k), np.arange(4 * k) >= 3 * k, "binary") for k in (5, 50))
    assert few.value == few.high == many.value == many.high == pytest.approx(1)
    # between Wilson's intervals for all of k images and all of 3 k
    assert 5 / (5 + 1.96**2) < few.low < 15 / (15 + 1.96**2)
    assert 50 / (50 + 1.96**2) < many.low < 150 / (150 + 1.96**2)


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


@pytest.mark.parametrize(("symmetry", "left"), [(1, 0.01), (2, 0.04), (4, 0.136)])
def test_any_function_of_the_angle_is_tracked(rng: np.random.Generator, symmetry: int, left: float) -> None:
    angles = rng.uniform(0, 2 * np.pi, 2000)
    tracking = one(np.cos(symmetry * angles), angles, "periodic")
    # A cosine's ranks run up and down in straight lines. In a bin they cover symmetry / 10 of all ranks, so
    # its square of their variance is left; of symmetry 4, a fifth of the bins turns in the middle: a quarter.
    assert tracking.value == pytest.approx(math.sqrt(1 - left), abs=0.005)
    assert tracking.direction == 0


def test_correlation_ratio_is_the_root_of_kelleys_epsilon(rng: np.random.Generator) -> None:
    angles = rng.integers(0, 4, 200) * np.pi / 2 + 0.1
    codes = rng.standard_normal(200) + (angles > 3)
    ranks = stats.rankdata(codes)
    groups = [ranks[angles == angle] for angle in np.unique(angles)]
    within = sum(((group - group.mean()) ** 2).sum() for group in groups) / (200 - 4)
    assert one(codes, angles, "periodic").value == pytest.approx(math.sqrt(1 - within / ranks.var(ddof=1)))
    assert one(codes**3, angles, "periodic") == one(codes, angles, "periodic")


def test_chance_is_rarely_called_tracking(rng: np.random.Generator) -> None:
    codes = rng.standard_normal((500, 40))
    values = np.stack(
        [rng.random(500) < 0.2, rng.standard_normal(500), rng.uniform(0, 2 * np.pi, 500)], axis=1
    ).astype(np.float64)
    found = track(codes, values, ["a", "b", "c"], ["binary", "ordinal", "periodic"])
    assert len(found) == 120
    assert not any(tracking.above_chance for tracking in found)
    excluded = [tracking.low > (0.5 if tracking.statistic == "AUC" else 0) for tracking in found]
    assert sum(excluded) <= 12  # by the interval of one alone: 5 % of 120, and twice as many for luck


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
        assert (0 if tracking.statistic == "AUC" else -1) - 1e-9 <= tracking.low <= tracking.value + 1e-9
        assert tracking.value - 1e-9 <= tracking.high <= 1
        assert 0 <= tracking.strength <= 1
        assert 0 <= tracking.p_value <= 1


def test_the_evidence_is_one_line_for_people() -> None:
    tracking = Tracking(3, "Wearing_Hat", "AUC", 0.80, -1, 1000, 45, 0.74, 0.86, 0.7, 0.001)
    assert tracking.describe() == (
        "Wearing_Hat AUC 0.80 (0.74-0.86), 1,000 images, 45 with it; falls with it; chosen on other images"
    )
    correlated = Tracking(3, "scale", "correlation", 0.91, 1, 2000, None, 0.9, 0.92, 0.9, 0.001)
    assert correlated.describe() == (
        "scale correlation 0.91 (0.90-0.92), 2,000 images; rises with it; chosen on other images"
    )


def halves(images: int) -> list[np.ndarray]:
    return np.array_split(np.random.default_rng(0).permutation(images), 2)


def test_one_half_chooses_and_the_other_measures(rng: np.random.Generator) -> None:
    choosing, measuring = halves(401)
    has = rng.random(401) < 0.5
    codes = rng.standard_normal((401, 2))
    codes[choosing, 0] -= 3 * has[choosing]  # falls with it, but on the other half it rises
    codes[measuring, 0] += has[measuring]
    codes[measuring, 1] += 3 * has[measuring]
    first, second = track(codes, has[:, None].astype(np.float64), ["it"], ["binary"])
    falls = roc_auc_score(has[measuring], -codes[measuring, 0])
    assert (first.direction, first.value, first.images) == (-1, pytest.approx(falls), 200)
    assert first.low <= first.value < 0.5
    assert not first.above_chance  # whatever its p-value: the halves disagree
    assert first.p_value < 1e-9
    assert first.strength == pytest.approx(2 * roc_auc_score(has[choosing], -codes[choosing, 0]) - 1)
    assert second.strength < 0.2 < 0.9 < second.value
    assert not second.above_chance  # nothing had chosen it


def test_the_class_is_chosen_by_one_half_too(rng: np.random.Generator) -> None:
    choosing, measuring = halves(600)
    values = rng.integers(0, 4, 600)
    codes = rng.standard_normal(600)
    codes[choosing] += 4 * (values[choosing] == 1)
    codes[measuring] += 4 * (values[measuring] == 2)
    (tracking,) = track(codes[:, None], values[:, None].astype(np.float64), ["it"], ["categorical"])
    assert tracking.category == 1
    assert tracking.value == pytest.approx(roc_auc_score(values[measuring] == 1, codes[measuring]))
    assert tracking.positives == (values[measuring] == 1).sum()


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("binary", [0, 0, 0, 0, 0, 1, 1]),
        ("binary", [0, 0, 0, 0, 1, 1, 1]),
        ("ordinal", [0, 1, 2, 3, 4, 5, 6]),
        ("ordinal", [0, 0, 0, 0, 0, 1, 2]),
        ("ordinal", [0, 0, 0, 0, 0, 0, 1]),
    ],
)
@pytest.mark.parametrize("ties", [[0, 1, 2, 3, 4, 5, 6], [0, 0, 1, 1, 2, 2, 3], [0, 0, 0, 0, 0, 1, 1]])
def test_small_p_values_of_ranks_are_never_too_small_by_enumeration(
    kind: str, values: list[float], ties: list[int]
) -> None:
    every = np.array(list(permutations(ties)), np.float64)  # as likely as each other with nothing to be found
    (measured,) = _MEASURES[kind](_rank(every), np.array(values, np.float64)).values()
    for level in np.unique(measured.p_value[measured.p_value <= (0.05 if kind == "binary" else 0.01)]):
        assert (measured.p_value <= level).mean() <= level


@pytest.mark.parametrize(("images", "positives"), [(10, 3), (14, 5), (16, 8), (18, 4)])
def test_p_values_of_an_auc_are_never_too_small_by_enumeration(images: int, positives: int) -> None:
    every = np.array(list(combinations(range(images), positives)))
    codes = np.ones((len(every), images))  # the positives come first, and take these ranks
    np.put_along_axis(codes, every, 0, axis=1)
    codes = np.argsort(codes, axis=1, kind="stable").astype(np.float64)
    (measured,) = _MEASURES["binary"](
        _rank(codes), (np.arange(images) < positives).astype(np.float64)
    ).values()
    small = np.unique(measured.p_value[measured.p_value <= 0.05])
    assert len(small) > 1
    for level in small:
        assert (measured.p_value <= level).mean() <= level
    assert (measured.p_value <= small[-1]).mean() > small[-1] / 2


def test_p_values_of_many_images_are_those_of_scipy(rng: np.random.Generator) -> None:
    codes, has = rng.standard_normal(600), rng.random(600) < 0.2
    codes += 0.15 * has
    (measured,) = _MEASURES["binary"](_rank(codes[None]), has.astype(np.float64)).values()
    expected = stats.mannwhitneyu(codes[has], codes[~has], method="asymptotic", use_continuity=True).pvalue
    assert measured.p_value[0] == pytest.approx(expected, rel=1e-9)
    values = rng.standard_normal(600) + 0.1 * codes
    (measured,) = _MEASURES["ordinal"](_rank(codes[None]), values).values()
    assert measured.p_value[0] == pytest.approx(stats.spearmanr(codes, values).pvalue, rel=0.02)


def test_a_p_value_counts_latents_attributes_and_classes(rng: np.random.Generator) -> None:
    codes = rng.standard_normal((400, 5))
    values = np.stack(
        [rng.integers(0, 7, 400), rng.random(400) < 0.5, rng.standard_normal(400), rng.uniform(0, 6, 400)],
        axis=1,
    ).astype(np.float64)
    codes[:, 0] += 0.4 * values[:, 1]
    codes[:, 4] = 1.0  # constant: no test
    kinds = ["categorical", "binary", "ordinal", "periodic"]
    found = track(codes, values, list("abcd"), kinds)
    tested = next(one for one in found if one.attribute == "b" and one.latent == 0)
    alone = track(codes[:, :1], values[:, [1]], ["b"], ["binary"])[0]
    assert tested.p_value == pytest.approx(4 * (7 + 1 + 1 + 1) * alone.p_value)


def test_the_p_value_of_an_angle_is_the_f_test_of_ranks(rng: np.random.Generator) -> None:
    angles = rng.integers(0, 6, 90) * np.pi / 3 + 0.1
    codes = rng.standard_normal(90) ** 3 + 0.3 * (angles > 3)
    ranks = stats.rankdata(codes)
    expected = stats.f_oneway(*[ranks[angles == angle] for angle in np.unique(angles)]).pvalue
    assert one(codes, angles, "periodic").p_value == pytest.approx(expected)


def test_the_p_value_of_an_angle_holds_in_few_images(rng: np.random.Generator) -> None:
    (measured,) = _MEASURES["periodic"](
        _rank(rng.standard_normal((3000, 30))), rng.uniform(0, 2 * np.pi, 30)
    ).values()
    assert 10 <= (measured.p_value <= 0.01).sum() <= 45  # 30 expected, with a deviation of 5
    assert (measured.low > 0).mean() < 0.035  # 2.5 % expected


@pytest.mark.parametrize("steps", [0.5, 3.0, 1e4])
def test_the_interval_of_an_angle_is_that_of_noncentral_f(rng: np.random.Generator, steps: float) -> None:
    angles = rng.integers(0, 4, 200) * np.pi / 2 + 0.1
    codes = rng.standard_normal(200) + steps * angles
    tracking = one(codes, angles, "periodic")
    ranks = stats.rankdata(codes)
    ratio = stats.f_oneway(*[ranks[angles == angle] for angle in np.unique(angles)]).statistic
    for end, quantile in ((tracking.low, 0.975), (tracking.high, 0.025)):
        noncentrality = 199 * end**2 / (1 - end**2)
        assert stats.ncf.cdf(ratio, 3, 196, noncentrality) == pytest.approx(quantile, abs=1e-3)


def test_the_interval_of_the_best_of_many_latents_holds_its_truth() -> None:
    has = (np.arange(400) < 24).astype(np.float64)[:, None]
    held, error = 0, 0.0
    for sample in range(100):
        codes = np.random.default_rng(sample).standard_normal((400, 32))
        best = max(track(codes, has, ["it"], ["binary"], seed=sample), key=lambda found: found.strength)
        held += best.low <= 0.5 <= best.high
        error += best.value - 0.5
    assert held >= 88  # chosen and measured on the same images: 20
    assert abs(error / 100) < 0.03  # likewise: 0.14


@pytest.mark.parametrize(("kind", "images"), [("categorical", 200), ("periodic", 60)])
def test_noise_is_rarely_significant(kind: str, images: int) -> None:
    significant = 0
    for sample in range(60):
        rng = np.random.default_rng(sample)
        values = rng.integers(0, 10, images) if kind == "categorical" else rng.uniform(0, 2 * np.pi, images)
        found = track(rng.standard_normal((images, 32)), values[:, None].astype(np.float64), ["it"], [kind])
        significant += any(one.p_value <= 0.05 for one in found)
    assert significant <= 8  # 5 % of 60, and 5 for luck


def test_one_image_of_each_group_takes_part(rng: np.random.Generator) -> None:
    has = np.repeat(rng.random(200) < 0.5, 5)
    codes = np.repeat(rng.standard_normal(200), 5) + has
    (alone,) = track(codes[::5, None], has[::5, None].astype(np.float64), ["it"], ["binary"])
    for labels in (np.repeat(np.arange(200), 5), [f"video {row // 5}" for row in range(1000)]):
        (found,) = track(codes[:, None], has[:, None].astype(np.float64), ["it"], ["binary"], groups=labels)
        assert found.images == alone.images == 100
        assert found.high - found.low == pytest.approx(alone.high - alone.low, rel=0.2)
    with pytest.raises(DataError, match="one label for each of 1,000 images"):
        track(codes[:, None], has[:, None].astype(np.float64), ["it"], ["binary"], groups=[0, 1])


def test_what_crops_of_one_image_share_is_no_evidence_if_their_groups_are_told() -> None:
    groups, held = np.repeat(np.arange(100), 10), {"told": 0, "not told": 0}
    significant = dict.fromkeys(held, 0)
    for sample in range(60):
        rng = np.random.default_rng(sample)
        codes = rng.standard_normal((100, 32))[groups] + 0.2 * rng.standard_normal((1000, 32))
        has = (rng.permutation(100) < 30)[groups, None].astype(np.float64)
        for what, labels in (("told", groups), ("not told", None)):
            found = track(codes, has, ["it"], ["binary"], groups=labels, seed=sample)
            best = max(found, key=lambda one: one.strength)
            significant[what] += best.p_value <= 0.05
            held[what] += best.low <= 0.5 <= best.high
    assert significant["told"] <= stats.binom.ppf(0.999, 60, 0.05)
    assert held["told"] >= stats.binom.ppf(0.001, 60, 0.95)
    assert significant["not told"] == 60  # what would be believed without groups
    assert held["not told"] < 10
