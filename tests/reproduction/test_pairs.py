import numpy as np
import pytest

from pellucid.data.people import IDENTITY, NAMES
from pellucid.reproduction.pairs import POSE_AND_LIGHT, draw_pairs, explained
from pellucid.reproduction.sunglasses import dominance


@pytest.mark.parametrize("changing", [(), POSE_AND_LIGHT])
def test_pairs_differ_in_sunglasses_and_in_what_is_said(changing: tuple[str, ...]) -> None:
    pairs = draw_pairs(20, changing, 0)
    differing = {name for at, name in enumerate(NAMES) if not (pairs.a[:, at] == pairs.b[:, at]).all()}
    assert differing == {"sunglasses", *changing}
    worn = NAMES.index("sunglasses")
    assert (pairs.a[:, worn] == 0).all()
    assert (pairs.b[:, worn] == 1).all()


def test_pairs_are_of_different_people() -> None:
    identity = draw_pairs(20, (), 0).a[:, [NAMES.index(name) for name in IDENTITY]]
    assert len({tuple(row) for row in identity.tolist()}) == 20


def test_explained_variance_is_one_for_the_mark_itself_and_as_computed_for_a_mixture() -> None:
    worn = np.arange(1000) % 4 == 0
    noise = np.tile(
        [-1.0, -1.0, -1.0, -1.0, 1.0, 1.0, 1.0, 1.0], 125
    )  # of variance 1, the same in both parts
    codes = np.stack([worn.astype(float), noise, 2 * worn + noise], axis=1)
    between = 0.25 * 0.75 * 4
    assert explained(codes, worn) == pytest.approx([1, 0, between / (between + 1)])


def test_a_mark_that_all_or_none_have_explains_nothing() -> None:
    assert explained(np.ones((5, 2)), np.ones(5, bool)).tolist() == [0, 0]


def test_dominance_counts_pairs_and_takes_the_median_share() -> None:
    apart = np.array([[3.0, 1.0], [-3.0, 1.0], [1.0, 3.0]])
    assert dominance(apart, 0) == (2, pytest.approx(0.9))
    assert dominance(apart, 1) == (1, pytest.approx(0.1))
