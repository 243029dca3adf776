"""The guide for aligning a picture: outlines of what is where on the average picture."""

import numpy as np
from contourpy import LineType, contour_generator
from jaxtyping import Float
from scipy.ndimage import gaussian_filter, zoom

from pellucid.data.scenes.color import LUMINANCE

Line = list[float]
"""x and y in turn, in shares of the picture's side from its top left."""

_SIDE = 192
_FINE, _COARSE = 0.012, 0.05  # of the side: between them lies what an eye or a mouth measures
_LEVEL = -1.2  # standard deviations of the filtered picture: dark, as eyes, nostrils and mouths are
_SHORTEST = 0.1  # of the side
_MOST_LINES, _MOST_POINTS = 60, 3_000
_FLAT = 0.001  # of the range from black to white


def outlines(image: Float[np.ndarray, "channel height width"]) -> list[Line]:
    """Lines around what is darker than its surroundings on a picture; the longest first.

    The picture is filtered by a difference of Gaussians at the scale of a facial feature, of which contours
    are drawn at a level that goes by its own spread. Nothing in it knows of faces: what is bright gets a
    line where the dark around it begins.

    Args:
        image: Values in [0, 1], grey or RGB: an average picture.

    Returns:
        At most 60 lines of together at most 3,000 points; none for a flat picture.
    """
    light = image[0] if len(image) == 1 else np.einsum("chw,c->hw", image, np.asarray(LUMINANCE))
    large = zoom(light, _SIDE / light.shape[0], order=3, mode="nearest", grid_mode=True)
    filtered = gaussian_filter(large, _FINE * _SIDE) - gaussian_filter(large, _COARSE * _SIDE)
    spread = float(filtered.std())
    if spread < _FLAT:
        return []
    contours = contour_generator(z=filtered, line_type=LineType.Separate)
    found = [np.asarray(line) for line in contours.lines(_LEVEL * spread)]
    found = [line for line in found if _length(line) >= _SHORTEST * _SIDE]
    found.sort(key=lambda line: -_length(line))
    lines, points = [], 0
    for line in found[:_MOST_LINES]:
        thinned = line[:: max(1, len(line) * len(found) // _MOST_POINTS)]
        closed = np.concatenate([thinned, line[-1:]])
        points += len(closed)
        if points > _MOST_POINTS:
            break
        lines.append([round(float(value), 4) for value in ((closed + 0.5) / _SIDE).ravel()])
    return lines


def _length(line: Float[np.ndarray, "point 2"]) -> float:
    return float(np.hypot(*np.diff(line, axis=0).T).sum())
