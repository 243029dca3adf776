"""A piece of the inputs that is scored as one, whoever does it, and the pictures in it."""

import tarfile
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import BufferedReader
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pellucid.data.axes import Axes
from pellucid.data.dataset import Dataset
from pellucid.data.images import HEAD, MAX_BYTES, Preprocessing, printable
from pellucid.data.listing import kind_of, problem_of
from pellucid.data.parquet import inspect, pictures
from pellucid.data.source import Item
from pellucid.data.store import open_prepared
from pellucid.data.tar import members
from pellucid.data.workers import Outcome, outcome
from pellucid.errors import DataError, MissingExtraError, PellucidError
from pellucid.scoring.web import client, is_web, reason_of, without_secrets
from pellucid.storage.regular import open_regular

MOST_IN_A_SHARD = 200_000
_FETCHED = 32  # pictures from afar at once
_FETCHED_BYTES = 4 << 20  # of each of them; larger ones are fetched one by one
_BLOCK_BYTES, _BLOCKS = 4 << 20, 16

Named = tuple[str, Item]
"""What a picture is called, and the picture or why there is none."""


@dataclass(frozen=True)
class Part:
    """Some pictures, by where they are; it can be sent to another process or machine.

    Attributes:
        kind: `files`, `shard` (a tar), `table` (Parquet) or `rows` (of an array or a built-in set).
        place: The folder of the files, or the shard, the table, the data; a path, a URL or a built-in name.
        label: What the names of its pictures begin with; "" for files that are named as they are.
        names: Of files, below `place`.
        problems: Of files that are known to be unreadable, the reason by position.
        start: First row; of a shard 0.
        stop: After the last row; of a shard, after how many pictures to end.
        limit: After how many rows the data set ends that rows are taken from; None for no end.
        axes: What the axes of the array are; None if their lengths tell.
        fingerprint: Of the data set that rows are taken from: whoever opens it must find the same one.
    """

    kind: Literal["files", "shard", "table", "rows"]
    place: str
    label: str
    names: tuple[str, ...] = ()
    problems: tuple[tuple[int, str], ...] = ()
    start: int = 0
    stop: int = 0
    limit: int | None = None
    axes: Axes | None = None
    fingerprint: str = ""

    @property
    def count(self) -> int | None:
        """How many pictures it has; None if only reading it tells."""
        if self.kind == "shard":
            return None
        return len(self.names) if self.kind == "files" else self.stop - self.start

    def named(self, name: str) -> str:
        """What a picture of it is called in the results."""
        if self.kind == "files" and is_url(self.place):
            return without_secrets(f"{self.label}/{name}")
        return f"{self.label}/{name}" if self.label else name


def read(part: Part) -> Iterator[Named]:
    """Every picture of a part with its name, one after another; what cannot be read has the reason instead.

    Args:
        part: Which pictures; not rows of a data set, which has them prepared.

    Raises:
        MissingExtraError: If a package is missing.
    """
    return {"files": _files, "shard": _shard, "table": _table}[part.kind](part)


def prepared(part: Part, preprocessing: Preprocessing) -> Iterator[tuple[str, Outcome]]:
    """As `read`, with each picture as a model sees it: uint8 [height width channel]."""
    if part.kind == "rows":
        return _rows(part, preprocessing)
    return ((name, outcome(item, preprocessing)) for name, item in read(part))


def is_url(place: str) -> bool:
    """Whether it is to be opened by fsspec."""
    return "://" in place


def opened(place: str) -> Any:
    """A file at a path or a URL, opened for reading bytes; fsspec has classes of its own for them.

    Raises:
        OSError: If it cannot be opened.
        MissingExtraError: If the package for that kind of URL is missing.
    """
    if not is_url(place):
        return open_regular(Path(place))
    filesystem, path = filesystem_of(place)
    if _is_local(filesystem):
        return open_regular(Path(path))
    # Blocks that were read are kept: a table is looked through before it is read.
    return filesystem.open(
        path, "rb", block_size=_BLOCK_BYTES, cache_type="blockcache", cache_options={"maxblocks": _BLOCKS}
    )


def filesystem_of(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL, and its path there.

    Raises:
        MissingExtraError: If fsspec or the package for that kind of URL is missing.
        OSError: If there is no such kind of URL.
    """
    try:
        import fsspec

        filesystem, path = fsspec.core.url_to_fs(url, **({"get_client": client} if is_web(url) else {}))
    except ImportError as error:
        kind = url.partition("://")[0]
        raise MissingExtraError(
            f"{printable(without_secrets(url))}: {kind}:// needs another package ({reason_of(error)}). "
            "Run: pip install 'pellucid[remote]', for s3 also s3fs, for gs also gcsfs."
        ) from error
    except ValueError as error:
        raise OSError(f"{reason_of(error)}") from error
    return filesystem, str(path)


def _is_local(filesystem: Any) -> bool:
    protocol = filesystem.protocol
    return "file" in ((protocol,) if isinstance(protocol, str) else protocol)


def _files(part: Part) -> Iterator[Named]:
    problems = dict(part.problems)
    filesystem, root = filesystem_of(part.place) if is_url(part.place) else (None, part.place)
    if filesystem is None or _is_local(filesystem):
        for at, name in enumerate(part.names):
            yield part.named(name), problems.get(at) or Path(root) / name
        return
    for start in range(0, len(part.names), _FETCHED):
        names = part.names[start : start + _FETCHED]
        paths = {name: name.partition("?")[0] if is_web(part.place) else name for name in names}
        heads = _fetched(filesystem, root, [name for name in names if kind_of(paths[name]) != "image"], HEAD)
        none = {
            name: problem_of(paths[name], head) for name, head in heads.items() if isinstance(head, bytes)
        }
        known = {name: problem for name, problem in none.items() if problem}
        wanted = [name for name in names if name not in known]
        found = _fetched(filesystem, root, wanted, _FETCHED_BYTES + 1)
        for name in names:
            item = known.get(name) or found[name]
            if isinstance(item, bytes) and len(item) > _FETCHED_BYTES:
                item = _fetched(filesystem, root, [name], MAX_BYTES + 1)[name]
            yield part.named(name), item


def _fetched(filesystem: Any, root: str, names: Sequence[str], most: int) -> dict[str, Item]:
    """The first bytes of files, at once; of one that cannot be fetched the reason."""
    places = [f"{root}/{name}" for name in names]
    found = filesystem.cat_ranges(places, [0] * len(places), [most] * len(places), on_error="return")
    return {
        name: content if isinstance(content, bytes) else f"cannot be fetched ({reason_of(content)})"
        for name, content in zip(names, found, strict=True)
    }


def _shard(part: Part) -> Iterator[Named]:
    count = 0
    try:
        with opened(part.place) as file:
            for member, content in members(file, gzipped=without_secrets(part.place).lower().endswith("gz")):
                if count == part.stop:
                    return
                item = _item(member, content)
                if item is None:
                    continue
                count += 1
                if count > MOST_IN_A_SHARD:
                    yield part.label, f"has more than {MOST_IN_A_SHARD:,} pictures; split it for the rest"
                    return
                yield part.named(member.name), item
        if not count:
            yield part.label, "holds no picture. Leave it out."
    except PellucidError:
        raise
    except Exception as error:  # a hostile archive raises nearly any type: zlib.error, EOFError ...
        yield part.label, f"cannot be read from here on ({reason_of(error)}). Copy it again."


def _item(member: tarfile.TarInfo, content: BufferedReader | None) -> Item | None:
    """A member's content, or why it is not read; None for a folder, a companion and what is hidden."""
    if member.isdir():
        return None
    if content is None and member.isreg():
        return "is sparse, which hides its size. Pack it again without holes."
    if content is None:
        companion = kind_of(member.name) == kind_of(member.linkname or member.name) == "companion"
        what = "a link, which is not followed" if member.islnk() or member.issym() else "no regular file"
        return None if companion else f"is {what}. Store the picture itself, or leave it out."
    head = content.read(HEAD)
    problem = problem_of(member.name, head)
    if problem != "":
        return problem
    if member.size > MAX_BYTES:
        return f"expected at most {MAX_BYTES // 1_000_000} MB, got more. Save it smaller."
    return head + content.read()


def _table(part: Part) -> Iterator[Named]:
    row = part.start
    try:
        with opened(part.place) as file:
            column = inspect(file, printable(part.label)).column
            rows = range(part.start, part.stop)
            for chunk in pictures(file, printable(part.label), column, rows):
                for item in chunk:
                    yield part.named(f"{row:08d}"), item
                    row += 1
    except MissingExtraError:
        raise
    except (PellucidError, OSError) as error:
        reason = without_secrets(printable(str(error))).removeprefix(f"{printable(part.label)}: ")
        for left in range(row, part.stop):
            yield part.named(f"{left:08d}"), reason


def _rows(part: Part, preprocessing: Preprocessing) -> Iterator[tuple[str, Outcome]]:
    dataset = _opened(part.place, preprocessing, part.axes, part.limit, part.fingerprint)
    bad = sorted((int(name), reason) for name, reason in dataset.skipped)
    skipped = dict(bad)
    numbers = [number for number, _ in bad]
    for start in range(part.start, part.stop, _FETCHED):
        wanted = range(start, min(start + _FETCHED, part.stop))
        kept = [row for row in wanted if row not in skipped]
        places = np.array([row - bisect_left(numbers, row) for row in kept], np.int64)
        found = dict(zip(kept, dataset.fetch(places), strict=True)) if kept else {}
        for row in wanted:
            yield part.named(f"{row:08d}"), skipped[row] if row in skipped else found[row]


@lru_cache(maxsize=4)
def _opened(
    place: str, preprocessing: Preprocessing, axes: Axes | None, limit: int | None, fingerprint: str
) -> Dataset:
    """Open the data set that has the fingerprint, once for each state of its file.

    Raises:
        DataError: If the file has changed.
    """
    dataset = open_prepared(place, preprocessing, axes=axes, limit=limit)
    if dataset.fingerprint != fingerprint:
        raise DataError(
            f"{printable(place)}: expected the images that were there at the start, but they have "
            "changed. Leave the file as it is, and begin anew."
        )
    return dataset
