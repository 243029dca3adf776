"""Score parts in processes of this machine. What one was doing when it died is done again."""

from collections.abc import Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from functools import partial
from itertools import tee

from pellucid.anomaly.features import Features
from pellucid.data.crew import Crew
from pellucid.data.workers import one_by_one
from pellucid.scoring.part import Part, read
from pellucid.scoring.scorer import Recipe, scorer_of

_Numbered = tuple[int, Part]
_Scored = tuple[int, Features]


def score_here(parts: Mapping[int, Part], recipe: Recipe, workers: int) -> Iterator[_Scored]:
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
        yield from (_score(recipe, numbered) for numbered in parts.items())
        return
    with closing(_crew(workers, recipe)) as crew:
        yield from crew.results(parts.items(), lambda suspects: _one_after_another(suspects, recipe))


def _crew(count: int, recipe: Recipe) -> Crew[_Numbered, _Scored]:
    return Crew(count, partial(_score, recipe))


def _score(recipe: Recipe, numbered: _Numbered) -> _Scored:
    number, part = numbered
    return number, scorer_of(recipe).score(part)


def _one_after_another(suspects: list[_Numbered], recipe: Recipe) -> Iterator[_Scored]:
    """Score parts of which one may have killed a process, each alone."""
    with closing(_crew(1, recipe)) as crew:
        for number, part in suspects:
            try:
                yield crew.submit((number, part)).result()
            except BrokenProcessPool:
                crew.close()
                yield number, _by_picture(part, recipe)


def _by_picture(part: Part, recipe: Recipe) -> Features:
    """Score a part of which a process died, after finding out by which picture."""
    scorer = scorer_of(recipe)
    if part.kind == "rows":  # there is nothing in them that could be decoded
        return scorer.score(part)
    names, items = tee(read(part))
    outcomes = one_by_one((item for _, item in items), scorer.model.config.preprocessing)
    return scorer.score_pictures(zip((name for name, _ in names), outcomes, strict=True))
