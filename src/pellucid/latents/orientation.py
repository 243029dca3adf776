"""Turn latents around, so that moving right means more of what they are called."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import nn

from pellucid.latents.names import LatentTable, readable
from pellucid.latents.tracking import Tracking
from pellucid.model.vae import VAE


def backwards(table: LatentTable, trackings: Sequence[Tracking]) -> list[int]:
    """List the latents that fall with the attribute that they are named after.

    Args:
        table: The latents' names.
        trackings: What `track` found.
    """
    falling = {(one.latent, readable(one.attribute)) for one in trackings if one.direction < 0}
    return [record.index for record in table.records if (record.index, record.name) in falling]


@torch.no_grad()
def turn_around(vae: VAE, latents: Sequence[int]) -> None:
    """Change the sign of some latents, exactly: means are negated, and no reconstruction changes.

    The prior is the same on both sides, so nothing else is to be done. What has been measured of these
    latents (range, evidence of names, a detector) no longer holds.

    Args:
        vae: The encoder must end, and the decoder begin, with a linear layer.
        latents: Which ones.
    """
    encode, decode = cast(nn.Linear, vae.encoder[-1]), cast(nn.Linear, vae.decoder[0])
    which = list(latents)
    encode.weight[which] *= -1  # the first rows are the means'
    encode.bias[which] *= -1
    decode.weight[:, which] *= -1
