"""Score parts in processes of this machine. What one was doing when it died is done again."""

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from itertools import islice, tee

from pellucid.anomaly.features import Features
from pellucid.data.workers import one_by_one, start_workers
from pellucid.scoring.part import Part, read
from pellucid.scoring.scorer import Recipe, scorer_of

_AHEAD = 3  # parts in hand for each process


def score_here(parts: Mapping[int, Part], recipe: Recipe, workers: int) -> Iterator[tuple[int, Features]]:
    """The features of each part, in their order.

    Every process reads, decodes and computes parts on its own, with one thread: nothing large goes from one
    to another, and what comes out does not depend on how many there are.

    Args:
        parts: By number.
        recipe: What to score with.
        workers: How many processes; 0 or 1 works in this one.

    Raises:
        RunError: If the run is missing or damaged.
    """
    if workers < 2:
        scorer = scorer_of(recipe)
        yield from ((number, scorer.score(part)) for number, part in parts.items())
        return
    with closing(_Crew(workers, recipe)) as crew:
        yield from _from_crew(crew, iter(parts.items()))


def _score(recipe: Recipe, part: Part) -> Features:
    return scorer_of(recipe).score(part)


class _Crew:
    """Processes that score, started anew after one died; where none can live, this one works."""

    def __init__(self, count: int, recipe: Recipe) -> None:
        self.count = count
        self.recipe = recipe
        self._pool: ProcessPoolExecutor | None = None

    def submit(self, part: Part) -> Future[Features]:
        if self._pool is None and self.count:
            self._pool = start_workers(self.count)
            self.count = 0 if self._pool is None else self.count
        future: Future[Features] = Future()
        try:
            if self._pool is not None:
                return self._pool.submit(_score, self.recipe, part)
            future.set_result(_score(self.recipe, part))
        except BrokenProcessPool as error:
            future.set_exception(error)
        return future

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


def _from_crew(crew: _Crew, parts: Iterator[tuple[int, Part]]) -> Iterator[tuple[int, Features]]:
    pending: deque[tuple[int, Part, Future[Features]]] = deque()
    while True:
        for number, part in islice(parts, max(0, max(1, _AHEAD * crew.count) - len(pending))):
            pending.append((number, part, crew.submit(part)))
        if not pending:
            return
        try:
            features = pending[0][2].result()
        except BrokenProcessPool:
            crew.close()
            suspects = [(number, part) for number, part, _ in pending]
            pending.clear()
            yield from _one_after_another(suspects, crew.recipe)
            continue
        yield pending.popleft()[0], features


def _one_after_another(suspects: list[tuple[int, Part]], recipe: Recipe) -> Iterator[tuple[int, Features]]:
    """Score parts of which one may have killed a process, each alone."""
    with closing(_Crew(1, recipe)) as crew:
        for number, part in suspects:
            try:
                features = crew.submit(part).result()
            except BrokenProcessPool:
                crew.close()
                features = _by_picture(part, recipe)
            yield number, features


def _by_picture(part: Part, recipe: Recipe) -> Features:
    """Score a part of which a process died, after finding out by which picture."""
    scorer = scorer_of(recipe)
    if part.kind == "rows":  # there is nothing in them that could be decoded
        return scorer.score(part)
    names, items = tee(read(part))
    outcomes = one_by_one((item for _, item in items), scorer.model.config.preprocessing)
    return scorer.score_pictures(zip((name for name, _ in names), outcomes, strict=True))
