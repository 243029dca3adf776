"""Reasons in plain words, written down for verdicts made by hand."""

from dataclasses import replace

import pytest

from pellucid.anomaly.verdict import Contribution, Verdict, percent


def part(column: str, value: float, quantile: float, contribution: float, label: str = "") -> Contribution:
    return Contribution(column, label or column, value, 0.0, quantile, contribution)


def judged(*parts: Contribution, verdict: str = "anomalous", probability: float | None = 0.03) -> Verdict:
    return Verdict(
        name="x",
        verdict=verdict,  # type: ignore[arg-type]
        score=1.0 + sum(p.contribution for p in parts),
        threshold=0.0,
        probability=probability,
        p_value=0.004,
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
