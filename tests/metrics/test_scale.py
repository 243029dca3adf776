"""Standardising against scikit-learn, and where its squares would overflow."""

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from pellucid.metrics.scale import standardise


def test_it_is_scikit_learns_scaler(rng: np.random.Generator) -> None:
    values, reference = rng.normal(3, 2, (5, 3)), rng.normal(-1, [1, 2, 3], (50, 3))
    scaler = StandardScaler().fit(reference)
    assert standardise(values, reference) == pytest.approx(scaler.transform(values), abs=1e-12)


@pytest.mark.parametrize("unit", [1e-300, 1e300])
def test_a_column_of_any_unit_has_deviation_1_and_a_constant_one_is_0(unit: float) -> None:
    values = np.array([[1.0, 0.1], [2.0, 0.1], [3.0, 0.1]]) * unit
    assert standardise(values)[:, 0] == pytest.approx([-(1.5**0.5), 0, 1.5**0.5])
    assert (standardise(values)[:, 1] == 0).all()
