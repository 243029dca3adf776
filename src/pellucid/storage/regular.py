"""The one way to open a file for reading: regular files only, so that nothing is waited for or endless."""

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

# A FIFO that takes the file's place after the check is opened without waiting for a writer.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file for reading bytes; a link to one counts as one.

    A FIFO, socket, device or directory is refused without being opened or waited for.

    Raises:
        OSError: If it cannot be opened, or is not a regular file.
    """
    try:
        _check(path.stat(), path)  # before it is opened, which alone has effects on some devices
        descriptor = os.open(path, _FLAGS)
    except ValueError as error:  # an embedded null byte
        raise OSError(errno.EINVAL, "not a valid path", str(path)) from error
    try:
        _check(os.fstat(descriptor), path)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: Path, *, max_bytes: int) -> bytes:
    """Read what a regular file holds when it is opened.

    Raises:
        OSError: If it cannot be read, is not a regular file, or holds more than `max_bytes`.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > max_bytes:
            raise OSError(errno.EFBIG, f"expected at most {max_bytes:,} bytes, got more", str(path))
        return file.read(size)


def _check(status: os.stat_result, path: Path) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder", str(path))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
