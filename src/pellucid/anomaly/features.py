"""What is known of an image without a label: how well it is reconstructed, how busy it is, its latents."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64, Int
from torch import Tensor

from pellucid.anomaly.texture import TEXTURE, texture
from pellucid.data.dataset import Dataset
from pellucid.errors import ConfigError, DataError, RunError
from pellucid.latents.activity import check_prepared
from pellucid.model.predictor import Images, Model
from pellucid.objective.reconstruction import LOSSES, reconstruction_losses

LOSS_COLUMNS: tuple[str, ...] = tuple(LOSSES)
PICTURE_COLUMNS: tuple[str, ...] = (*LOSS_COLUMNS, *TEXTURE)
"""What every model gives; the latents follow."""

Progress = Callable[[int, int], None]

_BATCH = 256


@dataclass(frozen=True)
class Features:
    """The features of many images, one row each.

    Attributes:
        columns: `mse` and the other five losses, the measures of `TEXTURE`, then `z0`, `z1`, ...; or some of
            these.
        values: float64 [image column]: losses in their natural units, measures of texture, posterior means;
            nan in the rows of images that could not be read.
        names: One for each image.
        problems: For each image "", or why it could not be read.
    """

    columns: tuple[str, ...]
    values: Float64[np.ndarray, "image column"]
    names: tuple[str, ...]
    problems: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def readable(self) -> Bool[np.ndarray, " image"]:
        """Which images could be read."""
        return np.array([not problem for problem in self.problems], bool)

    def of(self, rows: Int[np.ndarray, " row"] | Bool[np.ndarray, " image"]) -> "Features":
        """Some of the images, by their rows or by a mark for each."""
        chosen = np.arange(len(self))[rows]
        return Features(
            self.columns,
            self.values[chosen],
            tuple(self.names[row] for row in chosen.tolist()),
            tuple(self.problems[row] for row in chosen.tolist()),
        )

    def select(self, columns: Sequence[str]) -> Float64[np.ndarray, "image chosen"]:
        """Some of the columns, in the order that is asked for.

        Raises:
            ConfigError: If one is not there.
        """
        for column in columns:
            if column not in self.columns:
                raise ConfigError(_unknown(column, self.columns))
        return self.values[:, [self.columns.index(column) for column in columns]]


def joined(parts: Sequence[Features]) -> Features:
    """The features of several sets of images as one, in their order.

    Raises:
        ConfigError: If there are none, or they have different columns.
    """
    if len({part.columns for part in parts}) != 1:
        raise ConfigError("expected features of one model, one set or more. Measure all with the same model.")
    return Features(
        parts[0].columns,
        np.concatenate([part.values for part in parts]),
        tuple(name for part in parts for name in part.names),
        tuple(problem for part in parts for problem in part.problems),
    )


def columns_of(choice: str | Sequence[str], latents: int) -> tuple[str, ...]:
    """The columns that a choice means.

    Args:
        choice: `losses`, `texture`, `latents`, a loss, a measure of texture, a latent such as `z3`, several
            of them joined by `,` or `+`, or a list of them. What stands twice is taken once.
        latents: How many latents the model has.

    Raises:
        ConfigError: If there is no such column, or none is chosen.
    """
    sets = {
        "losses": LOSS_COLUMNS,
        "texture": TEXTURE,
        "latents": tuple(f"z{latent}" for latent in range(latents)),
    }
    every = PICTURE_COLUMNS + sets["latents"]
    parts = re.split("[,+]", choice) if isinstance(choice, str) else choice
    chosen: dict[str, None] = {}
    for part in (part.strip() for part in parts):
        if part not in sets and part not in every:
            raise ConfigError(_unknown(part, every))
        chosen |= dict.fromkeys(sets.get(part, (part,)))
    if not chosen:
        raise ConfigError("columns: expected one or more, got an empty list. Choose losses+latents.")
    return tuple(chosen)


def measured_beside(columns: Sequence[str], latents: int) -> tuple[str, ...]:
    """List what is measured of an image where some columns are wanted: them, and what comes with them.

    All latents come with any loss or latent, all measures of texture with any of these, at hardly any cost.
    They tell one image from another, even where a single column decides.

    Args:
        columns: Those that are wanted.
        latents: How many latents the model has.

    Returns:
        Columns in the order of `Features.columns`.
    """
    wanted = set(columns)
    if not wanted.isdisjoint(TEXTURE):
        wanted |= set(TEXTURE)
    if not wanted <= set(TEXTURE):
        wanted |= set(columns_of("latents", latents))
    return tuple(column for column in columns_of("losses+texture+latents", latents) if column in wanted)


def _unknown(column: str, known: Sequence[str]) -> str:
    latents = [name for name in known if name not in PICTURE_COLUMNS]
    allowed = [name for name in known if name in PICTURE_COLUMNS]
    allowed += [f"{latents[0]} to {latents[-1]}"] if len(latents) > 1 else latents
    return (
        f"columns: expected losses, texture, latents, or some of {', '.join(allowed)}, got {column[:60]!r}. "
        "List them with commas between."
    )


def measure(
    model: Model,
    dataset: Dataset,
    rows: Int[np.ndarray, " row"],
    *,
    progress: Progress | None = None,
) -> Features:
    """Measure the images of a data set in one pass; only a batch of them is in memory at a time.

    Args:
        model: The model.
        dataset: Opened with the model's own preprocessing.
        rows: Rows of the data set, measured in this order.
        progress: Called with the number of images done and of all after each batch.

    Raises:
        DataError: If there are no rows, or the images are not prepared as the model's were.
        RunError: If the model's answers are not numbers.
    """
    check_prepared(model, dataset)
    if not len(rows):
        raise DataError("expected at least 1 image to measure, got 0 rows. Choose another part of the data.")
    names = [dataset.names[int(row)] for row in rows]
    batches = (dataset.batch(rows[part]) for part in _parts(len(rows)))
    return _measured(model, batches, names, progress)


def measure_images(model: Model, images: Images, names: Sequence[str] | None = None) -> Features:
    """Measure images that are in memory, or anything else that `Model.to_tensor` takes.

    Args:
        model: The model.
        images: One or many.
        names: One for each; None numbers them with eight digits.

    Raises:
        ImageError: If one of them is not an image, or not one that the model takes.
        DataError: If there is not one name for each.
        RunError: If the model's answers are not numbers.
    """
    tensor = model.to_tensor(images)
    given = [f"{row:08d}" for row in range(len(tensor))] if names is None else list(names)
    if len(given) != len(tensor) or not given:
        raise DataError(f"expected one name for each of {len(tensor)} images, got {len(given)}.")
    return _measured(model, (tensor[part] for part in _parts(len(tensor))), given, None)


def _parts(count: int) -> Iterator[slice]:
    return (slice(start, min(start + _BATCH, count)) for start in range(0, count, _BATCH))


def _measured(
    model: Model,
    batches: Iterator[Float32[Tensor, "batch channel height width"]],
    names: Sequence[str],
    progress: Progress | None,
) -> Features:
    columns = columns_of("losses+texture+latents", model.latents)
    values = np.empty((len(names), len(columns)))
    done = 0
    for images in batches:
        values[done : done + len(images)] = measured(model, images, columns)
        done += len(images)
        if progress:
            progress(done, len(names))
    return Features(columns, values, tuple(names), ("",) * len(names))


def measured(
    model: Model, images: Float32[Tensor, "image channel height width"], columns: Sequence[str]
) -> Float64[np.ndarray, "image column"]:
    """The values of some features of a batch of images, and no work for others.

    Without a loss nothing is decoded, with texture alone nothing is encoded either. A column's values do not
    depend on which others are wanted.

    Args:
        model: Encodes and decodes.
        images: As the encoder takes them.
        columns: Those that are wanted, in their order.

    Raises:
        RunError: If the model's answers are not numbers.
    """
    mean = reconstructions = None
    if not set(columns) <= set(TEXTURE):
        mean = model.encode(images).mean
        if not set(columns).isdisjoint(LOSSES):
            reconstructions = model.decode(mean)
    return finite(values_of(images, mean, reconstructions, columns))


def finite(values: Float64[np.ndarray, "image column"]) -> Float64[np.ndarray, "image column"]:
    """The values, if they are numbers.

    Raises:
        RunError: If they are not.
    """
    if not np.isfinite(values).all():
        raise RunError(
            "expected finite losses and latents from the model, got nan or inf. Its training diverged: train "
            "again."
        )
    return values


def values_of(
    images: Float32[Tensor, "image channel height width"],
    mean: Float32[Tensor, "image latent"] | None,
    reconstructions: Float32[Tensor, "image channel height width"] | None,
    columns: Sequence[str],
) -> Float64[np.ndarray, "image column"]:
    """The values of features, where the model has encoded and decoded the images already.

    Args:
        images: As the encoder has seen them.
        mean: Of their posteriors; None if no latent is wanted.
        reconstructions: Decoded from these; None if no loss is wanted.
        columns: Those that are wanted, in their order.
    """
    found: dict[str, Tensor] = {}
    if reconstructions is not None:
        found |= reconstruction_losses(images, reconstructions, [name for name in columns if name in LOSSES])
    if not set(columns).isdisjoint(TEXTURE):
        found |= dict(zip(TEXTURE, texture(images).unbind(1), strict=True))
    if mean is not None:
        found |= {f"z{latent}": values for latent, values in enumerate(mean.unbind(1))}
    wanted = torch.stack([found[column].double() for column in columns], dim=1)
    values: Float64[np.ndarray, "image column"] = wanted.numpy()
    return values
