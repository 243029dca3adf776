"""Decoded images on disk: written once, checked at every later start.

A cache is a folder named by a hash of its source and preprocessing. It is written in a temporary folder
beside its place and renamed when complete, so it is there whole or not at all, and two runs at once end up
with the same one.
"""

import errno
import hashlib
import json
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from io import BufferedWriter, TextIOWrapper
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from pellucid.data.brightness import brightness_notes
from pellucid.data.copies import find_copies
from pellucid.data.images import Preprocessing, printable
from pellucid.data.pixel_file import PixelFile
from pellucid.data.source import RowNames, Source
from pellucid.data.workers import Outcome, decoded
from pellucid.errors import DataError
from pellucid.storage.regular import read_regular
from pellucid.storage.strict_json import parse_json

VERSION = 5
MAX_INDEX_BYTES = 2**30
MAX_SKIPPED = 100_000
RENAMES_OPEN_FILES = os.name != "nt"  # Windows refuses to move a folder of which a file is open

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Cached:
    """The images of a source, decoded.

    Attributes:
        pixels: The images, in a file.
        kept: int64 [image], which of the source's images these are.
        skipped: Name and reason of each image that could not be read.
        fingerprint: sha256 of the shape, the pixels and the names, in hexadecimal.
        copies: The rows of images that are copies of an earlier one, and the row of the first.
        notes: What reading all of it has told, for people.
    """

    pixels: PixelFile
    kept: Int64[np.ndarray, " image"]
    skipped: tuple[tuple[str, str], ...]
    fingerprint: str
    copies: Mapping[int, int]
    notes: tuple[str, ...]


def cached(
    source: Source,
    preprocessing: Preprocessing,
    *,
    root: Path,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Cached:
    """Give a source's images from the cache, and write the cache first where there is none that is whole.

    Args:
        source: Where the images come from.
        preprocessing: What is done to each.
        root: The folder of all caches.
        workers: Processes that decode; None decides by the work there is, 0 and 1 decode in this one.
        progress: Called with the number of images done and of all.

    Raises:
        DataError: If no image could be read, or the cache could not be written.
    """
    place = root / _key(source, preprocessing)
    found = _open(place, source, preprocessing)
    if found is not None:
        return found
    needed = len(source.names) * preprocessing.size**2 * preprocessing.channels
    with _writing(root, needed) as directory:
        with closing(decoded(source, preprocessing, workers)) as outcomes:
            skipped = _write_pixels(directory / "pixels", source.names, outcomes, progress)
        _write_index(directory, source, preprocessing, skipped)
        # Opened before it is renamed: whatever other runs do to the place, this one has its images.
        own = _open(directory, source, preprocessing)
        if own is None:
            raise DataError(f"{printable(root)}: what was written cannot be read back. Check the disk.")
        if not RENAMES_OPEN_FILES:
            own = None
        _publish(directory, place, lambda: _open(place, source, preprocessing) is not None)
        found = _open(place, source, preprocessing) or own
        if found is None:
            raise DataError(f"{printable(root)}: the cache was replaced while it was opened. Try again.")
        return found


def _key(source: Source, preprocessing: Preprocessing) -> str:
    parts = [VERSION, source.kind, source.state, asdict(preprocessing)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _open(place: Path, source: Source, preprocessing: Preprocessing) -> Cached | None:
    """The cache at a place, or None if there is none, or it is not to the last byte what was written."""
    try:
        index = _read_index(place / "index.json")
        skipped = tuple((str(name), str(reason)) for name, reason in index["skipped"])
        kept = _kept(source.names, skipped)
        pixels = _pixels(place, len(kept), preprocessing)
        if _checksum(pixels) != index["crc32"]:
            return None
        copies = {int(row): int(first) for row, first in index["copies"]}
        notes = tuple(str(note) for note in index["notes"])
        return Cached(pixels, kept, skipped, str(index["fingerprint"]), copies, notes)
    except (OSError, ValueError, TypeError, KeyError, DataError):
        return None


def _kept(names: Sequence[str], skipped: Iterable[tuple[str, str]]) -> Int64[np.ndarray, " image"]:
    bad = {name for name, _ in skipped}
    if not bad:
        return np.arange(len(names))
    return np.array([row for row, name in enumerate(names) if name not in bad], np.int64)


def _pixels(place: Path, count: int, preprocessing: Preprocessing) -> PixelFile:
    size, channels = preprocessing.size, preprocessing.channels
    return PixelFile(place / "pixels", (count, size, size, channels))


def _read_index(path: Path) -> dict[str, Any]:
    signed = parse_json(read_regular(path, max_bytes=MAX_INDEX_BYTES))
    if signed["sha256"] != _signature(signed["index"]):
        raise ValueError("the index is damaged")
    index: dict[str, Any] = signed["index"]
    return index


def _signature(index: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(index, sort_keys=True).encode()).hexdigest()


def _checksum(pixels: PixelFile) -> int:
    crc = 0
    for block in pixels.blocks():
        crc = zlib.crc32(block.data, crc)
    return crc


@contextmanager
def _writing(root: Path, needed: int) -> Iterator[Path]:
    """A temporary folder that is gone afterwards, whatever happens; a full disk is told in plain words."""
    directory = None
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_abandoned(root)
        if shutil.disk_usage(root).free < needed:
            raise OSError(errno.ENOSPC, "")
        directory = Path(tempfile.mkdtemp(prefix=".building-", dir=root))
        yield directory
    except OSError as error:
        label, change = printable(root), "or set PELLUCID_CACHE to a folder elsewhere"
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            size = f"{needed / 1e6:,.1f} MB"
            raise DataError(
                f"{label}: expected {size} of free disk, got less. Free some, {change}."
            ) from error
        reason = error.strerror or type(error).__name__
        raise DataError(f"{label}: the cache cannot be written ({reason}). Allow it, {change}.") from error
    finally:
        if directory is not None:
            shutil.rmtree(directory, ignore_errors=True)


def _remove_abandoned(root: Path) -> None:
    """What a killed writer left: folders in which nothing was written for a day."""
    for directory in root.glob(".building-*"):
        with suppress(OSError):
            times = [path.stat().st_mtime for path in (directory, *directory.iterdir())]
            if max(times) < time.time() - 86_400:
                shutil.rmtree(directory, ignore_errors=True)


def _write_pixels(
    path: Path, names: Sequence[str], outcomes: Iterable[list[Outcome]], progress: Progress | None
) -> list[tuple[str, str]]:
    """Write what could be decoded, and give the names and reasons of what could not."""
    skipped: list[tuple[str, str]] = []
    done = 0
    with path.open("wb") as file:
        for chunk in outcomes:
            named = zip(names[done : done + len(chunk)], chunk, strict=True)
            skipped += [(name, outcome) for name, outcome in named if isinstance(outcome, str)]
            if len(skipped) > MAX_SKIPPED:
                name, reason = skipped[0]
                raise DataError(
                    f"expected at most {MAX_SKIPPED:,} images that cannot be read, got more; "
                    f"{printable(name)}: {reason}"
                )
            file.write(b"".join(outcome.tobytes() for outcome in chunk if not isinstance(outcome, str)))
            done += len(chunk)
            if progress is not None:
                progress(done, len(names))
        _sync(file)
    if done != len(names):
        raise DataError(f"expected {len(names):,} images, the source gave {done:,}. Copy the source again.")
    if len(skipped) == done:
        name, reason = skipped[0]
        raise DataError(f"none of {done:,} images can be read; {printable(name)}: {reason}")
    return skipped


def _write_index(
    directory: Path, source: Source, preprocessing: Preprocessing, skipped: list[tuple[str, str]]
) -> None:
    kept = _kept(source.names, skipped)
    pixels = _pixels(directory, len(kept), preprocessing)
    names = [source.names[row] for row in kept.tolist()]
    index = {
        "version": VERSION,
        "images": len(names),
        "preprocessing": asdict(preprocessing),
        "crc32": _checksum(pixels),
        "fingerprint": _fingerprint(pixels, names),
        "skipped": [list(pair) for pair in skipped],
        "notes": [*source.said(), *brightness_notes(pixels, source)],
        "copies": list(find_copies(pixels.read, len(pixels)).items()),
        "names": names if not isinstance(source.names, RowNames) else "row numbers of eight digits",
    }
    with (directory / "index.json").open("w", encoding="utf-8") as file:
        json.dump({"sha256": _signature(index), "index": index}, file)
        _sync(file)
    _sync_folder(directory)


def _fingerprint(pixels: PixelFile, names: list[str]) -> str:
    hashed = hashlib.sha256(f"pellucid images {list(pixels.shape)}\n".encode())
    for block in pixels.blocks():
        hashed.update(block.data)
    hashed.update("\0".join(names).encode("utf-8", "surrogateescape"))
    return hashed.hexdigest()


def _publish(directory: Path, place: Path, is_whole: Callable[[], bool]) -> None:
    """Put the folder in its place, unless another run has put a whole one there."""
    for _ in range(3):
        try:
            directory.rename(place)
            _sync_folder(place.parent)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
        if is_whole():
            return
        damaged = Path(tempfile.mkdtemp(prefix=".building-", dir=place.parent))
        with suppress(OSError):
            place.rename(damaged / "damaged")
        shutil.rmtree(damaged, ignore_errors=True)


def _sync(file: BufferedWriter | TextIOWrapper) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
