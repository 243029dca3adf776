"""Pictures without people, drawn from a number: the built-in other class, from almost blank to busy.

A scene is a whole number: its kind, its texture level and everything in the picture are hashes of it. The
texture level is what the kind's drawing function is told; `busyness` measures on pixels what came of it.
"""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor

from pellucid.data.hashing import uniform
from pellucid.data.scenes import facade, foliage, gradient, landscape, shapes, sprites, stones, text, texture
from pellucid.data.scenes.busyness import busyness
from pellucid.data.scenes.canvas import Canvas, Picture
from pellucid.data.scenes.draws import KIND, TEXTURE, Draws
from pellucid.data.scenes.ramp import effort_of
from pellucid.data.threads import one_thread
from pellucid.errors import ConfigError, DataError

__all__ = ["KINDS", "busyness", "kind_of", "render", "sample", "texture_of"]

_DRAW: dict[str, Callable[[Draws, Float32[Tensor, " scene"], Canvas], Picture]] = {
    "gradient": gradient.draw,
    "texture": texture.draw,
    "landscape": landscape.draw,
    "shapes": shapes.draw,
    "text": text.draw,
    "sprites": sprites.draw,
    "facade": facade.draw,
    "foliage": foliage.draw,
    "stones": stones.draw,
}
KINDS: tuple[str, ...] = tuple(_DRAW)

_SIZES = (32, 64, 128, 256)
_PIXELS = 32 * 64 * 64  # drawn at once: small enough for the processor's cache


def sample(n: int, generator: torch.Generator) -> Int64[np.ndarray, " scene"]:
    """Draw `n` scenes, all equally likely: whole numbers below 2**53, which survive JSON."""
    scenes: Int64[np.ndarray, " scene"] = torch.randint(2**53, (n,), generator=generator).numpy()
    return scenes


def kind_of(scenes: np.ndarray) -> Int64[np.ndarray, " scene"]:
    """What each scene shows, as an index into `KINDS`; all kinds are equally frequent.

    Raises:
        DataError: If the scenes are not whole numbers `[scene]`.
    """
    return (uniform(_checked(scenes), KIND) * len(KINDS)).astype(np.int64)


def texture_of(scenes: np.ndarray) -> Float64[np.ndarray, " scene"]:
    """How busy each scene is, from 0, almost blank, to 1; uniform, and independent of the kind.

    Raises:
        DataError: If the scenes are not whole numbers `[scene]`.
    """
    return uniform(_checked(scenes), TEXTURE)


def render(scenes: np.ndarray, size: int = 64) -> Float32[Tensor, "scene 3 size size"]:
    """Draw scenes: the same number is the same picture at every size and in any company.

    Args:
        scenes: Any whole numbers, `[scene]`.
        size: Side of the pictures: 32, 64, 128 or 256.

    Returns:
        RGB in [0, 1], antialiased.

    Raises:
        DataError: If the scenes are not whole numbers `[scene]`.
        ConfigError: If the size is not one of those.
    """
    if size not in _SIZES:
        raise ConfigError(f"size: expected 32, 64, 128 or 256, got {size}. Choose one of these.")
    checked = _checked(scenes)
    if size == 32:  # too few pixels for the outlines' ramps: letters would flicker
        return torch.nn.functional.avg_pool2d(render(checked, 64), 2)
    with one_thread():
        return _drawn(checked, size)


def _drawn(scenes: Int64[np.ndarray, " scene"], size: int) -> Float32[Tensor, "scene 3 size size"]:
    canvas, pictures = Canvas.of(size), torch.empty(len(scenes), 3, size, size)
    kinds, levels = kind_of(scenes), texture_of(scenes)
    together = max(1, _PIXELS // size**2)
    for number, (kind, draw) in enumerate(_DRAW.items()):
        of_kind = np.flatnonzero(kinds == number)
        of_kind = of_kind[np.argsort(levels[of_kind], kind="stable")]  # calm ones together are done sooner
        for start in range(0, len(of_kind), together):
            rows = of_kind[start : start + together]
            effort = torch.from_numpy(effort_of(kind, levels[rows]).astype(np.float32))
            pictures[torch.from_numpy(rows)] = draw(Draws(scenes[rows]), effort, canvas)
    return pictures


def _checked(scenes: np.ndarray) -> Int64[np.ndarray, " scene"]:
    if not isinstance(scenes, np.ndarray) or scenes.dtype.kind not in "iu" or scenes.ndim != 1:
        came = (
            f"{scenes.dtype} {list(scenes.shape)}"
            if isinstance(scenes, np.ndarray)
            else type(scenes).__name__
        )
        raise DataError(f"scenes: expected whole numbers [scene], got {came}. Use sample(n, generator).")
    return scenes.astype(np.int64)
