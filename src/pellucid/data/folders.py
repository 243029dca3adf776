"""Pictures in files: a folder with all that is below it, or CelebA's layout.

Of a picture only name, size and time are looked at; it is opened when it is decoded.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pellucid.data.attributes import Attributes, match_celeba_attributes, read_celeba_partition
from pellucid.data.images import Crop, printable
from pellucid.data.source import Item, Source, decoding_seconds, selection, title
from pellucid.errors import DataError

READ = (".jpg", ".jpeg", ".jpe", ".png", ".webp")
# What people also have in such folders: listed as skipped, with the reason, and not passed over in silence.
NOT_READ = (
    ".gif",
    ".bmp",
    ".tif",
    ".tiff",
    ".heic",
    ".heif",
    ".avif",
    ".jp2",
    ".jxl",
    ".ppm",
    ".pgm",
    ".tga",
)
MAX_FILES = 10_000_000


def folder(root: Path, skip: int, limit: int | None) -> Source:
    """The pictures in and below a folder.

    Raises:
        DataError: If there are none, or too many.
        ConfigError: If `skip` or `limit` leave no image.
    """
    files = _selected_files(root, skip, limit)
    return _of_files("folder", f"photographs from {title(root)}", root, files)


def celeba(root: Path, skip: int, limit: int | None) -> Source:
    """The pictures in `img_align_celeba/`, with the attributes and the partition that lie beside it.

    Raises:
        DataError: If there are no pictures, or too many, or a table is malformed.
        ConfigError: If `skip` or `limit` leave no image.
    """
    pictures = root / "img_align_celeba"
    files = _selected_files(pictures, skip, limit)
    names = tuple(file.name for file in files)
    table, parts = root / "list_attr_celeba.txt", root / "list_eval_partition.txt"
    attributes = match_celeba_attributes(table, names) if table.is_file() else None
    partition = None
    if parts.is_file():
        known = read_celeba_partition(parts)
        partition = np.array([known.get(name.rpartition("/")[2], 255) for name in names], np.uint8)
    noun = f"photographs from {title(root)} (CelebA layout)"
    return _of_files("celeba", noun, pictures, files, attributes, partition, "celeba")


@dataclass(frozen=True)
class _File:
    name: str
    size: int
    modified: int
    problem: str = ""


def _of_files(
    kind: str,
    noun: str,
    root: Path,
    files: list[_File],
    attributes: Attributes | None = None,
    partition: UInt8[np.ndarray, " image"] | None = None,
    crop: Crop = "center",
) -> Source:
    def chunks() -> Iterator[list[Item]]:
        for at in range(0, len(files), 32):
            yield [file.problem or root / file.name for file in files[at : at + 32]]

    return Source(
        kind=kind,
        noun=noun,
        names=tuple(file.name for file in files),
        state=(str(root.resolve()), [(file.name, file.size, file.modified) for file in files]),
        chunks=chunks,
        seconds=decoding_seconds(len(files), sum(file.size for file in files)),
        attributes=attributes,
        partition=partition,
        crop=crop,
    )


def _selected_files(root: Path, skip: int, limit: int | None) -> list[_File]:
    files = sorted(_walk(root), key=lambda file: file.name)
    if not files:
        raise DataError(
            f"{printable(root)}: expected pictures (.jpg, .png or .webp) in or below the folder, got none. "
            "Check the path."
        )
    return files[selection(len(files), skip, limit)]


def _walk(root: Path) -> Iterator[_File]:
    """All pictures below a folder; each folder once, so that links in a circle come to an end."""
    waiting, seen, count = [(root, "")], set[tuple[int, int]](), 0
    while waiting:
        folder, prefix = waiting.pop()
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                inside = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            yield _File(prefix, 0, 0, f"the folder cannot be listed ({error.strerror})")
            continue
        for entry in inside:
            if entry.name.startswith("."):
                continue
            if _is_folder(entry):
                waiting.append((Path(entry.path), f"{prefix}{entry.name}/"))
            elif os.path.splitext(entry.name)[1].lower() in READ + NOT_READ:  # noqa: PTH122 (faster)
                count += 1
                if count > MAX_FILES:
                    raise DataError(f"{printable(root)}: expected at most {MAX_FILES:,} pictures. Split it.")
                yield _file(entry, prefix)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _file(entry: os.DirEntry[str], prefix: str) -> _File:
    name = prefix + entry.name
    try:
        status = entry.stat()
    except OSError as error:
        return _File(name, 0, 0, f"cannot be read ({error.strerror})")
    return _File(name, status.st_size, status.st_mtime_ns)
