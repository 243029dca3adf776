"""Thresholds against brute force, scikit-learn's F1, and every image taking its turn as the new one."""

from fractions import Fraction
from math import ceil, floor

import numpy as np
import pytest
from sklearn.metrics import f1_score

from pellucid.anomaly.thresholds import choose, parse
from pellucid.errors import ConfigError, DataError


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
@pytest.mark.parametrize("share", ["0.05", "0.5", "0.8", "0.95", "1"])
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
@pytest.mark.parametrize("share", ["0", "0.01", "0.05", "0.5", "0.99"])
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


def test_too_few_normal_images_for_the_promise_flag_none_of_them() -> None:
    normal = np.array([3.0, 1.0, 2.0])
    assert choose("false-alarm=0.05", normal, None) == 1


def test_too_few_anomalies_for_the_promise_are_all_found() -> None:
    threshold = choose("recall=0.95", np.array([9.0]), np.array([1.0, 3.0, 2.0]))
    assert threshold == 6


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
