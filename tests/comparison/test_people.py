"""Simulated people of whom it is known who is who."""

import numpy as np
import pytest
import torch

from pellucid.comparison.people import encode_people, pictures_of
from pellucid.data.people import IDENTITY, NAMES, person
from pellucid.errors import DataError
from pellucid.model.predictor import Model


def test_pictures_of_one_person_share_the_identity_and_nothing_else(generator: torch.Generator) -> None:
    factors, who = pictures_of(np.array([7, 3]), 3, generator)
    assert who.tolist() == [7, 7, 7, 3, 3, 3]
    for column, name in enumerate(NAMES):
        values = factors[:3, column]
        if name in IDENTITY:
            assert set(values.tolist()) == {float(person(7)[0, column])}
        elif name not in ("sunglasses", "hat"):
            assert len(set(values.tolist())) == 3


def test_a_model_of_grey_pictures_is_refused(model: Model, generator: torch.Generator) -> None:
    factors, _ = pictures_of(np.array([1]), 2, generator)
    with pytest.raises(DataError, match="grey"):
        encode_people(model, factors)
