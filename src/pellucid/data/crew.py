"""Work shared out among processes, in order; what one was doing when it died is not lost."""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Generic, TypeVar

WORTH_WORKERS = 8.0
"""Seconds of work for one processor above which starting processes pays: each imports torch first."""

_AHEAD = 4  # pieces in hand for each process

Given = TypeVar("Given")
Made = TypeVar("Made")


class Crew(Generic[Given, Made]):
    """Processes, started when needed and anew after they died; where none can live, this one works.

    Args:
        count: How many.
        work: What each does with a piece of work; it is sent to them.
    """

    def __init__(self, count: int, work: Callable[[Given], Made]) -> None:
        self.count = count
        self.work = work
        self._pool: ProcessPoolExecutor | None = None

    def submit(self, piece: Given) -> Future[Made]:
        """Hand out a piece; its result raises `BrokenProcessPool` if a process died."""
        if self._pool is None and self.count > 0:
            self._pool = _start(self.count)
            self.count = 0 if self._pool is None else self.count
        future: Future[Made] = Future()
        if self._pool is None:
            future.set_result(self.work(piece))
            return future
        try:
            return self._pool.submit(self.work, piece)
        except BrokenProcessPool as error:
            future.set_exception(error)
            return future

    def results(
        self, pieces: Iterable[Given], rescue: Callable[[list[Given]], Iterator[Made]]
    ) -> Iterator[Made]:
        """What became of each piece, in order; some are handed out ahead.

        Args:
            pieces: The work.
            rescue: Makes the results of those that were in hand when a process died, one of which it may
                have died of.
        """
        coming = iter(pieces)
        pending: deque[tuple[Given, Future[Made]]] = deque()
        while True:
            for piece in islice(coming, max(0, max(1, _AHEAD * self.count) - len(pending))):
                pending.append((piece, self.submit(piece)))
            if not pending:
                return
            try:
                made = pending[0][1].result()
            except BrokenProcessPool:
                self.close()
                suspects = [piece for piece, _ in pending]
                pending.clear()
                yield from rescue(suspects)
                continue
            pending.popleft()
            yield made

    def close(self) -> None:
        """Let the processes go."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


def workers_for(seconds: float) -> int:
    """How many processes some seconds of one processor's work are worth; 1 stands for this one alone."""
    if seconds < WORTH_WORKERS or multiprocessing.current_process().daemon:
        return 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(allowed, 16)


def _start(workers: int) -> ProcessPoolExecutor | None:
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
