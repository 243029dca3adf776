"""All parts of a reproduction in the paper's order: what each shows, and what computes it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pellucid.errors import ConfigError
from pellucid.reproduction.autoencoder import autoencoder
from pellucid.reproduction.context import Context
from pellucid.reproduction.detection import detection
from pellucid.reproduction.exhibit import Part
from pellucid.reproduction.extremes import extremes
from pellucid.reproduction.live import live
from pellucid.reproduction.losses import losses
from pellucid.reproduction.many import many
from pellucid.reproduction.sprites import sprites
from pellucid.reproduction.sunglasses import sunglasses
from pellucid.reproduction.texture import texture
from pellucid.reproduction.traversals import traversals


@dataclass(frozen=True)
class Entry:
    """A part before it is computed.

    Attributes:
        figures: Numbers of the paper's figures in it; none for what the paper says without one.
        title: What it is about.
        make: Computes it.
    """

    figures: tuple[int, ...]
    title: str
    make: Callable[[Context], Part]


CATALOGUE: Mapping[str, Entry] = {
    "autoencoder": Entry((1,), "The autoencoder", autoencoder),
    "sprites": Entry((2, 3), "Sprites, entangled and apart", sprites),
    "live": Entry((4,), "The live tool", live),
    "detection": Entry((5, 6), "A thousand faces against a hundred other images", detection),
    "extremes": Entry((7, 8, 9, 10), "The extremes by mean squared error", extremes),
    "texture": Entry((), "The diagnosis: losses follow texture", texture),
    "losses": Entry((11,), "Training losses compared, and a sweep of beta", losses),
    "many": Entry((12,), "As many other images as faces", many),
    "sunglasses": Entry((13, 14, 15), "One person, with and without sunglasses", sunglasses),
    "traversals": Entry(tuple(range(16, 30)), "Which latents matter", traversals),
}
"""Part -> what it is, in the order of the paper."""


def parts_named(names: Sequence[str]) -> tuple[str, ...]:
    """The parts of that name, in the order of the paper.

    Raises:
        ConfigError: If there is no part of one of the names, or none is named.
    """
    for name in names:
        if name not in CATALOGUE:
            raise ConfigError(f"parts: expected some of {', '.join(CATALOGUE)}, got {name[:60]!r}.")
    if not names:
        raise ConfigError(f"parts: expected some of {', '.join(CATALOGUE)}, got none.")
    return tuple(name for name in CATALOGUE if name in names)
