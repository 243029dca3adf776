"""Groups by hand: which images belong together, and which classes a group holds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pellucid.data.attributes import from_table
from pellucid.data.dataset import Dataset
from pellucid.data.grouping import _merged, group_labels, groups_of, joined_groups, numbered, strata
from pellucid.data.store import open_dataset
from pellucid.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Two videos of two frames, and two crops of one image beside them."""
    folder = tmp_path_factory.mktemp("frames")
    for at, name in enumerate(("a/1_0.png", "a/2_0.png", "b/1_0.png", "b/1_1.png", "c_0.png", "c_1.png")):
        (folder / name).parent.mkdir(exist_ok=True)
        Image.new("L", (32, 32), 40 * at).save(folder / name)
    return open_dataset(folder, size=32)


def test_labels_are_numbered_and_none_puts_every_image_on_its_own() -> None:
    assert numbered(["b", "a", "b"], 3).tolist() == [1, 0, 1]
    assert numbered(None, 3).tolist() == [0, 1, 2]
    with pytest.raises(DataError, match="one label for each of 3 images"):
        numbered(["a", "b"], 3)


def test_a_label_in_two_sets_is_one_group_and_images_on_their_own_stay_alone() -> None:
    assert joined_groups((["a", "b"], 2), (["b", "c", "b"], 3)).tolist() == [0, 1, 1, 2, 1]
    assert joined_groups((None, 2), (["0", "1", "1"], 3)).tolist() == [0, 1, 2, 3, 3]
    assert joined_groups((None, 2), (None, 2)).tolist() == [0, 1, 2, 3]


def test_groups_are_sorted_by_the_classes_they_hold() -> None:
    classes = np.array([0, 0, 1, 1, 1, 0])
    groups = np.array([5, 5, 7, 9, 9, 9])
    found = {kind: [rows.tolist() for rows in held] for kind, held in strata(classes, groups).items()}
    assert found == {(0,): [[0, 1]], (0, 1): [[3, 4, 5]], (1,): [[2]]}


def test_copies_are_one_group_without_a_rule_and_join_groups_with_one(frames: Dataset) -> None:
    rows = np.array([5, 0, 2, 3])
    assert group_labels(frames, rows, None) is None
    copied = replace(frames, copies={3: 0, 5: 2})
    labels = group_labels(copied, rows, "none")
    assert labels is not None
    assert joined_groups((labels, 4)).tolist() == [0, 1, 0, 1]
    # Another set's rows are other images.
    other = group_labels(replace(copied, fingerprint="other"), rows, None)
    assert joined_groups((labels, 4), (other, 4)).tolist() == [0, 1, 0, 1, 2, 3, 2, 3]
    # By folder {0, 1}, {2, 3} and {4, 5}; a copy of 0 lies in b, one of 2 lies outside.
    assert len(set(group_labels(copied, frames.rows("all"), "folder") or ())) == 1
    assert len(set(group_labels(replace(copied, copies={5: 2}), frames.rows("all"), "folder") or ())) == 2


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=14))
def test_merged_labels_are_the_connected_components(pairs: list[tuple[int, int]]) -> None:
    labels, first = [f"l{label}" for label, _ in pairs], [row for _, row in pairs]
    edges = coo_array((np.ones(len(pairs)), ([a for a, _ in pairs], [7 + b for _, b in pairs])), (14, 14))
    component = connected_components(edges, directed=False)[1]
    merged = _merged(labels, first)
    for i, a in enumerate(pairs):
        for j, b in enumerate(pairs):
            assert (merged[i] == merged[j]) == (component[a[0]] == component[b[0]])


def test_crops_of_one_image_are_one_group() -> None:
    groups = groups_of(["coco_1_0.jpg", "coco_1_1.jpg", "coco_2_0.jpg", "alone.jpg"])
    assert len(np.unique(groups)) == 3
    assert groups[0] == groups[1]


def test_a_folder_a_name_and_an_attribute_tell_groups(frames: Dataset) -> None:
    rows = frames.rows("all")
    assert group_labels(frames, rows, "folder") == tuple(f"folder:{f}" for f in ("a", "a", "b", "b", "", ""))
    names = group_labels(frames, rows, "name")
    assert names == ("name:a/1", "name:a/2", "name:b/1", "name:b/1", "name:c", "name:c")
    table = from_table(
        ("camera",), ("categorical",), np.array([[7], [7], [8], [9], [10_177], [8]], np.float32)
    )
    known = replace(frames, attributes=table)
    assert group_labels(known, rows[3:], "camera") == ("camera:9", "camera:10177", "camera:8")
    people = replace(frames, identity=np.array([7, 7, 8, 9, 10_177, 8]))
    assert group_labels(people, rows[3:], "identity") == ("identity:9", "identity:10177", "identity:8")


def test_rules_that_say_nothing_are_refused(frames: Dataset, tmp_path: Path) -> None:
    rows = frames.rows("all")
    with pytest.raises(ConfigError, match="expected one of folder, name, got 'camera'"):
        group_labels(frames, rows, "camera")
    with pytest.raises(DataError, match="all 2 images .* are one group"):
        group_labels(frames, rows[:2], "folder")
    table = from_table(("camera",), ("categorical",), np.array([[7], [np.nan]] * 3, np.float32))
    with pytest.raises(DataError, match="3 of 6 images have no value"):
        group_labels(replace(frames, attributes=table), rows, "camera")
    with pytest.raises(DataError, match="1 of 6 images have no value"):
        group_labels(replace(frames, identity=np.array([7, 7, 8, 9, -1, 8])), rows, "identity")
