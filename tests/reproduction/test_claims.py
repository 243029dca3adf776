import numpy as np
import pytest

from pellucid.reproduction.claims import (
    Claim,
    Interval,
    beats_pca,
    disentangled,
    keeps_up,
    largest_coefficients,
    latents_help,
    losses_follow_texture,
    near_perfect,
    one_latent_dominates,
    part_of_the_latents,
    ssim_beats_cosine,
)

LOSSES = ("mse", "mae", "cosine", "ssim", "cross_entropy", "color_cross_entropy")
COUNTS = (1000, 1000)


def precision(normal: float, anomalous: float, spread: float = 0.0) -> np.ndarray:
    """Average precisions [2 split] of 21 splits, evenly spread."""
    return np.array([[normal], [anomalous]]) + spread * np.linspace(-1, 1, 21)


@pytest.mark.parametrize(
    ("vae", "tcvae", "verdict"),
    [
        (Interval(0.04, 0.03, 0.05), Interval(0.44, 0.43, 0.45), "held"),
        (Interval(0.44, 0.43, 0.45), Interval(0.04, 0.03, 0.05), "did not hold"),
        (Interval(0.10, 0.05, 0.15), Interval(0.17, 0.14, 0.20), "cannot be said"),
    ],
)
def test_sprites_are_apart_where_the_intervals_are(vae: Interval, tcvae: Interval, verdict: str) -> None:
    claim = disentangled(vae, tcvae)
    assert claim.verdict == verdict
    assert f"{tcvae.value:.3f}" in claim.finding


def coefficients(mse: float, ssim: float, others: float) -> np.ndarray:
    """Ten splits with the same coefficients."""
    return np.tile([mse, others, others / 2, ssim, others / 3, others / 4], (10, 1))


def test_the_largest_coefficients_are_judged_by_size_not_by_sign() -> None:
    assert largest_coefficients(LOSSES, coefficients(-2.0, 1.5, 1.0)).verdict == "held"
    assert largest_coefficients(LOSSES, coefficients(-2.0, 0.5, 1.0)).verdict == "did not hold"


def test_coefficients_whose_means_and_splits_disagree_decide_nothing() -> None:
    mixed = coefficients(1.0, 1.0, 1.1)  # in six splits of ten MSE and SSIM are not both among the first two
    mixed[:4, [0, 3]] = 5.0
    claim = largest_coefficients(LOSSES, mixed)
    assert claim.verdict == "cannot be said"
    assert "40%" in claim.finding


@pytest.mark.parametrize(
    ("mse", "verdict"),
    [
        ((0.6, 0.7), "held"),
        ((0.6, 0.2), "did not hold"),
        ((0.6, 0.4), "cannot be said"),
        ((np.nan, 0.9), "cannot be said"),
    ],
)
def test_texture_is_followed_in_both_classes_or_not(mse: tuple[float, float], verdict: str) -> None:
    correlations = dict.fromkeys(LOSSES, (0.0, -0.25)) | {"mse": mse}
    claim = losses_follow_texture(correlations)
    assert claim.verdict == verdict
    assert "−0.25" in claim.finding  # a real minus


@pytest.mark.parametrize("compare", [lambda a, b: ssim_beats_cosine(a, b, COUNTS), latents_help, beats_pca])
def test_one_is_ahead_where_it_is_on_the_same_splits(compare: object) -> None:
    assert callable(compare)
    # Bands that overlap widely, yet split by split the first is always ahead.
    assert compare(precision(0.95, 0.94, 0.03), precision(0.94, 0.93, 0.03)).verdict == "held"
    assert compare(precision(0.93, 0.92, 0.03), precision(0.94, 0.93, 0.03)).verdict == "did not hold"
    assert compare(precision(0.95, 0.94, 0.03), precision(0.94, 0.94, 0.0)).verdict == "cannot be said"


def test_a_gain_in_one_direction_may_be_lost_in_the_other() -> None:
    assert latents_help(precision(0.99, 0.80), precision(0.98, 0.85)).verdict == "did not hold"


def test_near_perfect_says_as_many_only_where_it_is() -> None:
    assert "as many" in near_perfect(precision(0.99, 0.99), (1000, 1000)).statement
    assert "as many" not in near_perfect(precision(0.99, 0.99), (1000, 700)).statement


@pytest.mark.parametrize(
    "claim",
    [
        ssim_beats_cosine(precision(0.9, 0.9), precision(0.8, 0.8), COUNTS),
        beats_pca(precision(0.9, 0.9), precision(0.8, 0.8)),
    ],
)
def test_rules_on_one_training_say_so(claim: Claim) -> None:
    assert "one training" in claim.rule


def test_near_perfect_asks_for_both_directions() -> None:
    assert near_perfect(precision(0.995, 0.991), COUNTS).verdict == "held"
    assert near_perfect(precision(0.999, 0.95, 0.01), COUNTS).verdict == "did not hold"
    assert near_perfect(precision(0.999, 0.985, 0.01), COUNTS).verdict == "cannot be said"


@pytest.mark.parametrize(
    ("found", "part", "explained", "latent", "verdict"),
    [
        (190, 0.9, 0.8, "z17 sunglasses", "held"),
        (190, 0.9, 0.05, "z3", "did not hold"),  # the only active latent, of something else
        (90, 0.3, 0.8, "z17", "did not hold"),
        (150, 0.6, 0.8, "z17", "cannot be said"),
        (190, 0.4, 0.8, "z17", "cannot be said"),
        (0, 0.0, 0.0, None, "cannot be said"),
    ],
)
def test_a_latent_dominates_often_and_by_much_and_stands_for_sunglasses(
    found: int, part: float, explained: float, latent: str | None, verdict: str
) -> None:
    assert one_latent_dominates(found, 200, part, explained, latent).verdict == verdict


def test_as_many_latents_as_in_the_paper_are_at_most_half() -> None:
    assert part_of_the_latents(14, 32).verdict == "held"
    assert part_of_the_latents(17, 32).verdict == "did not hold"
    assert part_of_the_latents(0, 32).verdict == "cannot be said"


def test_only_what_the_paper_says_is_called_its_claim() -> None:
    ours: Claim = beats_pca(precision(0.9, 0.9), precision(0.8, 0.8))
    assert not ours.from_paper
    assert part_of_the_latents(14, 32).from_paper


@pytest.mark.parametrize(("milliseconds", "verdict"), [(12.0, "held"), (33.4, "did not hold")])
def test_a_model_keeps_up_with_thirty_frames_a_second_or_not(milliseconds: float, verdict: str) -> None:
    claim = keeps_up(milliseconds)
    assert claim.verdict == verdict
    assert f"{milliseconds} ms" in claim.finding
    assert not claim.from_paper
