"""What is usual for a model, kept with its run: how large its losses are, and pictures to begin with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int, UInt8
from torch import Tensor

from pellucid.data.dataset import Dataset
from pellucid.data.images import printable, to_pixels
from pellucid.errors import DataError, RunError
from pellucid.latents.activity import check_prepared
from pellucid.model.beside import DIGEST, Shapes, drop_others, read_beside, write_beside
from pellucid.model.predictor import Model
from pellucid.model.sealed import read_sealed, write_sealed
from pellucid.objective.reconstruction import LOSSES, reconstruction_losses
from pellucid.storage.writing import SOON, locked

TYPICAL = "typical.json"
FORMAT = "pellucid-typical"
VERSION = 2
LEVELS = 201
MOST_IMAGES, MOST_SAMPLES = 2_000, 100
_STEM = "typical"
_KEYS = {"format", "version", "model", "images", "names", "arrays"}
_BATCH = 256
_LONGEST_NAME = 300


@dataclass(frozen=True)
class Typical:
    """What is usual for a model.

    Attributes:
        images: How many images were measured.
        losses: float64 [loss level], quantiles of each loss over those images, at even levels from 0 to 1.
        average: float32 [channel height width], the mean of those images, in [0, 1].
        pixels: uint8 [sample height width channel], some of the images.
        names: One for each sample.
    """

    images: int
    losses: Float64[np.ndarray, "loss level"]
    average: Float32[np.ndarray, "channel height width"]
    pixels: UInt8[np.ndarray, "sample height width channel"]
    names: tuple[str, ...]

    def rank(self, loss: str, value: float) -> float:
        """The share of the images with a smaller loss, equal ones counting half; 0 to 1."""
        quantiles = self.losses[list(LOSSES).index(loss)]
        below = np.searchsorted(quantiles, value, "left")
        above = np.searchsorted(quantiles, value, "right")
        if below != above:  # value is one of the quantiles, or several
            return float(below + above - 1) / (2 * (len(quantiles) - 1))
        return float(np.interp(value, quantiles, np.linspace(0, 1, len(quantiles))))


def measure_typical(
    model: Model,
    dataset: Dataset,
    rows: Int[np.ndarray, " row"],
    *,
    samples: int = 24,
    progress: Callable[[int, int], None] | None = None,
) -> Typical:
    """Measure the six losses of a model's images, and take some of these for samples.

    Args:
        model: The model.
        dataset: Opened with the model's own preprocessing.
        rows: Rows to measure, better not those that were learned; of more than 2,000, as many spread evenly.
        samples: How many pictures to keep, spread evenly, too.
        progress: Called with the number of images done and of all after each batch.

    Raises:
        DataError: If there are no rows, or the images are not prepared as the model's were.
    """
    check_prepared(model, dataset)
    if not len(rows):
        raise DataError("expected at least 1 image to measure, got 0 rows. Choose another part of the data.")
    chosen = _spread(rows, MOST_IMAGES)
    losses = np.empty((len(LOSSES), len(chosen)))
    total: Float64[np.ndarray, "channel height width"] | float = 0.0
    for start in range(0, len(chosen), _BATCH):
        images = dataset.batch(chosen[start : start + _BATCH])
        measured = reconstruction_losses(images, model.reconstruct(images))
        losses[:, start : start + len(images)] = np.stack([loss.numpy() for loss in measured.values()])
        total = total + images.double().sum(0).numpy()
        if progress:
            progress(start + len(images), len(chosen))
    shown = _spread(rows, min(samples, MOST_SAMPLES))
    return Typical(
        images=len(chosen),
        losses=np.quantile(losses, np.linspace(0, 1, LEVELS), axis=1).T.copy(),
        average=np.asarray(total / len(chosen), np.float32),
        pixels=to_pixels(dataset.batch(shown)),
        names=tuple(dataset.names[int(row)] for row in shown),
    )


def _spread(rows: Int[np.ndarray, " row"], most: int) -> Int[np.ndarray, " chosen"]:
    chosen: Int[np.ndarray, " chosen"] = rows[
        np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int)
    ]
    return chosen


def write_typical(run: Path, typical: Typical, model: Model) -> None:
    """Write it into a run's folder, in place of an earlier one."""
    arrays = {"losses": typical.losses, "average": typical.average, "pixels": typical.pixels}
    with locked(run / TYPICAL, patience=SOON):
        digest = write_beside(run, _STEM, arrays)
        write_sealed(
            run / TYPICAL,
            {
                "format": FORMAT,
                "version": VERSION,
                "model": model.fingerprint,
                "images": typical.images,
                "names": [printable(name)[:_LONGEST_NAME] for name in typical.names],
                "arrays": digest,
            },
        )
        drop_others(run, _STEM, digest)


def read_typical(model: Model) -> Typical | None:
    """What is usual for a model; None if that was never measured, or with another model.

    Raises:
        RunError: If it is damaged, or from another version.
    """
    path = None if model.directory is None else model.directory / TYPICAL
    if path is None or not path.exists():
        return None
    content = read_sealed(path)
    if (content.get("format"), content.get("version")) != (FORMAT, VERSION) or set(content) != _KEYS:
        raise RunError(f"{path}: expected {FORMAT} of version {VERSION}. Update Pellucid, or delete it.")
    if content["model"] != model.fingerprint:
        return None
    if _malformed(content):
        raise RunError(f"{path}: expected names and a digest. Measure again: pellucid latents RUN.")
    names: Sequence[str] = content["names"]
    built = model.config.architecture
    shapes: Shapes = {
        "losses": (np.dtype(np.float64), (len(LOSSES), LEVELS)),
        "average": (np.dtype(np.float32), (built.channels, built.size, built.size)),
        "pixels": (np.dtype(np.uint8), (len(names), built.size, built.size, built.channels)),
    }
    arrays = read_beside(path, _STEM, content["arrays"], shapes, "Measure again: pellucid latents RUN.")
    losses, average = arrays["losses"], arrays["average"]
    if not (np.isfinite(losses).all() and (np.diff(losses, axis=1) >= 0).all()):
        raise RunError(f"{path}: expected ascending quantiles. Measure again: pellucid latents RUN.")
    if not ((average >= 0) & (average <= 1)).all():  # also false for nan
        raise RunError(f"{path}: expected an average picture in [0, 1]. Measure again: pellucid latents RUN.")
    return Typical(content["images"], losses, average, arrays["pixels"], tuple(names))


def average_picture(model: Model, typical: Typical | None) -> Float32[Tensor, "1 channel height width"]:
    """The mean of the images that were measured; without these the decoded z = 0, which is paler."""
    if typical is None:
        return model.decode(torch.zeros(1, model.latents))
    return torch.from_numpy(typical.average)[None]


def _malformed(content: Mapping[str, Any]) -> bool:
    names, images = content["names"], content["images"]
    return not (
        type(images) is int
        and images > 0
        and isinstance(names, list)
        and len(names) <= MOST_SAMPLES
        and all(isinstance(n, str) and len(n) <= _LONGEST_NAME and n.isprintable() for n in names)
        and isinstance(content["arrays"], str)
        and DIGEST.fullmatch(content["arrays"])
    )
