"""Tables as the published files and spreadsheets have them, written by hand."""

import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.data import tables
from pellucid.data.tables import Table, read_table
from pellucid.errors import DataError

CELEBA = Path(__file__).parents[3] / "shared" / "data" / "celeba"

ATTRIBUTES = """3
Bald Smiling
000001.jpg -1  1
000002.jpg  1 -1
000003.jpg  1  1
"""


def written(tmp_path: Path, name: str, text: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def cells(table: Table) -> dict[str, list[str]]:
    return {name: [c.words[code] for code in c.codes] for name, c in table.columns.items()}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_celebas_attributes_are_read(tmp_path: Path, end: str) -> None:
    table = read_table(written(tmp_path, "list_attr_celeba.txt", ATTRIBUTES.replace("\n", end)))
    assert table.files == ("000001.jpg", "000002.jpg", "000003.jpg")
    assert cells(table) == {"Bald": ["-1", "1", "1"], "Smiling": ["1", "-1", "1"]}


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("3\n", "4\n", 1),
        ("Bald Smiling", "", 2),
        ("000002.jpg  1 -1", "000002.jpg  1", 4),
        ("000002.jpg  1 -1", "000002.jpg  1  0", 4),
        ("000003.jpg  1  1", "", 1),
    ],
)
def test_a_malformed_line_of_celeba_is_named(tmp_path: Path, old: str, new: str, line: int) -> None:
    path = written(tmp_path, "list_attr_celeba.txt", ATTRIBUTES.replace(old, new, 1))
    with pytest.raises(DataError, match=rf"list_attr_celeba\.txt, line {line}: expected"):
        read_table(path)


def test_celebas_parts_and_identities_are_read(tmp_path: Path) -> None:
    text = "000001.jpg 0\n000002.jpg 2\n"
    assert cells(read_table(written(tmp_path, "list_eval_partition.txt", text))) == {"partition": ["0", "2"]}
    assert cells(read_table(written(tmp_path, "identity_CelebA.txt", text))) == {"identity": ["0", "2"]}
    with pytest.raises(DataError, match="line 2: expected a file name and a number"):
        read_table(written(tmp_path, "identity_CelebA.txt", "000001.jpg 0\n000002.jpg Bob\n"))


@pytest.mark.parametrize("text", [
    "file_name,hat,age\na.png,yes,31\nb.png,,7\n",
    "\ufefffile_name,hat,age\r\na.png,yes,31\r\nb.png,,7\r\n\r\n",
    "file_name , hat,age \na.png , yes, 31\nb.png,  ,7   \n\n  \n",
    "file_name;hat;age\na.png;yes;31\nb.png;;7\n",
    "file_name\that\tage\na.png\tyes\t31\nb.png\t\t7\n",
    'file_name,hat,age,\n"a.png","yes",31,\nb.png,"",7,,\n',
    ",file_name,hat,age\n0,a.png,yes,31\n1,b.png,,7\n",
    "hat,age,file_name\nyes,31,a.png\n,7,b.png\n",
])  # fmt: skip
def test_csv_is_read_however_it_was_saved(tmp_path: Path, text: str) -> None:
    table = read_table(written(tmp_path, "labels.csv", text))
    assert (table.key, table.files) == ("file_name", ("a.png", "b.png"))
    assert cells(table) == {"hat": ["yes", ""], "age": ["31", "7"]}


def test_a_spreadsheets_unicode_text_is_read(tmp_path: Path) -> None:
    text = "file_name\tName\na.png\tZoë\n".encode("utf-16")
    assert cells(read_table(written(tmp_path, "a.tsv", text))) == {"Name": ["Zoë"]}


def test_rows_may_end_early(tmp_path: Path) -> None:
    assert cells(read_table(written(tmp_path, "a.csv", "file,hat,age\na.png\n"))) == {
        "hat": [""],
        "age": [""],
    }


@pytest.mark.parametrize(
    ("header", "key"),
    [("image_id,a", "image_id"), ("a,Image", "Image"), ("a,path,file_name", "file_name"), ("a,b", "a")],
)
def test_the_column_of_file_names_is_known_by_its_name_else_the_first(
    tmp_path: Path, header: str, key: str
) -> None:
    assert read_table(written(tmp_path, "a.csv", f"{header}\n")).key == key


def test_json_lines_are_read_with_columns_that_some_rows_lack(tmp_path: Path) -> None:
    lines = (
        '{"file_name": "a.png", "hat": true, "boxes": [1]}\n\n{"file_name": "b.png", "age": 7, "hat": null}\n'
    )
    table = read_table(written(tmp_path, "metadata.jsonl", lines))
    assert table.files == ("a.png", "b.png")
    assert cells(table) == {"hat": ["true", ""], "age": ["", "7"]}
    assert table.nested == ("boxes",)


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("a.csv", "file,a\nx.png,1\ny.png,1,2\n", 3),
        ("a.csv", "file,a,a\nx.png,1,2\n", 1),
        ("a.csv", "", 1),
        ("a.csv", 'file,a\nx.png,"' + "1" * 200_000 + '"\n', 2),
        ("a.jsonl", '{"file": "x.png"}\n[]\n', 2),
        ("a.jsonl", '{"file": "x.png"', 1),
        ("a.jsonl", "[" * 100_000, 1),
        ("a.jsonl", '{"file": ' + "9" * 5000 + "}", 1),
        ("a.jsonl", '{"file": 1e400}', r"1: expected a JSON object \(1e400 is too large\)"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, name: str, text: str, line: int | str) -> None:
    told = line if isinstance(line, str) else f"{line}: expected"
    with pytest.raises(DataError, match=rf"{name}, line {told}"):
        read_table(written(tmp_path, name, text))


@given(
    data=st.binary(max_size=200),
    start=st.sampled_from([b"", b"1\na b\n", b"file,a\n", b'{"a":', b"\xff\xfe"]),
)
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_a_table_or_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, start: bytes
) -> None:
    for name in ("list_attr_celeba.txt", "identity_CelebA.txt", "any.csv", "any.tsv", "any.jsonl"):
        path = written(tmp_path_factory.getbasetemp(), name, start + data)
        with suppress(DataError):
            table = read_table(path)
            assert all(len(column.codes) == len(table.files) for column in table.columns.values())


def test_tables_that_are_too_large_missing_or_no_file_are_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(tables, "MAX_TABLE_BYTES", 10)
    with pytest.raises(DataError, match="at most 10 bytes"):
        read_table(written(tmp_path, "a.csv", "file,hat,age\n"))
    with pytest.raises(DataError, match="cannot be read"):
        read_table(tmp_path / "missing.csv")
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(DataError, match="not a regular file"):
        read_table(tmp_path / "pipe.csv")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_short_rows_of_a_wide_table_are_counted_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr(tables, "MAX_MEMORY", 50_000)
    header = ",".join(f"a{at}" for at in range(100)) + end
    assert len(read_table(written(tmp_path, "a.csv", header + f"x{end}" * 50)).files) == 50
    with pytest.raises(DataError, match=r"a\.csv: expected a table that takes at most"):
        read_table(written(tmp_path, "a.csv", header + f"x{end}" * 100))


@pytest.mark.skipif(not CELEBA.is_dir(), reason="CelebA's photographs are not beside the checkout")
def test_the_published_table_has_forty_attributes() -> None:
    table = read_table(CELEBA / "list_attr_celeba.txt")
    assert (len(table.columns), len(table.files), table.files[-1]) == (40, 8000, "008000.jpg")
    lines = (CELEBA / "list_attr_celeba.txt").read_text().splitlines()
    ones = sum(cell == "1" for column in cells(table).values() for cell in column)
    assert ones == sum(line.split().count("1") for line in lines[2:])
