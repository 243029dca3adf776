"""same.json: what is written is read, and what was not written by Pellucid is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pellucid.comparison.known import Known, learn, read_known, write_known
from pellucid.errors import RunError
from pellucid.latents.names import LatentTable
from pellucid.model.directory import SAME
from pellucid.model.predictor import Model
from pellucid.model.sealed import read_sealed, write_sealed

pytestmark = pytest.mark.usefixtures("as_installed")


@pytest.fixture
def stored(model: Model, table: LatentTable, tmp_path: Path) -> tuple[Model, Known]:
    chance = np.random.default_rng(0)
    who = np.repeat(np.arange(60), 2)
    codes = chance.standard_normal((60, 4))[who] + 0.3 * chance.standard_normal((120, 4))
    known = learn(codes, who, table, "two pictures\x1b each of 60 people")
    model.directory = tmp_path
    write_known(model, known)
    return model, known


def test_scores_survive_writing_and_reading_bit_for_bit(stored: tuple[Model, Known]) -> None:
    model, known = stored
    again = read_known(model)
    assert again is not None
    assert again.pictures == "two pictures  each of 60 people"
    pairs = np.random.default_rng(1).standard_normal((2, 50, 4))
    for which in ("identity", "everything"):
        first, second = getattr(known, which), getattr(again, which)
        assert (first.log_odds(*pairs) == second.log_odds(*pairs)).all()
        assert first.rates == second.rates


def test_a_run_without_the_file_knows_nothing(model: Model, tmp_path: Path) -> None:
    model.directory = tmp_path
    assert read_known(model) is None


def test_other_weights_are_refused(stored: tuple[Model, Known]) -> None:
    model, _ = stored
    model.fingerprint = "e" * 64
    with pytest.raises(RunError, match="other weights"):
        read_known(model)


HOSTILE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "format": ({"format": "other"}, {}),
    "version": ({"version": 9}, {}),
    "unknown key": ({"extra": 1}, {}),
    "pictures of another type": ({"pictures": 3}, {}),
    "long pictures": ({"pictures": "x" * 301}, {}),
    "pictures with an escape": ({"pictures": "\x1b[2J"}, {}),
    "no model": ({"identity": None}, {}),
    "unknown key of a model": ({}, {"extra": 1}),
    "latent out of range": ({}, {"latents": [0, 4]}),
    "negative latent": ({}, {"latents": [-1, 2]}),
    "latent twice": ({}, {"latents": [0, 0]}),
    "bool for a latent": ({}, {"latents": [True, 2]}),
    "no latents": ({}, {"latents": []}),
    "too many latents": ({}, {"latents": [0] * 100_000}),
    "latent that corrects itself": ({}, {"corrected_by": [0]}),
    "weights of another shape": ({}, {"weights": [[1.0]]}),
    "ragged weights": ({}, {"weights": [[1.0, 0.0], [0.0]]}),
    "text in weights": ({}, {"weights": [["a", 0.0], [0.0, 1.0]]}),
    "whole numbers in weights": ({}, {"weights": [[1, 0], [0, 1]]}),
    "huge weights": ({}, {"weights": [[1e200, 0.0], [0.0, 1.0]]}),
    "weights that are not symmetric": ({}, {"weights": [[1.0, 0.5], [0.0, 1.0]]}),
    "weights by which differences speak for sameness": ({}, {"weights": [[1.0, 2.0], [2.0, 1.0]]}),
    "usual of another shape": ({}, {"usual": [1.0]}),
    "no number": ({}, {"base": None}),
    "rate above 1": ({}, {"rates": {"auc": 2.0}}),
    "rate outside its interval": ({}, {"rates": {"auc_low": 1.0, "auc": 0.5}}),
    "rates of another kind": ({}, {"rates": []}),
}


@pytest.mark.parametrize(("change", "record"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_with_a_good_seal_is_refused(
    stored: tuple[Model, Known], change: dict[str, Any], record: dict[str, Any]
) -> None:
    model, _ = stored
    assert model.directory is not None
    path = model.directory / SAME
    content = read_sealed(path)
    if "rates" in record and isinstance(record["rates"], dict):
        record = {"rates": content["identity"]["rates"] | record["rates"]}
    content["identity"].update(record)
    write_sealed(path, content | change)
    with pytest.raises(RunError, match=r"same\.json"):
        read_known(model)


def test_a_damaged_file_is_refused(stored: tuple[Model, Known]) -> None:
    model, _ = stored
    assert model.directory is not None
    path = model.directory / SAME
    path.write_bytes(path.read_bytes().replace(b'"same_pairs": ', b'"same_pairs": 1', 1))
    with pytest.raises(RunError, match="checksum"):
        read_known(model)
