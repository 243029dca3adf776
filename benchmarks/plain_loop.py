"""β-TCVAE as it is usually written: what `benchmarks/throughput.py` compares Pellucid's training with.

Eager float32 PyTorch, images as float tensors in memory, DataLoader, Adam. The same networks and the same
objective as Pellucid's, written down once more with PyTorch's own layers and nothing of Pellucid's.
"""

import math
from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset


class PlainVAE(nn.Module):
    """`burgess` for one channel, `photo` for three, at 64x64; weights have the names of Pellucid's."""

    def __init__(self, channels: int, latents: int) -> None:
        super().__init__()
        widths = [32, 32, 32, 32] if channels == 1 else [32, 64, 128, 256]
        flat = 16 * widths[-1]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise([channels, *widths]):
            layers += [nn.Conv2d(inputs, outputs, 4, stride=2, padding=1), nn.ReLU()]
        layers += [nn.Flatten(), nn.Linear(flat, 256), nn.ReLU()]
        layers += [nn.Linear(256, 256), nn.ReLU()] if channels == 1 else []
        self.encoder = nn.Sequential(*layers, nn.Linear(256, 2 * latents))
        layers = [nn.Linear(latents, 256), nn.ReLU()]
        layers += [nn.Linear(256, 256), nn.ReLU()] if channels == 1 else []
        layers += [nn.Linear(256, flat), nn.ReLU(), nn.Unflatten(1, (widths[-1], 4, 4))]
        for inputs, outputs in pairwise(widths[::-1]):
            layers += [nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1), nn.ReLU()]
        layers += [nn.ConvTranspose2d(widths[0], channels, 4, stride=2, padding=1)]
        self.decoder = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Logits, z, mean and log-variance."""
        mean, log_variance = self.encoder(images).chunk(2, dim=1)
        z = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
        return self.decoder(z), z, mean, log_variance


def total_correlation(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Minibatch-weighted sampling (arXiv:1802.04942, eq. S3), but for a constant."""
    offset = z[:, None] - mean[None]
    densities = -0.5 * (offset**2 / log_variance.exp() + log_variance + math.log(2 * math.pi))
    constant = math.log(len(z))
    joint = torch.logsumexp(densities.sum(2), 1) - constant
    marginals = (torch.logsumexp(densities, 1) - constant).sum(1)
    return (joint - marginals).mean()


def ssim(image: Tensor, reconstruction: Tensor) -> Tensor:
    """Mean structural similarity of a batch (doi:10.1109/TIP.2003.819861), 11x11 Gaussian window."""
    channels = image.shape[1]
    kernel = torch.exp(-0.5 * (torch.arange(-5.0, 6.0) / 1.5) ** 2)
    kernel = (kernel / kernel.sum()).repeat(channels, 1, 1, 1)

    def blur(planes: Tensor) -> Tensor:
        rows = functional.conv2d(planes, kernel, groups=channels)
        return functional.conv2d(rows, kernel.transpose(2, 3), groups=channels)

    x, y = blur(image), blur(reconstruction)
    xx, yy = blur(image**2) - x**2, blur(reconstruction**2) - y**2
    xy = blur(image * reconstruction) - x * y
    similarity = (2 * x * y + 1e-4) * (2 * xy + 9e-4) / ((x**2 + y**2 + 1e-4) * (xx + yy + 9e-4))
    return similarity.mean()


def loss_of(network: PlainVAE, images: Tensor, beta: float) -> Tensor:
    """β-TCVAE: cross entropy for one channel, squared error and SSIM as Pellucid weighs them for three."""
    logits, z, mean, log_variance = network(images)
    if images.shape[1] == 1:
        errors = functional.binary_cross_entropy_with_logits(logits, images, reduction="sum") / len(images)
    else:
        reconstruction = torch.sigmoid(logits)
        errors = functional.mse_loss(reconstruction, images, reduction="sum") / len(images)
        errors = errors + 0.08 * images[0].numel() * (1 - ssim(images, reconstruction))
    kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1).mean()
    return errors + kl + (beta - 1) * total_correlation(z, mean, log_variance)


def train(
    network: PlainVAE, images: Tensor, *, batch_size: int, beta: float, as_pellucid_for: int | None = None
) -> Iterator[float]:
    """Train for as long as the caller likes; the loss of each step.

    The learning rate is constant and Adam's betas are PyTorch's; with `as_pellucid_for` steps, the recipe is
    Pellucid's: half a cosine to zero in so many steps, betas of .9 and .99, gradients clipped at 1,000 nats.
    """
    loader = DataLoader(TensorDataset(images), batch_size=batch_size, shuffle=True, drop_last=True)
    betas = (0.9, 0.999) if as_pellucid_for is None else (0.9, 0.99)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, betas=betas)
    step = 0
    while True:
        for (batch,) in loader:
            if as_pellucid_for is not None:
                done = min(1.0, step / as_pellucid_for)
                optimizer.param_groups[0]["lr"] = 1e-3 * 0.5 * (1 + math.cos(math.pi * done))
            loss = loss_of(network, batch, beta)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            if as_pellucid_for is not None:
                nn.utils.clip_grad_norm_(network.parameters(), 1000.0)
            optimizer.step()
            step += 1
            yield loss.item()
