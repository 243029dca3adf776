"""Where labels go in a chart full of dots: near their own, clear of everything else."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

_SIDES = np.array([(1, -1), (1, 0), (0, -1), (1, 1), (-1, 1), (-1, 0), (0, 1), (-1, -1)], float)
"""Right or left of the dot, and below or above it, the best side first."""

_DISTANCES = np.array([0, 0.5, 1, 1.7, 2.5, 3.5])  # in heights of the label
_MOST_DOTS = 4
_STEPS = 8
_THICK = 6.0
_COVERED = 20.0  # heights that a label would rather go than cover one square pixel

Boxes = Float[np.ndarray, "box 4"]
"""Left, top, right and bottom of rectangles, in pixels from the top left of a sheet."""


@dataclass(frozen=True)
class Place:
    """Where a label stands, in pixels from the top left of a sheet.

    Attributes:
        left: Its left edge.
        top: Its upper edge.
        line: The ends of the line from its dot to itself, (x, y) each; None where they are close.
    """

    left: float
    top: float
    line: tuple[tuple[float, float], tuple[float, float]] | None


def overlaps(boxes: Boxes, others: Float[np.ndarray, "other 4"]) -> Float64[np.ndarray, "box other"]:
    """The area that each of the one boxes has in common with each of the other."""
    first = np.maximum(boxes[:, None, :2], others[None, :, :2])
    last = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    sides = np.clip(last - first, 0, None)
    area: Float64[np.ndarray, "box other"] = sides[..., 0] * sides[..., 1]
    return area


def label_places(
    groups: Sequence[Float[np.ndarray, "_ 2"]],
    sizes: Sequence[tuple[float, float]],
    frame: tuple[float, float, float, float],
    *,
    reach: float,
) -> list[Place]:
    """Place one label for each group of dots, one after the other: the nearest place that covers nothing.

    Where there is none it is the place that covers the least.

    Args:
        groups: Each group's dots, x and y in pixels from the top left.
        sizes: Each label's width and height in pixels.
        frame: Left, top, right and bottom of what labels should stay within.
        reach: How far from a dot's middle it is covered.
    """
    dots = np.concatenate(groups)
    taken = np.concatenate([dots - reach, dots + reach], axis=1)
    places = []
    for group, (width, height) in zip(groups, sizes, strict=True):
        boxes, middles, distance = _options(group, width, height, reach)
        nearest = np.clip(middles, boxes[:, :2], boxes[:, 2:])
        lines = _line_boxes(middles, nearest)  # [option step 4]
        outside = width * height - overlaps(boxes, np.array([frame], float))[:, 0]
        crossed = overlaps(lines.reshape(-1, 4), taken).reshape(len(boxes), -1).sum(axis=1)
        covered = overlaps(boxes, taken).sum(axis=1) + outside + np.where(distance > 0, crossed, 0)
        best = int(np.argmin(distance + _COVERED * covered))
        taken = np.concatenate([taken, boxes[best : best + 1], lines[best]])
        places.append(_place(boxes[best], middles[best], nearest[best], reach))
    return places


def _options(
    group: Float[np.ndarray, "dot 2"], width: float, height: float, reach: float
) -> tuple[Boxes, Float[np.ndarray, "box 2"], Float[np.ndarray, " box"]]:
    """Places around some of the dots, the dot of each, and how far it is away, from near to far."""
    some = np.unique(np.linspace(0, len(group) - 1, _MOST_DOTS).round().astype(int))
    dots = group[np.argsort(group[:, 1])][some]
    choices = np.meshgrid(_DISTANCES * height, np.arange(len(dots)), np.arange(len(_SIDES)), indexing="ij")
    distance, at, side = (choice.ravel() for choice in choices)
    middles, (across, down) = dots[at], _SIDES[side].T
    gap = reach + distance
    diagonal = across != 0
    left = middles[:, 0] + across * gap + (across - 1) / 2 * width
    centre = middles[:, 1] + down * (np.where(diagonal, 0.7, 1) * gap + np.where(diagonal, 0.3, 0.5) * height)
    top = centre - height / 2
    return np.stack([left, top, left + width, top + height], axis=1), middles, distance


def _line_boxes(
    starts: Float[np.ndarray, "option 2"], ends: Float[np.ndarray, "option 2"]
) -> Float[np.ndarray, "option step 4"]:
    """Small boxes along the way from each start to its end, both left out."""
    shares = np.arange(1, _STEPS)[:, None] / _STEPS
    points = starts[:, None] + shares * (ends - starts)[:, None]
    return np.concatenate([points - _THICK / 2, points + _THICK / 2], axis=2)


def _place(
    box: Float[np.ndarray, " 4"],
    dot: Float[np.ndarray, " 2"],
    nearest: Float[np.ndarray, " 2"],
    reach: float,
) -> Place:
    length = float(np.hypot(*(nearest - dot)))
    if length < 1.8 * reach:
        return Place(float(box[0]), float(box[1]), None)
    start = dot + (nearest - dot) * reach / length
    line = (float(start[0]), float(start[1])), (float(nearest[0]), float(nearest[1]))
    return Place(float(box[0]), float(box[1]), line)
