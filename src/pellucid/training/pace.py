"""How far a run is and how it goes: the clock, and the means of the objective's terms."""

import math
import time
from collections.abc import Mapping

from torch import Tensor

from pellucid.errors import TrainingError

_DIVERGED = 100.0  # times the loss of the first stretch


class Clock:
    """Seconds of training so far, and the share of the budget that they and the steps have used."""

    def __init__(self, most_steps: int | None, minutes: float | None, spent: float) -> None:
        self._most_steps, self._minutes, self._spent = most_steps, minutes, spent
        self._start = time.monotonic()

    def seconds(self) -> float:
        """Over all resumed parts."""
        return self._spent + time.monotonic() - self._start

    def fraction(self, step: int, seconds: float) -> float:
        """By steps or by seconds, whichever is further; 1 where the budget is used up."""
        by_steps = step / self._most_steps if self._most_steps is not None else 0.0
        by_seconds = seconds / (60 * self._minutes) if self._minutes is not None else 0.0
        return min(1.0, max(by_steps, by_seconds))


class Meter:
    """Means of the terms over a stretch of steps, summed on the device."""

    def __init__(self) -> None:
        self._first_loss: float | None = None
        self._start_stretch()

    def _start_stretch(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._steps = 0
        self._start = time.monotonic()

    def add(self, terms: Mapping[str, Tensor]) -> None:
        """Take in the terms of a step."""
        for name, term in terms.items():
            self._sums[name] = self._sums[name] + term if name in self._sums else term
        self._steps += 1

    def read(self, batch_size: int) -> tuple[dict[str, float], float]:
        """Means since the last reading and images a second; starts a new stretch."""
        means = {name: float(total) / self._steps for name, total in self._sums.items()}
        rate = self._steps * batch_size / max(time.monotonic() - self._start, 1e-9)
        self._start_stretch()
        return means, rate

    def check(self, loss: float) -> None:
        """Refuse to go on with a loss that is no longer a number, or far above the first one checked.

        Raises:
            TrainingError: If it is.
        """
        if self._first_loss is None:
            self._first_loss = loss
        if not math.isfinite(loss) or loss > _DIVERGED * abs(self._first_loss):
            raise TrainingError(
                f"training diverged: the loss is {loss:.4g}, it started at {self._first_loss:.4g}. "
                "The last good checkpoint is kept. Lower --learning-rate, or use --precision float32."
            )


def passes(times: int, before: float, now: float) -> bool:
    """Whether one of so many even parts of the budget has just ended."""
    return int(before * times) < int(now * times)
