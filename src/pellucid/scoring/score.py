"""Score any number of pictures: on this machine or on a Ray cluster, to be gone on with after a stop."""

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from pellucid.anomaly.features import Features
from pellucid.data.crew import workers_for
from pellucid.data.images import printable
from pellucid.errors import ConfigError, DataError
from pellucid.scoring.cluster import score_on_ray
from pellucid.scoring.inputs import Inputs
from pellucid.scoring.local import score_here
from pellucid.scoring.part import Part
from pellucid.scoring.scorer import Recipe, scorer_of
from pellucid.scoring.storage import Parts

Engine = Literal["local", "ray"]
Progress = Callable[[int, int], None]

_SECONDS_AN_IMAGE = 0.003
_OF_A_SHARD = 10_000  # pictures that one may well have


@dataclass(frozen=True)
class Scoring:
    """What is to be done, and by whom.

    Attributes:
        inputs: The pictures.
        recipe: The run that scores them.
        engine: `local`, or `ray` for the cluster that Ray finds, or one on this machine.
        workers: Processes; None decides by the work there is, and takes all of a cluster's processors.
        keep: A folder for scored parts, to go on after a stop; None keeps none.
    """

    inputs: Inputs
    recipe: Recipe
    engine: Engine = "local"
    workers: int | None = None
    keep: Path | None = None

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 0:
            raise ConfigError(f"--workers: expected 0 or more, got {self.workers}. Leave it out.")

    def run(self, progress: Progress | None = None) -> Iterator[Features]:
        """Score every part, and give the features of each in their order; few are in memory at a time.

        With `keep`, all parts are scored first, and then given; parts that are there from before are taken.
        Call `finish` when what they are for is written.

        Args:
            progress: Called with the number of images done and of all; of parts, if images are not counted.

        Raises:
            ConfigError: If `keep` holds parts of another scoring.
            DataError: If there is no picture in all that was named.
            RunError: If the run is missing or damaged.
            MissingExtraError: If a package is missing.
            OSError: If parts cannot be written.
        """
        done, limit = 0, self.inputs.limit
        remarks = list[str]()
        with closing(self._of_parts(_counting(self.inputs, progress))) as parts:
            for part, features in parts:
                pictures = _pictures(part, features)
                remarks += features.problems[pictures:]
                last = limit is not None and done + pictures >= limit
                yield features.of(np.arange(limit - done)) if limit is not None and last else features
                done += pictures
                if last:
                    return
        if not done:
            self.finish()
            raise DataError(
                f"expected at least 1 picture, got none: {printable(self.inputs.parts[0].label)} "
                f"{remarks[0].rstrip('.')}. Check what you named."
            )

    def _of_parts(self, advance: Callable[[Part], None]) -> Generator[tuple[Part, Features], None, None]:
        """Every part with its features, in their order, as far as they are asked for."""
        parts = self.inputs.parts
        if self.keep is None:
            with closing(self._scored(dict(enumerate(parts)))) as scored:
                for number, features in scored:
                    advance(parts[number])
                    yield parts[number], features
            return
        store = Parts(self.keep, self._plan(), len(parts))
        for number in range(self._score_into(store, advance)):
            yield parts[number], store.read(number)

    def _score_into(self, store: Parts, advance: Callable[[Part], None]) -> int:
        """Score what is not there yet, and give how many parts have as many pictures as are wanted."""
        parts, limit, there = self.inputs.parts, self.inputs.limit, store.done()
        missing = {number: part for number, part in enumerate(parts) if number not in there}
        count = 0
        with closing(self._scored(missing)) as scored:
            for number, part in enumerate(parts):
                if number in there:
                    count += 0 if limit is None else _pictures(part, store.read(number))
                else:
                    _, features = next(scored)
                    store.write(number, features)
                    count += _pictures(part, features)
                advance(part)
                if limit is not None and count >= limit:
                    return number + 1
        return len(parts)

    def finish(self) -> None:
        """Delete the parts that were kept."""
        if self.keep is not None:
            Parts(self.keep, self._plan(), len(self.inputs.parts)).remove()

    def _scored(self, parts: Mapping[int, Part]) -> Generator[tuple[int, Features], None, None]:
        if not parts:
            return
        if self.engine == "ray":
            yield from score_on_ray(parts, self.recipe, self.workers)
            return
        images = sum(
            min(_OF_A_SHARD, part.stop) if part.count is None else part.count for part in parts.values()
        )
        workers = workers_for(images * _SECONDS_AN_IMAGE) if self.workers is None else self.workers
        yield from score_here(parts, self.recipe, min(workers, len(parts)))

    def _plan(self) -> dict[str, str]:
        """All that decides the rows, by what people call it; whoever scores, they are the same."""
        return {"images": self.inputs.digest, **scorer_of(self.recipe).settings}


def _counting(inputs: Inputs, progress: Progress | None) -> Callable[[Part], None]:
    """What is told of each part that is done: the pictures so far, or the parts, if nobody knows them."""
    total, done = inputs.count, 0

    def advance(part: Part) -> None:
        nonlocal done
        done += 1 if total is None else part.count or 0
        if progress:
            progress(done, len(inputs.parts) if total is None else total)

    return advance


def _pictures(part: Part, features: Features) -> int:
    """How many rows are pictures: the last one may be a remark on the container, which has its name."""
    remark = bool(features.names) and part.kind == "shard" and features.names[-1] == part.label
    return len(features) - remark
