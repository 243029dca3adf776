"""Decoders: from latents to the logits of an image. Each mirrors the encoder of the same name."""

from itertools import pairwise

from torch import nn

from pellucid.model.encoder import photo_widths


def burgess(size: int, channels: int, latents: int) -> nn.Sequential:
    """The decoder of Burgess et al. 2018 (arXiv:1804.03599, appendix A)."""
    doublings = (size // 4).bit_length() - 1
    layers: list[nn.Module] = [nn.Linear(latents, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU()]
    # [batch 512] -> [batch 32 4 4]
    layers += [nn.Linear(256, 512), nn.ReLU(), nn.Unflatten(1, (32, 4, 4))]
    for _ in range(doublings - 1):
        layers += [nn.ConvTranspose2d(32, 32, 4, stride=2, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.ConvTranspose2d(32, channels, 4, stride=2, padding=1))


def photo(size: int, channels: int, latents: int) -> nn.Sequential:
    """The decoder for photographs, the mirror of the encoder."""
    widths = photo_widths(size)[::-1]
    layers: list[nn.Module] = [nn.Linear(latents, 256), nn.ReLU(), nn.Linear(256, 16 * widths[0]), nn.ReLU()]
    # [batch 16*width] -> [batch width 4 4]
    layers.append(nn.Unflatten(1, (widths[0], 4, 4)))
    for width, narrower in pairwise(widths):
        layers += [nn.ConvTranspose2d(width, narrower, 4, stride=2, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.ConvTranspose2d(widths[-1], channels, 4, stride=2, padding=1))
