"""Groups and pairs against enumeration of what may be drawn."""

from collections import Counter

import numpy as np
import pytest

from pellucid.errors import ConfigError, DataError
from pellucid.metrics.fixed_factor import fixed_factors

CLASSES = np.array([[2, 0], [0, 0], [2, 0], [1, 1], [0, 1], [2, 1]])
"""Factor 0 has image 3 alone in its class, images 1 and 4 in another, 0, 2 and 5 in the third."""


def test_pairs_are_all_those_that_share_a_value_each_as_often_as_its_image_is_drawn(
    rng: np.random.Generator,
) -> None:
    one, other = fixed_factors(CLASSES)[0].pairs(20_000, rng)
    drawn = Counter(zip(one.tolist(), other.tolist(), strict=True))
    # 5 images may come first; the second is one of 1 or of 2 others
    expected = {(1, 4): 1 / 5, (4, 1): 1 / 5}
    expected |= {(a, b): 1 / 10 for a in (0, 2, 5) for b in (0, 2, 5) if a != b}
    assert drawn.keys() == expected.keys()
    for pair, share in expected.items():
        assert drawn[pair] / 20_000 == pytest.approx(share, abs=0.012)  # 4 standard errors


def test_groups_share_the_value_of_an_image_drawn_at_random(rng: np.random.Generator) -> None:
    groups = fixed_factors(CLASSES)[0].groups(20_000, 4, rng)
    values = CLASSES[groups, 0]
    assert (values == values[:, :1]).all()
    assert (values[:, 0] == 2).mean() == pytest.approx(3 / 5, abs=0.015)
    members = groups[values[:, 0] == 2]
    assert [(members == row).mean() for row in (0, 2, 5)] == pytest.approx([1 / 3] * 3, abs=0.01)
    assert 3 not in groups


def test_values_that_no_images_share_are_refused(rng: np.random.Generator) -> None:
    with pytest.raises(DataError, match="factor 1: expected images that share a value"):
        fixed_factors(np.array([[0, 0], [0, 1], [1, 2]]))


def test_a_single_factor_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 2 factors"):
        fixed_factors(CLASSES[:, :1])
