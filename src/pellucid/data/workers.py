"""Decode a source's pictures, in worker processes where that pays.

A picture that kills a process costs only itself.
"""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from pellucid.data.images import Preprocessing, preprocess, printable, read_image
from pellucid.data.source import Item, Source
from pellucid.errors import ImageError

WORTH_WORKERS = 8.0
"""Seconds of decoding on one processor above which starting processes pays: each imports torch first."""

Outcome = np.ndarray | str
"""uint8 [height width channel], or why there is none."""


def decoded(
    source: Source, preprocessing: Preprocessing, workers: int | None
) -> Generator[list[Outcome], None, None]:
    """What became of each chunk of the source, in order."""
    count = workers_for(source.seconds) if workers is None else workers
    if count > 1:
        with closing(_Crew(count, preprocessing)) as crew:
            yield from _from_crew(crew, source.chunks())
    else:
        for chunk in source.chunks():
            yield _prepare(chunk, preprocessing)


def workers_for(seconds: float) -> int:
    """How many processes some seconds of one processor's work are worth; 1 stands for this one alone."""
    if seconds < WORTH_WORKERS or multiprocessing.current_process().daemon:
        return 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(allowed, 16)


def _prepare(chunk: list[Item], preprocessing: Preprocessing) -> list[Outcome]:
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
    if pixels.shape == (side, side, channels) and preprocessing.crop != "celeba":
        return pixels
    grey = pixels.shape[2] == 1
    return preprocess(Image.fromarray(pixels[:, :, 0] if grey else pixels), preprocessing)


class _Crew:
    """Worker processes, started when needed and anew after they died; where none can live, this one works."""

    def __init__(self, count: int, preprocessing: Preprocessing) -> None:
        self.count = count
        self.preprocessing = preprocessing
        self._pool: ProcessPoolExecutor | None = None

    def submit(self, chunk: list[Item]) -> Future[list[Outcome]]:
        if self._pool is None and self.count > 0:
            self._pool = start_workers(self.count)
            self.count = 0 if self._pool is None else self.count
        future: Future[list[Outcome]] = Future()
        if self._pool is None:
            future.set_result(_prepare(chunk, self.preprocessing))
            return future
        try:
            return self._pool.submit(_prepare, chunk, self.preprocessing)
        except BrokenProcessPool as error:
            future.set_exception(error)
            return future

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


def start_workers(workers: int) -> ProcessPoolExecutor | None:
    """Worker processes, or None where none can live (a script without a `__main__` guard, no memory)."""
    try:
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_ignore_interrupt)
    except OSError:
        return None
    try:
        pool.submit(os.getpid).result()
    except (OSError, BrokenProcessPool, AssertionError):
        pool.shutdown()
        return None
    return pool


def _ignore_interrupt() -> None:
    """Ctrl-C reaches every process of the terminal; only the first one shall act on it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _from_crew(crew: _Crew, chunks: Iterator[list[Item]]) -> Iterator[list[Outcome]]:
    """Decode a few chunks ahead; after a process has died, what was in hand is gone through one by one."""
    pending: deque[tuple[list[Item], Future[list[Outcome]]]] = deque()
    while True:
        for chunk in islice(chunks, max(0, max(1, 4 * crew.count) - len(pending))):
            pending.append((chunk, crew.submit(chunk)))
        if not pending:
            return
        try:
            outcomes = pending[0][1].result()
        except BrokenProcessPool:
            crew.close()
            suspects = [chunk for chunk, _ in pending]
            pending.clear()
            yield from (list(one_by_one(chunk, crew.preprocessing)) for chunk in suspects)
            continue
        pending.popleft()
        yield outcomes


def one_by_one(items: Iterable[Item], preprocessing: Preprocessing) -> Iterator[Outcome]:
    """Find which image a worker died of, in a process that may die as well."""
    with closing(_Crew(1, preprocessing)) as crew:
        for item in items:
            try:
                yield from crew.submit([item]).result()
            except BrokenProcessPool:
                crew.close()
                yield "the process that decoded it died. Convert it, or leave it out."
