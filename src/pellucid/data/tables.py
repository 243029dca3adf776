"""Read a table that lies beside images: CelebA's text files, CSV, TSV, or JSON Lines, as columns of text.

A table may come from anywhere: bytes are counted while reading, and a damaged one is a `DataError`.
"""

import csv
import io
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int32

from pellucid.data.images import printable
from pellucid.errors import DataError
from pellucid.storage.regular import read_regular
from pellucid.storage.strict_json import parse_json

MAX_TABLE_BYTES = 256_000_000
MAX_COLUMNS = 1_000
MAX_MEMORY = 350_000_000
"""For a table in memory: a few bytes may stand for a row with a thousand empty cells."""
_CELL_BYTES, _WORD_BYTES, _ROW_BYTES = 4, 120, 100  # the last with what matching a row to an image takes
FILE_NAME = "file_name"
"""What the column of file names is called where the file does not say."""

_KEYS = (FILE_NAME, "filename", "file", "image_id", "image", "img", "image_path", "path", "name", "id")


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        words: The different cells, without blanks around them; "" is an empty cell.
        codes: int32 [row], which of the words each row has.
    """

    words: tuple[str, ...]
    codes: Int32[np.ndarray, " row"]


@dataclass(frozen=True)
class Table:
    """A table of which one column names images.

    Attributes:
        key: The name of that column.
        files: What each row names.
        columns: The other columns by name, in order.
        nested: Names of columns that hold lists or objects and were left out.
    """

    key: str
    files: tuple[str, ...]
    columns: dict[str, Column]
    nested: tuple[str, ...]


def is_table(name: str) -> bool:
    """Whether a file of this name can be read as a table."""
    return name in _CELEBA or name.lower().endswith((".csv", ".tsv", ".jsonl"))


def read_table(path: Path) -> Table:
    """Read a table by what its name says it is.

    The column of file names is the first that is called so (`file_name`, `image_id`, `path` ...), else the
    first column. Byte order marks, CRLF, blanks around cells and empty lines are understood.

    Raises:
        DataError: If the table is missing, no regular file, too large or malformed; the line is named.
    """
    text = _text(path)
    suffix = path.suffix.lower()
    if path.name in _CELEBA:
        header, rows = _CELEBA[path.name](path, text)
    elif suffix == ".jsonl":
        return _of_records(path, text)
    else:
        header, rows = _separated(path, text, "\t" if suffix == ".tsv" else None)
    return _of_rows(path, header, rows, _count(text))


def _text(path: Path) -> str:
    try:
        data = read_regular(path, max_bytes=MAX_TABLE_BYTES)
    except OSError as error:
        raise DataError(f"{printable(path)}: cannot be read ({error.strerror}). Check the file.") from error
    utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))  # "Unicode text" of spreadsheets
    return data.decode("utf-16" if utf16 else "utf-8-sig", "replace")


def _lines(text: str) -> Iterator[str]:
    """The lines of a text, each without its end, one at a time; empty ones at the end are dropped."""
    at, end = 0, len(text.rstrip())
    while at < end:
        stop = text.find("\n", at, end)
        yield text[at : end if stop < 0 else stop]
        at = end if stop < 0 else stop + 1


def _count(text: str) -> int:
    """How many lines there are at the most, whether they end as on Unix, Windows or the first Macintosh."""
    return text.count("\n") + text.count("\r") - text.count("\r\n") + 1


_Rows = Iterator[tuple[int, list[str]]]
"""Line numbers and cells, as many cells as the header has."""


def _celeba_attributes(path: Path, text: str) -> tuple[list[str], _Rows]:
    """`list_attr_celeba.txt`: the count, the names, then for each image its file and its +-1s."""
    lines, below = _lines(text), text.rstrip().count("\n") - 1
    count, names = next(lines, ""), next(lines, "").split()
    if not names:
        raise _malformed(path, 2, f"1 to {MAX_COLUMNS} different attribute names")
    if count.strip() != str(below):
        raise _malformed(path, 1, f"the number of rows below, {below}")

    def rows() -> _Rows:
        for number, line in enumerate(lines, start=3):
            cells = line.split()
            if len(cells) != len(names) + 1 or not {"1", "-1"}.issuperset(cells[1:]):
                raise _malformed(path, number, f"a file name and {len(names)} values, each 1 or -1")
            yield number, cells

    return [FILE_NAME, *names], rows()


def _pairs(name: str) -> Callable[[Path, str], tuple[list[str], _Rows]]:
    """A file of two columns without a header: a file name and a number."""

    def read(path: Path, text: str) -> tuple[list[str], _Rows]:
        def rows() -> _Rows:
            for number, line in enumerate(_lines(text), start=1):
                cells = line.split()
                if len(cells) != 2 or not cells[1].isdecimal():
                    raise _malformed(path, number, f"a file name and a number, its {name}")
                yield number, cells

        return [FILE_NAME, name], rows()

    return read


_CELEBA = {
    "list_attr_celeba.txt": _celeba_attributes,
    "list_eval_partition.txt": _pairs("partition"),
    "identity_CelebA.txt": _pairs("identity"),
}


def _separated(path: Path, text: str, delimiter: str | None) -> tuple[list[str], _Rows]:
    """CSV; where the delimiter is not known, the header tells: comma, semicolon or tab."""
    first = text.lstrip().partition("\n")[0]
    delimiter = delimiter or max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)

    def cells() -> _Rows:
        try:
            for row in reader:
                if any(cell.strip() for cell in row):
                    yield reader.line_num, [cell.strip() for cell in row]
        except csv.Error as error:
            raise _malformed(path, reader.line_num, f"cells between {delimiter!r} ({error})") from error

    rows = cells()
    header = next(rows, (1, [""]))[1]
    while header and not header[-1]:
        header.pop()

    def padded() -> _Rows:
        for number, row in rows:
            if any(row[len(header) :]):
                raise _malformed(path, number, f"{len(header)} cells, as many as the header has")
            yield number, row[: len(header)] + [""] * (len(header) - len(row))

    return header, padded()


def _json_lines(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(_lines(text), start=1):
        if not line.strip():
            continue
        try:
            record = parse_json(line)
        except ValueError as error:
            raise _malformed(path, number, f"a JSON object ({error})") from error
        if not isinstance(record, dict):
            raise _malformed(path, number, "a JSON object")
        yield number, record


def _of_records(path: Path, text: str) -> Table:
    """JSON Lines, parsed twice: first for the names of all columns, so that no record need be kept."""
    header, nested = dict[str, None](), set[str]()
    for number, record in _json_lines(path, text):
        header |= dict.fromkeys(record)
        nested |= {name for name, cell in record.items() if isinstance(cell, list | dict)}
        if len(header) > MAX_COLUMNS:
            raise _malformed(path, number, f"at most {MAX_COLUMNS} different names")
    flat = [name for name in header if name not in nested]
    rows = (
        (number, [_cell(record.get(name)) for name in flat]) for number, record in _json_lines(path, text)
    )
    return _of_rows(path, flat, rows, _count(text), tuple(name for name in header if name in nested))


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value).strip()


def _of_rows(
    path: Path,
    header: list[str],
    rows: Iterable[tuple[int, list[str]]],
    most: int,
    nested: tuple[str, ...] = (),
) -> Table:
    """A table of no more than `most` rows."""
    named = [at for at, name in enumerate(header) if name]  # pandas writes row numbers under no name
    if not 1 <= len(named) <= MAX_COLUMNS or len({header[at] for at in named}) != len(named):
        raise _malformed(path, 1, f"1 to {MAX_COLUMNS} different names of columns")
    words: list[dict[str, int]] = [{} for _ in named]
    codes = [array("i") for _ in named]
    fixed = (_ROW_BYTES + _CELL_BYTES * len(named)) * most
    _check_memory(path, fixed)
    for _, row in rows:
        for seen, column, at in zip(words, codes, named, strict=True):
            column.append(seen.setdefault(row[at], len(seen)))
        _check_memory(path, fixed + _WORD_BYTES * sum(map(len, words)))
    columns = {
        header[at]: Column(tuple(seen), np.array(column, np.int32))
        for at, seen, column in zip(named, words, codes, strict=True)
    }
    lowered = {name.lower(): name for name in reversed(columns)}
    key = next((lowered[name] for name in _KEYS if name in lowered), next(iter(columns)))
    files = columns.pop(key)
    return Table(key, tuple(files.words[code] for code in files.codes), columns, nested)


def _check_memory(path: Path, size: int) -> None:
    if size > MAX_MEMORY:
        raise DataError(
            f"{printable(path)}: expected a table that takes at most {MAX_MEMORY // 1_000_000} MB of memory, "
            "but its rows and columns take more. Leave some out."
        )


def _malformed(path: Path, line: int, expected: str) -> DataError:
    return DataError(
        f"{printable(path)}, line {line}: expected {expected}, got something else. Copy the table again."
    )
