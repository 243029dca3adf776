"""From a scene's texture level to the effort that its kind makes, so that the kinds are equally busy."""

import numpy as np
from jaxtyping import Float64

# Effort at texture 0, 1/8, ... 1. Measured: with these, the mean `busyness` of a kind's pictures rises
# evenly from 0.006 to 0.090, or as near to that as the kind gets.
_EFFORT = {
    "gradient": (0.050, 0.198, 0.313, 0.413, 0.506, 0.591, 0.672, 0.749, 0.823),
    "texture": (0.095, 0.291, 0.405, 0.492, 0.566, 0.632, 0.691, 0.746, 0.796),
    "landscape": (0.000, 0.199, 0.298, 0.403, 0.539, 0.683, 0.832, 0.964, 1.000),
    "shapes": (0.035, 0.105, 0.165, 0.259, 0.373, 0.499, 0.626, 0.797, 1.000),
    "text": (0.000, 0.137, 0.243, 0.323, 0.392, 0.459, 0.574, 0.705, 0.864),
    "sprites": (0.043, 0.171, 0.282, 0.398, 0.495, 0.579, 0.657, 0.728, 0.795),
    "facade": (0.003, 0.110, 0.188, 0.229, 0.271, 0.320, 0.462, 0.739, 1.000),
    "foliage": (0.014, 0.084, 0.124, 0.153, 0.193, 0.296, 0.421, 0.560, 0.727),
    "stones": (0.036, 0.137, 0.215, 0.300, 0.380, 0.457, 0.534, 0.609, 0.686),
}


def effort_of(kind: str, texture: Float64[np.ndarray, " scene"]) -> Float64[np.ndarray, " scene"]:
    """How far, from 0 to 1, a kind of scene goes towards its busiest for a texture level in [0, 1]."""
    knots = _EFFORT[kind]
    effort: Float64[np.ndarray, " scene"] = np.interp(texture, np.linspace(0, 1, len(knots)), knots)
    return effort
