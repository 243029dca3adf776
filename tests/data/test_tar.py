"""Archives are read as tarfile reads them; what would grow memory, or vanish without a word, is refused."""

import gzip
import io
import random
import tarfile
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.data.tar import MAX_HEADER_BYTES, members

pytestmark = pytest.mark.usefixtures("as_installed")

Content = list[tuple[str, bytes | None]]
REFUSED = (ValueError, tarfile.TarError, OSError, EOFError, zlib.error)


def read(data: bytes, *, gzipped: bool = False) -> Content:
    return [
        (member.name, None if content is None else content.read())
        for member, content in members(io.BytesIO(data), gzipped=gzipped)
    ]


def packed(files: dict[str, bytes], **settings: object) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", **settings) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def header(kind: bytes, size: int, name: str = "x.png") -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


@given(
    st.dictionaries(
        st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=300).filter(
            lambda name: name.strip("/") and not name.endswith("/")
        ),
        st.binary(max_size=3000),
        max_size=6,
    ),
    st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
    st.booleans(),
)
def test_what_tarfile_writes_is_read(files: dict[str, bytes], form: int, gzipped: bool) -> None:
    try:
        data = packed(files, format=form)
    except ValueError:  # a name that is too long for the oldest format
        return
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        expected = [(info.name, archive.extractfile(info).read()) for info in archive]  # type: ignore[union-attr]
    assert read(gzip.compress(data) if gzipped else data, gzipped=gzipped) == expected


FILES = {f"{at:02d}.png": random.Random(at).randbytes(700) for at in range(6)} | {"n" * 200: b"long"}


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("gzipped", [False, True])
@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=4),
    st.floats(0, 1),
    st.booleans(),
)
@settings(max_examples=150)
def test_mutated_archives_are_read_or_refused(
    form: int, gzipped: bool, changes: list[tuple[float, int]], end: float, cut: bool
) -> None:
    data = packed(FILES, format=form)
    content = bytearray(gzip.compress(data, mtime=0) if gzipped else data)
    for at, value in changes:
        content[int(at * (len(content) - 1))] = value
    try:
        found = read(bytes(content[: int(end * len(content))] if cut else content), gzipped=gzipped)
    except REFUSED:
        return
    assert len(found) == len(FILES), "rows have vanished without a word"


@pytest.mark.parametrize("at", range(6))
def test_a_damaged_header_is_not_taken_for_the_end(at: int) -> None:
    data = bytearray(packed({f"{at}.png": b"x" for at in range(6)}))
    data[1024 * at + 150] ^= 1  # in its checksum
    with pytest.raises(ValueError, match="bad checksum"):
        read(bytes(data))


@pytest.mark.parametrize("kept", range(7))
def test_an_archive_that_ends_between_two_members_is_refused(kept: int) -> None:
    data = packed({f"{at}.png": b"x" for at in range(6)})
    with pytest.raises(ValueError, match="ends early"):
        read(data[: 1024 * kept])


def test_the_checksum_of_gzip_is_compared() -> None:
    data = bytearray(gzip.compress(packed(FILES)))
    data[-6] ^= 1
    with pytest.raises(OSError, match="CRC"):
        read(bytes(data), gzipped=True)


def giant(kind: bytes) -> bytes:
    return header(kind, 1 << 33) + b"7" * (MAX_HEADER_BYTES + 20_480)


def old_sparse() -> bytes:
    """A sparse map of the oldest format that goes on for ever."""
    first = bytearray(header(tarfile.GNUTYPE_SPARSE, 0))
    first[482] = 1  # another block of the map follows
    first[148:156] = b"%06o\0 " % (sum(first[:148]) + 8 * 32 + sum(first[156:]))
    block = (b"%011o " % 0 + b"%011o " % 1) * 21
    return bytes(first) + (block + b"\1" + bytes(512 - len(block) - 1)) * 400


def new_sparse() -> bytes:
    """A sparse map of the newest format, in the data of a member, that goes on for ever."""
    info = tarfile.TarInfo("x.png")
    info.size = 1 << 30
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "x.png"}
    return info.tobuf(tarfile.PAX_FORMAT) + b"99999999\n" + b"0\n" * 200_000


def global_headers() -> bytes:
    """Settings for all members that come, more and more of them."""
    parts = []
    for at in range(40):
        info = tarfile.TarInfo.create_pax_global_header({f"key{at}": "v" * 4000})
        parts += [info, header(tarfile.REGTYPE, 0)]
    return b"".join(parts) + bytes(1024)


BOMBS: dict[str, Callable[[], bytes]] = {
    "long name": lambda: giant(tarfile.GNUTYPE_LONGNAME),
    "long link": lambda: giant(tarfile.GNUTYPE_LONGLINK),
    "pax": lambda: giant(tarfile.XHDTYPE),
    "pax for all": lambda: giant(tarfile.XGLTYPE),
    "pax of Solaris": lambda: giant(tarfile.SOLARIS_XHDTYPE),
    "many pax for all": global_headers,
    "sparse map, old": old_sparse,
    "sparse map, new": new_sparse,
    "chain of long names": lambda: (header(tarfile.GNUTYPE_LONGNAME, 0)) * 1000,
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_headers_are_counted_while_they_are_read(bomb: str) -> None:
    file = io.BytesIO(BOMBS[bomb]())
    with pytest.raises(ValueError, match="headers of at most 64 KiB"):
        list(members(file, gzipped=False))


def test_a_sparse_member_has_no_content_and_the_next_one_has() -> None:
    info = tarfile.TarInfo("sparse.png")
    info.size = 512
    info.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "sparse.png",
        "GNU.sparse.realsize": str(1 << 40),
    }
    data = info.tobuf(tarfile.PAX_FORMAT) + b"0\n".ljust(512, b"\0") + packed({"next.png": b"next"})
    with pytest.raises(ValueError, match="16 GiB"):
        read(data)
    info.pax_headers["GNU.sparse.realsize"] = str(1 << 30)
    data = info.tobuf(tarfile.PAX_FORMAT) + b"0\n".ljust(512, b"\0") + packed({"next.png": b"next"})
    assert read(data) == [("sparse.png", None), ("next.png", b"next")]


def test_members_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pellucid.data.tar.MAX_MEMBERS", 3)
    with pytest.raises(ValueError, match="at most 3 members"):
        read(packed(FILES))
