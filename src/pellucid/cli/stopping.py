"""SIGTERM and SIGHUP as Ctrl-C: a command that is told to end leaves nothing half done."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stopped_in_order() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into a KeyboardInterrupt, where they would end the process as it is.

    One is enough: more of them do not disturb what the first one has put in motion. Who ignores one of them,
    such as nohup, or has a handler, keeps that.
    """
    ends = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    taken: list[signal.Signals] = []

    def stop(number: int, frame: FrameType | None) -> None:
        for taken_number in taken:
            signal.signal(taken_number, signal.SIG_IGN)
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():  # Python allows handlers nowhere else
        for number in ends:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, stop)
                taken.append(number)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)
