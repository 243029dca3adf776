"""Which factors can be scored against."""

from dataclasses import replace

import numpy as np

from pellucid.data.attributes import Kind, from_table
from pellucid.data.dataset import Dataset
from pellucid.sweep.scoring import AGAINST_FACTORS, LABELS, known_factors, score_codes

ROWS = 400
ALL = np.arange(ROWS)


def with_factors(dataset: Dataset, **columns: np.ndarray) -> Dataset:
    kinds: tuple[Kind, ...] = tuple("ordinal" for _ in columns)
    values = np.stack(list(columns.values()), axis=1).astype(np.float32)
    return replace(dataset, attributes=from_table(tuple(columns), kinds, values))


def columns() -> dict[str, np.ndarray]:
    rows = np.arange(ROWS)
    return {"a": rows % 4, "b": rows // 100, "c": rows % 2}


def test_factors_that_never_vary_or_are_mostly_unknown_are_left_out(dataset: Dataset) -> None:
    rare = np.where(ALL < 80, 1.0, np.nan)
    some = np.where(ALL < 20, np.nan, ALL % 2)
    nearly = np.where(ALL > 370, 1.0, 0.0)
    known = with_factors(dataset, **columns(), same=0 * ALL, nearly=nearly, rare=rare, some=some)
    found = known_factors(known, ALL)
    assert found is not None
    assert found.names == ("a", "b", "c", "some")
    assert found.values.shape == (380, 4)
    assert not found.known[:20].any()
    assert found.known[20:].all()


def test_too_few_factors_or_images_are_none(dataset: Dataset) -> None:
    assert known_factors(dataset, dataset.rows("all")) is None
    one = with_factors(dataset, a=columns()["a"], same=0 * ALL)
    assert known_factors(one, ALL) is None
    assert known_factors(with_factors(dataset, **columns()), ALL[:150]) is None
    unknown = with_factors(dataset, **columns(), d=np.where(ALL % 5 < 3, 1.0, np.nan))
    assert known_factors(unknown, ALL[:300]) is None


def test_the_factors_themselves_score_1_and_noise_does_not(dataset: Dataset) -> None:
    factors = known_factors(with_factors(dataset, a=columns()["a"], b=columns()["b"]), ALL)
    assert factors is not None
    perfect = score_codes(factors.values, factors)
    assert set(perfect) == set(AGAINST_FACTORS) < set(LABELS)
    assert perfect["mig"] > 0.999  # a and b are independent and have fewer values than there are bins
    assert perfect["dci"] > 0.9
    noise = np.random.default_rng(0).standard_normal((ROWS, 2)).astype(np.float32)
    assert score_codes(noise, factors)["mig"] < 0.2
