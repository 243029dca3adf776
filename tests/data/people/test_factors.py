import numpy as np
import pytest
import torch
from scipy.stats import kstest

from pellucid.data import people
from pellucid.errors import DataError


def column(factors: torch.Tensor, name: str) -> np.ndarray:
    return factors[:, people.NAMES.index(name)].double().numpy()


@pytest.mark.parametrize("drawn", ["sample", "rows"])
def test_factors_are_spread_evenly_and_independently(drawn: str, generator: torch.Generator) -> None:
    factors = people.sample(20_000, generator) if drawn == "sample" else people.factors_of(np.arange(20_000))
    for factor in people.FACTORS:
        values = column(factors, factor.name)
        if factor.chance is None:
            assert kstest(values, "uniform", (factor.low, factor.high - factor.low)).pvalue > 1e-3
        else:
            assert set(values) == {0.0, 1.0}
            assert values.mean() == pytest.approx(factor.chance, abs=0.015)
    correlations = np.corrcoef(factors.numpy().T) - np.eye(len(people.FACTORS))
    assert np.abs(correlations).max() < 0.035  # 190 pairs, standard error 0.007


def test_a_row_is_the_same_person_whatever_stands_beside_it() -> None:
    rows = np.array([7, 123_456, 999_999])
    assert torch.equal(people.factors_of(rows)[1:2], people.factors_of(rows[1:2]))


def test_a_person_keeps_the_identity_and_takes_the_nuisances() -> None:
    plain, dressed = people.person(3), people.person(3, sunglasses=1, azimuth=30)
    changed = [name for name in people.NAMES if column(plain, name) != column(dressed, name)]
    assert changed == ["azimuth", "sunglasses"]
    assert column(dressed, "azimuth") == 30
    for factor in people.FACTORS:
        if factor.role == "nuisance":
            assert column(plain, factor.name) == pytest.approx(factor.neutral)


def test_persons_differ_in_every_part_of_the_identity() -> None:
    drawn = torch.cat([people.person(seed) for seed in range(200)])
    for name in people.IDENTITY:
        assert len(np.unique(column(drawn, name))) == 200
    assert people.IDENTITY + people.NUISANCE == people.NAMES


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"skin_tone": 0.5}, "part of the identity"),
        ({"moustache": 1.0}, "expected a factor of people"),
        ({"azimuth": 90.0}, r"azimuth: expected -45 to 45 \(degrees.*got 90"),
        ({"smile": float("nan")}, "smile: expected -0.5 to 1"),
    ],
)
def test_wrong_nuisances_are_told(values: dict[str, float], told: str) -> None:
    with pytest.raises(DataError, match=told):
        people.person(0, **values)


def test_identities_can_be_changed_where_that_is_said() -> None:
    darker = people.with_factors(people.person(1), skin_tone=0.9)
    assert column(darker, "skin_tone") == pytest.approx(0.9)
    with pytest.raises(DataError, match="seed of 0 or more"):
        people.person(-1)


@pytest.mark.parametrize(
    "factors", [torch.zeros(2, 3), torch.zeros(20), torch.zeros(1, 20, dtype=torch.int64)]
)
def test_factors_of_another_form_are_told(factors: torch.Tensor) -> None:
    with pytest.raises(DataError, match=r"expected floats \[person 20\]"):
        people.render(factors)
