"""What is known of each image beside its pixels: CelebA's attributes, or the factors it was drawn from."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32, Int, Int8, Shaped

from pellucid.data.images import printable
from pellucid.errors import DataError
from pellucid.storage.regular import read_regular

Kind = Literal["binary", "ordinal", "categorical", "periodic"]
MAX_TABLE_BYTES = 512_000_000
MAX_COLUMNS = 1_000


@dataclass(frozen=True)
class Attributes:
    """Named values of the images of a data set.

    Attributes:
        names: One for each attribute.
        kinds: `binary` 0 or 1; `ordinal` the number; `categorical` the class's index; `periodic` radians.
        lookup: Values of any rows of the data set: int [row] to float32 [row attribute], nan = unknown.
    """

    names: tuple[str, ...]
    kinds: tuple[Kind, ...]
    lookup: Callable[[Int[np.ndarray, " row"]], Float32[np.ndarray, "row attribute"]]

    def of(self, kept: Int[np.ndarray, " row"]) -> "Attributes":
        """The same attributes for a data set that has only the rows `kept` of this one."""
        return Attributes(self.names, self.kinds, lambda rows: self.lookup(kept[rows]))


def from_table(
    names: tuple[str, ...], kinds: tuple[Kind, ...], values: Float32[np.ndarray, "row attribute"]
) -> Attributes:
    """Attributes whose values are all in memory."""
    return Attributes(names, kinds, lambda rows: values[rows])


def read_celeba_attributes(
    path: Path,
) -> tuple[tuple[str, ...], tuple[str, ...], Int8[np.ndarray, "row attribute"]]:
    """Read `list_attr_celeba.txt`: the count, the names, then for each image its file and its +-1s.

    Returns:
        The files' names, the attributes' names, and int8 [row attribute] of 0 and 1.

    Raises:
        DataError: If the table is missing, too large or malformed; the line is named.
    """
    lines = _lines(path)
    columns = tuple(lines[1].split()) if len(lines) > 1 else ()
    if not 1 <= len(columns) <= MAX_COLUMNS or len(set(columns)) != len(columns):
        raise _malformed(path, 2, f"1 to {MAX_COLUMNS} different attribute names")
    rows = lines[2:]
    if lines[0].strip() != str(len(rows)):
        raise _malformed(path, 1, f"the number of rows below, {len(rows)}")
    files: dict[str, None] = {}
    values = np.empty((len(rows), len(columns)), np.int8)
    for at, line in enumerate(rows):
        name, *signs = line.split() or [""]
        if len(signs) != len(columns) or not {"1", "-1"}.issuperset(signs) or name in files:
            raise _malformed(path, at + 3, f"a new file name and {len(columns)} values, each 1 or -1")
        files[name] = None
        values[at] = [sign == "1" for sign in signs]
    return tuple(files), columns, values


def read_celeba_partition(path: Path) -> dict[str, int]:
    """Read `list_eval_partition.txt`: file name to 0 (train), 1 (validation) or 2 (test).

    Raises:
        DataError: If the table is missing, too large or malformed; the line is named.
    """
    parts: dict[str, int] = {}
    for number, line in enumerate(_lines(path), start=1):
        fields = line.split()
        if len(fields) != 2 or fields[1] not in ("0", "1", "2") or fields[0] in parts:
            raise _malformed(path, number, "a new file name and 0, 1 or 2")
        parts[fields[0]] = int(fields[1])
    return parts


def match_celeba_attributes(path: Path, names: tuple[str, ...]) -> Attributes:
    """CelebA's attributes of the named images, matched by file name; nan where the table has no row."""
    files, columns, values = read_celeba_attributes(path)
    row_of = {name: row for row, name in enumerate(files)}
    rows = np.array([row_of.get(name.rpartition("/")[2], -1) for name in names], np.int64)
    kinds: tuple[Kind, ...] = tuple("binary" for _ in columns)
    return from_table(columns, kinds, _known_rows(values, rows))


def _known_rows(
    values: Shaped[np.ndarray, "table attribute"], rows: Int[np.ndarray, " row"]
) -> Float32[np.ndarray, "row attribute"]:
    matched = np.full((len(rows), values.shape[1]), np.nan, np.float32)
    matched[rows >= 0] = values[rows[rows >= 0]]
    return matched


def _lines(path: Path) -> list[str]:
    try:
        data = read_regular(path, max_bytes=MAX_TABLE_BYTES)
    except OSError as error:
        raise DataError(f"{printable(path)}: cannot be read ({error.strerror}). Check the file.") from error
    return data.decode("utf-8", "replace").removesuffix("\n").split("\n")


def _malformed(path: Path, line: int, expected: str) -> DataError:
    return DataError(
        f"{printable(path)}, line {line}: expected {expected}, got something else. Copy the table again."
    )
