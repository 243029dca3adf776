"""Progress that a person can watch: bars on a terminal, now and then a line in a log."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from pellucid.training.loop import Progress as TrainingProgress

_LINE_SECONDS = 30.0
_muted = False


def mute() -> None:
    """Say and draw nothing from here on: another process of the same run speaks for this one."""
    global _muted
    _muted = True


def say(text: str) -> None:
    """Print to stderr, where people look and scripts do not."""
    if not _muted:
        print(text, file=sys.stderr, flush=True)


def _console() -> "Console":
    from rich.console import Console

    return Console(stderr=True, force_terminal=False if _muted else None)


@contextmanager
def counting_bar(description: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for `done` of `total`, with an estimate of the time left; nothing at all in a log."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = _console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(description, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def spinner(description: str) -> Iterator[None]:
    """A sign of life for work of a few seconds whose steps cannot be counted; nothing in a log."""
    console = _console()
    if not console.is_terminal:
        yield
        return
    with console.status(description):
        yield


@contextmanager
def training_bar() -> "Iterator[Callable[[TrainingProgress], None]]":
    """A bar with loss terms, active latents, images a second, time left; in a log a line in 30 seconds."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    console = _console()
    columns = (BarColumn(bar_width=20), TaskProgressColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("starting", total=1.0)
        last = -_LINE_SECONDS

        def watch(now: "TrainingProgress") -> None:
            nonlocal last
            progress.update(task, completed=now.fraction, description=_line(now))
            if not console.is_terminal and (time.monotonic() - last >= _LINE_SECONDS or now.fraction >= 1):
                last = time.monotonic()
                say(f"{now.fraction:4.0%}  {_line(now)}")

        yield watch


def _line(now: "TrainingProgress") -> str:
    short = {"reconstruction": "rec", "kl": "KL", "total_correlation": "TC"}
    terms = "  ".join(f"{short[name]} {now.terms[name]:.1f}" for name in short if name in now.terms)
    minutes, seconds = divmod(int(now.seconds_left), 60)
    pace = f"{now.images_per_second:,.0f} img/s  {minutes}:{seconds:02d} left"
    return f"{terms}  {now.active_latents} active  {pace}"
