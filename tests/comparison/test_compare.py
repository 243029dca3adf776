"""Comparisons by a model whose codes are known, so that every number is."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from bands import DEVIATION, DOUBT, picture

from pellucid.comparison.compare import Comparison, compare, in_words, population_deviation
from pellucid.comparison.same import ErrorRates, SameModel
from pellucid.errors import ImageError, LatentError
from pellucid.latents.names import LatentRecord, LatentTable, mark
from pellucid.model.predictor import Model

A, B = (0.5, -1.0, 0.0, 0.0), (0.2, 1.0, 0.8, 3.0)


@pytest.fixture
def compared(model: Model, table: LatentTable) -> Comparison:
    return compare(model, picture(*A), picture(*B), table=table)


def constant(log_odds: float) -> SameModel:
    """Says the same of every pair."""
    nothing = np.zeros((2, 2))
    rates = ErrorRates(0.5, 0.4, 0.6, 0.5, 0.4, 0.6, 0.01, 0.0, 0.1, 1, 1, 1)
    return SameModel((0, 2), (1,), np.zeros((2, 1)), nothing, np.zeros(2), log_odds, rates)


def test_the_three_scales_are_what_they_say(compared: Comparison) -> None:
    for d in compared.differences:
        raw = B[d.latent] - A[d.latent]
        assert d.a == pytest.approx(A[d.latent], abs=1e-4)
        assert d.b == pytest.approx(B[d.latent], abs=1e-4)
        assert d.raw == pytest.approx(raw, abs=1e-4)
        assert d.posterior == pytest.approx(raw / (DOUBT * 2**0.5), rel=1e-3)
        assert d.population == pytest.approx(raw / DEVIATION[d.latent], abs=1e-4)


def test_differences_are_ranked_by_population_and_inactive_latents_have_none(compared: Comparison) -> None:
    assert [d.label for d in compared.differences] == ["z1 sunglasses", "z0 face width", "z2 skin tone"]
    assert [d.latent for d in compared.ranked("raw")] == [1, 2, 0]
    assert [d.latent for d in compared.ranked("posterior")] == [1, 2, 0]


def test_the_share_of_nuisances_is_of_squares(compared: Comparison) -> None:
    assert compared.share_nuisance == pytest.approx(4 / (4 + 0.6**2 + 0.4**2), abs=1e-4)


def test_the_counterfactual_takes_one_latent_from_b_and_the_rest_from_a(
    model: Model, table: LatentTable, compared: Comparison
) -> None:
    assert compared.swapped == 1
    assert compared.words == "sunglasses (z1)"
    torch.testing.assert_close(compared.counterfactual, picture(A[0], B[1], A[2], A[3]), atol=1e-5, rtol=0)
    torch.testing.assert_close(compared.reconstruction_b, compared.image_b, atol=1e-5, rtol=0)
    other = compare(model, picture(*A), picture(*B), swap=2, table=table)
    torch.testing.assert_close(other.counterfactual, picture(A[0], A[1], B[2], A[3]), atol=1e-5, rtol=0)


SENTENCES = {
    "Alike: no latent differs notably.": (0.5, -1.0, 0.0, 0.0),
    "Alike but for: sunglasses (z1).": (0.5, 1.0, 0.0, 0.0),
    "Different in: face width (z0).": (1.5, -1.0, 0.0, 0.0),
    "Different in: skin tone (z2), face width (z0).": (1.1, -1.0, 4.0, 0.0),
    "Different in: face width (z0); also in nuisances: sunglasses (z1).": (1.5, 1.0, 0.0, 0.0),
}


@pytest.mark.parametrize(("sentence", "b"), SENTENCES.items(), ids=SENTENCES)
def test_the_sentence_names_what_differs(
    model: Model, table: LatentTable, sentence: str, b: tuple[float, ...]
) -> None:
    assert compare(model, picture(*A), picture(*b), table=table).sentence == sentence


def test_without_marks_all_is_identity(model: Model, table: LatentTable) -> None:
    plain = mark(table, 1, nuisance=False)
    compared = compare(model, picture(*A), picture(0.5, 1.0, 0.0, 0.0), table=plain)
    assert compared.sentence == "Different in: sunglasses (z1)."
    assert compared.share_nuisance == 0


def test_a_difference_that_the_encoder_doubts_is_not_notable(model: Model, table: LatentTable) -> None:
    # z0's population deviation is small, so 0.06 apart would count, were it not within the doubt
    sharp = LatentTable((replace(table.records[0], variance=1e-4), *table.records[1:]))
    compared = compare(model, picture(*A), picture(0.56, -1.0, 0.0, 0.0), table=sharp)
    assert compared.differences[0].population == pytest.approx(6, rel=1e-2)
    assert compared.sentence == "Alike: no latent differs notably."


def test_known_pairs_add_a_probability_and_keep_strangers_from_being_alike(
    model: Model, table: LatentTable
) -> None:
    worn = picture(0.5, 1.0, 0.0, 0.0)
    sure = compare(model, picture(*A), worn, same=constant(np.log(9)), table=table)
    assert sure.same_probability == pytest.approx(0.9)
    assert sure.sentence == (
        "Alike but for: sunglasses (z1). The same identity with probability 0.90, from even odds."
    )
    doubted = compare(model, picture(*A), worn, same=constant(-np.log(9)), table=table)
    assert doubted.sentence.startswith(
        "No latent of identity differs notably by itself. Nuisances that do: sunglasses (z1)."
    )


def test_a_probability_is_never_said_to_be_certain() -> None:
    assert [in_words(p) for p in (0.0, 0.5, 1.0)] == ["below 0.01", "0.50", "above 0.99"]


def test_a_model_of_a_few_steps_says_so_in_every_comparison(model: Model, table: LatentTable) -> None:
    config = replace(model.config, training={"images_seen": 2_944, "steps_taken": 46})
    young = Model(model.vae, config, fingerprint=model.fingerprint)
    compared = compare(young, picture(*A), picture(*A), table=table)
    doubt = "the model has been trained on only 2,944 images in 46 steps"
    assert compared.sentence == f"Alike: no latent differs notably. Caution: {doubt}."
    assert compared.record()["cautions"] == [doubt]


def test_the_same_picture_twice_differs_in_nothing(model: Model, table: LatentTable) -> None:
    compared = compare(model, picture(*A), picture(*A), table=table)
    assert {d.raw for d in compared.differences} == {0.0}
    assert compared.share_nuisance is None


def test_the_record_is_json_and_says_the_same(compared: Comparison) -> None:
    record = compared.record()
    assert record["differences"][0]["latent"] == "z1"
    assert record["differences"][0]["notable"] is True
    assert record["counterfactual"] == "z1"
    assert record["same_probability"] is None


def test_what_cannot_be_compared_is_refused(model: Model, table: LatentTable) -> None:
    with pytest.raises(LatentError, match="z3. Active: z0"):
        compare(model, picture(*A), picture(*B), swap=3, table=table)
    with pytest.raises(ImageError, match="B: expected one picture to compare, got 2"):
        compare(model, picture(*A), torch.cat([picture(*A), picture(*B)]), table=table)
    with pytest.raises(LatentError, match="pellucid latents RUN"):
        population_deviation(LatentTable(tuple(LatentRecord(j) for j in range(4))))
    silent = LatentTable(tuple(replace(record, active=False) for record in table.records))
    with pytest.raises(LatentError, match="active latent to compare by, got none"):
        population_deviation(silent)
