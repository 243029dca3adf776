"""What is painted on the skin: eyes, brows, mouth, nostrils, blush and beard, in the head's coordinates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pellucid.data.people.colors import Color
from pellucid.data.people.solids import Each, Plane, each

Painted = Float[Tensor, "image 3 height width"]
Coat = tuple[Color | Float[Tensor, "1 3"], Plane]
"""A color, and how much of what is below it covers, 0 to 1."""

EYE_HEIGHT = 0.03
_MOUTH_HEIGHT = -0.275
_WHITE = (0.96, 0.95, 0.93)
_IRIS = (0.24, 0.16, 0.11)


@dataclass(frozen=True)
class Surface:
    """Where each pixel's ray meets the face, in units of the average head.

    Attributes:
        u: Across, over the head's width.
        w: Upwards, over the head's length.
        front: 1 on the face, 0 on the back of the head.
        soft: Width of edges.
    """

    u: Plane
    w: Plane
    front: Plane
    soft: float


def face_color(
    surface: Surface, value: Mapping[str, Float[Tensor, " image"]], skin: Color, hair: Color
) -> Painted:
    """The color of the skin with everything painted on it, before light falls on it."""
    smile = each(value["smile"])
    apart = surface.u.abs() - each(0.155 * value["eye_spacing"])
    return blended(
        skin,
        [
            _blush(surface, smile, skin),
            (hair * 0.75, _beard(surface, each(value["facial_hair"]))),
            *_mouth(surface, smile, skin),
            *_eyes(surface, apart, smile, skin),
            (hair * 0.6, _brow(surface, apart, each(value["brow_height"]))),
            (skin * 0.35, _nostrils(surface, each(value["nose_length"]))),
        ],
    )


def blended(ground: Color, layers: Sequence[Coat]) -> Painted:
    """Layers over a ground of one color, the last on top.

    A pixel is a sum of the colors, each as much as its own layer covers and those above let through; so the
    three channels are one matrix product, instead of a picture for each layer.
    """
    count, height, width = layers[0][1].shape
    shares = torch.empty(count, len(layers) + 1, height, width)
    passing = torch.ones(count, height, width)  # how much of what is below the layers so far still shows
    for index in reversed(range(len(layers))):
        share = torch.mul(layers[index][1], passing, out=shares[:, index + 1])
        passing = passing.sub_(share)
    shares[:, 0] = passing
    palette = torch.stack([ground, *(color.expand_as(ground) for color, _ in layers)], 2)  # [image 3 layer]
    return torch.bmm(palette, shares.flatten(2)).view(count, 3, height, width)


def _blush(at: Surface, smile: Each, skin: Color) -> Coat:
    squared = ((at.u.abs() - 0.19) / 0.09).square_() + ((at.w + 0.12) / 0.08).square_()
    return skin * torch.tensor([1.0, 0.62, 0.56]), spot(squared).mul_(0.12 + 0.1 * smile).mul_(at.front)


def _beard(at: Surface, amount: Each) -> Plane:
    """Below a line from the ears to under the nose, thicker the more there is."""
    line = -0.215 + 2.2 * (at.u.abs() - 0.1).clamp_(min=0).square_()
    bare = (1 - (at.u / 0.10).square_() - ((at.w + 0.345) / 0.028).square_()).clamp_(0, 1)  # below the lip
    grown = ((line - at.w) / (at.soft + 0.03) + 0.5).clamp_(0, 1) * (1 - 0.5 * bare)
    return grown * (amount * 1.15).clamp(max=0.95) * at.front


def _mouth(at: Surface, smile: Each, skin: Color) -> list[Coat]:
    across = (at.u / (0.135 + 0.03 * smile)).square_()
    bow = _MOUTH_HEIGHT + 0.11 * smile * (across - 0.45)
    opening = 0.06 * smile.clamp(min=0) * (1 - across)
    lip = 0.027 * (1 - across).clamp_(min=0).sqrt_()
    within = ((1 - across) * (0.07 / at.soft) + 0.5).clamp_(0, 1) * at.front
    lips = band(at.w, bow - opening - lip, bow + opening * 0.5 + lip, at.soft) * within
    gap = band(at.w, bow - 0.007 - opening * 0.8, bow + 0.007, at.soft) * within
    teeth = band(at.w, bow - opening * 0.75 + 0.004, bow + opening * 0.15 - 0.004, at.soft) * within
    return [
        (skin * torch.tensor([0.82, 0.50, 0.48]), lips),
        (skin * torch.tensor([0.36, 0.16, 0.16]), gap),
        (torch.tensor([_WHITE]), teeth * (smile * 4).clamp(0, 1)),
    ]


def _eyes(at: Surface, apart: Plane, smile: Each, skin: Color) -> list[Coat]:
    lid = 1 - (apart / 0.085).square_()  # above 0 between the corners of an eye
    opening = (0.048 * (1 - 0.25 * smile.clamp(min=0))) * lid
    shown = at.front * (lid > 0)
    height = at.w - EYE_HEIGHT
    ball = band(height, -opening, opening, at.soft) * shown
    gaze = (apart.square() + height.square()).sqrt_()
    iris = torch.tensor([_IRIS])
    return [
        (torch.tensor([_WHITE]), ball),
        (iris, ((0.040 - gaze) / at.soft + 0.5).clamp_(0, 1) * ball),
        (iris * 0.15, ((0.018 - gaze) / at.soft + 0.5).clamp_(0, 1) * ball),
        (skin * 0.25, band(height, opening - 0.008, opening + 0.012, at.soft) * shown),
    ]


def _brow(at: Surface, apart: Plane, raised: Each) -> Plane:
    middle = EYE_HEIGHT + 0.08 + 0.085 * raised + 0.02 * (1 - (apart / 0.1).square_())
    ends = ((0.108 - (apart - 0.005).abs_()) / at.soft + 0.5).clamp_(0, 1)
    return band(at.w, middle - 0.019, middle + 0.019, at.soft) * ends * at.front * 0.9


def _nostrils(at: Surface, length: Each) -> Plane:
    height = at.w + 0.097 + 0.07 * length
    squared = ((at.u.abs() - 0.034) / 0.016).square_() + (height / 0.012).square_()
    return spot(squared).mul_(at.front).mul_(0.7)


def spot(squared: Plane) -> Plane:
    """A soft spot, exp(-squared), in place.

    It ends at e^-40, because a processor takes many times as long for numbers below 1e-38.
    """
    return squared.clamp_(max=40).neg_().exp_()


def band(at: Plane, low: Plane, high: Plane, soft: float) -> Plane:
    """1 between two heights, 0 outside, with edges one pixel soft."""
    return torch.minimum(at - low, high - at).div_(soft).add_(0.5).clamp_(0, 1)
