"""Which network a model is: a preset by name, and the sizes that it is built for."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from pellucid.errors import ConfigError
from pellucid.model import decoder, encoder

SIZES = (32, 64, 128, 256)
MAX_LATENTS = 512


@dataclass(frozen=True)
class Preset:
    """A pair of networks; `encoder` ends in 2 * latents numbers an image, `decoder` in logits."""

    encoder: Callable[[int, int, int], nn.Sequential]
    decoder: Callable[[int, int, int], nn.Sequential]


PRESETS = {
    "burgess": Preset(encoder.burgess, decoder.burgess),
    "broadcast": Preset(encoder.burgess, decoder.broadcast),
    "photo": Preset(encoder.photo, decoder.photo),
}


@dataclass(frozen=True)
class Architecture:
    """Everything needed to build the networks.

    Attributes:
        preset: `burgess`, `broadcast` or `photo`.
        size: Height and width of the image in pixels: 32, 64, 128 or 256.
        channels: 1 (grey) or 3 (RGB).
        latents: How many latents, 1 to 512.
    """

    preset: str = "burgess"
    size: int = 64
    channels: int = 3
    latents: int = 10

    def __post_init__(self) -> None:
        for name in ("size", "channels", "latents"):
            if type(getattr(self, name)) is not int:  # 32.0 == 32 and True == 1, but they build nothing
                raise ConfigError(f"{name}: expected a whole number, got {getattr(self, name)!r}.")
        if self.preset not in PRESETS:
            raise ConfigError(f"preset: expected one of {', '.join(PRESETS)}, got {self.preset!r}.")
        if self.size not in SIZES:
            raise ConfigError(f"size: expected one of {', '.join(map(str, SIZES))}, got {self.size}.")
        if self.channels not in (1, 3):
            raise ConfigError(f"channels: expected 1 (grey) or 3 (RGB), got {self.channels}.")
        if not 1 <= self.latents <= MAX_LATENTS:
            raise ConfigError(
                f"latents: expected a whole number from 1 to {MAX_LATENTS}, got {self.latents!r}."
            )
