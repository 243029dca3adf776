"""From the pictures of a part to their features: the same numbers wherever it runs."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.metadata import version
from itertools import islice
from typing import Literal

import numpy as np
from jaxtyping import Float64, UInt8

from pellucid import __version__
from pellucid.anomaly.features import Features, columns_of, finite, measured
from pellucid.data.images import to_float
from pellucid.data.paths import printable
from pellucid.data.threads import one_thread
from pellucid.data.workers import Outcome
from pellucid.errors import RunError
from pellucid.model.predictor import load
from pellucid.runtime.fingerprint import run_fingerprint
from pellucid.scoring.part import Part, prepared

BATCH = 64
"""Pictures at once: always as many, since the last digits may depend on it."""

Runtime = Literal["torch", "onnx"]


@dataclass(frozen=True)
class Recipe:
    """What makes a scorer in any process.

    Attributes:
        run: The run's folder.
        device: Where PyTorch computes.
        runtime: `torch`, or `onnx` for ONNX Runtime, which computes on the CPU.
        fingerprint: Of the run that is meant: another one under the same path is refused.
        columns: What is measured.
    """

    run: str
    device: str
    runtime: Runtime
    fingerprint: str
    columns: tuple[str, ...]


def recipe_of(
    run: str, device: str = "auto", runtime: Runtime = "torch", *, columns: Sequence[str] | None = None
) -> Recipe:
    """Build the recipe of a run as it is now.

    Args:
        run: The run's folder.
        device: Where PyTorch computes.
        runtime: As in `Recipe`.
        columns: What to measure; None for all that the model gives.

    Raises:
        RunError: If the run is missing or damaged.
    """
    model = load(run, device="cpu")
    wanted = columns_of("losses+texture+latents", model.latents) if columns is None else tuple(columns)
    return Recipe(run, device, runtime, run_fingerprint(model), wanted)


class Scorer:
    """Measures parts with a run's model.

    Attributes:
        settings: All that decides a row beside the image, by what people call it.

    Args:
        recipe: Which run, and how.

    Raises:
        RunError: If the run is missing or damaged, or has changed since the recipe was built.
        ConfigError: If the device is not there.
        MissingExtraError: If ONNX Runtime is wanted and not installed.
    """

    def __init__(self, recipe: Recipe) -> None:
        model = load(recipe.run, device="cpu" if recipe.runtime == "onnx" else recipe.device)
        if run_fingerprint(model) != recipe.fingerprint:
            raise RunError(
                f"{printable(recipe.run)}: expected the run that was there at the start, but it has changed. "
                "Leave the run as it is, and begin anew."
            )
        self.model = model
        self.columns = recipe.columns
        self._values: Callable[[UInt8[np.ndarray, ...]], Float64[np.ndarray, "image column"]]
        if recipe.runtime == "onnx":
            # Loads scikit-learn and SciPy, which nothing else here needs: a third of a process's memory
            from pellucid.runtime.features import OnnxFeatures

            self._values = partial(OnnxFeatures(model).values, columns=recipe.columns)
        else:
            self._values = lambda pixels: measured(model, to_float(pixels), recipe.columns)
        self.settings = {
            "run": recipe.fingerprint,
            "runtime": recipe.runtime,
            "columns": ",".join(recipe.columns),
            "device": model.device.type,
            "batch": str(BATCH),
            "versions": _versions(recipe.runtime),
        }

    def score(self, part: Part) -> Features:
        """The features of every picture of a part, in its order; one thread computes.

        Raises:
            RunError: If the model's answers are not numbers.
            MissingExtraError: If a package is missing that reading the part needs.
        """
        return self.score_pictures(prepared(part, self.model.config.preprocessing))

    def score_pictures(self, pictures: Iterable[tuple[str, Outcome]]) -> Features:
        """The features of named pictures that are prepared, or of which it is known why they are not."""
        built = self.model.config.architecture
        blank = np.zeros((built.size, built.size, built.channels), np.uint8)
        names, problems, parts = list[str](), list[str](), list[Float64[np.ndarray, "image column"]]()
        waiting = iter(pictures)
        with one_thread():
            while batch := list(islice(waiting, BATCH)):
                unread = [isinstance(found, str) for _, found in batch]
                # One that cannot be read keeps its place, so that others share their batch with the same ones
                pixels = np.stack([blank if isinstance(found, str) else found for _, found in batch])
                values = finite(self._values(pixels))
                values[unread] = np.nan
                parts.append(values)
                names += [name for name, _ in batch]
                problems += [found if isinstance(found, str) else "" for _, found in batch]
        empty = np.zeros((0, len(self.columns)))
        return Features(self.columns, np.concatenate([empty, *parts]), tuple(names), tuple(problems))


def _versions(runtime: Runtime) -> str:
    """What decodes, resizes and computes: another version may give other digits."""
    names = ["torch", "numpy", "pillow", *(["onnxruntime", "onnxscript"] if runtime == "onnx" else [])]
    return ", ".join([f"pellucid {__version__}", *(f"{name} {version(name)}" for name in names)])


@lru_cache(maxsize=2)
def scorer_of(recipe: Recipe) -> Scorer:
    """The scorer of this process for a recipe: loaded once for each state of a run."""
    return Scorer(recipe)
