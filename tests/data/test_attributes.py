"""CelebA's tables, written by hand in the layout of the published files."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.data import attributes
from pellucid.data.attributes import (
    from_table,
    match_celeba_attributes,
    read_celeba_attributes,
    read_celeba_partition,
)
from pellucid.errors import DataError

CELEBA = Path(__file__).parents[3] / "shared" / "data" / "celeba"

TABLE = """3
Bald Smiling
000001.jpg -1  1
000002.jpg  1 -1
000003.jpg  1  1
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "list.txt"
    path.write_text(text)
    return path


def test_the_table_is_read_as_zeros_and_ones(tmp_path: Path) -> None:
    files, columns, values = read_celeba_attributes(written(tmp_path, TABLE))
    assert files == ("000001.jpg", "000002.jpg", "000003.jpg")
    assert columns == ("Bald", "Smiling")
    assert values.tolist() == [[0, 1], [1, 0], [1, 1]]


def test_windows_line_ends_are_read(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(TABLE.replace("\n", "\r\n").encode())
    assert read_celeba_attributes(path)[2].sum() == 4


def test_images_are_matched_by_file_name_and_unknown_ones_are_nan(tmp_path: Path) -> None:
    names = ("000003.jpg", "nested/000001.jpg", "other.jpg")
    matched = match_celeba_attributes(written(tmp_path, TABLE), names)
    assert matched.kinds == ("binary", "binary")
    values = matched.lookup(np.array([2, 0, 1, 0]))
    assert np.isnan(values[0]).all()
    assert values[1:].tolist() == [[1, 1], [0, 1], [1, 1]]
    assert values.dtype == np.float32


def test_attributes_of_a_part_follow_its_rows() -> None:
    table = from_table(("a",), ("ordinal",), np.array([[0], [10], [20], [30]], np.float32))
    assert table.of(np.array([3, 1])).lookup(np.array([1, 0, 0])).tolist() == [[10], [30], [30]]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("3\n", "4\n", 1),
        ("Bald Smiling", "Bald Bald", 2),
        ("Bald Smiling", "", 2),
        ("000002.jpg  1 -1", "000002.jpg  1", 4),
        ("000002.jpg  1 -1", "000002.jpg  1  0", 4),
        ("000003.jpg", "000001.jpg", 5),
        ("000003.jpg  1  1", "", 5),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, old: str, new: str, line: int) -> None:
    with pytest.raises(DataError, match=rf"list\.txt, line {line}: expected"):
        read_celeba_attributes(written(tmp_path, TABLE.replace(old, new, 1)))


@given(data=st.binary(max_size=200), start=st.sampled_from([b"", b"1\na b\n", TABLE.encode()]))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_a_table_or_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, start: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_bytes(start + data)
    for read in (read_celeba_attributes, read_celeba_partition):
        with suppress(DataError):
            read(path)


def test_tables_that_are_too_large_or_missing_are_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(attributes, "MAX_TABLE_BYTES", 10)
    with pytest.raises(DataError, match="at most"):
        read_celeba_attributes(written(tmp_path, TABLE))
    with pytest.raises(DataError, match="cannot be read"):
        read_celeba_attributes(tmp_path / "missing.txt")


def test_the_partition_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, "000001.jpg 0\n000002.jpg 1\n000003.jpg 2\n")
    assert read_celeba_partition(path) == {"000001.jpg": 0, "000002.jpg": 1, "000003.jpg": 2}


def test_a_malformed_partition_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 2: expected"):
        read_celeba_partition(written(tmp_path, "000001.jpg 0\n000002.jpg 3\n"))


@pytest.mark.skipif(not CELEBA.is_dir(), reason="CelebA's photographs are not beside the checkout")
def test_the_published_table_has_forty_attributes() -> None:
    files, columns, values = read_celeba_attributes(CELEBA / "list_attr_celeba.txt")
    assert len(columns) == 40
    assert values.shape == (8000, 40)
    lines = (CELEBA / "list_attr_celeba.txt").read_text().splitlines()
    assert values.sum() == sum(line.split().count("1") for line in lines[2:])
    assert files[-1] == "008000.jpg"
