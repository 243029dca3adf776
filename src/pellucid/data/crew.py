"""Work shared out among processes, in order; what one was doing when it died is not lost.

The processes end with the one that started them, however that ends: each waits for the end of a line to it.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing.connection import Connection
from types import ModuleType
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
        self._workers: _Workers | None = None

    def submit(self, piece: Given) -> Future[Made]:
        """Hand out a piece; its result raises `BrokenProcessPool` if a process died."""
        if self._workers is None and self.count > 0:
            self._workers = _start(self.count)
            self.count = 0 if self._workers is None else self.count
        future: Future[Made] = Future()
        if self._workers is None:
            future.set_result(self.work(piece))
            return future
        try:
            return self._workers.submit(self.work, piece)
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
        """End the processes at once, whatever they are at."""
        if self._workers is not None:
            self._workers.end()
            self._workers = None


def workers_for(seconds: float) -> int:
    """How many processes some seconds of one processor's work are worth; 1 stands for this one alone."""
    if seconds < WORTH_WORKERS or multiprocessing.current_process().daemon:
        return 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(allowed, 16)


class _Workers:
    """Processes, and a line to them on which nothing is ever said: they end when it does."""

    def __init__(self, count: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._theirs, self._ours = context.Pipe(duplex=False)
        self._pool = ProcessPoolExecutor(
            count, mp_context=context, initializer=_end_with, initargs=(self._theirs,)
        )

    def submit(self, work: Callable[[Given], Made], piece: Given) -> Future[Made]:
        with _main_hidden():  # this may start a process
            return self._pool.submit(work, piece)

    def end(self) -> None:
        self._ours.close()
        self._pool.shutdown(cancel_futures=True)
        self._theirs.close()


def _start(count: int) -> _Workers | None:
    """Worker processes, or None where none can live: no memory, or a process that may not have any."""
    try:
        workers = _Workers(count)
    except OSError:
        return None
    try:
        workers.submit(_is_there, None).result()
    except (OSError, BrokenProcessPool, AssertionError):
        workers.end()
        return None
    except BaseException:
        workers.end()
        raise
    return workers


def _is_there(_: None) -> None:
    """The first piece of work: nothing."""


def _end_with(line: Connection) -> None:
    """In a worker: end when the process that started it does, and not by a Ctrl-C, which reaches them all."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        line.poll(None)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _main_hidden() -> Iterator[None]:
    """Keep processes that are started within from running the script of this one again.

    They would import it as a module, and all that is in no `if __name__ == "__main__":` would be done once
    more in each. Nothing that is sent to them is defined there.
    """
    script = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script
