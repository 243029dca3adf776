"""Which latents carry anything: information about the image, and a mean that moves with it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int

from pellucid.data.builtin import BUILTIN
from pellucid.data.dataset import Dataset
from pellucid.errors import DataError, RunError
from pellucid.model.predictor import Model
from pellucid.objective.kl import active_latents

_QUANTILES = (0.01, 0.99)
_BATCH = 256


@dataclass(frozen=True)
class Codes:
    """The posteriors of many images.

    Attributes:
        mean: float32 [image latent].
        log_variance: float32 [image latent], natural logarithm of the variance.
    """

    mean: Float32[np.ndarray, "image latent"]
    log_variance: Float32[np.ndarray, "image latent"]


@dataclass(frozen=True)
class Activity:
    """What each latent does over a set of images.

    Attributes:
        kl: float64 [latent], mean KL(q(z|x) || N(0, 1)), nats per image.
        variance: float64 [latent], of the posterior mean over the images; the prior's is 1.
        active: bool [latent], KL > 0.1 nat and variance > 0.01.
        low: float64 [latent], the 1 % quantile of the posterior mean.
        high: float64 [latent], the 99 % quantile of the posterior mean.
        images: How many images were measured.
    """

    kl: Float64[np.ndarray, " latent"]
    variance: Float64[np.ndarray, " latent"]
    active: Bool[np.ndarray, " latent"]
    low: Float64[np.ndarray, " latent"]
    high: Float64[np.ndarray, " latent"]
    images: int


def encode_dataset(
    model: Model,
    dataset: Dataset,
    rows: Int[np.ndarray, " row"],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Codes:
    """Encode the images in `rows`, in that order; only a batch of them is in memory at a time.

    Args:
        model: The model.
        dataset: Opened with the model's own preprocessing.
        rows: Rows of the data set, at least one.
        progress: Called with the number of images done and the number of all after each batch.

    Raises:
        DataError: If there are no rows, or the images are not prepared as the model's were.
        RunError: If the model's answers are not numbers.
    """
    check_prepared(model, dataset)
    if not len(rows):
        raise DataError("expected at least 1 image to encode, got 0 rows. Choose another part of the data.")
    mean = np.empty((len(rows), model.latents), np.float32)
    log_variance = np.empty_like(mean)
    for start in range(0, len(rows), _BATCH):
        part = slice(start, start + _BATCH)
        posterior = model.encode(dataset.batch(rows[part]))
        mean[part], log_variance[part] = posterior.mean.numpy(), posterior.log_variance.numpy()
        if progress:
            progress(min(start + _BATCH, len(rows)), len(rows))
    if not (np.isfinite(mean).all() and np.isfinite(log_variance).all()):
        raise RunError(
            "expected finite codes from the model, got nan or inf. Its training diverged: train again."
        )
    return Codes(mean, log_variance)


def check_prepared(model: Model, dataset: Dataset) -> None:
    """Refuse images that are not prepared as the model's were.

    Raises:
        DataError: If they are not.
    """
    trained, opened = model.config.preprocessing, dataset.preprocessing
    if dataset.kind in BUILTIN:  # drawn at their size and from black to white: neither cropped nor windowed
        opened = replace(opened, crop=trained.crop, window=trained.window)
    if opened != trained:
        raise DataError(
            f"expected images prepared as in training, {trained}, got {opened}. "
            "Open the data with the model's size, channels, crop and window."
        )


def measure_activity(codes: Codes) -> Activity:
    """Measure each latent's KL, the variance and the range of its posterior mean.

    A latent that the model does not use has the prior as its posterior: KL 0, and a mean that stays at 0.
    Which are active, `active_latents` says.
    """
    mean, log_variance = codes.mean.astype(np.float64), codes.log_variance.astype(np.float64)
    kl = 0.5 * (mean**2 + np.exp(log_variance) - log_variance - 1).mean(axis=0)
    variance = mean.var(axis=0)
    low, high = np.quantile(mean, _QUANTILES, axis=0)
    return Activity(kl, variance, active_latents(kl, variance), low, high, len(mean))
