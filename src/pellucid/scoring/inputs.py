"""Find all pictures that are meant, and cut them into parts of which none depends on who scores it."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pellucid.data.axes import Axes
from pellucid.data.builtin import BUILTIN
from pellucid.data.dataset import Dataset
from pellucid.data.images import Preprocessing, printable
from pellucid.data.listing import ARRAYS, SHARDS, TABLES, Kind, kind_of, list_folder
from pellucid.data.parquet import inspect
from pellucid.data.store import open_prepared
from pellucid.errors import ConfigError, DataError
from pellucid.scoring.part import MOST_IN_A_SHARD, Part, filesystem_of, is_url, opened
from pellucid.scoring.web import is_web, listed, matching, reason_of, without_secrets

PART = 512
"""Pictures in a part of files or rows: some seconds of work."""
MOST_ROWS = 65_536
"""Rows in a part of a table, whose row groups are otherwise kept whole."""

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
        limit: After how many pictures the results end; None for no end.
        notes: What a person should know of how arrays were read.
    """

    parts: tuple[Part, ...]
    digest: str
    limit: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def count(self) -> int | None:
        """How many pictures there are; None if only reading the shards tells."""
        counts = [part.count for part in self.parts]
        return None if None in counts else sum(count or 0 for count in counts)

    @property
    def at_most(self) -> int | None:
        """A number that there are no more pictures than; None if only reading the shards tells."""
        return self.limit if self.count is None else self.count


def find_inputs(
    images: Sequence[str],
    preprocessing: Preprocessing,
    *,
    axes: Axes | None = None,
    limit: int | None = None,
    progress: Progress | None = None,
) -> Inputs:
    """Cut what was named into parts; of files and shards only names and sizes are looked at.

    Args:
        images: Pictures, folders, tar shards, .npy, .npz and .parquet files, built-in sets; pictures,
            folders, shards and tables also as URLs that fsspec opens, with `*`. What stands twice is
            taken once.
        preprocessing: That arrays and built-in sets are prepared by.
        axes: What the axes of all arrays are, such as `NHWC`; None if their lengths tell.
        limit: Take no more than this many pictures in all, the first ones.
        progress: Called with the number of images done and of all, while an array is prepared.

    Raises:
        DataError: If there are no pictures, something named is not there, or something is malformed.
        ConfigError: If `limit` is below 1, or there are `axes` but no arrays.
        MissingExtraError: If a package is missing.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"--limit: expected 1 or more, got {limit}. Raise it.")
    if axes is not None and not any(image.lower().endswith(ARRAYS) for image in images):
        raise ConfigError("--axes is for .npy and .npz files, and none is named. Leave it out.")
    parts, states, single, notes = list[Part](), list[Any](), list[str](), list[str]()
    for image in dict.fromkeys(images):
        if image in BUILTIN or (image.lower().endswith(ARRAYS) and not is_url(image)):
            layout = None if image in BUILTIN else axes
            dataset = open_prepared(image, preprocessing, axes=layout, progress=progress, limit=limit)
            parts += _rows(image, dataset, layout, limit)
            states.append(dataset.skipped)
            notes += dataset.notes
            continue
        found = _remote(image) if is_url(image) else _local(image)
        if found is None:
            single.append(image)
            continue
        parts += found[0]
        states.append(found[1])
    inside = {part.named(name) for part in parts for name in part.names} if single else set()
    alone = [image for image in single if image not in inside]
    parts = _within(_files("", "", alone) + parts, limit)
    if not parts:
        raise DataError("expected at least 1 picture, got none. Name files or a folder.")
    states.append([(image, *_state(Path(image))) for image in alone])
    return Inputs(tuple(parts), _digest(parts, [*states, limit]), limit, tuple(notes))


def _within(parts: Sequence[Part], limit: int | None) -> list[Part]:
    """No more than so many pictures, except that how many of them a shard has is not known."""
    if limit is None:
        return list(parts)
    kept, left = list[Part](), limit
    for part in parts:
        if part.kind == "files":
            problems = tuple((at, reason) for at, reason in part.problems if at < left)
            kept.append(replace(part, names=part.names[:left], problems=problems))
        elif part.kind == "shard":
            kept.append(replace(part, stop=min(part.stop, left)))
        else:
            kept.append(replace(part, stop=min(part.stop, part.start + left)))
        left -= kept[-1].count or 0
        if left == 0:
            break
    return kept


def _digest(parts: Sequence[Part], states: Sequence[Any]) -> str:
    """Hash everything that a part says of itself, so that no setting that changes one can be forgotten."""
    hashed = hashlib.sha256()
    for piece in (*map(asdict, parts), *states):
        hashed.update(json.dumps(piece, ensure_ascii=True).encode() + b"\n")
    return hashed.hexdigest()


_Found = tuple[list[Part], Any]


def _local(image: str) -> _Found | None:
    """What a path means; None if it is to be read as a single picture."""
    path, name = Path(image), image.lower()
    if path.is_dir():
        return _folder(image)
    if not _exists(path):
        raise DataError(f"{printable(image)}: expected pictures, got nothing there. Check the path.")
    if name.endswith(SHARDS):
        return [_shard(image)], [image, *_state(path)]
    if name.endswith(TABLES):
        return _table(image), [image, *_state(path)]
    return None


def _exists(path: Path) -> bool:
    """Whether something is there, be it a link to nothing; what cannot be asked for is told on reading."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError):
        return True
    return True


def _folder(image: str) -> _Found:
    """Pictures in and below a folder, then the shards and tables."""
    place, label = str(Path(image)), image.rstrip("/") or image
    files = list_folder(Path(image)).files
    if not files:
        raise DataError(
            f"{printable(image)}: expected pictures in or below the folder, got none. Check the path."
        )
    pictures, kept = list[str](), list[Part]()
    problems = dict[int, str]()
    for file in files:
        name, problem = f"{label}/{file.name}", file.problem
        if file.kind == "shard":
            kept.append(_shard(name))
        elif file.kind == "table":
            try:
                kept += _table(name)
            except DataError as error:
                problem = str(error).removeprefix(f"{printable(name)}: ")
        elif file.kind == "array":
            problem = "is an array, which is not read in a folder. Name it by itself, or leave it out."
        if file.kind == "image" or problem:
            problems |= {len(pictures): problem} if problem else {}
            pictures.append(file.name)
    states = [(file.name, file.size, file.modified) for file in files]
    return _files(place, label, pictures, problems) + kept, [image, states]


def _remote(url: str) -> _Found:
    """What a URL means: a picture, a shard, a table, or all of these below it or that fit its pattern."""
    told = printable(without_secrets(url))
    if "::" in url:
        raise ConfigError(
            f"{told}: expected one address, got a chain of several (::). Unpack the archive, or "
            "make tar shards or Parquet tables of it."
        )
    filesystem, path = filesystem_of(url)
    try:
        if "*" in path:
            root = path.partition("*")[0].rpartition("/")[0]
            found = matching(filesystem, root, path) if is_web(url) else filesystem.glob(path, detail=True)
        elif kind_of(without_secrets(path)) in ("image", "shard", "table"):
            root = path.rpartition("/")[0]
            found = {path: filesystem.info(path)}
        else:
            root = path.rstrip("/")
            found = listed(filesystem, root) if is_web(url) else filesystem.find(path, detail=True)
    except Exception as error:  # each file system has a tree of errors of its own
        raise DataError(f"{told}: cannot be listed ({reason_of(error)}). Check the URL.") from error
    if list(found) == [path]:
        root = path.rpartition("/")[0]
    kinds = {name: kind_of(without_secrets(name)) for name in sorted(found)}
    names = [name for name, kind in kinds.items() if kind not in ("companion", "hidden")]
    if not names:
        raise DataError(f"{told}: expected pictures, tar shards or Parquet tables, got none. Check the URL.")
    begin = filesystem.unstrip_protocol(root)
    pictures = [name[len(root) + 1 :] for name in names if kinds[name] not in ("shard", "table")]
    parts = _files(begin, without_secrets(begin), pictures)
    for name in names:
        place = filesystem.unstrip_protocol(name)
        if kinds[name] == "shard":
            parts.append(_shard(place))
        elif kinds[name] == "table":
            parts += _table(place)
    return parts, [url, names, [_marks(filesystem, name, found[name], kinds[name]) for name in names]]


def _marks(filesystem: Any, name: str, info: Mapping[str, Any], kind: Kind) -> list[str]:
    """What changes with a file's content; a listing over http has nothing of it, so shards are asked for."""
    if kind in ("shard", "table") and not any(info.get(key) for key in _MARKS):
        try:
            info = filesystem.info(name)
        except Exception as error:  # each file system has a tree of errors of its own
            raise DataError(
                f"{printable(without_secrets(name))}: cannot be reached ({reason_of(error)}). Check the URL."
            ) from error
    return [str(info.get(key)) for key in _MARKS]


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


def _shard(place: str) -> Part:
    return Part("shard", place, without_secrets(place), stop=MOST_IN_A_SHARD + 1)


def _table(place: str) -> list[Part]:
    """Row groups together until they have as many rows as a part; none is read twice unless it is huge."""
    try:
        with opened(place) as file:
            groups = inspect(file, printable(without_secrets(place))).groups
    except OSError as error:
        raise DataError(
            f"{printable(without_secrets(place))}: cannot be read ({reason_of(error)}). Check the path."
        ) from error
    ends, end = list[int](), 0
    for rows in groups:
        pieces = max(1, -(-rows // MOST_ROWS))
        ends += [end + rows * piece // pieces for piece in range(1, pieces + 1)]
        end += rows
    parts, start = list[Part](), 0
    for stop in ends:
        if stop > start and (stop - start >= PART or stop == end):
            parts.append(Part("table", place, without_secrets(place), start=start, stop=stop))
            start = stop
    return parts


def _rows(image: str, dataset: Dataset, axes: Axes | None, limit: int | None) -> list[Part]:
    count = len(dataset) + len(dataset.skipped)
    return [
        Part(
            "rows",
            image,
            image,
            start=start,
            stop=min(start + PART, count),
            limit=limit,
            axes=axes,
            fingerprint=dataset.fingerprint,
        )
        for start in range(0, count, PART)
    ]


def _state(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return 0, 0
    return status.st_size, status.st_mtime_ns
