"""The gradient of a batch, computed slice by slice.

The price of the latents needs the whole batch, the networks do not. So a step goes: encode each slice;
gather the latents of all slices, and of all processes; decode each slice of them and take the gradient of
its reconstruction; add the gradient of the price, which every process knows for its own latents; take the
encoder's gradient of each slice. What is held at a time is the encoder's maps of the batch, and the decoder's
of the slices in work.

Slices have a fixed size and their gradients are added in a fixed order, so the number of threads changes no
bit of the result; neither do two, four or eight processes, where their parts are whole slices.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from pellucid.model.posterior import Posterior
from pellucid.model.vae import VAE
from pellucid.objective.objectives import Objective, latent_terms
from pellucid.objective.reconstruction import training_loss
from pellucid.training.distributed import Processes
from pellucid.training.threads import WorkerThreads

SLICE = 16
"""Images that one thread takes at a time: fewer waste the vector units, more leave cores without work."""


class Gradient:
    """Computes terms and gradients of batches for one model and objective."""

    def __init__(
        self,
        vae: VAE,
        objective: Objective,
        precision: torch.dtype,
        *,
        threads: WorkerThreads,
        processes: Processes,
    ) -> None:
        self._vae, self._objective, self._precision = vae, objective, precision
        self._threads, self._processes = threads, processes
        self._encoder, self._decoder = list(vae.encoder.parameters()), list(vae.decoder.parameters())

    def backward(
        self,
        images: Float[Tensor, "part channel height width"],
        noise: torch.Generator,
        *,
        dataset_size: int,
        progress: float,
        log_density_ratio: Callable[[Tensor], Tensor] | None = None,
    ) -> tuple[dict[str, Tensor], Tensor, Posterior]:
        """Set the gradient of every weight; returns the terms of the objective, z and the posterior.

        Args:
            images: This process's part of the batch.
            noise: Of the whole batch, the same in all processes.
            dataset_size: Images in the training set.
            progress: How much of the training is done, 0 to 1.
            log_density_ratio: For "factor-vae", see `latent_terms`.

        Returns:
            "loss", "reconstruction" (of this process's images) and the terms of `latent_terms`, in nats an
            image; z [batch latent] and the posterior of the whole batch. All without graph.
        """
        size = SLICE if images.device.type == "cpu" else len(images)
        slices = torch.split(images, size)
        encoded = self._threads.map(self._encode, slices)
        own = Posterior(
            torch.cat([part.mean.detach() for part in encoded]),
            torch.cat([part.log_variance.detach() for part in encoded]),
        )
        posterior = self._processes.gather(own)
        leaves = [posterior.mean.requires_grad_(), posterior.log_variance.requires_grad_()]
        z = posterior.sample(noise)
        part = self._processes.part(len(z))
        batch = torch.full((), len(z))
        decoded = self._threads.map(
            self._decode, slices, torch.split(z.detach()[part], size), [batch] * len(slices)
        )
        terms = latent_terms(
            self._objective,
            z,
            posterior,
            dataset_size=dataset_size,
            progress=progress,
            log_density_ratio=log_density_ratio,
        )
        for_z = torch.zeros_like(z)  # of the reconstruction; other processes know it for their own images
        for_z[part] = torch.cat([gradient for _, gradient, _ in decoded])
        for_latents = torch.autograd.grad(
            [terms["price"], z], leaves, [torch.ones_like(terms["price"]), for_z]
        )
        for_own = [torch.split(gradient[part], size) for gradient in for_latents]
        for_encoder = self._threads.map(self._encoder_gradient, encoded, *for_own)
        gradients = [*_sum(for_encoder), *_sum([gradients for _, _, gradients in decoded])]
        self._processes.add_up(gradients)
        for parameter, gradient in zip(self._encoder + self._decoder, gradients, strict=True):
            parameter.grad = gradient
        reconstruction = torch.stack([loss for loss, _, _ in decoded]).sum() / len(images)
        found = {"loss": reconstruction + terms.pop("price"), "reconstruction": reconstruction, **terms}
        posterior = Posterior(*(leaf.detach() for leaf in leaves))
        return {name: term.detach() for name, term in found.items()}, z.detach(), posterior

    def _autocast(self) -> torch.autocast:
        device = self._encoder[0].device.type
        return torch.autocast(device, torch.bfloat16, enabled=self._precision == torch.bfloat16)

    def _encode(self, images: Tensor) -> Posterior:
        with self._autocast():
            return self._vae.encode(images)

    def _decode(self, images: Tensor, z: Tensor, batch: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Sum of the slice's losses; the gradient of the batch's mean by z and by the decoder's weights."""
        z.requires_grad_()
        with self._autocast():
            logits = self._vae.decode(z)
        loss = training_loss(dict(self._objective.losses), images, logits).sum()
        for_z, *gradients = torch.autograd.grad(loss / batch, [z, *self._decoder])
        return loss.detach(), for_z, gradients

    def _encoder_gradient(self, encoded: Posterior, mean: Tensor, log_variance: Tensor) -> list[Tensor]:
        outputs = [encoded.mean, encoded.log_variance]
        return list(torch.autograd.grad(outputs, self._encoder, [mean, log_variance]))


def _sum(gradients: list[list[Tensor]]) -> list[Tensor]:
    """The sum over slices, pair by pair: the order in which processes with whole slices add up theirs."""
    while len(gradients) > 1:
        for first, second in zip(gradients[::2], gradients[1::2], strict=False):
            torch._foreach_add_(first, second)
        gradients = gradients[::2]
    return gradients[0]
