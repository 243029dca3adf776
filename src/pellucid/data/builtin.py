"""The built-in data sets: drawn when they are asked for, so that nothing is downloaded or kept on disk."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor

from pellucid.data import people, scenes, sprites
from pellucid.data.attributes import Attributes, Kind
from pellucid.data.dataset import Dataset, balanced, row_positions
from pellucid.data.images import Crop, Preprocessing
from pellucid.data.source import RowNames, selection
from pellucid.errors import ConfigError

_Rows = Int64[np.ndarray, " row"]


@dataclass(frozen=True)
class Builtin:
    """A data set that is drawn.

    Attributes:
        noun: What its images are, for people.
        images: How many there are.
        version: Changes whenever the images do.
        channels: 1 or 3.
        sizes: Pixels a side that it can be drawn at.
        factors: What each image is drawn from.
        kinds: One for each factor.
        values: Row numbers to float32 [row factor].
        draw: Row numbers and a size to uint8 [row height width channel].
    """

    noun: str
    images: int
    version: int
    channels: int
    sizes: tuple[int, ...]
    factors: tuple[str, ...]
    kinds: tuple[Kind, ...]
    values: Callable[[_Rows], Float32[np.ndarray, "row factor"]]
    draw: Callable[[_Rows, int], UInt8[np.ndarray, "row height width channel"]]


def open_builtin(
    name: str, *, size: int, channels: int | None, crop: Crop | None, skip: int, limit: int | None
) -> Dataset:
    """Open a data set of `BUILTIN`; the arguments are those of `open_dataset`.

    Raises:
        ConfigError: If it cannot be drawn that way, or `skip` and `limit` leave no image.
    """
    drawn = BUILTIN[name]
    if size not in drawn.sizes or channels not in (None, drawn.channels) or crop not in (None, "center"):
        sizes = " or ".join(map(str, drawn.sizes))
        raise ConfigError(
            f"{name}: expected size {sizes}, {drawn.channels} channels and no crop, got size {size}, "
            f"channels {channels}, crop {crop}. Leave these settings out."
        )
    chosen = np.arange(drawn.images)[selection(drawn.images, skip, limit)]
    rule = f"pellucid {name} {drawn.version}, rows {chosen[0]} to {chosen[-1]}, size {size}"
    return Dataset(
        description=f"{len(chosen):,} {drawn.noun}",
        kind=name,
        names=RowNames(chosen),
        split=balanced(row_positions(chosen)),
        preprocessing=Preprocessing(size, drawn.channels, "center"),
        attributes=Attributes(drawn.factors, drawn.kinds, partial(_values, name, chosen)),
        fingerprint=hashlib.sha256(rule.encode()).hexdigest(),
        skipped=(),
        fetch=partial(_draw, name, chosen, size),
        origin={"source": name, "skip": skip, "limit": limit, "axes": None},
    )


# By name: what a data set consists of can then be sent to another process.


def _values(
    name: str, chosen: Int64[np.ndarray, " chosen"], rows: _Rows
) -> Float32[np.ndarray, "row factor"]:
    return BUILTIN[name].values(chosen[rows])


def _draw(
    name: str, chosen: Int64[np.ndarray, " chosen"], size: int, rows: _Rows
) -> UInt8[np.ndarray, "row height width channel"]:
    return BUILTIN[name].draw(chosen[rows], size)


def _sprite_values(rows: _Rows) -> Float32[np.ndarray, "row factor"]:
    return sprites.values_of(sprites.indices_of(rows))


def _draw_sprites(rows: _Rows, size: int) -> UInt8[np.ndarray, "row height width channel"]:
    return sprites.render(sprites.indices_of(rows))[..., None] * np.uint8(255)


def _draw_people(rows: _Rows, size: int) -> UInt8[np.ndarray, "row height width channel"]:
    return _as_bytes(people.render(people.factors_of(rows), size))


def _draw_scenes(rows: _Rows, size: int) -> UInt8[np.ndarray, "row height width channel"]:
    return _as_bytes(scenes.render(rows, size))


def _scene_values(rows: _Rows) -> Float32[np.ndarray, "row factor"]:
    return np.stack([scenes.kind_of(rows), scenes.texture_of(rows)], axis=1).astype(np.float32)


def _as_bytes(images: Float32[Tensor, "row 3 height width"]) -> UInt8[np.ndarray, "row height width 3"]:
    return (images * 255).round_().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


BUILTIN = {
    "sprites": Builtin(
        noun="sprites with five known factors (dSprites, drawn on the fly)",
        images=int(np.prod(sprites.SIZES)),
        version=1,
        channels=1,
        sizes=(64,),
        factors=sprites.FACTORS,
        kinds=("categorical", "ordinal", "periodic", "ordinal", "ordinal"),
        values=_sprite_values,
        draw=_draw_sprites,
    ),
    "people": Builtin(
        noun=f"simulated people with {len(people.FACTORS)} known factors (drawn on the fly)",
        images=1_000_000,
        version=2,
        channels=3,
        sizes=people.SIZES,
        factors=people.NAMES,
        kinds=tuple("binary" if factor.chance is not None else "ordinal" for factor in people.FACTORS),
        values=lambda rows: people.factors_of(rows).numpy(),
        draw=_draw_people,
    ),
    "scenes": Builtin(
        noun="scenes without people (drawn on the fly)",
        images=1_000_000,
        version=1,
        channels=3,
        sizes=(32, 64, 128, 256),
        factors=("kind", "texture"),
        kinds=("categorical", "ordinal"),
        values=_scene_values,
        draw=_draw_scenes,
    ),
}
"""What `pellucid train` and `open_dataset` know by name."""
