"""What is painted on the skin: eyes, brows, mouth, nostrils, blush and beard, in the head's coordinates."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pellucid.data.people.colors import Color
from pellucid.data.people.solids import Each, Plane, each

Painted = Float[Tensor, "image 3 height width"]

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
    """The colour of the skin with everything painted on it, before light falls on it."""
    smile = each(value["smile"])
    colour = skin[:, :, None, None].expand(-1, -1, *surface.u.shape[1:]).contiguous()
    colour = _blush(colour, surface, smile, skin)
    colour = over(colour, hair * 0.75, _beard(surface, each(value["facial_hair"])))
    colour = _mouth(colour, surface, smile, skin)
    apart = surface.u.abs() - each(0.155 * value["eye_spacing"])
    colour = _eyes(colour, surface, apart, smile, skin)
    brow = _brow(surface, apart, each(value["brow_height"]))
    colour = over(colour, hair * 0.6, brow)
    return over(colour, skin * 0.35, _nostrils(surface, each(value["nose_length"])))


def _blush(colour: Painted, at: Surface, smile: Each, skin: Color) -> Painted:
    squared = ((at.u.abs() - 0.19) / 0.09).square() + ((at.w + 0.12) / 0.08).square()
    return over(
        colour, skin * torch.tensor([1.0, 0.62, 0.56]), torch.exp(-squared) * (0.12 + 0.1 * smile) * at.front
    )


def _beard(at: Surface, amount: Each) -> Plane:
    """Below a line from the ears to under the nose, thicker the more there is."""
    line = -0.215 + 2.2 * (at.u.abs() - 0.1).clamp(min=0).square()
    bare = (1 - (at.u / 0.10).square() - ((at.w + 0.345) / 0.028).square()).clamp(0, 1)  # below the lip
    grown = ((line - at.w) / (at.soft + 0.03) + 0.5).clamp(0, 1) * (1 - 0.5 * bare)
    return grown * (amount * 1.15).clamp(max=0.95) * at.front


def _mouth(colour: Painted, at: Surface, smile: Each, skin: Color) -> Painted:
    across = (at.u / (0.135 + 0.03 * smile)).square()
    bow = _MOUTH_HEIGHT + 0.11 * smile * (across - 0.45)
    opening = 0.06 * smile.clamp(min=0) * (1 - across)
    lip = 0.027 * (1 - across).clamp(min=0).sqrt()
    within = ((1 - across) * (0.07 / at.soft) + 0.5).clamp(0, 1) * at.front
    lips = band(at.w, bow - opening - lip, bow + opening * 0.5 + lip, at.soft) * within
    colour = over(colour, skin * torch.tensor([0.82, 0.50, 0.48]), lips)
    gap = band(at.w, bow - 0.007 - opening * 0.8, bow + 0.007, at.soft) * within
    colour = over(colour, skin * torch.tensor([0.36, 0.16, 0.16]), gap)
    teeth = band(at.w, bow - opening * 0.75 + 0.004, bow + opening * 0.15 - 0.004, at.soft) * within
    return over(colour, torch.tensor([_WHITE]), teeth * (smile * 4).clamp(0, 1))


def _eyes(colour: Painted, at: Surface, apart: Plane, smile: Each, skin: Color) -> Painted:
    lid = 1 - (apart / 0.085).square()  # above 0 between the corners of an eye
    opening = (0.048 * (1 - 0.25 * smile.clamp(min=0))) * lid
    shown = at.front * (lid > 0)
    height = at.w - EYE_HEIGHT
    ball = band(height, -opening, opening, at.soft) * shown
    colour = over(colour, torch.tensor([_WHITE]), ball)
    gaze = (apart.square() + height.square()).sqrt()
    iris = torch.tensor([_IRIS])
    colour = over(colour, iris, ((0.040 - gaze) / at.soft + 0.5).clamp(0, 1) * ball)
    colour = over(colour, iris * 0.15, ((0.018 - gaze) / at.soft + 0.5).clamp(0, 1) * ball)
    return over(colour, skin * 0.25, band(height, opening - 0.008, opening + 0.012, at.soft) * shown)


def _brow(at: Surface, apart: Plane, raised: Each) -> Plane:
    middle = EYE_HEIGHT + 0.08 + 0.085 * raised + 0.02 * (1 - (apart / 0.1).square())
    ends = ((0.108 - (apart - 0.005).abs()) / at.soft + 0.5).clamp(0, 1)
    return band(at.w, middle - 0.019, middle + 0.019, at.soft) * ends * at.front * 0.9


def _nostrils(at: Surface, length: Each) -> Plane:
    height = at.w + 0.097 + 0.07 * length
    squared = ((at.u.abs() - 0.034) / 0.016).square() + (height / 0.012).square()
    return torch.exp(-squared) * at.front * 0.7


def band(at: Plane, low: Plane, high: Plane, soft: float) -> Plane:
    """1 between two heights, 0 outside, with edges one pixel soft."""
    return (torch.minimum(at - low, high - at) / soft + 0.5).clamp(0, 1)


def over(below: Painted, colour: Color | Float[Tensor, "1 3"], alpha: Plane) -> Painted:
    """One colour over a picture, as thick as `alpha` says."""
    return torch.addcmul(below, colour[:, :, None, None] - below, alpha[:, None])
