"""Threads that each compute with one core, and take the next piece of work when they are done with one.

PyTorch's own threads share out every single operation and wait for one another after each, hundreds of times
a step. Beside any other program the slowest core then decides the pace of every operation. Here a thread
takes whole slices of a batch, so that all meet only a few times a step, and a core that is busy elsewhere
just takes fewer slices.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

import torch

_Result = TypeVar("_Result")


class WorkerThreads:
    """A context with so many threads; with one, everything is computed by the caller.

    Within it, PyTorch computes with one thread in each of them and in the caller, and numbers below 1e-38 are
    0 where the processor allows it. Adam's moments of weights that no longer change become such numbers and
    stay so; a processor may compute with each of them more than ten times as long.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._before = torch.get_num_threads()
        self._flushed_before = False
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> "WorkerThreads":
        self._flushed_before = _flushes()
        torch.set_flush_denormal(True)
        if self.count > 1:
            torch.set_num_threads(1)
            self._pool = ThreadPoolExecutor(self.count, "pellucid", _prepare)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            torch.set_num_threads(self._before)
        torch.set_flush_denormal(self._flushed_before)

    def map(self, function: Callable[..., _Result], *arguments: Iterable[Any]) -> list[_Result]:
        """The results for all arguments, in their order."""
        compute = map if self._pool is None else self._pool.map
        return list(compute(function, *arguments))

    def start(self, function: Callable[..., _Result], *arguments: Any) -> Callable[[], _Result]:
        """Begin something; what comes back waits for it. With one thread it begins when it is waited for."""
        if self._pool is None:
            return partial(function, *arguments)
        return self._pool.submit(function, *arguments).result


def _prepare() -> None:
    """Set up a thread of the pool: both settings are each thread's own."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)


def _flushes() -> bool:
    """Whether numbers below 1e-38 are 0 in this thread."""
    return not (torch.tensor(1e-39) * 1.0).item()
