"""The rule, on results whose answer can be seen."""

import pytest

from pellucid.sweep.choosing import choose
from pellucid.sweep.grid import GridRun
from pellucid.sweep.results import RunResult


def results(
    scores: dict[float, tuple[float, ...]],
    reconstruction: dict[float, float] | None = None,
    active: int | dict[tuple[float, int], int] = 5,
) -> list[RunResult]:
    """Runs with these scores by value and seed; reconstruction worsens with the value unless given."""
    return [
        RunResult(
            run=GridRun("beta", value, seed),
            fingerprint="",
            steps=1,
            reconstruction=(reconstruction or {}).get(value, 10 * value) + seed / 10,
            kl=20 / value,
            active_latents=active if isinstance(active, int) else active.get((value, seed), 5),
            scores={"mig": score},
        )
        for value, group in scores.items()
        for seed, score in enumerate(group)
    ]


def test_the_highest_median_wins_and_of_its_seeds_the_best() -> None:
    choice = choose(results({1: (0.1, 0.11, 0.12), 4: (0.40, 0.42, 0.41), 8: (0.2, 0.21, 0.5)}), "mig")
    assert choice.run == GridRun("beta", 4, 1)
    assert choice.tied == (4,)
    assert "β = 4 has the highest median mig (0.41, against 0.21 for the next)" in choice.reason
    assert "1 has the highest mig (0.42)" in choice.reason


def test_the_spread_is_the_pooled_standard_deviation_over_seeds() -> None:
    # Variances .01 with 2 degrees of freedom and .02 with 1: (2 * .01 + .02) / 3.
    choice = choose(results({1: (0.1, 0.2, 0.3), 2: (0.5, 0.7)}), "mig")
    assert choice.spread == pytest.approx((0.04 / 3) ** 0.5)


def test_within_the_spread_of_seeds_the_better_picture_wins() -> None:
    scores = {1.0: (0.10, 0.20, 0.15), 2.0: (0.28, 0.33, 0.38), 4.0: (0.30, 0.35, 0.40)}
    choice = choose(results(scores), "mig", label="MIG")  # spread .05, medians .15, .33, .35
    assert choice.run == GridRun("beta", 2, 2)
    assert choice.tied == (2, 4)
    assert "β = 2 and 4 have median MIG within the seeds' spread (0.05) of the best" in choice.reason
    assert "β = 2 reconstructs best (20.1 nats an image)" in choice.reason
    turned = choose(results(scores, reconstruction={1: 90, 2: 80, 4: 70}), "mig")
    assert turned.run == GridRun("beta", 4, 2)


def test_a_median_just_beyond_the_spread_is_another() -> None:
    runs = results({2: (0.29, 0.29, 0.29), 4: (0.25, 0.35, 0.45)})  # pooled: sqrt(.01 / 2) = .0707
    assert choose(runs, "mig").tied == (2, 4)
    runs = results({2: (0.27, 0.27, 0.27), 4: (0.25, 0.35, 0.45)})
    assert choose(runs, "mig").tied == (4,)


def test_a_run_without_active_latents_never_wins() -> None:
    dead_seed = choose(results({1: (0.9, 0.8, 0.7)}, active={(1, 0): 0}), "mig")
    assert dead_seed.run == GridRun("beta", 1, 1)
    scores = {1.0: (0.3, 0.3), 8.0: (0.9, 0.9)}
    dead_value = choose(results(scores, active={(8, 0): 0, (8, 1): 0}), "mig")
    assert dead_value.run is not None
    assert dead_value.run.value == 1
    assert "no other has an active latent" in dead_value.reason
    nothing = choose(results(scores, active=0), "mig")
    assert nothing.run is None
    assert "No run has an active latent" in nothing.reason


def test_dead_seeds_count_against_their_value() -> None:
    scores = {1.0: (0.5, 0.5, 0.5), 8.0: (0.9, 0.0, 0.0)}
    choice = choose(results(scores, active={(8, 1): 0, (8, 2): 0}), "mig")
    assert choice.run is not None
    assert choice.run.value == 1


def test_one_seed_is_said_to_be_one() -> None:
    choice = choose(results({1: (0.1,), 2: (0.3,)}), "mig")
    assert choice.run == GridRun("beta", 2, 0)
    assert choice.spread is None
    assert "may be chance" in choice.reason
    assert "the only one tried" in choose(results({1: (0.1, 0.2)}), "mig").reason


def test_equal_scores_are_settled_by_the_picture() -> None:
    choice = choose(results({1: (0.3, 0.3), 2: (0.3, 0.3)}), "mig")
    assert choice.run == GridRun("beta", 1, 0)
