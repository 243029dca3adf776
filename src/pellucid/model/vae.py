"""The network: an encoder to a posterior, a decoder to logits."""

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pellucid.model.architecture import PRESETS, Architecture
from pellucid.model.posterior import Posterior
from pellucid.model.strided import Double, Halve

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
        """Draw every weight anew from `generator`: normal, of variance 2 / fan-in; biases zero.

        Signals keep their size through layers with ReLU (He et al. 2015, arXiv:1502.01852, eq. 10), where
        PyTorch's own rule shrinks them 2.4 times in each: hundreds of steps until the first latent says
        something. The last layer of each network gets a quarter of that variance, to begin with a small
        KL and with grey.
        """
        for network in (self.encoder, self.decoder):
            layers = [m for m in network.modules() if isinstance(m, Halve | Double | nn.Linear)]
            for layer in layers:
                last = layer is layers[-1]
                layer.weight.normal_(
                    0, (0.5 if last else 1.0) * (2 / _fan_in(layer)) ** 0.5, generator=generator
                )
                if layer.bias is not None:
                    layer.bias.zero_()


def _fan_in(layer: Halve | Double | nn.Linear) -> int:
    """How many numbers each output is a weighted sum of, away from the edges."""
    if isinstance(layer, nn.Linear):
        return layer.in_features
    return layer.in_channels * (16 if isinstance(layer, Halve) else 4)
