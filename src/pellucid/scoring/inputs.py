"""Find all pictures that are meant, and cut them into parts of which none depends on who scores it."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pellucid.data.builtin import BUILTIN
from pellucid.data.folders import NOT_READ, READ
from pellucid.data.images import Preprocessing, printable
from pellucid.data.parquet import inspect
from pellucid.data.source import first_line
from pellucid.data.sources import find_source
from pellucid.data.store import open_prepared
from pellucid.errors import ConfigError, DataError
from pellucid.scoring.part import MOST_IN_A_SHARD, Part, filesystem_of, is_url, opened

PART = 512
"""Pictures in a part of files or rows: some seconds of work."""
MOST_ROWS = 65_536
"""Rows in a part of a table, whose row groups are otherwise kept whole."""

_ARRAYS = (".npy", ".npz")
_SHARDS = (".tar", ".tar.gz", ".tgz")  # a .xz may ask for gigabytes to be unpacked
_TABLES = (".parquet",)
# What file systems call what changes with a file's content.
_MARKS = (
    *("size", "mtime", "ETag", "etag", "LastModified", "last_modified", "Last-Modified", "updated"),
    *("md5Hash", "crc32c", "Content-MD5", "content_md5", "Digest", "checksum"),
)

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Inputs:
    """Pictures in parts.

    Attributes:
        parts: In the order of the results.
        digest: sha256 of all that tells these inputs from others: every part, sizes and times of files.
    """

    parts: tuple[Part, ...]
    digest: str

    @property
    def count(self) -> int | None:
        """How many pictures there are; None if only reading the shards tells."""
        counts = [part.count for part in self.parts]
        return None if None in counts else sum(count or 0 for count in counts)


def find_inputs(
    images: Sequence[str],
    preprocessing: Preprocessing,
    *,
    limit: int | None = None,
    progress: Progress | None = None,
) -> Inputs:
    """Cut what was named into parts; of files and shards only names and sizes are looked at.

    Args:
        images: Pictures, folders, CelebA roots, tar shards, .npy, .npz and .parquet files, built-in sets;
            pictures, folders, shards and tables also as URLs that fsspec opens, with `*`. What stands twice
            is taken once.
        preprocessing: That arrays and built-in sets are prepared by.
        limit: Take no more than this many pictures of each folder, shard, table, array or built-in set.
        progress: Called with the number of images done and of all, while an array is prepared.

    Raises:
        DataError: If there are no pictures, or something is malformed.
        ConfigError: If `limit` is below 1.
        MissingExtraError: If a package is missing.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"--limit: expected 1 or more, got {limit}. Raise it.")
    parts, states, single = list[Part](), list[Any](), list[str]()
    for image in dict.fromkeys(images):
        found = _remote(image, limit) if is_url(image) else _local(image, preprocessing, limit, progress)
        if found is None:
            single.append(image)
            continue
        parts += found[0]
        states.append(found[1])
    inside = {part.named(name) for part in parts for name in part.names} if single else set()
    alone = [image for image in single if image not in inside]
    parts = _files("", "", alone) + parts
    if not parts:
        raise DataError("expected at least 1 picture, got none. Name files or a folder.")
    states.append([(image, *_state(Path(image))) for image in alone])
    return Inputs(tuple(parts), _digest(parts, states))


def _digest(parts: Sequence[Part], states: Sequence[Any]) -> str:
    """Hash everything that a part says of itself, so that no setting that changes one can be forgotten."""
    hashed = hashlib.sha256()
    for piece in (*map(asdict, parts), *states):
        hashed.update(json.dumps(piece, ensure_ascii=True).encode() + b"\n")
    return hashed.hexdigest()


_Found = tuple[list[Part], Any]


def _local(
    image: str, preprocessing: Preprocessing, limit: int | None, progress: Progress | None
) -> _Found | None:
    """What a path or a name means; None if it is to be read as a single picture."""
    path, name = Path(image), image.lower()
    if image in BUILTIN or name.endswith(_ARRAYS):
        dataset = open_prepared(image, preprocessing, progress=progress, limit=None)
        count = len(dataset) + len(dataset.skipped)
        return _rows(image, count, limit, dataset.fingerprint), dataset.skipped
    if path.is_dir():
        return _folder(image, limit)
    if name.endswith(_SHARDS):
        return [_shard(image, limit)], [image, *_state(path)]
    if name.endswith(_TABLES):
        return _table(image, limit), [image, *_state(path)]
    return None


def _folder(image: str, limit: int | None) -> _Found:
    """Pictures in and below a folder, then the shards and tables that lie in it."""
    root, label = Path(image), image.rstrip("/") or image
    kept = sorted(str(file) for file in root.iterdir() if file.name.lower().endswith(_SHARDS + _TABLES))
    parts, states = list[Part](), list[Any]()
    try:
        source = find_source(root, limit=limit)
    except DataError:
        if not kept:
            raise
    else:
        items = [item for chunk in source.chunks() for item in chunk]
        problems = {at: item for at, item in enumerate(items) if isinstance(item, str)}
        parts += _files(str(source.root), label, source.names, problems)
        states.append(source.state)
    for file in kept:
        parts += [_shard(file, limit)] if file.lower().endswith(_SHARDS) else _table(file, limit)
        states.append([file, *_state(Path(file))])
    return parts, states


def _remote(url: str, limit: int | None) -> _Found:
    """What a URL means: a picture, a shard, a table, or all of these below it or that fit its pattern."""
    filesystem, path = filesystem_of(url)
    known = READ + NOT_READ + _SHARDS + _TABLES
    try:
        if "*" in path:
            root = path.partition("*")[0].rpartition("/")[0]
            found = filesystem.glob(path, detail=True)
        elif path.lower().endswith(known):
            root = path.rpartition("/")[0]
            found = {path: filesystem.info(path)}
        else:
            root = path.rstrip("/")
            found = filesystem.find(path, detail=True)
    except Exception as error:  # each file system has a tree of errors of its own
        raise DataError(
            f"{printable(url)}: cannot be listed ({first_line(error)}). Check the URL."
        ) from error
    names = sorted(name for name in found if name.lower().endswith(known))
    if not names:
        raise DataError(
            f"{printable(url)}: expected pictures, tar shards or Parquet tables, got none. Check the URL."
        )
    begin = filesystem.unstrip_protocol(root)
    pictures = [name[len(root) + 1 :] for name in names if name.lower().endswith(READ + NOT_READ)]
    parts = _files(begin, begin, pictures[:limit])
    for name in names:
        place = filesystem.unstrip_protocol(name)
        if name.lower().endswith(_SHARDS):
            parts.append(_shard(place, limit))
        elif name.lower().endswith(_TABLES):
            parts += _table(place, limit)
    infos = [found[name] for name in names]
    marks = [[str(info.get(key)) for key in _MARKS] for info in infos]
    return parts, [url, names, marks]


def _files(
    place: str, label: str, names: Sequence[str], problems: Mapping[int, str] | None = None
) -> list[Part]:
    known = problems or {}
    return [
        Part(
            "files",
            place,
            label,
            tuple(names[start : start + PART]),
            tuple((at - start, known[at]) for at in range(start, start + PART) if at in known),
        )
        for start in range(0, len(names), PART)
    ]


def _shard(place: str, limit: int | None) -> Part:
    return Part("shard", place, place, stop=MOST_IN_A_SHARD + 1 if limit is None else limit)


def _table(place: str, limit: int | None) -> list[Part]:
    """Row groups together until they have as many rows as a part; none is read twice unless it is huge."""
    try:
        with opened(place) as file:
            groups = inspect(file, printable(place)).groups
    except OSError as error:
        raise DataError(
            f"{printable(place)}: cannot be read ({first_line(error)}). Check the path."
        ) from error
    ends, end = list[int](), 0
    for rows in groups:
        pieces = max(1, -(-rows // MOST_ROWS))
        ends += [end + rows * piece // pieces for piece in range(1, pieces + 1)]
        end += rows
    last = end if limit is None else min(end, limit)
    parts, start = list[Part](), 0
    for end in ends:
        stop = min(end, last)
        if stop > start and (stop - start >= PART or stop == last):
            parts.append(Part("table", place, place, start=start, stop=stop))
            start = stop
    return parts


def _rows(image: str, count: int, limit: int | None, fingerprint: str) -> list[Part]:
    last = count if limit is None else min(count, limit)
    return [
        Part("rows", image, image, start=start, stop=min(start + PART, last), fingerprint=fingerprint)
        for start in range(0, last, PART)
    ]


def _state(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return 0, 0
    return status.st_size, status.st_mtime_ns
