"""The model of people that comes with the package is what its card says, by other images and other code.

What is measured here on few images may differ from the card by what both intervals allow, and no more: 3.5
standard errors, as some two dozen numbers are compared.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score, roc_auc_score

import pellucid
from pellucid.comparison.known import read_known
from pellucid.comparison.people import encode_people, pictures_of
from pellucid.data.dataset import Dataset
from pellucid.data.people import NAMES, sample
from pellucid.data.store import open_dataset
from pellucid.latents.activity import encode_dataset
from pellucid.latents.caution import cautions
from pellucid.latents.names import LatentTable, readable
from pellucid.model.directory import WEIGHTS
from pellucid.model.predictor import Model
from pellucid.model.sealed import read_sealed

FIRST, IMAGES, FEW = 950_000, 1_000, 100
SURE = 3.5
MOST_BYTES = 8_000_000


@pytest.fixture(scope="module")
def model() -> Model:
    return pellucid.pretrained("people", device="cpu")


@pytest.fixture(scope="module")
def run(model: Model) -> Path:
    assert model.directory is not None
    return model.directory


@pytest.fixture(scope="module")
def table(model: Model, run: Path) -> LatentTable:
    return pellucid.read_latents(run, model.latents)


@pytest.fixture(scope="module")
def card(run: Path) -> dict[str, Any]:
    return read_sealed(run / "card.json")


@pytest.fixture(scope="module")
def people() -> Dataset:
    return open_dataset("people", skip=FIRST, limit=IMAGES)


def test_it_is_the_model_of_its_card_trained_on_a_million_and_a_half(
    model: Model, table: LatentTable, card: Mapping[str, Any], run: Path
) -> None:
    assert card["model"] == model.fingerprint
    assert card["training"]["images_seen"] == model.config.training["images_seen"] >= 1_500_000
    assert cautions(model, table) == ()
    shipped = [file for file in run.iterdir() if file.name != "card.json"]
    assert sum(file.stat().st_size for file in shipped) == card["bytes"]["files"]
    assert card["bytes"]["wheel"] < MOST_BYTES
    with safe_open(run / WEIGHTS, "pt") as weights:
        assert {weights.get_tensor(name).dtype for name in weights.keys()} == {torch.float16}  # noqa: SIM118
    assert sum(one["followed"] for one in card["factors"]) >= 12


def error_of_auc(auc: float, positives: float, negatives: float) -> float:
    """The standard error of an AUC (Hanley & McNeil 1982)."""
    both, two = auc / (2 - auc) - auc**2, 2 * auc**2 / (1 + auc) - auc**2
    variance = auc * (1 - auc) + (positives - 1) * both + (negatives - 1) * two
    return float(np.sqrt(max(variance, 0) / (positives * negatives)))


def test_factors_are_followed_as_closely_as_the_card_says(
    model: Model, table: LatentTable, card: Mapping[str, Any], people: Dataset
) -> None:
    assert people.attributes is not None
    rows = people.rows("all")
    codes, values = encode_dataset(model, people, rows).mean, people.attributes.lookup(rows)
    assert sorted(one["factor"] for one in card["factors"]) == sorted(NAMES)
    for one in card["factors"]:
        code, factor = codes[:, one["latent"]], values[:, NAMES.index(one["factor"])]
        if one["statistic"] == "AUC":
            value, positives = roc_auc_score(factor, code), factor.sum()
            middle, low, high = one["value"], one["low"], one["high"]
            own, grain = error_of_auc(value, positives, IMAGES - positives), 1 / positives
        else:
            found = spearmanr(code, factor).statistic
            value, middle, low, high = np.arctanh([found, one["value"], one["low"], one["high"]])
            own, grain = np.sqrt((1 + found**2 / 2) / (IMAGES - 3)), 0.0
        if not one["named"]:  # such a latent has not been turned
            value = 1 - value if one["statistic"] == "AUC" and value < 0.5 else abs(value)
        theirs = (high - low) / 2 / 1.96
        assert abs(value - middle) <= SURE * np.hypot(own, theirs) + grain, one
        assert one["named"] == (table.records[one["latent"]].name == readable(one["factor"]))


def test_people_are_told_from_scenes_as_well_as_the_card_says(
    model: Model, card: Mapping[str, Any], people: Dataset, run: Path
) -> None:
    scenes = open_dataset("scenes", skip=FIRST, limit=FEW)
    detector = pellucid.load_detector(model, run)
    images = torch.cat([data.batch(data.rows("all")[:FEW]) for data in (people, scenes)])
    normal, scores = np.repeat([1, 0], FEW), detector.score_samples(images)
    claimed = card["detection"]["losses + texture + latents"]
    for kind, label, score in (("normal", normal, scores), ("anomalous", 1 - normal, -scores)):
        value, one = average_precision_score(label, score), claimed[kind]
        drawn = np.random.default_rng(0).integers(0, FEW, (100, 2, FEW)) + np.array([[0], [FEW]])
        others = [average_precision_score(label[d.ravel()], score[d.ravel()]) for d in drawn]
        theirs = (one["high"] - one["low"]) / 2 / 1.645
        assert abs(value - one["average_precision"]) <= SURE * np.hypot(np.std(others), theirs) + 1 / FEW


def test_sunglasses_differ_most_as_often_as_the_card_says(
    model: Model, table: LatentTable, card: Mapping[str, Any]
) -> None:
    factors = sample(FEW, torch.Generator().manual_seed(7)).repeat(2, 1)
    factors[:, NAMES.index("sunglasses")] = torch.repeat_interleave(torch.tensor([0.0, 1.0]), FEW)
    without, worn = np.split(encode_people(model, factors).mean, 2)
    active = table.active()
    deviation = np.sqrt([table.records[latent].variance or 0 for latent in active])
    largest = np.abs((worn - without)[:, active] / deviation).argmax(axis=1)
    latent = next(one["latent"] for one in card["factors"] if one["factor"] == "sunglasses")
    value, one = (np.array(active)[largest] == latent).mean(), card["sunglasses"][0]
    assert one["also_changed"] == "nothing else"
    spread = np.sqrt(max(one["share"] * (1 - one["share"]), 0.01))
    assert abs(value - one["share"]) <= SURE * spread * np.sqrt(1 / FEW + 1 / one["pairs"])


def test_a_person_is_found_again_as_often_as_the_card_says(model: Model, card: Mapping[str, Any]) -> None:
    factors, who = pictures_of(np.arange(1_000, 1_000 + FEW), 2, torch.Generator().manual_seed(8))
    codes, known = encode_people(model, factors).mean, read_known(model)
    assert known is not None
    a, b = codes[::2], codes[1::2]
    odds = np.stack([known.identity.log_odds(one[None], b) for one in a])
    same = who[::2, None] == who[None, 1::2]
    found, claimed = roc_auc_score(same.ravel(), odds.ravel()), card["gallery"]
    theirs = (claimed["auc_high"] - claimed["auc_low"]) / 2 / 1.96
    own = error_of_auc(found, FEW, FEW)  # pairs of strangers are many, but of so few people
    assert abs(found - claimed["auc"]) <= SURE * np.hypot(own, theirs)
