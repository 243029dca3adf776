"""Where the scales of the training losses come from, and whether they do what they promise.

    python benchmarks/loss_scales.py DATA [DATA ...] [--limit 5000] [--size 64] [--crop celeba] [--latents 96]

First table: SSE saved per unit of each loss saved, when principal components `from` to `to` are added to the
mean image, on images left out of the analysis; per element (channels * height * width), for the cross
entropies per pixel: 1 is their plain sum in nats. `pellucid.objective.reconstruction` says why 16-32 counts.

Second table, with --latents: active latents (KL > 0.1 nat) of a linear beta-VAE at beta = 4, for each loss
at the scale in use. A linear VAE started from the principal components converges in seconds, so the
comparison is free of the luck of training.

Measured in November 2026, one seed, on faces 000001-005000 of CelebA (face crop), 1,300 photographs without
faces, and 3,000 drawings each of one ellipse (colour on colour; white on black):

    data             components  mae    cosine  ssim   cross_entropy  color_cross_entropy
    faces 64x64x3    0-8         0.435  0.620   0.411   0.168         0.448
                     0-16        0.421  0.590   0.327   0.169         0.441
                     0-32        0.406  0.573   0.257   0.172         0.435
                     8-16        0.346  0.445   0.139   0.178         0.401
                     16-32       0.300  0.447   0.082   0.200         0.385
                     32-64       0.266  0.450   0.052   0.188         0.376
    faces 32x32x3    16-32       0.292  0.445   0.064   0.199         0.385
    faces 64x64x1    16-32       0.283  0.448   0.069   0.388         0.388
    no faces         16-32       0.315  0.406   0.122   0.206         0.429
    colour ellipses  16-32       0.194  0.513   0.107  -0.121         0.368
    white ellipses   16-32       0.399  0.106   1.491   0.298         0.298
    in use, colour               0.35   0.45    0.08    0.133         0.4

    faces 64x64x3, linear VAE, 96 latents  active  KL > 0.3  nats
    mse                                        31        22  22.9
    mae                                        30        22  23.1
    cosine                                     32        22  22.0
    ssim                                       30        21  19.9
    cross_entropy, at 1/3                      56        36  39.9
    color_cross_entropy, at 1                  59        42  44.3

On photographs the scales hold; on white shapes on black, cosine and SSIM would need other ones. In colour,
color_cross_entropy is used at 0.4, where it has 31 active latents too; in grey both stay in exact nats.
"""

import argparse
import math

import torch
from torch import Tensor

from pellucid.data.store import open_dataset
from pellucid.model.posterior import Posterior
from pellucid.objective.kl import kl
from pellucid.objective.reconstruction import LOSSES, training_loss

STRETCHES = ((0, 8), (0, 16), (0, 32), (8, 16), (16, 32), (32, 64))
BETA = 4.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="+")
    parser.add_argument("--limit", type=int, default=5000)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--channels", type=int, choices=(1, 3))
    parser.add_argument("--crop", choices=("whole", "center", "celeba"))
    parser.add_argument("--latents", type=int, default=0, help="also count active latents, of so many")
    settings = parser.parse_args()
    for data in settings.data:
        dataset = open_dataset(
            data, size=settings.size, channels=settings.channels, crop=settings.crop, limit=settings.limit
        )
        images = dataset.batch(dataset.rows("all")).contiguous()
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
        fitted, held_out = images[order].tensor_split([len(images) * 7 // 8])
        print(f"\n{dataset.description}: {len(fitted)} fitted, {len(held_out)} measured")
        components = PrincipalComponents(fitted, max(max(STRETCHES)[1], 2 * settings.latents))
        print_scales(components, held_out[:800])
        if settings.latents:
            print_active(components, fitted, held_out, settings.latents)


class PrincipalComponents:
    """Mean, directions [element component] and variances [component] of some images."""

    def __init__(self, images: Tensor, count: int) -> None:
        torch.manual_seed(0)  # svd_lowrank takes no generator
        self.mean = images.flatten(1).mean(0)
        centred = images.flatten(1) - self.mean
        _, singular, directions = torch.svd_lowrank(centred, q=count + 8, niter=3)
        self.directions = directions[:, :count]
        self.variances = (singular.square() / len(images))[:count]

    def whiten(self, images: Tensor) -> Tensor:
        return (images.flatten(1) - self.mean) @ self.directions / self.variances.sqrt()

    def reconstruct(self, images: Tensor, count: int) -> Tensor:
        kept = self.directions[:, :count]
        flat = self.mean + (images.flatten(1) - self.mean) @ kept @ kept.T
        return flat.clamp(1 / 255, 254 / 255).view_as(images)


def print_scales(components: PrincipalComponents, images: Tensor) -> None:
    channels, height, width = images.shape[1:]
    units = dict.fromkeys(LOSSES, channels * height * width)
    units |= {"cross_entropy": height * width, "color_cross_entropy": height * width}
    scores = {}
    for count in {end for stretch in STRETCHES for end in stretch}:
        reconstruction = components.reconstruct(images, count)
        scores[count] = {
            name: loss.function(images, reconstruction).mean().item() for name, loss in LOSSES.items()
        }
    print("components  " + "  ".join(f"{name:>13.13}" for name in LOSSES))
    for start, end in STRETCHES:
        saved = {name: scores[start][name] - scores[end][name] for name in LOSSES}
        squares = saved["mse"] * units["mse"]
        row = "  ".join(f"{squares / saved[name] / units[name]:13.4f}" for name in LOSSES)
        print(f"{start:4d} - {end:<4d} {row}")


def print_active(components: PrincipalComponents, fitted: Tensor, held_out: Tensor, latents: int) -> None:
    print("linear VAE           active  KL > 0.3     nats")
    for name in LOSSES:
        encoder, log_variance = fit_linear_vae(components, fitted, name, latents)
        mean = components.whiten(held_out) @ encoder
        rate = kl(Posterior(mean, log_variance.expand_as(mean))).mean(0)
        print(f"{name:20} {int((rate > 0.1).sum()):6d} {int((rate > 0.3).sum()):9d} {rate.sum().item():8.1f}")


def fit_linear_vae(
    components: PrincipalComponents, images: Tensor, name: str, latents: int, *, steps: int = 500
) -> tuple[Tensor, Tensor]:
    """Train from the optimum for squared error; returns the map from whitened images and the log-variance."""
    generator = torch.Generator().manual_seed(0)
    whitened, deviations = components.whiten(images), components.variances.sqrt()
    noise = (BETA / 2 / components.variances[:latents]).clamp(max=0.9)
    start = torch.eye(len(deviations), latents) * (1 - noise).sqrt()
    base = components.mean.clamp(0.02, 0.98)
    pixels = (components.directions * deviations / (base * (1 - base))[:, None]).T.contiguous()
    encoder, decoder, bias = start.clone(), start.T.clone(), torch.logit(base)
    log_variance = noise.log()
    parameters = [tensor.requires_grad_() for tensor in (encoder, decoder, bias, log_variance)]
    optimizer = torch.optim.Adam(parameters, betas=(0.9, 0.99))
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = (
            4e-3 * min(1, (step + 1) / 20) * (0.5 + 0.5 * math.cos(math.pi * step / steps))
        )
        rows = torch.randint(len(images), (64,), generator=generator)
        mean = whitened[rows] @ encoder
        posterior = Posterior(mean, log_variance.expand_as(mean))
        logits = (bias + posterior.sample(generator) @ decoder @ pixels).view_as(images[rows])
        loss = training_loss({name: 1.0}, images[rows], logits).mean() + BETA * kl(posterior).sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return encoder.detach(), log_variance.detach()


if __name__ == "__main__":
    main()
