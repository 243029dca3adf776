"""How far a run is and how it goes: the clock, and the means of the objective's terms."""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum

from torch import Tensor

from pellucid.errors import TrainingError
from pellucid.training.config import TrainingConfig

_DIVERGED = 100.0  # times the loss of the first stretch
_SHARE = 0.1  # of a budget in minutes that may go into anything but steps


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

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave out what happens within from the images a second."""
        start = time.monotonic()
        yield
        self._start += time.monotonic() - start

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


class Work(Enum):
    """What is done now and then between two steps, in this order."""

    ALIGN = 1
    VALIDATE = 2
    SAVE = 4


class Aside:
    """When work beside the steps is due.

    Rotations and validations are spread evenly over the budget, checkpoints over time. Of a budget in minutes
    they take at most a tenth together: what would take more is put off until it does not. The last
    validation is always made. Budgets in steps and epochs know no time, so that they repeat bit for bit.
    """

    def __init__(self, config: TrainingConfig, seconds: float) -> None:
        self._config, self._saved = config, seconds
        self._waiting: set[Work] = set()
        self._cost: dict[Work, float] = {}
        self._total = 0.0
        self._start = seconds

    def due(self, before: float, now: float, seconds: float) -> tuple[Work, ...]:
        """What to do between the step that ended now and the next.

        Args:
            before: Share of the budget before the step.
            now: Share of the budget after it.
            seconds: Of training so far.
        """
        if passes(self._config.alignments + 1, before, now):
            self._waiting.add(Work.ALIGN)
        if passes(self._config.validations, before, now):
            self._waiting.add(Work.VALIDATE)
        if seconds - self._saved > 60 * self._config.checkpoint_minutes:
            self._waiting.add(Work.SAVE)
        if now >= 1:  # what is left unturned and unsaved then is turned no more, and saved at once
            return (Work.VALIDATE,) if Work.VALIDATE in self._waiting else ()
        due = tuple(work for work in Work if work in self._waiting and self._affords(work, seconds))
        self._waiting -= set(due)
        if Work.SAVE in due:
            self._saved = seconds
        return due

    def _affords(self, work: Work, seconds: float) -> bool:
        if self._config.minutes is None:
            return True
        return self._total + self._cost.get(work, 0.0) <= _SHARE * (seconds - self._start)

    @contextmanager
    def timed(self, work: Work) -> Iterator[None]:
        """Remember how long a piece of work takes."""
        start = time.monotonic()
        yield
        self._cost[work] = time.monotonic() - start
        self._total += self._cost[work]


def passes(times: int, before: float, now: float) -> bool:
    """Whether one of so many even parts of the budget has just ended."""
    return int(before * times) < int(now * times)
