"""Decode a source's pictures, in worker processes where that pays.

A picture that kills a process costs only itself.
"""

from collections.abc import Generator, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from pellucid.data.crew import Crew, workers_for
from pellucid.data.images import Preprocessing, fit, printable, read_image
from pellucid.data.source import Item, Source
from pellucid.errors import ImageError

Outcome = np.ndarray | str
"""uint8 [height width channel], or why there is none."""


def decoded(
    source: Source, preprocessing: Preprocessing, workers: int | None
) -> Generator[list[Outcome], None, None]:
    """What became of each chunk of the source, in order."""
    count = workers_for(source.seconds) if workers is None else workers
    if count < 2:
        yield from (_prepare(preprocessing, chunk) for chunk in source.chunks())
        return
    with closing(_crew(count, preprocessing)) as crew:
        yield from crew.results(
            source.chunks(), lambda chunks: (list(one_by_one(chunk, preprocessing)) for chunk in chunks)
        )


def _crew(count: int, preprocessing: Preprocessing) -> Crew[list[Item], list[Outcome]]:
    return Crew(count, partial(_prepare, preprocessing))


def _prepare(preprocessing: Preprocessing, chunk: list[Item]) -> list[Outcome]:
    return [outcome(item, preprocessing) for item in chunk]


def outcome(item: Item, preprocessing: Preprocessing) -> Outcome:
    """Decode and fit one picture, or say why that cannot be done."""
    if isinstance(item, str):
        return item
    try:
        return (
            _fitted(item, preprocessing) if isinstance(item, np.ndarray) else read_image(item, preprocessing)
        )
    except (ImageError, MemoryError) as error:
        label = printable(item) if isinstance(item, Path) else "the image"
        return str(error).removeprefix(f"{label}: ") or "not enough memory"


def _fitted(
    pixels: UInt8[np.ndarray, "height width channel"], preprocessing: Preprocessing
) -> UInt8[np.ndarray, "size size kept"]:
    side, channels = preprocessing.size, preprocessing.channels
    if pixels.shape == (side, side, channels):  # no crop takes less than all of a square
        return pixels
    grey = pixels.shape[2] == 1
    return fit(Image.fromarray(pixels[:, :, 0] if grey else pixels), preprocessing)


def one_by_one(items: Iterable[Item], preprocessing: Preprocessing) -> Iterator[Outcome]:
    """Find which image a worker died of, in a process that may die as well."""
    with closing(_crew(1, preprocessing)) as crew:
        for item in items:
            try:
                yield from crew.submit([item]).result()
            except BrokenProcessPool:
                crew.close()
                yield "the process that decoded it died. Convert it, or leave it out."
