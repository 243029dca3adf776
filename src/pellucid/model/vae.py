"""The network: an encoder to a posterior, a decoder to logits."""

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pellucid.model.architecture import PRESETS, Architecture
from pellucid.model.posterior import Posterior

LOG_VARIANCE_RANGE = (-16.0, 8.0)


class VAE(nn.Module):
    """A variational autoencoder (Kingma & Welling, arXiv:1312.6114), without an objective."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        preset = PRESETS[architecture.preset]
        shape = (architecture.size, architecture.channels, architecture.latents)
        self.architecture = architecture
        self.encoder = preset.encoder(*shape)
        self.decoder = preset.decoder(*shape)

    def encode(self, images: Float[Tensor, "batch channel height width"]) -> Posterior:
        """The posterior of each image (values in [0, 1]), in float32 also under autocast.

        The log-variance is held within [-16, 8], where its exponential is harmless in float32.
        """
        encoded: Tensor = self.encoder(images).float()  # [batch 2*latent]
        mean, log_variance = encoded.chunk(2, dim=1)
        return Posterior(mean, log_variance.clamp(*LOG_VARIANCE_RANGE))

    def decode(self, z: Float[Tensor, "batch latent"]) -> Float[Tensor, "batch channel height width"]:
        """Logits of each image, in float32; `sigmoid` makes them an image."""
        return cast(Tensor, self.decoder(z)).float()

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw every weight anew from `generator`: uniform within 1 / sqrt(fan-in), biases zero.

        PyTorch's own rule for weights, but not from its global state, which depends on what ran before.
        """
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                nn.init.kaiming_uniform_(module.weight, a=5**0.5, generator=generator)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
