"""What needs no network, and so is what a network must beat."""

from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, UInt8
from sklearn.decomposition import PCA
from torch import Tensor

from pellucid.errors import ConfigError, DataError


def pca_columns(components: int) -> tuple[str, ...]:
    """Names of the columns that `pca_features` gives: `error`, then `pc0`, `pc1`, ..."""
    return ("error", *(f"pc{component}" for component in range(components)))


def pca_features(
    training: UInt8[np.ndarray, "known height width channel"] | Float[Tensor, "known channel height width"],
    batches: Iterable[UInt8[np.ndarray, "_ height width channel"] | Float[Tensor, "_ channel height width"]],
    components: int = 32,
) -> Float64[np.ndarray, "described column"]:
    """Reconstruction error and codes of a principal component analysis: a linear autoencoder.

    Fitted on the training images only, by scikit-learn's randomised solver with a fixed seed. It holds them
    as float32 and once more while it works: 7,000 colour images of 64x64 are 0.7 GB, so of very many pass a
    sample.

    Args:
        training: uint8 [image height width channel] or floats in [0, 1] [image channel height width].
        batches: The images to describe, of the same size, some at a time, in either form.
        components: How many codes.

    Returns:
        float64 [image column], as `pca_columns` names them: the mean squared error over channels and pixels,
        which is the loss `mse`; then the codes, the largest variance first.

    Raises:
        DataError: If the images differ in size, or there are too few to fit on.
        ConfigError: If `components` is less than 1.
    """
    if components < 1:
        raise ConfigError(f"components: expected 1 or more, got {components}. Raise it.")
    known = _flat(training)
    if len(known) <= components or known.shape[1] < components:
        raise DataError(
            f"expected more than {components} training images of at least as many values, got {len(known)} "
            f"of {known.shape[1]}. Pass more, or lower components."
        )
    pca = PCA(components, svd_solver="randomized", random_state=0).fit(known)
    return np.concatenate(
        [np.empty((0, 1 + components)), *(_describe(pca, _flat(part)) for part in batches if len(part))]
    )


def _describe(pca: PCA, flat: Float32[np.ndarray, "image value"]) -> Float64[np.ndarray, "described column"]:
    if flat.shape[1] != pca.n_features_in_:
        raise DataError(
            f"expected images of {pca.n_features_in_} values, as those that were fitted, got "
            f"{flat.shape[1]}. Prepare both in one way."
        )
    codes = pca.transform(flat)
    error = np.square(flat - pca.inverse_transform(codes), dtype=np.float64).mean(axis=1)
    return np.column_stack([error, codes]).astype(np.float64)


def _flat(
    images: UInt8[np.ndarray, "image height width channel"] | Float[Tensor, "image channel height width"],
) -> Float32[np.ndarray, "image value"]:
    """Floats in [0, 1], channel after channel, so that both forms give the same values in the same order."""
    if isinstance(images, np.ndarray):
        return images.transpose(0, 3, 1, 2).reshape(len(images), -1).astype(np.float32) / np.float32(255)
    return images.detach().to("cpu", torch.float32).flatten(1).contiguous().numpy()
