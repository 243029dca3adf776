from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pellucid.data.copies import among, copies_note, digests, find_copies, keep_together, without_copies
from pellucid.data.store import open_dataset


def images(values: list[int]) -> np.ndarray:
    return np.array(values, np.uint8)[:, None, None, None] * np.ones((1, 2, 3, 3), np.uint8)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_copies_are_the_images_that_are_equal_to_an_earlier_one(values: list[int]) -> None:
    pixels = images(values)
    found = find_copies(lambda rows: pixels[rows], len(values))
    assert found == {at: values.index(value) for at, value in enumerate(values) if values.index(value) < at}


def test_images_of_another_set_are_found_by_their_pixels() -> None:
    known, others = images([1, 2, 3]), images([3, 9, 1, 1])
    digested = set(digests(lambda rows: known[rows], np.arange(3)))
    rows = np.array([0, 1, 3])
    assert among(lambda rows: others[rows], rows, digested).tolist() == [True, False, True]


def test_of_copies_the_first_row_that_is_asked_for_stays(tmp_path: Path) -> None:
    for at, value in enumerate((10, 20, 10, 30, 10, 20)):
        Image.new("L", (32, 32), value).save(tmp_path / f"{at}.png")
    dataset = open_dataset(tmp_path, size=32)
    assert without_copies(dataset, np.arange(6)).tolist() == [0, 1, 3]
    assert without_copies(dataset, np.array([2, 3, 4, 5])).tolist() == [2, 3, 5]
    assert without_copies(dataset, np.array([], np.int64)).tolist() == []


def test_copies_go_where_the_first_is_unless_that_leaves_a_part_empty() -> None:
    split = np.array([0, 1, 1, 2, 0], np.uint8)
    keep_together(split, {3: 0, 4: 1})
    assert split.tolist() == [0, 1, 1, 0, 1]
    alone = np.array([0, 1, 0], np.uint8)
    keep_together(alone, {1: 0, 2: 0})
    assert alone.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("split", "told"),
    [([0, 0, 0], "No copy is held out from its first."), ([0, 1, 0], "1 are in another part of the data")],
)
def test_copies_are_told_with_the_parts_they_are_in(split: list[int], told: str) -> None:
    note = copies_note(["a\n", "b", "c"], {1: 0, 2: 0}, np.array(split, np.uint8))
    assert note.startswith("2 images are copies of others, pixel for pixel: b of a\\n, c of a\\n. ")
    assert told in note
