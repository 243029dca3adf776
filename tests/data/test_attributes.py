import numpy as np

from pellucid.data.attributes import from_table


def test_attributes_of_a_part_follow_its_rows() -> None:
    table = from_table(("a",), ("ordinal",), np.array([[0], [10], [20], [30]], np.float32))
    assert table.of(np.array([3, 1])).lookup(np.array([1, 0, 0])).tolist() == [[10], [30], [30]]
