"""Count what a Parquet file takes in memory before pyarrow reads it, which allocates what is claimed."""

import io
from typing import Any

from pellucid.data.thrift import Compact, CutError

MAX_FOOTER_BYTES = 16 << 20
MAX_FOOTER_MEMORY = 256 << 20
MAX_PAGE_BYTES = 16 << 20
"""Unpacked, unless the page is nearly as large before: pictures hardly shrink when packed."""
MAX_PAGE_RATIO = 20
MAX_HEADER_BYTES = 16 << 20
"""Of a page; it may hold the smallest and the largest value."""

_STRUCT_BYTES, _ELEMENT_BYTES = 800, 40  # what pyarrow takes for each at the most, measured with version 26
_MAGIC = b"PAR1"
_BEHIND = 100  # bytes that pyarrow reads behind a column of old versions of parquet-mr

# Fields of thrift's structs, see parquet.thrift in Apache's parquet-format.
_TYPE, _UNPACKED, _PACKED, _DATA, _DICTIONARY, _DATA_V2 = 1, 2, 3, 5, 7, 8
_VALUES = 1  # of DictionaryPageHeader
_ENCODING = {_DATA: 2, _DATA_V2: 4}
_KINDS = {0: _DATA, 2: _DICTIONARY, 3: _DATA_V2}
_PLAIN_OR_DICTIONARY = (0, 2, 8)


def check_footer(file: Any) -> None:
    """Check that a file's footer takes as little memory as its bytes say.

    Args:
        file: Open for reading bytes, and can seek.

    Raises:
        ValueError: If it is no Parquet file, or its footer is too large.
        OSError: If it cannot be read.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - 8))
    end = file.read(8)
    length = int.from_bytes(end[:4], "little")
    if len(end) != 8 or end[4:] != _MAGIC or length > size - 12:
        raise ValueError("it does not end as a Parquet file")
    if length > MAX_FOOTER_BYTES:
        raise ValueError(
            f"expected a footer of at most {MAX_FOOTER_BYTES >> 20} MiB, got more; write larger row groups"
        )
    file.seek(size - 8 - length)
    footer = Compact(file.read(length))
    footer.struct()
    if _STRUCT_BYTES * footer.structs + _ELEMENT_BYTES * footer.elements > MAX_FOOTER_MEMORY:
        raise ValueError("its footer has too many parts; write larger row groups")
    file.seek(0)


def check_pages(file: Any, chunk: Any, writer: str) -> int:
    """Check that no page of a column unpacks to more than pictures do, by the headers of its pages.

    Args:
        file: Open for reading bytes, and can seek.
        chunk: pyarrow's metadata of the column in one row group.
        writer: What wrote the file, as it says.

    Returns:
        The size of the dictionary in bytes: a value from it may stand in any row.

    Raises:
        ValueError: If one does, or is encoded in another way than plain or by a dictionary.
        OSError: If it cannot be read.
    """
    at, dictionary = chunk.data_page_offset, 0
    if chunk.has_dictionary_page and 0 < chunk.dictionary_page_offset < at:
        at = chunk.dictionary_page_offset
    end = at + chunk.total_compressed_size
    stop = end + (_BEHIND if "parquet-mr" in writer else 0)
    while at < stop:
        try:
            header, length = _page_header(file, at)
        except ValueError:
            if at < end:
                raise
            break  # what is behind the column is no page
        unpacked, packed = header.get(_UNPACKED, -1), header.get(_PACKED, -1)
        if not isinstance(unpacked, int) or not isinstance(packed, int) or min(unpacked, packed) < 0:
            raise ValueError("a page has no size")
        if unpacked > max(MAX_PAGE_BYTES, MAX_PAGE_RATIO * packed):
            raise ValueError(
                f"expected pictures, which hardly shrink when packed, got {unpacked:,} bytes packed into "
                f"{packed:,}; write it without compression"
            )
        dictionary = max(dictionary, _check_values(header, unpacked))
        at += length + packed
    return dictionary


def _check_values(header: dict[int, Any], unpacked: int) -> int:
    """Check what a page says of its values; the size of the dictionary if it is one."""
    kind = _KINDS.get(header.get(_TYPE, -1))
    if kind is None:
        return 0  # a page of another kind is not read
    inner = header.get(kind)
    if not isinstance(inner, dict):
        raise ValueError("a page says nothing of its values")
    if kind == _DICTIONARY:
        if not 0 <= inner.get(_VALUES, -1) <= unpacked // 4:  # each begins with four bytes of length
            raise ValueError("a dictionary has more values than bytes")
        return unpacked
    if inner.get(_ENCODING[kind]) not in _PLAIN_OR_DICTIONARY:
        raise ValueError("its column is neither plain nor by a dictionary; write it without encodings")
    return 0


def _page_header(file: Any, at: int) -> tuple[dict[int, Any], int]:
    """The header of the page at a place in the file, and its length in bytes."""
    size = 1 << 10
    while True:
        file.seek(at)
        data = file.read(size)
        compact = Compact(data)
        try:
            return compact.struct(), compact.at
        except CutError:
            if len(data) < size or size >= MAX_HEADER_BYTES:
                raise
            size *= 16
