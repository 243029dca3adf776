"""Go through a tar archive from beginning to end, in memory that no archive can grow."""

import gzip
import tarfile
from collections.abc import Iterator
from io import BufferedReader
from typing import Any

MAX_HEADER_BYTES = 64 << 10
"""Of one member, with its long names, its extended attributes and the settings for all members."""
MAX_MEMBERS = 2_000_000
MAX_NAMES = 64 << 20
"""Characters of the names of all members: whoever reads an archive keeps them."""
MAX_MEMBER_BYTES = 16 << 30
"""tarfile goes over a member in small steps, whether its bytes are there or not."""


def members(file: Any, *, gzipped: bool) -> Iterator[tuple[tarfile.TarInfo, BufferedReader | None]]:
    """Give each member, and a file of its content where it has one; it is open until the next member.

    A sparse member has no content here: a few bytes would stand for any number of zeros.

    Args:
        file: An archive, open for reading bytes; it need not seek.
        gzipped: Whether to unpack it.

    Raises:
        ValueError: If the archive ends early, is damaged, or has more members or larger headers than above.
        tarfile.TarError: If it is damaged in another way.
        OSError: If it cannot be read, or its checksum does not fit.
        EOFError, zlib.error: If it cannot be unpacked.
    """
    plain = gzip.GzipFile(fileobj=file) if gzipped else file
    counted = _Counted(plain)
    with tarfile.open(fileobj=counted, mode="r|", tarinfo=_Member) as archive:  # type: ignore[call-overload]
        count, names = 0, 0
        while (member := archive.next()) is not None:
            archive.members.clear()  # it would remember them all
            count += 1
            if count > MAX_MEMBERS:
                raise ValueError(f"expected at most {MAX_MEMBERS:,} members, got more")
            names += len(member.name)
            if names > MAX_NAMES:
                raise ValueError(f"expected names of at most {MAX_NAMES:,} characters together, got more")
            if member.size > MAX_MEMBER_BYTES:
                raise ValueError(
                    f"expected members of at most {MAX_MEMBER_BYTES >> 30} GiB, got a larger one"
                )
            if sum(len(key) + len(value) for key, value in archive.pax_headers.items()) > MAX_HEADER_BYTES:
                raise ValueError(_too_much())
            counted.stop = archive.offset + MAX_HEADER_BYTES
            content = archive.extractfile(member) if member.isreg() and not member.issparse() else None
            assert content is None or isinstance(content, BufferedReader)  # which typeshed does not tell
            yield member, content
        plain.read(MAX_HEADER_BYTES)  # what fills the last record; behind it, gzip compares its checksum


class _Counted:
    """A file that can be read as far as `stop`: what tarfile takes for one header is no longer than that."""

    def __init__(self, file: Any) -> None:
        self._file, self._position, self.stop = file, 0, MAX_HEADER_BYTES

    def read(self, size: int) -> bytes:
        """The next bytes, of which tarfile asks for ten kilobytes at a time."""
        if self._position > self.stop:
            raise ValueError(_too_much())
        content: bytes = self._file.read(size)
        self._position += len(content)
        return content


def _too_much() -> str:
    return f"expected headers of at most {MAX_HEADER_BYTES >> 10} KiB a member, got more"


class _Member(tarfile.TarInfo):
    """A header that is refused if it is damaged: tarfile would take it for the end of the archive."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Member":
        """Parse a header.

        Raises:
            ValueError: If it is damaged, or missing.
            tarfile.HeaderError: If it is the end of the archive.
        """
        if len(buf) != tarfile.BLOCKSIZE:
            raise ValueError("it ends early")
        if not any(buf):
            return super().frombuf(buf, encoding, errors)
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            raise ValueError(f"{error}") from error
