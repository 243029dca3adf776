"""Encoders: from an image to the mean and log-variance of every latent, in one vector."""

from torch import nn

from pellucid.model.strided import Halve


def burgess(size: int, channels: int, latents: int) -> nn.Sequential:
    """The encoder of Burgess et al. 2018 (arXiv:1804.03599, appendix A).

    Strided 4x4 convolutions of 32 channels down to 4x4 (four of them at 64x64), then two layers of 256.
    """
    halvings = (size // 4).bit_length() - 1
    layers: list[nn.Module] = []
    width = channels
    for _ in range(halvings):
        layers += [Halve(width, 32), nn.ReLU(inplace=True)]
        width = 32
    # [batch 32 4 4] -> [batch 512]
    layers += [
        nn.Flatten(),
        nn.Linear(512, 256),
        nn.ReLU(inplace=True),
        nn.Linear(256, 256),
        nn.ReLU(inplace=True),
    ]
    return nn.Sequential(*layers, nn.Linear(256, 2 * latents))


def photo_widths(size: int) -> tuple[int, ...]:
    """Channels after each halving, from the picture down to 4x4: 32, 64, 128, then 256."""
    halvings = (size // 4).bit_length() - 1
    return tuple(min(32 << i, 256) for i in range(halvings))


def photo(size: int, channels: int, latents: int) -> nn.Sequential:
    """The encoder for photographs: as `burgess`, but wider the coarser the map, and one layer of 256.

    Fine maps are expensive and hold edges; coarse maps are cheap and hold what is in the picture.
    """
    layers: list[nn.Module] = []
    width = channels
    for wider in photo_widths(size):
        layers += [Halve(width, wider), nn.ReLU(inplace=True)]
        width = wider
    # [batch width 4 4] -> [batch 16*width]
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Linear(16 * width, 256), nn.ReLU(inplace=True), nn.Linear(256, 2 * latents)
    )
