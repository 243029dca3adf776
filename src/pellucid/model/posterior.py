"""What the encoder says of an image: one independent normal distribution for each latent."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Posterior:
    """q(z|x): a diagonal normal distribution for each image of a batch.

    Attributes:
        mean: float32 [batch latent].
        log_variance: float32 [batch latent], natural logarithm of the variance.
    """

    mean: Float[Tensor, "batch latent"]
    log_variance: Float[Tensor, "batch latent"]

    def sample(self, generator: torch.Generator | None = None) -> Float[Tensor, "batch latent"]:
        """Draw one z for each image by the reparameterisation trick (arXiv:1312.6114, eq. 10)."""
        # Drawn on the generator's device, so that a seed gives the same noise whatever the model runs on.
        device = generator.device if generator is not None else self.mean.device
        noise = torch.randn(self.mean.shape, generator=generator, device=device, dtype=self.mean.dtype)
        return self.mean + noise.to(self.mean.device) * torch.exp(0.5 * self.log_variance)
