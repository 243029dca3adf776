"""Encoded pictures in a column of a Parquet file, as data sets on the Hugging Face hub have them.

pyarrow is imported only when there is such a file to read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from pellucid.data.images import printable
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

MAX_ROW_GROUP_BYTES = 8 * 2**30
BOMB_BYTES = 64 * 2**20
BOMB_RATIO = 100


@dataclass(frozen=True)
class Table:
    """Pictures in a Parquet file.

    Attributes:
        column: Which holds them.
        groups: Rows of each row group.
        size: Bytes of all of them.
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
    table = inspect(path, printable(path))
    count = sum(table.groups)
    chosen = selection(count, skip, limit)
    rows = range(count)[chosen]
    status = path.stat()
    return Source(
        kind="parquet",
        noun=f"images from {title(path)}",
        names=RowNames(rows),
        state=(str(path.resolve()), status.st_size, status.st_mtime_ns, table.column, rows.start, rows.stop),
        chunks=lambda: pictures(path, printable(path), table.column, rows),
        seconds=decoding_seconds(len(rows), table.size * len(rows) // count),
    )


def inspect(file: Any, label: str) -> Table:
    """Look at a table without reading its pictures.

    Args:
        file: A path, or a file of bytes that is open and can seek.
        label: How to call it in errors.

    Raises:
        DataError: If it is damaged, or has no column of pictures.
        MissingExtraError: If pyarrow is not installed.
    """
    try:
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtraError(
            f"{label}: reading Parquet needs pyarrow. Run: pip install 'pellucid[parquet]'"
        ) from error
    try:
        with pq.ParquetFile(file) as opened:
            metadata = opened.metadata
            groups = [metadata.row_group(at) for at in range(metadata.num_row_groups)]
            column = _image_column(label, opened)
            sizes = [group.total_byte_size for group in groups]
            packed = [
                sum(group.column(at).total_compressed_size for at in range(group.num_columns))
                for group in groups
            ]
            rows = tuple(group.num_rows for group in groups)
    except DataError:
        raise
    except Exception as error:  # pyarrow raises its own tree, OSError and more on damage
        raise DataError(f"{label}: is no readable Parquet file ({first_line(error)}).") from error
    for size, small in zip(sizes, packed, strict=True):
        if size > BOMB_BYTES and size > BOMB_RATIO * max(small, 1):
            raise DataError(
                f"{label}: expected pictures, which hardly shrink when packed, got {size:,} bytes packed "
                f"into {small:,}. Rewrite it without compression."
            )
    if max(sizes, default=0) > MAX_ROW_GROUP_BYTES:
        limit = MAX_ROW_GROUP_BYTES // 2**30
        raise DataError(f"{label}: expected row groups of at most {limit} GiB, got more. Rewrite it.")
    if not 1 <= sum(rows) <= MAX_ROWS or min(rows) < 0:
        raise DataError(f"{label}: expected 1 to {MAX_ROWS:,} rows, got {sum(rows):,}. Check the file.")
    return Table(column, rows, sum(sizes))


def _image_column(label: str, file: Any) -> str:
    schema = file.schema_arrow
    suitable = [field.name for field in schema if _holds_pictures(field.type)]
    named = [name for name in ("image", "img", "images") if name in suitable]
    choice = named[:1] or suitable
    if len(choice) != 1:
        got = ", ".join(f"{printable(field.name)} ({str(field.type)[:40]})" for field in list(schema)[:8])
        raise DataError(
            f"{label}: expected a column 'image' of bytes or of {{bytes, path}}, got {got}. Rename it."
        )
    return choice[0]


def _holds_pictures(type_: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_struct(type_):
        at = type_.get_field_index("bytes")
        return at >= 0 and _holds_pictures(type_.field(at).type)
    return bool(pa.types.is_binary(type_) or pa.types.is_large_binary(type_))


def pictures(file: Any, label: str, column: str, rows: range) -> Iterator[list[Item]]:
    """The pictures' bytes, eight at a time; a path in the file is never followed.

    Raises:
        DataError: If the table is damaged.
    """
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as opened:
            first, groups = _row_groups(opened, rows)
            batches = opened.iter_batches(batch_size=8, row_groups=groups, columns=[column])
            cells = (_picture(cell) for batch in batches for cell in batch.column(0).to_pylist())
            wanted = islice(cells, rows.start - first, rows.stop - first)
            while chunk := list(islice(wanted, 8)):
                yield chunk
    except Exception as error:
        raise DataError(f"{label}: is damaged ({first_line(error)}). Copy it again.") from error


def _row_groups(file: Any, rows: range) -> tuple[int, list[int]]:
    """The first row of the first row group that is needed, and all that are needed."""
    starts = [0]
    for at in range(file.metadata.num_row_groups):
        starts.append(starts[-1] + file.metadata.row_group(at).num_rows)
    needed = [at for at in range(len(starts) - 1) if starts[at] < rows.stop and starts[at + 1] > rows.start]
    return starts[needed[0]], needed


def _picture(cell: Any) -> Item:
    data = cell.get("bytes") if isinstance(cell, dict) else cell
    return data if isinstance(data, bytes) else "the row holds no picture"
