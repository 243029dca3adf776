"""Thresholds against brute force, scikit-learn's F1, and every image taking its turn as the new one."""

from fractions import Fraction
from math import ceil, floor

import numpy as np
import pytest
from sklearn.metrics import f1_score

from pellucid.anomaly import thresholds
from pellucid.anomaly.calibration import CalibrationScores
from pellucid.anomaly.thresholds import groups_needed, parse
from pellucid.errors import ConfigError, DataError


def choose(rule: str, normal: np.ndarray, anomalous: np.ndarray | None) -> float:
    """The threshold where every image is on its own."""
    found = None if anomalous is None else CalibrationScores.of(anomalous)
    return thresholds.choose(rule, CalibrationScores.of(normal), found)


def draw(seed: int, *, ties: bool) -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.default_rng(seed)
    normal, anomalous = chance.normal(1, 1, 60), chance.normal(-0.5, 1, 25)
    return (normal.round(), anomalous.round()) if ties else (normal, anomalous)


def candidates(normal: np.ndarray, anomalous: np.ndarray) -> np.ndarray:
    """A threshold for every way of parting the scores."""
    scores = np.unique(np.concatenate([normal, anomalous]))
    return np.concatenate([scores, [scores[-1] + 1]])


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_f1_is_the_best_that_scikit_learn_finds(seed: int, ties: bool) -> None:
    normal, anomalous = draw(seed, ties=ties)
    scores = np.concatenate([normal, anomalous])
    truth = np.arange(len(scores)) >= len(normal)
    every = [f1_score(truth, scores < threshold) for threshold in candidates(normal, anomalous)]
    assert f1_score(truth, scores < choose("f1", normal, anomalous)) == max(every)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("share", ["0.05", "0.5", "0.8", "0.95"])
def test_recall_is_reached_with_the_fewest_false_alarms(share: str, ties: bool) -> None:
    normal, anomalous = draw(1, ties=ties)
    wanted = min(len(anomalous), ceil(Fraction(share) * (len(anomalous) + 1)))
    alarms = [
        (normal < threshold).sum()
        for threshold in candidates(normal, anomalous)
        if (anomalous < threshold).sum() >= wanted
    ]
    threshold = choose(f"recall={share}", normal, anomalous)
    assert (anomalous < threshold).mean() >= float(share)
    assert (normal < threshold).sum() == min(alarms)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("share", ["0.02", "0.05", "0.5", "0.99"])
def test_false_alarms_stay_within_their_share_and_the_most_anomalies_are_found(
    share: str, ties: bool
) -> None:
    normal, anomalous = draw(2, ties=ties)
    rank = max(1, floor(Fraction(share) * (len(normal) + 1)))
    found = [
        (anomalous < threshold).sum()
        for threshold in candidates(normal, anomalous)
        if (normal < threshold).sum() < rank
    ]
    threshold = choose(f"false-alarm={share}", normal, anomalous)
    assert (normal < threshold).mean() <= float(share)
    assert (anomalous < threshold).sum() == max(found)


@pytest.mark.parametrize("share", ["0.05", "0.1", "0.29", "0.7"])
def test_the_promise_on_a_new_normal_image_is_kept_by_enumeration(share: str) -> None:
    scores = np.random.default_rng(3).normal(size=100)
    flagged = [
        score < choose(f"false-alarm={share}", np.delete(scores, image), None)
        for image, score in enumerate(scores)
    ]
    assert Fraction(int(np.sum(flagged)), 100) == Fraction(share)


@pytest.mark.parametrize("share", ["0.05", "0.71", "0.9"])
def test_the_promise_on_a_new_anomaly_is_kept_by_enumeration(share: str) -> None:
    chance = np.random.default_rng(4)
    normal, scores = chance.normal(size=500), chance.normal(size=100)
    found = [
        score < choose(f"recall={share}", normal, np.delete(scores, image))
        for image, score in enumerate(scores)
    ]
    assert Fraction(share) <= Fraction(int(np.sum(found)), 100) <= Fraction(share) + Fraction(3, 100)


def test_shares_are_exact_where_floats_are_not() -> None:
    assert floor(0.29 * 100) == 28
    assert choose("false-alarm=0.29", np.arange(1.0, 100), None) == 29


@pytest.mark.parametrize(
    ("rule", "needed"),
    [
        ("false-alarm=0.01", 99),
        ("false-alarm=0.05", 19),
        ("false-alarm=0.03", 33),
        ("false-alarm=0.5", 1),
        ("recall=0.95", 19),
        ("recall=0.9", 9),
        ("recall=0.999", 999),
        ("f1", 1),
        ("even", 1),
    ],
)
def test_a_promise_needs_as_many_groups_as_make_so_small_a_p_value(rule: str, needed: int) -> None:
    assert groups_needed(rule) == needed
    if "=" not in rule:
        return
    name, share = rule.split("=")
    rarely = Fraction(share) if name == "false-alarm" else 1 - Fraction(share)
    assert Fraction(1, needed + 1) <= rarely < Fraction(1, needed)


@pytest.mark.parametrize("rule", ["false-alarm=0.01", "recall=0.99"])
def test_a_promise_that_cannot_be_kept_is_refused_with_what_is_needed(rule: str) -> None:
    scores = np.random.default_rng(5).normal(size=98)
    kind = "normal" if rule.startswith("false") else "anomalous"
    with pytest.raises(
        DataError, match=f"needs 99 {kind} images for calibration, has 98. Give more, or"
    ) as error:
        choose(rule, scores, scores)
    instead = str(error.value).rpartition('choose "')[2].removesuffix('".')
    assert choose(instead, scores, scores)  # what it offers can be kept
    assert choose(rule, np.append(scores, 9.0), np.append(scores, 9.0))


def test_a_promise_that_no_number_of_images_can_keep_does_not_ask_for_more() -> None:
    known = CalibrationScores.of(np.arange(20_000.0))
    with pytest.raises(DataError, match=r"needs 99,999 .* No more than 20,000 are ever used") as error:
        thresholds.choose("false-alarm=0.00001", known, None, 0.25)
    assert "Give" not in str(error.value)
    assert str(error.value).endswith('Choose "false-alarm=0.001".')


def test_groups_are_counted_where_there_are_groups() -> None:
    scores, groups = np.arange(100.0), np.arange(100) // 10
    known = CalibrationScores.of(scores, groups)
    with pytest.raises(
        DataError, match=r"needs 19 groups of normal images .* has 10 \(25% of all\). Give 76"
    ):
        thresholds.choose("false-alarm=0.05", known, None, 0.25)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("rule", ["false-alarm=0.1", "false-alarm=0.33", "recall=0.9", "recall=0.62"])
def test_promises_about_a_new_group_are_kept_by_enumeration(rule: str, ties: bool) -> None:
    random = np.random.default_rng(6)
    groups = np.repeat(np.arange(30), random.integers(1, 9, 30))
    scores = 2 * random.normal(size=30)[groups] + random.normal(size=len(groups))
    scores = scores.round() if ties else scores
    others = CalibrationScores.of(random.normal(size=200))
    below = []
    for new in range(30):
        known = CalibrationScores.of(scores[groups != new], groups[groups != new])
        pair = (known, None) if rule.startswith("false") else (others, known)
        below.append((scores[groups == new] < thresholds.choose(rule, *pair)).mean())
    share = float(rule.split("=")[1])
    spare = share - np.mean(below) if rule.startswith("false") else np.mean(below) - share
    assert spare >= -1e-12
    assert spare < (0.3 if ties else 0.07)  # it is not kept by flagging none, or all


def test_flagged_is_what_has_a_p_value_of_at_most_the_rate_with_groups_too() -> None:
    random = np.random.default_rng(7)
    groups = np.repeat(np.arange(40), random.integers(1, 9, 40))
    known = CalibrationScores.of(random.normal(size=len(groups)).round(1), groups)
    new = random.normal(size=500).round(1)
    threshold = thresholds.choose("false-alarm=0.13", known, None)
    assert ((new < threshold) == (known.p_values(new) <= 0.13)).all()


@pytest.mark.parametrize("rule", ["f1", "recall=0.5"])
def test_classes_that_come_apart_are_parted_half_way(rule: str) -> None:
    assert choose(rule, np.array([2.0, 5.0]), np.array([-4.0])) == -1


def test_of_equally_good_ways_the_one_that_flags_least_is_taken() -> None:
    # flagging up to 0 finds 1 of 2 without an alarm, F1 2/3; up to 2 both with two alarms, F1 2/3
    assert choose("f1", np.array([1.0, 1.5, 9.0]), np.array([0.0, 2.0])) == 0.5


def test_scores_that_are_all_alike_are_all_flagged_or_none() -> None:
    same = np.full(30, 0.1)
    assert choose("false-alarm=0.2", same, same) == 0.1
    assert choose("recall=0.2", same, same) > 0.1
    assert choose("f1", same, same) > 0.1


@pytest.mark.parametrize("scale", [1e-310, 1e308])
def test_neighbouring_floats_and_huge_ones_are_told_apart(scale: float) -> None:
    low, high = -scale, scale
    assert low < choose("f1", np.array([high]), np.array([low])) <= high
    following = float(np.nextafter(scale, np.inf))
    assert choose("f1", np.array([following]), np.array([scale])) == following


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "F1",
        "recall",
        "recall=",
        "recall=0",
        "recall=1",
        "false-alarm=0",
        "recall=1.5",
        "recall=-0.5",
        "recall=nan",
        "recall=1e-3",
        "recall=95%",
        "recall=0.5\n",
        "recall=٠.٥",
        "false-alarm=1",
        "false-alarm=0." + "1" * 5000,
        None,
        0.5,
    ],
)
def test_other_rules_are_refused_with_those_allowed(rule: object) -> None:
    with pytest.raises(ConfigError, match=r'"even", "f1", "recall=0.95" or "false-alarm=0.01"') as error:
        parse(rule)
    assert len(str(error.value)) < 250


@pytest.mark.parametrize("anomalous", [None, np.empty(0)])
@pytest.mark.parametrize("rule", ["f1", "recall=0.95"])
def test_rules_about_anomalies_need_some(rule: str, anomalous: np.ndarray | None) -> None:
    with pytest.raises(ConfigError, match="needs anomalous images"):
        choose(rule, np.ones(3), anomalous)


def test_even_is_not_a_matter_of_scores() -> None:
    with pytest.raises(ConfigError, match="calibrated probabilities"):
        choose("even", np.ones(3), np.zeros(3))


@pytest.mark.parametrize("bad", [[], [np.nan], [np.inf]])
def test_no_scores_and_scores_that_are_no_numbers_are_refused(bad: list[float]) -> None:
    with pytest.raises(DataError):
        choose("false-alarm=0.05", np.array(bad), None)
