"""The random numbers of scenes: each is a function of the scene's own number and of the order of asking."""

from math import prod

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor

from pellucid.data.hashing import uniforms

KIND, TEXTURE, _FIRST = 1000, 1001, 1002  # streams, apart from those of the simulated people


class Draws:
    """A sequence of random numbers for each of some scenes, which ask for them together.

    Scenes of one kind ask in the same order, so what a scene gets does not depend on its neighbours.
    """

    def __init__(self, scenes: Int64[np.ndarray, " scene"]) -> None:
        self._scenes = scenes
        self._stream = _FIRST

    def __call__(self, *shape: int) -> Float32[Tensor, "scene *shape"]:
        """Numbers in [0, 1], `[scene *shape]`."""
        return torch.from_numpy(self._next(*shape).astype(np.float32))

    def between(self, low: float, high: float, *shape: int) -> Float32[Tensor, "scene *shape"]:
        """Numbers in [low, high], `[scene *shape]`."""
        return self(*shape) * (high - low) + low

    def choice(self, count: int, *shape: int) -> Int64[Tensor, "scene *shape"]:
        """Whole numbers from 0 to count - 1, `[scene *shape]`."""
        return torch.from_numpy((self._next(*shape) * count).astype(np.int64))

    def _next(self, *shape: int) -> Float64[np.ndarray, "scene *shape"]:
        numbers = uniforms(self._scenes, self._stream, prod(shape))
        self._stream += prod(shape)
        return numbers.reshape(-1, *shape)
