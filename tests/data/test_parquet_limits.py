"""Pages and footers are counted as pyarrow reads them; what two readers could see differently is refused."""

import io
import random

import bombs
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.data.parquet import inspect, pictures
from pellucid.data.parquet_limits import MAX_PAGE_BYTES, check_footer, check_pages
from pellucid.data.thrift import Compact, CutError
from pellucid.errors import DataError

pytestmark = pytest.mark.usefixtures("as_installed")


def read(data: bytes) -> list[object]:
    table = inspect(io.BytesIO(data), "it")
    rows = range(sum(table.groups))
    return [item for chunk in pictures(io.BytesIO(data), "it", table.column, rows) for item in chunk]


@given(
    cells=st.lists(st.none() | st.binary(max_size=300), min_size=1, max_size=40),
    codec=st.sampled_from(["none", "snappy", "gzip", "zstd", "brotli", "lz4"]),
    dictionary=st.booleans(),
    version=st.sampled_from(["1.0", "2.0"]),
    rows=st.integers(1, 40),
    page=st.sampled_from([1, 100, 2**20]),
)
@settings(max_examples=100)
def test_what_pyarrow_writes_is_read(
    cells: list[bytes | None], codec: str, dictionary: bool, version: str, rows: int, page: int
) -> None:
    file = io.BytesIO()
    pq.write_table(
        pa.table({"image": pa.array(cells, pa.binary())}),
        file,
        compression=codec,
        use_dictionary=dictionary,
        data_page_version=version,
        row_group_size=rows,
        data_page_size=page,
    )
    expected = ["the row holds no picture" if cell is None else cell for cell in cells]
    assert read(file.getvalue()) == expected


@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=5),
    st.floats(0, 1),
    st.booleans(),
)
@settings(max_examples=300)
def test_mutated_tables_are_read_or_refused(changes: list[tuple[float, int]], end: float, cut: bool) -> None:
    file = io.BytesIO()
    cells = [bytes([at]) * 50 for at in range(12)]
    pq.write_table(pa.table({"image": cells}), file, row_group_size=5, compression="zstd")
    data = bytearray(file.getvalue())
    for at, value in changes:
        data[int(at * (len(data) - 1))] = value
    try:
        found = read(bytes(data[: int(end * len(data))] if cut else data))
    except DataError:
        return
    assert found


@given(st.binary(max_size=200))
@settings(max_examples=500)
def test_any_bytes_are_a_struct_or_a_value_error(data: bytes) -> None:
    compact = Compact(data)
    try:
        compact.struct()
    except ValueError:
        return
    assert 0 < compact.at <= len(data)


def test_numbers_are_read_as_thrift_writes_them() -> None:
    data = (
        bombs.i32(1, -5)
        + bombs.i64(2, 7)
        + bombs.inner(3, bombs.i32(40, 2**31 - 1))
        + bombs.text(4, b"x")
        + b"\0"
    )
    compact = Compact(data)
    assert compact.struct() == {1: -5, 3: {40: 2**31 - 1}}
    assert (compact.at, compact.structs) == (len(data), 2)


@pytest.mark.parametrize(
    "data",
    [
        b"\x05" + bombs.number(2 << 1) + bombs.number(2**32) + b"\0",  # cut to 32 bits it would be 0
        b"\x05" + bombs.number(65_538 << 1) + b"\x02\0",  # cut to 16 bits it would be the field 2
        b"\x0d\x02\0",
        b"\x1c" * 100,
        b"\x19" * 100,
    ],
    ids=["wide number", "wide field", "unknown type", "nested structs", "nested lists"],
)
def test_what_two_readers_could_see_differently_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="."):
        Compact(data).struct()


def test_a_list_that_claims_more_than_there_is_is_cut() -> None:
    with pytest.raises(CutError, match="longer than the bytes"):
        Compact(bombs.several(1, 12, 10**6, b"")).struct()


def test_the_last_of_two_sizes_counts_and_one_of_another_type_does_not() -> None:
    content = bombs.packed(40 << 20, "brotli")
    values = (
        bombs.inner(5, bombs.i32(1, 1), bombs.i32(2, 0), bombs.i32(3, 3), bombs.i32(4, 3)) + b"\0" + content
    )
    size = bombs.i32(2, (40 << 20) + 4)
    for sizes in (size + bombs.i64(2, 10), bombs.i32(2, 10) + size):
        page = bombs.i32(1, 0) + sizes + bombs.i32(3, len(content)) + values
        data = bombs.parquet_file(page, 1, codec=4)
        chunk = pq.ParquetFile(io.BytesIO(data)).metadata.row_group(0).column(0)
        with pytest.raises(ValueError, match="hardly shrink"):
            check_pages(io.BytesIO(data), chunk, "")


def test_pages_of_incompressible_pictures_may_be_large() -> None:
    cell = random.Random(0).randbytes(MAX_PAGE_BYTES + 1000)
    file = io.BytesIO()
    pq.write_table(pa.table({"image": [cell, cell[::-1]]}), file, use_dictionary=False)
    assert read(file.getvalue()) == [cell, cell[::-1]]


@pytest.mark.parametrize(
    "data", [b"", b"PAR1", b"PAR1" + bytes(8) + b"PAR1", b"x" * 11, b"\xff\xff\xff\x7fPAR1"]
)
def test_what_has_no_footer_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="."):
        check_footer(io.BytesIO(data))


def test_only_the_bytes_of_a_column_are_looked_up() -> None:
    """A column called `image.bytes` beside one of bytes in `image`: which is meant cannot be told."""
    file = io.BytesIO()
    pq.write_table(pa.table({"image": [{"bytes": b"a"}], "image.bytes": [b"b"]}), file)
    with pytest.raises(DataError, match="Call the one that is meant"):
        inspect(file, "it")
