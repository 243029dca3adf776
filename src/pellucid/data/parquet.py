"""Encoded pictures in a column of a Parquet file, as data sets on the Hugging Face hub have them.

pyarrow is imported only when there is such a file to read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from pellucid.data.images import printable
from pellucid.data.parquet_limits import check_footer, check_pages
from pellucid.data.source import (
    MAX_ROWS,
    Item,
    RowNames,
    Source,
    decoding_seconds,
    first_line,
    selection,
    title,
)
from pellucid.errors import DataError, MissingExtraError
from pellucid.storage.regular import open_regular

_ROWS = 8  # at once
_CELL_BYTES = 64 << 20  # what that many rows may take if all hold the same value of a dictionary
_BUFFER_BYTES = 1 << 20
_NAMES = ("image", "img", "images")  # of the column that is meant


@dataclass(frozen=True)
class Table:
    """Pictures in a Parquet file.

    Attributes:
        column: The path of the column that holds their bytes.
        groups: Rows of each row group.
        size: Bytes of all of them, as the file says.
    """

    column: str
    groups: tuple[int, ...]
    size: int


def parquet(path: Path, skip: int, limit: int | None) -> Source:
    """The pictures in the one column that holds some.

    Raises:
        DataError: If it is damaged, or has no such column.
        ConfigError: If `skip` or `limit` leave no image.
        MissingExtraError: If pyarrow is not installed.
    """
    label = printable(path)
    try:
        with open_regular(path) as file:
            table = inspect(file, label)
    except OSError as error:
        raise DataError(f"{label}: cannot be read ({error.strerror or error}). Check the path.") from error
    count = sum(table.groups)
    chosen = selection(count, skip, limit)
    rows = range(count)[chosen]
    status = path.stat()

    def chunks() -> Iterator[list[Item]]:
        with open_regular(path) as file:
            yield from pictures(file, label, table.column, rows)

    return Source(
        kind="parquet",
        noun=f"images from {title(path)}",
        names=RowNames(rows),
        state=(str(path.resolve()), status.st_size, status.st_mtime_ns, table.column, rows.start, rows.stop),
        chunks=chunks,
        seconds=decoding_seconds(len(rows), table.size * len(rows) // count),
    )


def inspect(file: Any, label: str) -> Table:
    """Look at a table without reading its pictures.

    Args:
        file: Open for reading bytes, and can seek.
        label: How to call it in errors.

    Raises:
        DataError: If it is damaged, or has no column of pictures.
        MissingExtraError: If pyarrow is not installed.
    """
    try:
        with _opened(file) as opened:
            metadata = opened.metadata
            groups = [metadata.row_group(at) for at in range(metadata.num_row_groups)]
            column = _image_column(label, opened)
            rows = tuple(group.num_rows for group in groups)
            size = sum(max(0, group.total_byte_size) for group in groups)
    except (DataError, MissingExtraError):
        raise
    except ImportError as error:
        raise MissingExtraError(
            f"{label}: reading Parquet needs pyarrow. Run: pip install 'pellucid[parquet]'"
        ) from error
    except Exception as error:  # pyarrow raises its own tree, OSError and more on damage
        raise DataError(f"{label}: is no readable Parquet file ({first_line(error)}).") from error
    if not 1 <= sum(rows) <= MAX_ROWS or min(rows) < 0:
        raise DataError(f"{label}: expected 1 to {MAX_ROWS:,} rows, got {sum(rows):,}. Check the file.")
    return Table(column, rows, size)


def _opened(file: Any) -> Any:
    """A Parquet file whose columns are read page by page."""
    import pyarrow.parquet as pq

    check_footer(file)
    return pq.ParquetFile(file, pre_buffer=False, buffer_size=_BUFFER_BYTES)


def _image_column(label: str, file: Any) -> str:
    """The path of the one column of bytes that holds the pictures."""
    schema = file.schema_arrow
    suitable = [field for field in schema if _leaf(field) is not None]
    named = [field for name in _NAMES for field in suitable if field.name == name]
    choice = named[:1] or suitable
    leaf = _leaf(choice[0]) if len(choice) == 1 else None
    paths = [file.schema.column(at).path for at in range(len(file.schema))]
    if leaf is None or [path for path in paths if f"{path}.".startswith(f"{leaf}.")] != [leaf]:
        got = ", ".join(f"{printable(field.name)} ({str(field.type)[:40]})" for field in list(schema)[:8])
        raise DataError(
            f"{label}: expected a column 'image' of encoded pictures, as bytes or as {{bytes, path}}, got "
            f"{got or 'no column'}. {_advice(suitable, schema)}"
        )
    return str(leaf)


def _leaf(field: Any) -> str | None:
    """The path of the bytes in a column that may hold pictures."""
    import pyarrow as pa

    def is_bytes(type_: Any) -> bool:
        return bool(pa.types.is_binary(type_) or pa.types.is_large_binary(type_))

    if is_bytes(field.type):
        return str(field.name)
    at = field.type.get_field_index("bytes") if pa.types.is_struct(field.type) else -1
    return f"{field.name}.bytes" if at >= 0 and is_bytes(field.type.field(at).type) else None


def _advice(suitable: list[Any], schema: Any) -> str:
    """What to do about a table in which no column is the one of the pictures."""
    import pyarrow as pa

    if suitable:
        names = " or ".join(printable(field.name) for field in suitable[:3])
        return f"Call the one that is meant 'image': {names}."
    name = next((name for name in _NAMES if name in schema.names), None)
    if name is None:
        return "Store the bytes of JPEG, PNG or WEBP files in a column 'image'."
    kind = schema.types[schema.names.index(name)]
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return f"'{name}' holds text: paths in it are never followed. Store the files' bytes."
    if pa.types.is_nested(kind) or isinstance(kind, pa.ExtensionType):
        return f"'{name}' holds no encoded pictures: save numbers as .npy, or pictures as bytes of PNG files."
    return f"Store the files' bytes in '{name}' as plain binary."


def pictures(file: Any, label: str, column: str, rows: range) -> Iterator[list[Item]]:
    """The pictures' bytes, eight at a time; a path in the file is never followed.

    Args:
        file: Open for reading bytes, and can seek.
        label: How to call it in errors.
        column: Of `inspect`.
        rows: Which ones, in the order of the file.

    Raises:
        DataError: If the table is damaged, or would take far more memory than it is large.
    """
    try:
        with _opened(file) as opened:
            yield from _chunks(opened, file, column, rows)
    except Exception as error:
        raise DataError(f"{label}: cannot be read ({first_line(error)}). Copy it again.") from error


def _chunks(opened: Any, file: Any, column: str, rows: range) -> Iterator[list[Item]]:
    metadata, first = opened.metadata, 0
    place = [opened.schema.column(at).path for at in range(len(opened.schema))].index(column)
    for at in range(metadata.num_row_groups):
        group = metadata.row_group(at)
        begin, end = max(rows.start - first, 0), min(rows.stop - first, group.num_rows)
        first += group.num_rows
        if begin >= end:
            continue
        dictionary = check_pages(file, group.column(place), metadata.created_by or "")
        size = _ROWS if dictionary * _ROWS <= _CELL_BYTES else 1
        batches = opened.iter_batches(batch_size=size, row_groups=[at], columns=[column], use_threads=False)
        cells = (_picture(cell) for batch in batches for cell in batch.column(0).to_pylist())
        wanted = islice(cells, begin, end)
        while chunk := list(islice(wanted, size)):
            yield chunk
            begin += len(chunk)
        if begin != end:
            raise ValueError("a row group has fewer rows than it says")


def _picture(cell: Any) -> Item:
    data = cell.get("bytes") if isinstance(cell, dict) else cell
    return data if isinstance(data, bytes) else "the row holds no picture"
