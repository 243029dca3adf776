"""A source of images: their names and how to read them, with none decoded yet; and what every kind shares."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, SupportsIndex, overload

import numpy as np
from jaxtyping import Int

from pellucid.data.annotations import NOTHING_KNOWN, Annotations
from pellucid.data.images import Crop, printable
from pellucid.errors import ConfigError

MAX_ROWS = 100_000_000

Item = Path | bytes | np.ndarray | str
"""A picture to read; or, as text, the reason why there is none."""


@dataclass(frozen=True)
class Source:
    """Images that can be read, in order.

    Attributes:
        kind: `folder`, `celeba`, `array` or `parquet`.
        noun: What the images are, for people: `photographs from faces`.
        names: One for each image, sorted.
        state: Changes whenever the images may have changed: paths, sizes, times of modification.
        chunks: Starts reading: lists of items, as many items in all as there are names.
        seconds: How long decoding takes one processor, very roughly.
        annotations: What is known of the images, in the order of the names; of those that cannot be read,
            which come last, nothing is.
        channels: 1 or 3, what the images have by nature.
        crop: What suits the images.
        notes: What a person should know of what is read, one sentence or two each.
        said: The same for what only reading all of it tells: slow, so it is asked for once and kept.
        value_range: The least and the largest value of an array's images before they become pixels; of
            encoded pictures None.
    """

    kind: str
    noun: str
    names: Sequence[str]
    state: tuple[Any, ...]
    chunks: Callable[[], Iterator[list[Item]]]
    seconds: float
    annotations: Annotations = NOTHING_KNOWN
    channels: int = 3
    crop: Crop = "center"
    notes: tuple[str, ...] = ()
    said: Callable[[], tuple[str, ...]] = tuple
    value_range: Callable[[], tuple[float, float]] | None = None


class RowNames(Sequence[str]):
    """The names of an array's rows: eight digits each, made when asked for."""

    def __init__(self, rows: range | Int[np.ndarray, " row"]) -> None:
        self.rows = rows

    def of(self, kept: Int[np.ndarray, " kept"]) -> "RowNames":
        """The names at some positions."""
        return RowNames(kept + self.rows.start if isinstance(self.rows, range) else self.rows[kept])

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: SupportsIndex) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> "RowNames": ...
    def __getitem__(self, index: SupportsIndex | slice) -> "str | RowNames":
        if isinstance(index, slice):
            return RowNames(self.rows[index])
        return f"{self.rows[index]:08d}"

    def __iter__(self) -> Iterator[str]:
        return (f"{row:08d}" for row in self.rows)


def selection(count: int, skip: int, limit: int | None) -> slice:
    """The images that `skip` and `limit` leave of `count`.

    Raises:
        ConfigError: If they leave none.
    """
    if skip < 0 or (limit is not None and limit < 1):
        raise ConfigError(f"expected skip >= 0 and limit >= 1, got {skip} and {limit}. Change them.")
    if skip >= count:
        raise ConfigError(f"skip: expected less than the {count:,} images there are, got {skip:,}. Lower it.")
    return slice(skip, count if limit is None else min(count, skip + limit))


def decoding_seconds(images: int, size: int) -> float:
    """How long one processor takes to decode some pictures of so many bytes in all, very roughly."""
    return images * 0.3e-3 + size / 20e6


def title(path: Path) -> str:
    """The last part of a path, for people."""
    return printable(path.resolve().name or str(path))


def first_line(error: Exception) -> str:
    """What an error says, in one short line; its type if it says nothing."""
    text = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return printable(text.partition("\n")[0][:200]) or type(error).__name__
