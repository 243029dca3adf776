"""How files are written: whole or not at all, and by one writer at a time.

A lock is the operating system's own, on a small file beside what is written. It ends with the process that
holds it, however that ends: what a killed process leaves is a file that locks nobody out.
"""

import errno
import os
import platform
import re
import secrets
import stat
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from pellucid.errors import BusyError
from pellucid.storage.shipped import refuse_shipped

if sys.platform == "win32":
    import msvcrt

    _BYTE = 1 << 20  # Windows lets nobody read what is locked, so it is not a byte of the text

    def _take(file: int) -> None:
        os.lseek(file, _BYTE, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)

    def _free(file: int) -> None:
        os.lseek(file, _BYTE, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def _take(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _free(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)


SOON = 10.0
"""Seconds to wait for a writer who reads, changes and writes a small file."""

LOCK = ".lock"
"""What lies in a folder while it is locked."""

_HELD_BY_ANOTHER = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
_NO_LOCKS_HERE = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK)
_WAIT = 0.02
_LEAST_PATIENCE = 0.1  # a lock that ends while it is asked for is nobody's
_TEXT_BYTES = 200
_mine = threading.local()  # .locks: those that this thread holds


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Write to a temporary name, sync, rename: a kill or a full disk leaves the old file or the new one.

    Args:
        path: What to write; its folder is made if it is not there.

    Yields:
        The file to write to.

    Raises:
        OSError: If it cannot be written.
        ConfigError: If it belongs to a model that comes with the package.
    """
    refuse_shipped(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and error.filename in (None, str(temporary)):
            raise OSError(
                error.errno, error.strerror, str(path)
            ) from error  # tells of the file that was meant
        raise


def remove_abandoned(path: Path) -> None:
    """Remove what writers of a file left that were killed; nobody may be writing it now."""
    ours = re.compile(re.escape(f".{path.name}.") + "[0-9a-f]{16}[.]part")
    with suppress(OSError):
        for left in path.parent.iterdir():
            if ours.fullmatch(left.name):
                left.unlink(missing_ok=True)


@contextmanager
def locked(path: Path, *, patience: float = 0.0) -> Iterator[None]:
    """Be the only one who writes a file; within, the same thread may lock it again.

    Temporary files that killed writers of it left are removed.

    Args:
        path: The file; it need not be there, but its folder is made.
        patience: Seconds to wait for another writer.

    Raises:
        BusyError: If another one is still writing it.
        OSError: If its folder cannot be written.
        ConfigError: If it belongs to a model that comes with the package.
    """
    refuse_shipped(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    place = path.parent.resolve() / path.name
    with _locked(place.with_name(f".{place.name}.lock"), path, patience) as first:
        if first:
            remove_abandoned(place)
        yield


@contextmanager
def locked_folder(folder: Path, *, patience: float = 0.0) -> Iterator[None]:
    """Be the only one who works on a whole folder; within, the same thread may lock it again.

    It does not keep single files in it from being written by those who lock these.

    Args:
        folder: Made if it is not there; removed again if nothing is in it in the end.
        patience: Seconds to wait for another one.

    Raises:
        BusyError: If another one is still at work.
        OSError: If it cannot be made or written.
        ConfigError: If it belongs to a model that comes with the package.
    """
    refuse_shipped(folder)
    there = folder.is_dir()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with _locked(folder.resolve() / LOCK, folder, patience):
            yield
    finally:
        if not there:
            with suppress(OSError):
                folder.rmdir()


@contextmanager
def _locked(lock: Path, target: Path, patience: float) -> Iterator[bool]:
    """Hold a lock file; yields whether this thread did not hold it before."""
    mine: set[Path] = _mine.__dict__.setdefault("locks", set())
    if lock in mine:
        yield False
        return
    file = _acquired(lock, target, time.monotonic() + max(patience, _LEAST_PATIENCE))
    try:
        mine.add(lock)
        yield True
    finally:
        mine.discard(lock)
        with suppress(OSError):
            lock.unlink()  # while it is held: who opened it before sees that it is gone; Windows keeps it
        with suppress(OSError):
            _free(file)  # processes forked meanwhile have it open, too
        os.close(file)


def _acquired(lock: Path, target: Path, deadline: float) -> int:
    while True:
        try:
            file = os.open(lock, os.O_RDWR | os.O_CREAT | _flag("O_NOFOLLOW") | _flag("O_NONBLOCK"), 0o666)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(target)) from error
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise OSError(errno.EEXIST, "its lock is not a plain file", str(lock))
            if _taken(file, lock) and _is_there(file, lock):
                _sign(file)
                return file
            holder = _signature(file)
        except BaseException:
            os.close(file)
            raise
        os.close(file)
        if time.monotonic() >= deadline:
            raise BusyError(
                f"{target}: {holder} is writing it. Wait until it has ended, or write another one."
            )
        time.sleep(_WAIT)


def _flag(name: str) -> int:
    return getattr(os, name, 0)


def _taken(file: int, lock: Path) -> bool:
    try:
        _take(file)
    except OSError as error:
        if error.errno in _HELD_BY_ANOTHER:
            return False
        if error.errno not in _NO_LOCKS_HERE:
            raise
        warnings.warn(
            f"{lock.parent}: files cannot be locked here. Let no two programs write the same.", stacklevel=2
        )
    return True


def _is_there(file: int, lock: Path) -> bool:
    """Whether the file that was locked is still the one of that name: else its last holder removed it."""
    try:
        return os.path.samestat(os.fstat(file), lock.stat())
    except FileNotFoundError:
        return False


def _sign(file: int) -> None:
    with suppress(OSError):  # a full disk
        os.ftruncate(file, 0)
        os.lseek(file, 0, os.SEEK_SET)
        os.write(file, f"process {os.getpid()} on {platform.node()}".encode()[:_TEXT_BYTES])


def _signature(file: int) -> str:
    """Who holds it, as it says itself."""
    try:
        os.lseek(file, 0, os.SEEK_SET)
        text = os.read(file, _TEXT_BYTES).decode("utf-8", "replace")
    except OSError:
        text = ""
    return text if text.startswith("process ") and text.isprintable() else "another process"
