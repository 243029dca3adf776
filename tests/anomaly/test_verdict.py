"""Reasons in plain words, written down for verdicts made by hand."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.anomaly.verdict import Contribution, Verdict, percent


def part(column: str, value: float, quantile: float, contribution: float, label: str = "") -> Contribution:
    return Contribution(column, label or column, value, 0.0, quantile, contribution)


def judged(
    *parts: Contribution,
    verdict: str = "anomalous",
    probability: float | None = 0.03,
    threshold_probability: float = 0.5,
    rule: str = "f1",
    p_value: float = 0.004,
    known: bool = False,
    cautions: tuple[str, ...] = (),
) -> Verdict:
    return Verdict(
        name="x",
        verdict=verdict,  # type: ignore[arg-type]
        score=1.0 + sum(p.contribution for p in parts),
        threshold=0.0,
        rule=rule if probability is not None else "false-alarm=0.05",
        probability=probability,
        threshold_probability=None if probability is None else threshold_probability,
        p_value=p_value,
        min_p_value=0.001,
        known=known,
        cautions=cautions,
        base=1.0,
        contributions=parts,
    )


def test_an_anomaly_is_told_by_its_largest_reasons() -> None:
    told = judged(
        part("ssim", 0.62, 1.0, -5.0, "SSIM distance"),
        part("z17", -3.2, 0.002, -2.0, "z17 sunglasses"),
        part("z3", 0.1, 0.5, -0.1),
    )
    assert told.sentence == (
        "Anomalous (probability of being normal 3 %): the reconstruction is poor (SSIM distance 0.62, higher "
        "than in all normal images) and z17 sunglasses is -3.2 (lower than in 99.8 % of normal images)."
    )


def test_losses_that_pull_against_each_other_are_one_reason() -> None:
    told = judged(part("mse", 0.05, 0.99, -9.0), part("mae", 0.2, 0.99, 8.0), part("z1", 2.0, 0.99, -3.0))
    assert told.reconstruction_part == -1.0
    assert told.sentence.index("z1 is 2") < told.sentence.index("the reconstruction is poor (mse")


def test_a_normal_image_is_told_by_its_reconstruction_and_its_oddest_latent() -> None:
    told = judged(
        part("ssim", 0.3, 0.4, 0.5, "SSIM distance"),
        part("z2", 3.0, 0.995, -1.0),
        verdict="normal",
        probability=0.9995,
    )
    assert told.sentence == (
        "Normal (probability of being normal over 99.9 %): the reconstruction is as usual (SSIM distance "
        "0.3, usual); least like the others, z2 is 3 (higher than in 99.5 % of normal images)."
    )


def test_what_speaks_in_favour_of_an_anomaly_is_said_when_it_weighs() -> None:
    told = judged(part("z1", 2.0, 0.99, -3.0), part("z2", 0.0, 0.5, 2.0))
    assert told.sentence.endswith("; in its favour, z2 is 0 (usual).")
    assert "in its favour" not in judged(part("z1", 2.0, 0.99, -3.0), part("z2", 0.0, 0.5, 1.0)).sentence


def test_a_plain_image_is_judged_by_what_is_expected_of_a_plain_image() -> None:
    told = judged(
        part("ssim", 0.25, 0.03, 3.8, "SSIM distance"), part("gradient", 0.0026, 0.0, -7.0, "busyness")
    )
    assert told.sentence == (
        "Anomalous (probability of being normal 3 %): for so plain an image (busyness 0.0026, lower "
        "than in all normal images) the reconstruction is poor (SSIM distance 0.25)."
    )


def test_without_probability_the_p_value_stands_in_its_place() -> None:
    told = judged(part("ssim", 0.6, 1.0, -5.0), probability=None)
    assert told.sentence.startswith("Anomalous (p-value 0.004)")


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0.0 %"),
        (0.0004, "under 0.1 %"),
        (0.004, "0.4 %"),
        (0.5, "50 %"),
        (0.998, "99.8 %"),
        (0.99951, "over 99.9 %"),
        (1.0, "100.0 %"),
    ],
)
def test_a_share_is_never_rounded_to_certainty(share: float, text: str) -> None:
    assert percent(share) == text


def test_the_record_holds_every_number() -> None:
    told = judged(part("ssim", 0.6, 1.0, -5.0))
    record = replace(told, name="a.jpg").record()
    assert record["image"] == "a.jpg"
    assert record["contributions"][0]["contribution"] == -5.0
    assert record["base"] + sum(p["contribution"] for p in record["contributions"]) == record["score"]


def test_the_three_strongest_reasons_stand_on_either_side_in_the_sentences_own_words() -> None:
    told = judged(
        part("ssim", 0.62, 1.0, -5.0, "SSIM distance"),
        part("z17", -3.2, 0.002, -2.0, "z17 sunglasses"),
        part("z2", 0.0, 0.5, 3.0),
        part("z3", 0.1, 0.5, -1.5),
    )
    assert [reason.contribution for reason in told.reasons] == [-5.0, 3.0, -2.0]
    assert [reason.text for reason in told.reasons] == [
        "the reconstruction is poor (SSIM distance 0.62, higher than in all normal images)",
        "z2 is 0 (usual)",
        "z17 sunglasses is -3.2 (lower than in 99.8 % of normal images)",
    ]
    assert all(reason.text in told.sentence for reason in told.reasons)
    one = judged(part("z1", 2.0, 0.99, -3.0), part("z2", 0.0, 0.5, 0.29), part("z3", 0.0, 0.5, -0.4))
    assert [reason.contribution for reason in one.reasons] == [-3.0, -0.4]


@pytest.mark.parametrize(
    ("rule", "what_for"),
    [
        ("f1", "for the best F1"),
        ("recall=0.95", "so that at least 95 % of anomalies are found"),
        ("false-alarm=0.01", "so that at most 1 % of normal images are"),
    ],
)
def test_a_verdict_that_its_probability_seems_to_deny_says_what_the_threshold_is_for(
    rule: str, what_for: str
) -> None:
    told = judged(rule=rule, probability=0.54, threshold_probability=0.8)
    assert told.sentence == (
        f"Anomalous (probability of being normal 54 %; below 80 % is called anomalous, {what_for})."
    )
    assert not told.borderline
    other = judged(rule=rule, probability=0.2, threshold_probability=0.05, verdict="normal")
    assert f"(probability of being normal 20 %; below 5 % is called anomalous, {what_for})" in other.sentence


@pytest.mark.parametrize(
    ("here", "there", "near"),
    [
        (0.54, 0.57, True),
        (0.5, 0.66, True),
        (0.5, 0.67, False),
        (0.01, 0.019, True),
        (0.01, 0.03, False),
        (1.0, 1.0, False),
    ],
)
def test_half_or_twice_the_thresholds_odds_are_borderline(here: float, there: float, near: bool) -> None:
    told = judged(probability=here, threshold_probability=there)
    assert told.borderline == told.record()["borderline"] == near
    assert ("Anomalous, borderline (" in told.sentence) == near


def test_without_probability_the_p_value_is_near_the_rate_or_not() -> None:
    near = judged(probability=None, p_value=0.04)
    assert near.sentence == (
        "Anomalous, borderline (p-value 0.04; up to 0.05 is called anomalous, so that at most 5 % of normal "
        "images are)."
    )
    assert not judged(probability=None, p_value=0.02).borderline
    assert judged(probability=None, p_value=0.08, verdict="normal").borderline
    assert "(p-value 0.001, the smallest possible)" in judged(probability=None, p_value=0.001).sentence


def test_what_makes_a_verdict_doubtful_is_said_in_it() -> None:
    told = judged(cautions=("only 1 of 10 latents is active", "a PCA does as well"), known=True)
    assert told.sentence.endswith(
        ". The detector was fitted with this very image. Caution: only 1 of 10 latents is active; a PCA does "
        "as well."
    )
    assert told.record()["cautions"] == list(told.cautions)


@given(
    quantiles=st.lists(
        st.sampled_from([0.0, 0.02, 0.3, 0.7, 0.97, 0.985, 0.995, 1.0]), min_size=6, max_size=6
    ),
    contributions=st.lists(st.floats(-4, 4), min_size=6, max_size=6),
    probability=st.sampled_from([None, 0.03, 0.9]),
)
def test_whatever_the_texture_no_reconstruction_is_good_beside_a_loss_above_99_percent(
    quantiles: list[float], contributions: list[float], probability: float | None
) -> None:
    columns = ("mse", "ssim", "cross_entropy", "contrast", "gradient", "entropy")
    rows = zip(columns, quantiles, contributions, strict=True)
    parts = [part(column, 0.1, quantile, added) for column, quantile, added in rows]
    said = judged(*parts, verdict="normal", probability=probability).sentence
    assert "good (" not in said or max(quantiles[:3]) <= 0.99


def test_for_so_plain_an_image_a_reconstruction_is_uneven_too() -> None:
    plain, good = part("gradient", 0.01, 0.01, 4.0, "busyness"), part("mse", 0.1, 0.5, -0.1)
    bad = part("ssim", 0.9, 0.999, -1.0, "SSIM distance")
    assert judged(plain, good).reasons[0].text.startswith("for so plain an image (busyness 0.01, lower than")
    assert "the reconstruction is good (mse 0.1)" in judged(plain, good).reasons[0].text
    beside = judged(plain, good, bad).reasons[0].text
    assert beside.endswith("is uneven (SSIM distance 0.9, higher than in 99.9 % of normal images)")


def test_no_reconstruction_is_called_good_beside_a_loss_above_99_percent() -> None:
    fine = part("ssim", 0.01, 0.01, 3.0, "SSIM distance")
    assert "the reconstruction is good (SSIM" in judged(fine, part("mse", 0.1, 0.98, -1.0)).reasons[0].text
    told = judged(fine, part("mse", 0.1, 0.995, -1.0, "squared error"), verdict="normal", probability=0.9)
    assert told.sentence == (
        "Normal (probability of being normal 90 %): the reconstruction is uneven (SSIM distance 0.01, lower "
        "than in 99 % of normal images, but squared error 0.1, higher than in 99.5 % of normal images)."
    )


def test_with_normal_images_alone_small_losses_are_never_a_poor_reconstruction() -> None:
    low = [part(column, 0.01, 0.02, -2.0) for column in ("mse", "mae", "ssim")]
    assert "the reconstruction is unusually good (mse" in judged(*low, probability=None).sentence
    middling = [part(column, 0.01, 0.4, -2.0) for column in ("mse", "mae", "ssim")]
    told = judged(*middling, probability=None).sentence
    assert "the reconstruction is unusual, though no loss is by itself (mse 0.01, usual)" in told
    other = [*middling, part("cosine", 0.01, 0.99, -1.0)]
    assert "the reconstruction is unusual (mse 0.01, usual)" in judged(*other, probability=None).sentence
    assert "the reconstruction is unusual, though no loss is by itself" in judged(*middling).sentence
    plain = judged(*middling, part("gradient", 0.0, 0.0, -4.0, "busyness"), probability=None).sentence
    assert (
        "for so plain an image (busyness 0, lower than in all normal images) the reconstruction is unusual"
        in plain
    )
    high = judged(part("mse", 0.9, 1.0, -9.0), part("ssim", 0.1, 0.2, -1.0), probability=None).sentence
    assert "the reconstruction is poor (mse 0.9, higher than in all normal images)" in high


def test_no_value_is_minus_zero() -> None:
    assert "z1 is 0 (usual)" in judged(part("z1", -0.0, 0.5, -3.0)).sentence
