"""Which row of a table belongs to which image, by the names both have; never by a guess between two."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

_SEVERAL = -2
_ENDING = re.compile(r"\.[a-z][a-z0-9]{1,4}$")


@dataclass(frozen=True)
class Match:
    """The rows of a table that belong to images.

    Attributes:
        rows: int64 [image], the row of each image's values; -1 where there is none.
        ambiguous: Names in the table that could mean several images, or that stand in it more than once.
    """

    rows: Int64[np.ndarray, " image"]
    ambiguous: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many images have a row."""
        return int((self.rows >= 0).sum())


def match(files: Sequence[str], names: Sequence[str]) -> Match:
    """Match what the rows of a table name to images.

    First the same path, then a path that is the end of the other one: a base name or a longer path. Both are
    tried as they are, then in whatever case, then also without the ending. A name is matched only if it can
    mean one image, and an image only if one name can mean it.

    Args:
        files: What each row names, a path or a base name.
        names: The images, relative to their folder, all different.
    """
    rows = np.full(len(names), -1, np.int64)
    matched, ambiguous = np.zeros(len(files), bool), np.zeros(len(files), bool)
    for form in (_plain, _caseless, _without_ending):
        wanted, there = [form(file) for file in files], [form(name) for name in names]
        for pick in (_same(there), _ends(there)):
            if matched.all() or (rows >= 0).all():
                break
            picked = np.array([pick(name) for name in wanted], np.int64)
            ambiguous |= picked == _SEVERAL
            one = np.flatnonzero((picked >= 0) & ~matched)
            one = one[rows[picked[one]] < 0]
            contested = np.bincount(picked[picked >= 0], minlength=len(names))[picked[one]] > 1
            ambiguous[one[contested]] = True
            new = one[~contested]
            rows[picked[new]] = new
            matched[new] = True
    unclear = dict.fromkeys(files[row] for row in np.flatnonzero(ambiguous & ~matched).tolist())
    return Match(rows, tuple(unclear))


_Pick = Callable[[str], int]
"""From a name to the image that it means; -1 none, _SEVERAL more than one."""


def _same(there: list[str]) -> _Pick:
    images = _index((name, at) for at, name in enumerate(there))
    return lambda name: images.get(name, -1)


def _ends(there: list[str]) -> _Pick:
    """The image whose path ends in the name; else the longest path that the name ends in."""
    images = _index((name, at) for at, name in enumerate(there))
    ends = _index((end, at) for at, name in enumerate(there) for end in _endings(name))

    def pick(name: str) -> int:
        found = ends.get(name, -1)
        return found if found != -1 else next((images[end] for end in _endings(name) if end in images), -1)

    return pick


def _index(pairs: Iterator[tuple[str, int]]) -> dict[str, int]:
    index: dict[str, int] = {}
    for name, at in pairs:
        index[name] = at if index.get(name, at) == at else _SEVERAL
    return index


def _endings(path: str) -> Iterator[str]:
    """The path, then the path without its first folder, and so on to the base name."""
    while path:
        yield path
        path = path.partition("/")[2]


def _plain(name: str) -> str:
    path = name.replace("\\", "/")
    while path.startswith("./"):
        path = path[2:]
    return path


def _caseless(name: str) -> str:
    return unicodedata.normalize("NFC", _plain(name)).casefold()


def _without_ending(name: str) -> str:
    return _ENDING.sub("", _caseless(name))
