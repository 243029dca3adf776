"""What a reproduction tells whoever watches it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from pellucid.training.loop import Progress


@contextmanager
def _unseen_training() -> Iterator[Callable[[Progress], None]]:
    yield lambda progress: None


@contextmanager
def _unseen_counting(text: str) -> Iterator[Callable[[int, int], None]]:
    yield lambda done, total: None


@contextmanager
def _unseen_work(text: str) -> Iterator[None]:
    yield


def _unheard(text: str) -> None:
    pass


@dataclass(frozen=True)
class Watch:
    """Where progress goes; by default nowhere.

    Attributes:
        say: Told in a line what comes next.
        training: A context around each training, told its progress.
        counting: A context around work that can be counted, told how much is done and of how much.
        working: A context around other work of some seconds.
    """

    say: Callable[[str], None] = _unheard
    training: Callable[[], AbstractContextManager[Callable[[Progress], None]]] = _unseen_training
    counting: Callable[[str], AbstractContextManager[Callable[[int, int], None]]] = _unseen_counting
    working: Callable[[str], AbstractContextManager[None]] = _unseen_work


SILENT = Watch()
