"""Sameness learned from codes whose covariances are known, so that the best possible answer is."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Float64, Int
from scipy.special import expit
from scipy.stats import binomtest, multivariate_normal
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

from pellucid.comparison.same import SameModel, error_rates, fit_same, identities_of
from pellucid.errors import ConfigError, DataError
from pellucid.latents.names import LatentTable, mark

Drawn = tuple[Float64[np.ndarray, "image latent"], Int[np.ndarray, " image"]]


def draw(identities: int, each: int = 2, *, seed: int = 0, leak: float = 0.8) -> Drawn:
    """z0 and z2 are of the identity, z1 changes with each picture and leaks into z0; z3 is noise."""
    chance = np.random.default_rng(seed)
    who = np.repeat(np.arange(identities), each)
    codes = 0.5 * chance.standard_normal((len(who), 4))
    codes[:, 1] = chance.standard_normal(len(who))
    codes[:, 0] += chance.standard_normal(identities)[who] + leak * codes[:, 1]
    codes[:, 2] += chance.standard_normal(identities)[who]
    return codes, who


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    return draw(3000)


@pytest.fixture
def fitted(drawn: Drawn, table: LatentTable) -> SameModel:
    return fit_same(*drawn, table)


def fresh_pairs(seed: int = 1, identities: int = 4000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes of pairs, and whether each is of one identity; half of them are."""
    codes, _ = draw(identities, seed=seed)
    a, b = codes[::2], codes[1::2].copy()
    half = identities // 2
    b[half:] = np.roll(b[half:], 1, axis=0)
    return a, b, np.arange(identities) < half


def test_the_log_odds_are_those_of_the_true_densities(fitted: SameModel) -> None:
    # With z1's leak taken off, z0 and z2 are independent: noise of variance 1/4 on an identity of variance 1.
    a, b, _ = fresh_pairs()
    d = (b - a)[:, [0, 2]]
    d[:, 0] -= 0.8 * (b - a)[:, 1]
    densities = [multivariate_normal(cov=2 * v * np.eye(2)).logpdf(d) for v in (0.25, 1.25)]
    truth = densities[0] - densities[1]
    assert np.corrcoef(truth, fitted.log_odds(a, b))[0, 1] > 0.995
    np.testing.assert_allclose(np.median(fitted.log_odds(a, b) - truth), 0, atol=0.15)


def test_the_leak_of_a_nuisance_is_taken_off(fitted: SameModel) -> None:
    assert fitted.latents == (0, 2)
    assert fitted.corrected_by == (1,)
    np.testing.assert_allclose(fitted.correction, [[0.8], [0.0]], atol=0.05)


def test_a_nuisance_by_itself_says_nothing(table: LatentTable) -> None:
    unleaking = fit_same(*draw(3000, leak=0.0), table)
    a, b = np.zeros((1, 4)), np.zeros((1, 4))
    b[0, 1] = 3.0
    assert abs(unleaking.log_odds(a, b) - unleaking.log_odds(a, a)) < 0.1


def test_probabilities_are_as_often_right_as_they_say(fitted: SameModel) -> None:
    a, b, same = fresh_pairs(identities=8000)
    said = fitted.probability(a, b)
    for low in (0.1, 0.3, 0.5, 0.7):
        part = (said >= low) & (said < low + 0.2)
        assert same[part].mean() == pytest.approx(said[part].mean(), abs=0.07)


def test_the_prior_shifts_the_log_odds(fitted: SameModel) -> None:
    a, b, _ = fresh_pairs(identities=10)
    even, rare = fitted.probability(a, b), fitted.probability(a, b, prior=0.01)
    np.testing.assert_allclose(rare / (1 - rare), even / (1 - even) / 99, rtol=1e-9)
    for prior in (0.0, 1.0, float("nan")):
        with pytest.raises(ConfigError, match="prior"):
            fitted.probability(a, b, prior=prior)


def test_error_rates_are_those_of_fresh_identities(fitted: SameModel) -> None:
    a, b, same = fresh_pairs()
    auc = roc_auc_score(same, fitted.log_odds(a, b))
    assert fitted.rates.auc == pytest.approx(auc, abs=0.02)
    assert fitted.rates.identities == 3000
    assert fitted.rates.same_pairs == 3000


def test_evidence_and_base_add_up_to_the_log_odds(fitted: SameModel) -> None:
    a, b, same = fresh_pairs()
    np.testing.assert_allclose(
        fitted.base + fitted.evidence(a, b).sum(axis=1), fitted.log_odds(a, b), rtol=1e-12
    )
    # by definition a latent says nothing of strangers on average
    np.testing.assert_allclose(fitted.evidence(a, b)[~same].mean(axis=0), 0, atol=0.25)


@given(st.integers(0, 1000))
def test_nothing_is_more_alike_than_a_picture_and_itself(seed: int) -> None:
    chance = np.random.default_rng(seed)
    root = chance.standard_normal((2, 2))
    model = SameModel((0, 2), (1,), chance.standard_normal((2, 1)), root @ root.T, np.ones(2), 0.0, RATES)
    a, b = 10 * chance.standard_normal((2, 20, 4))
    assert (model.log_odds(a, b) <= model.log_odds(a, a)).all()
    np.testing.assert_allclose(model.log_odds(a, b), model.log_odds(b, a), rtol=1e-9, atol=1e-9)
    order = np.argsort(model.distance(a, b))
    assert (np.diff(model.log_odds(a, b)[order]) <= 1e-9).all()


RATES = error_rates(np.array([1.0, 0.0]), np.array([True, False]), np.array([[0, 0], [0, 1]]))


def test_learning_from_all_latents_finds_out_which_are_nuisances(drawn: Drawn, table: LatentTable) -> None:
    by_all = fit_same(*drawn, table, ignore_nuisance=False)
    assert by_all.latents == (0, 1, 2)
    a, b, same = fresh_pairs()
    identity = fit_same(*drawn, table)
    assert roc_auc_score(same, by_all.log_odds(a, b)) == pytest.approx(
        roc_auc_score(same, identity.log_odds(a, b)), abs=0.01
    )


def test_codes_that_say_nothing_give_even_odds(table: LatentTable) -> None:
    chance = np.random.default_rng(0)
    model = fit_same(chance.standard_normal((2000, 4)), np.repeat(np.arange(1000), 2), table)
    said = model.probability(*chance.standard_normal((2, 500, 4)))
    assert np.abs(said - 0.5).max() < 0.2


def test_identities_with_many_pictures_and_with_one_are_understood(table: LatentTable) -> None:
    codes, who = draw(900, each=5)
    kept = np.random.default_rng(0).random(len(who)) < 0.6
    model = fit_same(codes[kept], who[kept], table)
    np.testing.assert_allclose(model.correction, [[0.8], [0.0]], atol=0.06)
    # W = 1/4, T = 5/4 of each: weights (4 - 4/5) / 4
    np.testing.assert_allclose(model.weights, 0.8 * np.eye(2), atol=0.2)


def test_few_identities_give_probabilities_that_are_not_too_sure(table: LatentTable) -> None:
    """Calibrated on a fifth of them, they were: a median slope of .67 and a mean log loss of .64."""
    a, b, same = fresh_pairs()
    slopes, losses = [], []
    for seed in range(12):
        odds = fit_same(*draw(24, seed=seed), table, seed=seed).log_odds(a, b)
        slopes.append(float(LogisticRegression(C=1e6).fit(odds[:, None], same).coef_[0, 0]))
        losses.append(log_loss(same, expit(odds)))
    assert 0.85 < np.median(slopes) < 1.2
    assert np.mean(losses) < 0.55


def test_identities_with_one_picture_are_strangers(table: LatentTable) -> None:
    codes, who = draw(60)
    alone, _ = draw(400, each=1, seed=5)
    model = fit_same(np.concatenate([codes, alone]), np.concatenate([who, 60 + np.arange(400)]), table)
    assert model.rates.same_pairs == 60
    assert 400 < model.rates.identities <= 460
    # They tell how far strangers are apart: all from one place, everybody is alike.
    near = fit_same(
        np.concatenate([codes, np.zeros((400, 4))]), np.concatenate([who, 60 + np.arange(400)]), table
    )
    assert near.rates.auc < model.rates.auc - 0.05


def test_the_intervals_are_those_of_the_bootstrap_over_identities() -> None:
    rng = np.random.default_rng(0)
    who = np.concatenate([np.repeat(np.arange(30)[:, None], 2, axis=1), rng.integers(0, 30, (300, 2))])
    same = who[:, 0] == who[:, 1]
    score = np.round(rng.standard_normal(len(who)) + 1.5 * same, 1)  # with ties
    rates = error_rates(score, same, who, seed=4)
    draws, aucs = np.random.Generator(np.random.PCG64(4)), [roc_auc_score(same, score)]
    for _ in range(400):
        people = draws.integers(30, size=30)
        times = np.array([(people == one).sum() for one in range(30)])
        weight = np.where(same, times[who[:, 0]], times[who[:, 0]] * times[who[:, 1]])
        aucs.append(roc_auc_score(same, score, sample_weight=weight))
    assert (rates.auc_low, rates.auc_high) == pytest.approx(tuple(np.quantile(aucs, [0.025, 0.975])))
    assert rates.equal_error_low < rates.equal_error < rates.equal_error_high
    assert rates.accepted_low <= rates.accepted <= rates.accepted_high


def test_more_pictures_of_the_same_people_do_not_make_an_interval_surer_than_more_people_do(
    table: LatentTable,
) -> None:
    many_pictures, many_people = (fit_same(*draw(*size), table).rates for size in ((30, 20), (1500, 2)))
    widths = [rates.auc_high - rates.auc_low for rates in (many_pictures, many_people)]
    assert many_pictures.same_pairs > 3 * many_people.same_pairs
    assert widths[0] > 3 * widths[1]


def test_no_mistake_among_few_identities_is_no_proof_that_there_is_none() -> None:
    alone = [[one, (one + 1) % 90] for one in range(10, 90)]  # 80 people of whom there is one picture
    strangers = [[one, (one + 1) % 10] for one in range(10)] + alone
    who = np.array([[one, one] for one in range(10)] + strangers)
    rates = error_rates(np.arange(100.0)[::-1], np.arange(100) < 10, who)
    wilson = proportion_ci(0, 10)
    assert wilson[0] == 0
    assert (rates.auc, rates.auc_high) == (rates.accepted, rates.accepted_high) == (1, 1)
    assert (rates.equal_error, rates.equal_error_low) == (0, 0)
    assert rates.equal_error_high == pytest.approx(wilson[1], rel=1e-4)
    assert (rates.auc_low, rates.accepted_low) == pytest.approx((1 - wilson[1],) * 2, rel=1e-4)


def test_all_pairs_accepted_is_no_proof_where_some_strangers_score_higher() -> None:
    score = np.concatenate([np.arange(10.0, 20), [30.0], np.arange(-199.0, 0)])
    who = np.array([[one % 10, one % 10 if one < 10 else (one + 1) % 10] for one in range(210)])
    rates = error_rates(score, np.arange(210) < 10, who)
    assert (rates.accepted, rates.accepted_high) == (1, 1)
    assert rates.auc < 1
    assert rates.accepted_low <= 1 - proportion_ci(0, 10)[1] + 1e-4


def proportion_ci(mistakes: int, count: int) -> tuple[float, float]:
    """Wilson's interval by scipy."""
    interval = binomtest(mistakes, count).proportion_ci(method="wilson")
    return interval.low, interval.high


def test_the_same_seed_gives_the_same_model(drawn: Drawn, table: LatentTable) -> None:
    first, second, other = (fit_same(*drawn, table, seed=seed) for seed in (3, 3, 4))
    assert (first.weights == second.weights).all()
    assert first.rates == second.rates
    assert first.rates != other.rates


def test_marks_that_have_changed_are_noticed(fitted: SameModel, drawn: Drawn, table: LatentTable) -> None:
    by_all = fit_same(*drawn, table, ignore_nuisance=False)
    changed = mark(table, 2, nuisance=True)
    assert fitted.fits(table)
    assert not fitted.fits(changed)
    assert not fitted.fits(table, ignore_nuisance=False)
    assert by_all.fits(table, ignore_nuisance=False)
    assert by_all.fits(changed, ignore_nuisance=False)  # marks do not matter to it
    assert not by_all.fits(table)
    silent = LatentTable((replace(table.records[0], active=False), *table.records[1:]))
    assert not by_all.fits(silent, ignore_nuisance=False)


def test_error_rates_of_scores_whose_errors_can_be_counted() -> None:
    # thresholds between 3 and 2: one of four strangers accepted, one of four pairs refused
    score = np.array([5.0, 4.0, 3.0, 1.0, 3.5, 2.0, 0.5, 0.0])
    same = np.arange(8) < 4
    who = np.array([[0, 0], [1, 1], [2, 2], [3, 3], [0, 1], [1, 2], [2, 3], [3, 0]])
    rates = error_rates(score, same, who)
    assert rates.auc == roc_auc_score(same, score)
    assert rates.equal_error == 0.25
    assert rates.accepted == 0.5
    assert (rates.identities, rates.same_pairs, rates.different_pairs) == (4, 4, 4)
    with pytest.raises(DataError, match="only one kind"):
        error_rates(score, np.ones(8, dtype=bool), who)


def test_too_little_to_learn_from_is_refused(table: LatentTable) -> None:
    with pytest.raises(DataError, match="20 identities or more with two pictures"):
        fit_same(*draw(19), table)
    codes, who = draw(100, each=1)
    with pytest.raises(DataError, match="got 0"):
        fit_same(codes, who, table)
    marked = mark(mark(table, 0, nuisance=True), 2, nuisance=True)
    with pytest.raises(ConfigError, match="--no-nuisance"):
        fit_same(*draw(100), marked)


def test_identities_are_sub_folders() -> None:
    assert identities_of(["ann/1.png", "bob/1.png", "ann/2.png"]).tolist() == [0, 1, 0]
    with pytest.raises(DataError, match=r"2\.png"):
        identities_of(["ann/1.png", "2.png"])
