"""A trained model ready for use: encode images once, then decode as often as you like."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from pellucid.data.images import preprocess, read_image, to_float
from pellucid.errors import ConfigError, ImageError, LatentError
from pellucid.model.directory import ModelConfig, model_fingerprint, read_model
from pellucid.model.posterior import Posterior
from pellucid.model.vae import VAE

Images = str | os.PathLike[str] | Image.Image | NDArray[np.generic] | Tensor | Sequence["Images"]
"""One image or many: a path, a PIL image, an array [height width (channel)] of uint8 or of floats in [0, 1],
a tensor [(batch) channel height width] of floats in [0, 1] at the model's size, or a list of these. A large
JPEG is decoded small if given by its path, in full if by PIL: levels differ by 0.5 on average."""

_BATCH = 256


class Model:
    """A trained autoencoder with its preprocessing. Deterministic: the posterior mean, eval mode.

    Attributes:
        config: What the model is, was trained on, and how.
        fingerprint: sha256 of weights, architecture and preprocessing: of all that turns an image into a code
            and back. That of the whole run, with names and detector, is `pellucid.run_fingerprint(model)`.
        directory: The run that it was loaded from.
        device: Where it computes; results are always on the CPU.
    """

    def __init__(
        self,
        vae: VAE,
        config: ModelConfig,
        *,
        fingerprint: str = "",
        directory: Path | None = None,
        device: str | torch.device = "cpu",
    ) -> None:
        # As its layers want the weights on a processor (model/strided.py): else each call would lay them out.
        self.vae = vae.eval().to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.config = config
        self.fingerprint = fingerprint
        self.directory = directory
        self.device = torch.device(device)

    @property
    def latents(self) -> int:
        """How many latents the model has."""
        return self.config.architecture.latents

    def to_tensor(self, images: Images) -> Float[Tensor, "batch channel height width"]:
        """What the encoder sees: float32 [batch channel height width] in [0, 1].

        Paths, PIL images and arrays go through the preprocessing of the training set. Tensors must have
        the model's size already. A batch may be empty, a list may not.

        Raises:
            ImageError: If something is not an image, or not one that the model takes.
        """
        if isinstance(images, Tensor):
            return self._checked_tensor(images)
        if isinstance(images, Sequence) and not isinstance(images, str):
            if not images:
                raise ImageError("expected one image or more, got an empty list.")
            return torch.cat([self.to_tensor(image) for image in images])
        if isinstance(images, np.ndarray):
            stack = images if images.ndim == 4 else images[None]
            pixels = [preprocess(_from_array(image), self.config.preprocessing) for image in stack]
            if not pixels:
                built = self.config.architecture
                return torch.empty(0, built.channels, built.size, built.size)
            return to_float(np.stack(pixels))
        if isinstance(images, Image.Image):
            return to_float(preprocess(images, self.config.preprocessing)[None])
        if isinstance(images, str | os.PathLike):
            return to_float(read_image(Path(images), self.config.preprocessing)[None])
        raise ImageError(
            f"expected a path, a PIL image, an array, a tensor or a list, got {type(images).__name__}."
        )

    def _checked_tensor(self, images: Tensor) -> Tensor:
        batch = images[None] if images.ndim == 3 else images
        built = self.config.architecture
        expected = (built.channels, built.size, built.size)
        if batch.ndim != 4 or tuple(batch.shape[1:]) != expected:
            raise ImageError(
                f"expected a tensor [batch {' '.join(map(str, expected))}] because the model was "
                f"trained on such images, got {list(images.shape)}. Paths, pictures and arrays are fitted."
            )
        if not batch.is_floating_point():
            raise ImageError(
                f"expected a tensor of floats in [0, 1], got {images.dtype}. Divide uint8 by 255."
            )
        batch = batch.detach().to("cpu", torch.float32)
        if batch.numel() and not (batch.min() >= 0 and batch.max() <= 1):  # also false for nan
            raise ImageError("expected values in [0, 1] in every tensor. Divide by 255, or clamp.")
        return batch

    def _batches(self, tensor: Tensor) -> Iterator[Tensor]:
        for part in torch.split(tensor, _BATCH):
            yield part.to(self.device)

    @torch.no_grad()
    def encode(self, images: Images) -> Posterior:
        """The posterior of each image; its mean is the deterministic code.

        Raises:
            ImageError: If something is not an image, or not one that the model takes.
        """
        encoded = [self.vae.encode(batch) for batch in self._batches(self.to_tensor(images))]
        return Posterior(
            torch.cat([posterior.mean.cpu() for posterior in encoded]),
            torch.cat([posterior.log_variance.cpu() for posterior in encoded]),
        )

    @torch.no_grad()
    def decode(self, z: Float[Tensor, "batch latent"]) -> Float[Tensor, "batch channel height width"]:
        """The image of each z, float32 in [0, 1].

        Raises:
            LatentError: If `z` does not have the model's number of latents.
        """
        if z.shape[1] != self.latents:
            raise LatentError(f"expected z of {self.latents} latents, as the model has, got {z.shape[1]}.")
        return torch.cat([torch.sigmoid(self.vae.decode(batch)).cpu() for batch in self._batches(z.float())])

    def reconstruct(self, images: Images) -> Float[Tensor, "batch channel height width"]:
        """Each image as the model sees it: decoded from its posterior mean, float32 in [0, 1]."""
        return self.decode(self.encode(images).mean)

    def traverse(
        self, z: Float[Tensor, "seed latent"], latent: int, values: Float[Tensor, " step"]
    ) -> Float[Tensor, "seed step channel height width"]:
        """Decode every seed with one latent set to each value in turn and the others as they are.

        Raises:
            LatentError: If there is no such latent.
        """
        if not 0 <= latent < self.latents:
            raise LatentError(f"expected a latent from z0 to z{self.latents - 1}, got z{latent}.")
        moved = z[:, None].repeat(1, len(values), 1)  # [seed step latent]
        moved[:, :, latent] = values
        images = self.decode(moved.flatten(0, 1))
        return images.reshape(len(z), len(values), *images.shape[1:])


def _from_array(image: NDArray[np.generic]) -> Image.Image:
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3) or 0 in image.shape:
        raise ImageError(f"expected an array [height width] or [height width 3], got {list(image.shape)}.")
    if np.issubdtype(image.dtype, np.floating):
        if not (image.min() >= 0 and image.max() <= 1):  # also false for nan
            raise ImageError("expected floats in [0, 1] in every array. Divide by 255, or clamp.")
        image = np.rint(image * 255).astype(np.uint8)
    if image.dtype != np.uint8:
        raise ImageError(f"expected an array of uint8 or of floats in [0, 1], got {image.dtype}.")
    return Image.fromarray(image)


def resolve_device(name: str = "auto") -> torch.device:
    """`auto` is CUDA where there is one, then Apple's GPU, then the CPU.

    Raises:
        ConfigError: If the device is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            f"device: {name!r} is not here ({str(error).splitlines()[0]}). Try --device cpu."
        ) from error
    return torch.device(name)


def load(run: str | os.PathLike[str], *, device: str = "auto") -> Model:
    """Load the model of a run directory. Reads JSON and safetensors, checks both, runs no code.

    Raises:
        RunError: If the directory is not a run, is damaged, or is from a newer version.
    """
    vae, config, weights = read_model(run)
    return Model(
        vae,
        config,
        fingerprint=model_fingerprint(config, weights),
        directory=Path(run),
        device=resolve_device(device),
    )
