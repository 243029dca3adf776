"""FactorVAE: a second network tells how far the latents are from independent.

Kim & Mnih (2018, arXiv:1802.05983) minimise (eq. 2)

    L = reconstruction + KL + gamma TC,    TC = KL(q(z) || prod_j q(z_j)) = E_q(z)[log q(z) / prod_j q(z_j)]

and find the ratio of densities by a discriminator D, which tells samples of q(z) from samples of
prod_j q(z_j) and whose best answer is D(z) = q(z) / (q(z) + prod_j q(z_j)), so that (eq. 3)

    TC = E_q(z)[log D(z) / (1 - D(z))].

Samples of the product are samples of q(z) whose latents have been permuted over the batch, each on its own
(algorithm 1). The paper permutes a second batch of images; here it is the same batch, as in
disentanglement_lib (Locatello et al. 2019). The discriminator's loss is a sum over the two kinds of samples,
so its expectation does not know whether they come from one batch or from two, and a second batch costs
images and time.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

WIDTH = 1000
"""Units of each hidden layer in the paper."""

LEARNING_RATE = 1e-4
"""Of the discriminator in the paper, where the networks that it watches learn at the same rate."""

_LAYERS = 6
_SLOPE = 0.2
_BETAS = (0.5, 0.9)


def permute_latents(
    z: Float[Tensor, "batch latent"], generator: torch.Generator
) -> Float[Tensor, "batch latent"]:
    """Permute each latent over the batch, independently of the others (arXiv:1802.05983, algorithm 1).

    Every latent keeps exactly its values; what one says of another is lost, except that two latents of a row
    still come from the same image by chance, once in `batch` times.

    Args:
        z: Samples.
        generator: On the CPU, so that a seed gives the same order whatever the model runs on.
    """
    order = torch.rand(z.shape, generator=generator).argsort(0)
    return z.gather(0, order.to(z.device))


class Adversary:
    """The discriminator of FactorVAE with its own optimiser, both by default as in the paper.

    Six hidden layers, leaky ReLU of slope 0.2, two logits; Adam with betas 0.5 and 0.9. It begins with equal
    logits: until it has learned something, it reports no dependence.

    It must keep pace. Where the encoder learns much faster, the discriminator is misled, and reports less
    dependence than there is: judge a model by its latents, not by this total correlation.

    In distributed training every process gives it the gathered z and the same generator, which keeps its
    copies equal without exchanging weights.

    Attributes:
        network: z [batch latent] -> logits [batch 2] of "from q(z)" and "from prod_j q(z_j)".
        optimizer: Of the network alone.
    """

    def __init__(
        self,
        latents: int,
        *,
        generator: torch.Generator,
        width: int = WIDTH,
        learning_rate: float = LEARNING_RATE,
        device: torch.device | str = "cpu",
        precision: torch.dtype = torch.float32,
    ) -> None:
        """Build it with weights drawn from `generator`.

        Args:
            latents: Of z.
            generator: On the CPU.
            width: Units of each hidden layer.
            learning_rate: Of Adam, without a schedule.
            device: Where z is.
            precision: bfloat16 for autocast, else float32.
        """
        layers: list[nn.Module] = []
        with torch.random.fork_rng(devices=[]):
            for inputs in (latents, *[width] * (_LAYERS - 1)):
                layers += [nn.Linear(inputs, width), nn.LeakyReLU(_SLOPE)]
            self.network = nn.Sequential(*layers, nn.Linear(width, 2))
        self._initialise(generator)
        self.network.to(device)
        self.optimizer = torch.optim.Adam(
            self.network.parameters(), lr=learning_rate, betas=_BETAS, fused=True
        )
        self._precision = precision

    @torch.no_grad()
    def _initialise(self, generator: torch.Generator) -> None:
        """He et al. (arXiv:1502.01852) for the hidden layers, zero for the last and for biases."""
        linear = [layer for layer in self.network if isinstance(layer, nn.Linear)]
        for layer in linear:
            nn.init.kaiming_uniform_(layer.weight, a=_SLOPE, generator=generator)
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(linear[-1].weight)

    def _logits(self, z: Float[Tensor, "batch latent"]) -> Float[Tensor, "batch 2"]:
        with torch.autocast(z.device.type, torch.bfloat16, enabled=self._precision == torch.bfloat16):
            logits: Tensor = self.network(z)
        return logits.float()

    def log_density_ratio(self, z: Float[Tensor, "batch latent"]) -> Float[Tensor, " batch"]:
        """Estimate log q(z) / prod_j q(z_j) in nats; its mean over samples of q(z) is the total correlation.

        Differentiable in z. It is what a network has found out so far: as a rule too low while z changes, and
        below 0 at times, which the total correlation itself cannot be.
        """
        joint, product = self._logits(z).unbind(1)
        return joint - product

    def learn(self, z: Float[Tensor, "batch latent"], generator: torch.Generator) -> Float[Tensor, ""]:
        """Take one step at telling z from its permutation.

        Args:
            z: Samples of q(z); no gradient flows back to them.
            generator: Decides the permutation.

        Returns:
            The cross entropy before the step, in nats: log 2 where nothing can be told apart.
        """
        z = z.detach()
        both = torch.cat([z, permute_latents(z, generator)])
        permuted = torch.arange(len(both), device=z.device) >= len(z)
        loss = functional.cross_entropy(self._logits(both), permuted.long())
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self.optimizer.step()
        return loss.detach()
