"""A model made by hand whose codes are known: latent j is the logit of the 8 rows of pixels from 8 j on."""

import math

import torch
from torch import Tensor, nn

from pellucid.data.images import Preprocessing
from pellucid.latents.names import LatentRecord, LatentTable, mark, rename
from pellucid.model.architecture import Architecture
from pellucid.model.directory import ModelConfig
from pellucid.model.predictor import Model
from pellucid.model.vae import VAE

LATENTS = 4
DEVIATION = (0.5, 1.0, 2.0, 1.0)
DOUBT = 0.1  # standard deviation of every posterior


class FromBands(nn.Module):
    """Images to means and log-variances [batch 2*latent]."""

    def forward(self, images: Tensor) -> Tensor:
        mean = torch.logit(images[:, 0].reshape(-1, LATENTS, 8, 32).double().mean(dim=(2, 3)))
        return torch.cat([mean, torch.full_like(mean, 2 * math.log(DOUBT))], dim=1)


class ToBands(nn.Module):
    """Codes to logits of images, without loss."""

    def forward(self, z: Tensor) -> Tensor:
        return z.repeat_interleave(8, dim=1)[:, None, :, None].expand(-1, 1, 32, 32)


def picture(*codes: float) -> Tensor:
    """The image of four codes, [1 1 32 32]."""
    z = torch.tensor([codes], dtype=torch.float64)
    return torch.sigmoid(ToBands()(z)).float().contiguous()


def bands_model() -> Model:
    """The model."""
    architecture = Architecture("burgess", 32, 1, LATENTS)
    vae = VAE(architecture)
    vae.encoder, vae.decoder = FromBands(), ToBands()
    config = ModelConfig(architecture, Preprocessing(32, 1, "whole"), {}, {})
    return Model(vae, config, fingerprint="f" * 64)


def bands_table() -> LatentTable:
    """z0 face width, z1 sunglasses (a nuisance), z2 skin tone; z3 is inactive."""
    records = tuple(
        LatentRecord(j, kl=1.0, variance=DEVIATION[j] ** 2, active=j < 3, low=-1.0, high=1.0)
        for j in range(LATENTS)
    )
    named = LatentTable(records)
    for latent, name in ((0, "face width"), (1, "sunglasses"), (2, "skin tone")):
        named = rename(named, latent, name)
    return mark(named, 1, nuisance=True)
