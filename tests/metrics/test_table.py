"""The table of all scores: its intervals, what each metric is given, and what is refused."""

import numpy as np
import pytest

from pellucid.errors import ConfigError, DataError
from pellucid.metrics.dci import dci
from pellucid.metrics.infomec import infomec
from pellucid.metrics.mig import mig
from pellucid.metrics.modularity import modularity
from pellucid.metrics.sap import sap
from pellucid.metrics.table import METRICS, Sample, Score, evaluate, unusable

NAMES = ("shape", "scale", "position")
INSTANT = ("mig", "sap", "modularity")


def draw(rng: np.random.Generator, images: int) -> tuple[np.ndarray, np.ndarray]:
    """Codes that follow three factors more or less."""
    factors = rng.integers(0, [3, 6, 32], (images, 3)).astype(np.float64)
    mixing = np.array([[2.0, 0.0, 0.0, 1.0], [0.0, 1.0, 0.0, 0.3], [0.0, 0.0, 0.2, 0.1]])
    return factors @ mixing + 0.5 * rng.standard_normal((images, 4)), factors


def by_name(scores: tuple[Score, ...]) -> dict[str, Score]:
    return {score.name: score for score in scores}


def test_every_metric_is_there_once_with_the_score_of_its_own_function(rng: np.random.Generator) -> None:
    codes, factors = draw(rng, 400)
    scores = evaluate(codes, factors, NAMES, log_variances=np.full(codes.shape, -2.0), resamples=4)
    assert [score.name for score in scores] == [name for metric in METRICS.values() for name in metric.names]
    found = by_name(scores)
    assert found["MIG (Locatello)"].value == mig(codes, factors).score
    assert found["MIG (Locatello)"].per_factor == tuple(mig(codes, factors).gaps)
    assert found["SAP"].value == sap(codes, factors).score
    assert found["modularity"].value == modularity(codes, factors).score
    assert found["modularity"].per_factor is None
    trees = dci(codes, factors, generator=np.random.default_rng([0, list(METRICS).index("dci")]))
    assert found["DCI disentanglement"].value == trees.disentanglement
    assert found["DCI completeness"].per_factor == tuple(trees.completeness_per_factor)
    assert found["DCI informativeness"].per_factor == tuple(trees.informativeness_per_factor)
    ours = infomec(codes, factors, generator=np.random.default_rng([0, list(METRICS).index("infomec")]))
    assert found["InfoM modularity"].value == ours.modularity
    assert found["InfoC compactness"].value == ours.compactness
    assert found["InfoE explicitness"].value == ours.explicitness
    for score in scores:
        assert 0 <= score.low <= score.value <= score.high <= 1
        if score.per_factor is not None:
            assert np.mean(score.per_factor) == pytest.approx(score.value, abs=0.01)


def test_the_factors_score_near_the_ceilings_noise_near_chance_and_a_rotation_between(
    grid: np.ndarray, identity: np.ndarray, rotated: np.ndarray, noise: np.ndarray
) -> None:
    rows = np.random.default_rng(0).permutation(len(grid))[:2000]

    def measured(codes: np.ndarray) -> dict[str, float]:
        logs = np.full(codes[rows].shape, -7.0)
        chance = np.random.default_rng(0)
        sample = Sample(codes[rows], grid[rows], (True, False, False, False), logs, chance)
        return {
            name: value
            for metric in METRICS.values()
            for name, (value, _) in zip(metric.names, metric.measure(sample), strict=True)
        }

    ceilings = {
        "MIG (Locatello)": 0.91,
        "MIG (Chen)": 0.93,
        "SAP": 0.91,
        "DCI disentanglement": 1.0,
        "DCI completeness": 1.0,
        "DCI informativeness": 0.98,
        "FactorVAE score": 1.0,
        "beta-VAE score": 1.0,
        "modularity": 1.0,
        "explicitness": 0.79,
        "InfoM modularity": 1.0,
        "InfoC compactness": 1.0,
        "InfoE explicitness": 1.0,
    }
    assert measured(identity) == pytest.approx(ceilings, abs=0.05)
    chance = dict.fromkeys(ceilings, 0.0) | {
        "FactorVAE score": 0.25,
        "beta-VAE score": 0.25,
        "modularity": 0.77,
        "explicitness": 0.5,
    }
    assert measured(noise) == pytest.approx(chance, abs=0.06)
    # Two latents share two of four factors: no gap is left; concentration is 1 - log 2 / log 4 = 1/2 for DCI
    # and (1/2 - 1/4) / (1 - 1/4) = 1/3 for InfoMEC; a vote gets one of two right; lines still find it all.
    between = {
        "MIG (Locatello)": 0.0,
        "MIG (Chen)": 0.0,
        "SAP": 0.0,
        "DCI disentanglement": 0.5,
        "DCI completeness": 0.5,
        "DCI informativeness": 0.97,
        "FactorVAE score": 0.5,
        "beta-VAE score": 0.56,
        "modularity": 0.8,
        "explicitness": 0.78,
        "InfoM modularity": 1 / 3,
        "InfoC compactness": 1 / 3,
        "InfoE explicitness": 1.0,
    }
    assert measured(rotated) == pytest.approx(between, abs=0.05)


def test_intervals_are_as_wide_as_scores_of_other_images_differ(rng: np.random.Generator) -> None:
    others = {name: [] for name in ("MIG (Locatello)", "SAP", "modularity")}
    for _ in range(100):
        codes, factors = draw(rng, 1000)
        others["MIG (Locatello)"].append(mig(codes, factors).score)
        others["SAP"].append(sap(codes, factors).score)
        others["modularity"].append(modularity(codes, factors).score)
    widths = {name: [] for name in others}
    for _ in range(8):
        for score in evaluate(*draw(rng, 1000), NAMES, metrics=INSTANT):
            widths[score.name].append((score.high - score.low) / 2)
    for name, values in others.items():
        assert np.mean(widths[name]) == pytest.approx(2.06 * np.std(values), rel=0.3)


def test_the_same_seed_gives_the_same_numbers_whichever_other_metrics_run(rng: np.random.Generator) -> None:
    codes, factors = draw(rng, 300)
    both = evaluate(codes, factors, NAMES, metrics=("sap", "factor_vae"), resamples=4)
    alone = evaluate(codes, factors, NAMES, metrics=("factor_vae",), resamples=4)
    other = evaluate(codes, factors, NAMES, metrics=("factor_vae",), resamples=4, seed=1)
    assert both[1:] == alone
    assert alone != other


def test_a_score_of_few_images_is_marked_where_their_number_moves_it(rng: np.random.Generator) -> None:
    cheap = ("mig", "modularity", "factor_vae")
    few = evaluate(*draw(rng, 300), NAMES, metrics=cheap, resamples=4)
    many = evaluate(*draw(rng, 10_000), NAMES, metrics=cheap, resamples=4)
    assert all(score.biased for score in few)
    assert {score.images for score in few} == {300}
    assert not any(score.biased for score in many)


def test_what_counts_as_steady_is_so_for_codes_that_tell_the_factors_half(rng: np.random.Generator) -> None:
    def mean_score(name: str, images: int, samples: int) -> float:
        values = []
        for _ in range(samples):
            factors = rng.integers(0, (3, 6, 40, 32, 32), (images, 5)).astype(np.float64)
            codes = np.concatenate([(factors - factors.mean(0)) / factors.std(0), np.zeros((images, 2))], 1)
            codes += rng.standard_normal(codes.shape)
            logs = np.zeros(codes.shape)
            sample = Sample(codes, factors, (True,) + 4 * (False,), logs, np.random.default_rng(0))
            values.append(METRICS[name].measure(sample)[0][0])
        return float(np.mean(values))

    moves = {
        name: mean_score(name, 3_000, 1) - mean_score(name, 300, 2) for name in ("factor_vae", "beta_vae")
    }
    assert moves["factor_vae"] > 0.1
    assert abs(moves["beta_vae"]) < 0.02
    assert {name for name, metric in METRICS.items() if metric.steady} == {"beta_vae"}


def test_fewer_images_lower_mig_and_no_interval_says_so(rng: np.random.Generator) -> None:
    few, many = (
        [evaluate(*draw(rng, images), NAMES, metrics=("mig",), resamples=8)[0] for _ in range(6)]
        for images in (300, 10_000)
    )
    assert np.mean([score.value for score in few]) < np.mean([score.value for score in many]) - 0.05
    assert np.mean([score.high for score in few]) < np.mean([score.value for score in many])


def test_what_cannot_be_said_is_left_out(rng: np.random.Generator) -> None:
    codes, factors = draw(rng, 300)
    assert "MIG (Chen)" not in by_name(
        evaluate(codes, factors, NAMES, metrics=("mig", "mig_chen"), resamples=4)
    )
    alone = evaluate(codes, factors[:, :1], NAMES[:1], resamples=4)
    assert [score.name for score in alone] == ["MIG (Locatello)", "SAP", "explicitness"]


def test_progress_ends_at_all_that_there_was_to_do(rng: np.random.Generator) -> None:
    steps: list[tuple[int, int]] = []
    evaluate(*draw(rng, 200), NAMES, metrics=INSTANT, resamples=6, progress=lambda *step: steps.append(step))
    assert steps == [(done, 21) for done in range(1, 22)]


def test_factors_that_cannot_be_scored_are_named_with_the_reason(rng: np.random.Generator) -> None:
    fine = rng.integers(0, 2, 1000).astype(np.float64)
    rare = (np.arange(1000) < 39).astype(np.float64)
    enough = (np.arange(1000) < 40).astype(np.float64)
    partly = np.where(np.arange(1000) < 7, np.nan, fine)
    columns = np.stack([fine, np.ones(1000), rare, enough, partly], axis=1)
    assert unusable(columns) == (
        None,
        "the same in all images",
        "the same in all images but 39; 40 are needed",
        None,
        "unknown for 7 of 1,000 images",
    )
    with pytest.raises(
        DataError, match=r"hat: .* the same in all images but 39; 40 are needed\. Leave it out"
    ):
        evaluate(np.ones((1000, 2)), columns[:, [0, 2]], ["smile", "hat"])


def test_settings_out_of_range_are_refused(rng: np.random.Generator) -> None:
    codes, factors = draw(rng, 300)
    with pytest.raises(ConfigError, match="each of 3 factors, got 2"):
        evaluate(codes, factors, NAMES[:2])
    with pytest.raises(ConfigError, match="resamples"):
        evaluate(codes, factors, NAMES, resamples=3)
    with pytest.raises(ConfigError, match="'irs'"):
        evaluate(codes, factors, NAMES, metrics=("irs",))
    with pytest.raises(DataError, match="at least 200 images"):
        evaluate(codes[:199], factors[:199], NAMES)
