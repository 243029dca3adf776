"""Decoders: from latents to the logits of an image."""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pellucid.model.encoder import photo_widths
from pellucid.model.strided import Double


def burgess(size: int, channels: int, latents: int) -> nn.Sequential:
    """The decoder of Burgess et al. 2018 (arXiv:1804.03599, appendix A), the mirror of its encoder."""
    doublings = (size // 4).bit_length() - 1
    layers: list[nn.Module] = [
        nn.Linear(latents, 256),
        nn.ReLU(inplace=True),
        nn.Linear(256, 256),
        nn.ReLU(inplace=True),
    ]
    # [batch 512] -> [batch 32 4 4]
    layers += [nn.Linear(256, 512), nn.ReLU(inplace=True), nn.Unflatten(1, (32, 4, 4))]
    for _ in range(doublings - 1):
        layers += [Double(32, 32), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, Double(32, channels))


def photo(size: int, channels: int, latents: int) -> nn.Sequential:
    """The decoder for photographs, the mirror of the encoder."""
    widths = photo_widths(size)[::-1]
    layers: list[nn.Module] = [
        nn.Linear(latents, 256),
        nn.ReLU(inplace=True),
        nn.Linear(256, 16 * widths[0]),
        nn.ReLU(inplace=True),
    ]
    # [batch 16*width] -> [batch width 4 4]
    layers.append(nn.Unflatten(1, (widths[0], 4, 4)))
    for width, narrower in pairwise(widths):
        layers += [Double(width, narrower), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, Double(widths[-1], channels))


class Place(nn.Module):
    """Tell every cell of a grid where it is: [batch width] -> [batch cell width], row by row.

    A learned linear map of the cell's x and y, both in [-1, 1], is added to what all cells share.
    """

    places: Tensor

    def __init__(self, side: int, width: int) -> None:
        super().__init__()
        self.map = nn.Linear(2, width, bias=False)
        line = torch.linspace(-1, 1, side, device="cpu")  # also where weights are still to come, on `meta`
        places = torch.cartesian_prod(line, line).flip(1)  # x changes fastest
        self.register_buffer("places", places, persistent=False)

    def forward(self, shared: Float[Tensor, "batch width"]) -> Float[Tensor, "batch cell width"]:
        """See the class."""
        placed: Tensor = shared[:, None] + self.map(self.places)
        return placed


class Maps(nn.Module):
    """[batch cell channel] -> [batch channel side side], as a view."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, cells: Float[Tensor, "batch cell channel"]) -> Float[Tensor, "batch channel side side"]:
        """See the class."""
        return cells.transpose(1, 2).view(cells.shape[0], cells.shape[2], self.side, self.side)


def broadcast(size: int, channels: int, latents: int) -> nn.Sequential:
    """Every cell of an 8x8 grid works out its part of the picture from z and from where it is.

    Spatial broadcast (Watters et al. 2019, arXiv:1901.07017), at 8x8 instead of the full size, where it
    costs next to nothing; from there on it doubles like `burgess`. Where a thing is in the picture is then
    easy to decode from two latents and hard from a mixture.
    """
    doublings = (size // 8).bit_length() - 1
    # [batch latents] -> [batch 64] -> [batch 8*8 64] -> [batch 8*8 32] -> [batch 32 8 8]
    layers: list[nn.Module] = [nn.Linear(latents, 64), Place(8, 64), nn.ReLU(inplace=True)]
    layers += [nn.Linear(64, 64), nn.ReLU(inplace=True), nn.Linear(64, 32), nn.ReLU(inplace=True)]
    layers += [Maps(8)]
    for _ in range(doublings - 1):
        layers += [Double(32, 32), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, Double(32, channels))
