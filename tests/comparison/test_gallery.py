"""Ranking by codes that are known."""

import numpy as np
import pytest
import torch
from bands import picture

from pellucid.comparison.gallery import Match, rank
from pellucid.comparison.same import ErrorRates, SameModel
from pellucid.errors import ConfigError, DataError
from pellucid.latents.activity import Codes
from pellucid.latents.names import LatentTable, mark
from pellucid.model.predictor import Model

WANTED = (0.5, -1.0, 0.0, 0.0)
CANDIDATES = np.array(
    [
        [0.0, -1.0, 0.0, 0.0],  # alike but for face width: 1 population deviation
        [0.5, 2.0, 0.0, 0.0],  # alike but for sunglasses: 3
        [0.5, -1.0, 4.0, 0.0],  # alike but for skin tone: 2
        [0.5, 2.0, 0.2, 3.0],  # nearly alike but for sunglasses, and z3 is inactive
    ],
    np.float32,
)
NAMES = ("width", "glasses", "tone", "both")


def ranked(model: Model, table: LatentTable, **options: object) -> tuple[Match, ...]:
    codes = Codes(CANDIDATES, np.zeros_like(CANDIDATES))
    return rank(model, table, picture(*WANTED), codes, NAMES, **options)  # type: ignore[arg-type]


def test_nuisances_and_inactive_latents_do_not_count(model: Model, table: LatentTable) -> None:
    matches = ranked(model, table)
    assert [match.name for match in matches] == ["glasses", "both", "width", "tone"]
    assert [match.row for match in matches] == [1, 3, 0, 2]
    expected = [0, 0.1 / 2**0.5, 1 / 2**0.5, 2 / 2**0.5]
    np.testing.assert_allclose([match.distance for match in matches], expected, atol=1e-3)
    assert {match.probability for match in matches} == {None}


def test_with_nuisances_sunglasses_count(model: Model, table: LatentTable) -> None:
    matches = ranked(model, table, ignore_nuisance=False)
    assert [match.name for match in matches] == ["width", "tone", "glasses", "both"]
    assert matches[2].distance == pytest.approx(3**0.5, abs=1e-3)


def test_reasons_say_which_latent_is_nearer_than_usual(model: Model, table: LatentTable) -> None:
    width = ranked(model, table)[2]
    # squared differences of face width: 1, 0, 0, 0; of skin tone: 0, 0, 4, 0.01
    assert [reason.label for reason in width.reasons] == ["z2 skin tone", "z0 face width"]
    np.testing.assert_allclose([r.evidence for r in width.reasons], [4.01 / 4, 0.25 - 1], atol=1e-2)
    assert width.reasons[1].difference == pytest.approx(-1, abs=1e-3)


def weighing(*weights: float) -> SameModel:
    rates = ErrorRates(0.9, 0.8, 1.0, 0.1, 0.0, 0.2, 0.5, 0.4, 0.6, 10, 10, 100)
    return SameModel((2, 0), (1,), np.zeros((2, 1)), np.diag(weights), np.array([0.4, 0.3]), 1.0, rates)


def test_known_pairs_weigh_the_latents(model: Model, table: LatentTable) -> None:
    # skin tone, listed first, weighs next to nothing
    matches = ranked(model, table, same=weighing(0.001, 4.0))
    assert [match.name for match in matches] == ["glasses", "both", "tone", "width"]
    tone = matches[2]
    assert {r.label: pytest.approx(r.evidence, abs=1e-3) for r in tone.reasons} == {
        "z0 face width": 0.3,
        "z2 skin tone": 0.4 - 0.001 * 4**2,
    }
    log_odds = 1.0 + 0.7 - 0.001 * 4**2 + np.log(1 / 3)  # one of four is expected to be the wanted one
    assert tone.probability == pytest.approx(1 / (1 + np.exp(-log_odds)), abs=1e-3)


def test_several_pictures_of_the_wanted_one_are_averaged(model: Model, table: LatentTable) -> None:
    codes = Codes(CANDIDATES, np.zeros_like(CANDIDATES))
    wanted = torch.cat([picture(0.0, 0.0, 0.0, 0.0), picture(1.0, 0.0, 0.0, 0.0)])
    assert rank(model, table, wanted, codes, NAMES)[0].distance == pytest.approx(0, abs=1e-4)


def test_averaged_pictures_give_no_probability_and_the_same_order(model: Model, table: LatentTable) -> None:
    codes = Codes(CANDIDATES, np.zeros_like(CANDIDATES))
    twice = torch.cat([picture(*WANTED), picture(*WANTED)])
    averaged = rank(model, table, twice, codes, NAMES, same=weighing(1.0, 1.0))
    single = ranked(model, table, same=weighing(1.0, 1.0))
    assert {match.probability for match in averaged} == {None}
    assert None not in {match.probability for match in single}
    assert [match.name for match in averaged] == [match.name for match in single]


def test_only_the_first_ranks_are_given_and_as_among_all(model: Model, table: LatentTable) -> None:
    for same in (None, weighing(1.0, 1.0)):
        assert ranked(model, table, same=same, top=2) == ranked(model, table, same=same)[:2]
    assert ranked(model, table, top=9) == ranked(model, table)
    with pytest.raises(ConfigError, match="top"):
        ranked(model, table, top=0)


def test_one_candidate_is_at_even_odds(model: Model, table: LatentTable) -> None:
    codes = Codes(CANDIDATES[1:2], np.zeros((1, 4), np.float32))
    (match,) = rank(model, table, picture(*WANTED), codes, ["only"], same=weighing(1.0, 1.0))
    assert match.probability == pytest.approx(1 / (1 + np.exp(-1.7)), abs=1e-4)


def test_the_record_is_json(model: Model, table: LatentTable) -> None:
    record = ranked(model, table)[0].record()
    assert record["name"] == "glasses"
    assert record["reasons"][0]["latent"] in ("z0", "z2")


def test_what_cannot_be_ranked_is_refused(model: Model, table: LatentTable) -> None:
    codes = Codes(CANDIDATES, np.zeros_like(CANDIDATES))
    with pytest.raises(DataError, match="4 codes and 1 names"):
        rank(model, table, picture(*WANTED), codes, ["a"])
    marked = mark(mark(table, 0, nuisance=True), 2, nuisance=True)
    with pytest.raises(ConfigError, match="--all-latents"):
        ranked(model, marked)
    with pytest.raises(ConfigError, match="pellucid same"):
        ranked(model, mark(table, 2, nuisance=True), same=weighing(1.0, 1.0))
    with pytest.raises(ConfigError, match="pellucid same"):
        ranked(model, table, ignore_nuisance=False, same=weighing(1.0, 1.0))
