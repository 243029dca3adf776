"""Score any number of pictures: on this machine or on a Ray cluster, to be gone on with after a stop."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pellucid.anomaly.features import Features
from pellucid.data.crew import workers_for
from pellucid.errors import ConfigError
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
        """The features of each part, in their order; no more than some parts are in memory at a time.

        With `keep`, all parts are scored first, and then given; parts that are there from before are taken.
        Call `finish` when what they are for is written.

        Args:
            progress: Called with the number of images done and of all; of parts, if images are not counted.

        Raises:
            ConfigError: If `keep` holds parts of another scoring.
            RunError: If the run is missing or damaged.
            MissingExtraError: If a package is missing.
            OSError: If parts cannot be written.
        """
        parts, counted = self.inputs.parts, self.inputs.count is not None
        total = self.inputs.count or len(parts)
        done = 0

        def advance(part: Part) -> None:
            nonlocal done
            done += (part.count or 0) if counted else 1
            if progress:
                progress(done, total)

        if self.keep is None:
            for number, features in self._scored(dict(enumerate(parts))):
                advance(parts[number])
                yield features
            return
        store = Parts(self.keep, self._plan(), len(parts))
        there = store.done()
        for number in sorted(there):
            advance(parts[number])
        missing = {number: part for number, part in enumerate(parts) if number not in there}
        for number, features in self._scored(missing):
            store.write(number, features)
            advance(parts[number])
        yield from map(store.read, range(len(parts)))

    def finish(self) -> None:
        """Delete the parts that were kept."""
        if self.keep is not None:
            Parts(self.keep, self._plan(), len(self.inputs.parts)).remove()

    def _scored(self, parts: Mapping[int, Part]) -> Iterator[tuple[int, Features]]:
        if not parts:
            return iter(())
        if self.engine == "ray":
            return score_on_ray(parts, self.recipe, self.workers)
        images = sum(_OF_A_SHARD if part.count is None else part.count for part in parts.values())
        workers = workers_for(images * _SECONDS_AN_IMAGE) if self.workers is None else self.workers
        return score_here(parts, self.recipe, min(workers, len(parts)))

    def _plan(self) -> dict[str, str]:
        """All that decides the rows, by what people call it; whoever scores, they are the same."""
        return {"images": self.inputs.digest, **scorer_of(self.recipe).settings}
