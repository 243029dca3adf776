"""Ctrl-C, SIGTERM and SIGHUP stop a training between two steps, so that nothing is lost."""

import signal
import threading
from types import FrameType, TracebackType

# The last one says that the terminal is gone; Windows has none, and nohup has it ignored.
_ENDS = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]


class Interruptible:
    """A context in which the first SIGINT, SIGTERM or SIGHUP sets `requested`; the second acts as ever.

    If it is patient, the second one does nothing, either: of a run of many processes, each may hear of one
    wish twice, from torchrun and from the cluster; and who is in a hurry has SIGKILL.
    """

    def __init__(self, *, patient: bool = False) -> None:
        self.requested = False
        self._patient = patient
        self._previous: dict[int, object] = {}

    def _request(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        if not self._patient:
            self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._previous = {}

    def __enter__(self) -> "Interruptible":
        if threading.current_thread() is threading.main_thread():  # Python allows handlers nowhere else
            for number in _ENDS:
                if number == signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN:
                    self._previous[number] = signal.signal(number, self._request)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()
