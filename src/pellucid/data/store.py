"""Open any source of images as one `Dataset`: pixels, names, a fixed split, attributes."""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Float32, Int, Int64, UInt8
from torch import Tensor

from pellucid.data import sprites
from pellucid.data.attributes import Attributes, Kind
from pellucid.data.cache import Cached, Progress, cached
from pellucid.data.images import Crop, Preprocessing, to_float
from pellucid.data.source import RowNames, Source, selection
from pellucid.data.sources import find_source
from pellucid.errors import ConfigError

Split = Literal["train", "validation", "test", "held-out", "all"]
TRAIN, VALIDATION, TEST = 0, 1, 2

_PARTS = {
    "train": (TRAIN,),
    "validation": (VALIDATION,),
    "test": (TEST,),
    "held-out": (VALIDATION, TEST),
    "all": (TRAIN, VALIDATION, TEST),
}
_CROPS = {"center": "centre crop", "celeba": "face crop", "whole": "uncropped"}
_SPRITE_KINDS: tuple[Kind, ...] = ("categorical", "ordinal", "periodic", "ordinal", "ordinal")


@dataclass(frozen=True)
class Dataset:
    """Images of one size, each with a name and a part of the split.

    Attributes:
        description: One line for people.
        kind: `folder`, `celeba`, `array`, `parquet` or `sprites`.
        names: One for each image: the file relative to the folder (CelebA: to img_align_celeba), with `/`;
            eight digits for the rows of an array.
        split: uint8 [image], 0 train, 1 validation, 2 test.
        preprocessing: How the images were made from the pictures.
        attributes: What is known of each image, or None.
        fingerprint: sha256 of pixels and names in hexadecimal, the same for the same images on every machine.
        skipped: Name and reason of each image that could not be read.
        fetch: Images by row: int [row] to uint8 [row height width channel], a copy.
        origin: What opens it again: `source` (an absolute path or a built-in name), `skip`, `limit`.
    """

    description: str
    kind: str
    names: Sequence[str]
    split: UInt8[np.ndarray, " image"]
    preprocessing: Preprocessing
    attributes: Attributes | None
    fingerprint: str
    skipped: tuple[tuple[str, str], ...]
    fetch: Callable[[Int[np.ndarray, " row"]], UInt8[np.ndarray, "row height width channel"]]
    origin: Mapping[str, str | int | None]

    def __len__(self) -> int:
        return len(self.split)

    def rows(self, split: Split, *, at_most: int | None = None) -> Int64[np.ndarray, " row"]:
        """The rows of a part of the data, ascending; `held-out` is validation and test.

        With `at_most`, no more than that many, drawn by a fixed seed: the same ones every time.
        """
        rows = np.flatnonzero(np.isin(self.split, _PARTS[split]))
        if at_most is None or len(rows) <= at_most:
            return rows
        return np.sort(np.random.Generator(np.random.PCG64(0)).choice(rows, at_most, replace=False))

    def batch(self, rows: Int[np.ndarray, " row"]) -> Float32[Tensor, "row channel height width"]:
        """Images by row as a model takes them, in [0, 1]."""
        return to_float(self.fetch(rows))


def open_dataset(
    data: str | Path,
    *,
    size: int = 64,
    channels: int | None = None,
    crop: Crop | None = None,
    skip: int = 0,
    limit: int | None = None,
    cache: Path | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Open a folder of pictures, a CelebA folder, an array or Parquet file, or the built-in `sprites`.

    The first time, every picture is decoded into a cache; later it is there at once. Pictures that cannot be
    read are listed in `skipped`. The split is 90 % train, 5 % validation, 5 % test by a hash of the name, so
    an image stays in its part when others are added; CelebA's own partition is used where it is present and
    gives the chosen images a train and a validation part. From three images on, neither is ever empty.

    Args:
        data: What to open.
        size: Side of the square images: 32, 64, 128 or 256.
        channels: 1 or 3; None takes what the data are.
        crop: None takes `celeba` for a CelebA folder, else `center`.
        skip: Images to leave out at the start, in the order of the sorted names.
        limit: Images to take at most, after those.
        cache: The folder for caches; None takes $PELLUCID_CACHE, else ~/.cache/pellucid.
        workers: Processes that decode; None decides by the work there is.
        progress: Called with the number of images done and of all, while decoding.

    Raises:
        DataError: If the data are missing, malformed, or none of the images can be read; if the disk is full.
        ConfigError: If a setting is out of range.
        MissingExtraError: If it is a Parquet file and pyarrow is not installed.
    """
    if workers is not None and workers < 0:
        raise ConfigError(f"workers: expected 0 or more, got {workers}. Leave it out to let Pellucid decide.")
    if data == "sprites":
        return _sprites(size, channels, crop, skip, limit)
    preprocessing = Preprocessing(size, 3 if channels is None else channels, crop or "center")
    source = find_source(Path(data).expanduser(), skip=skip, limit=limit)
    preprocessing = replace(preprocessing, channels=channels or source.channels, crop=crop or source.crop)
    stored = cached(source, preprocessing, root=cache or _root(), workers=workers, progress=progress)
    origin: dict[str, str | int | None] = {
        "source": str(Path(data).expanduser().resolve()),
        "skip": skip,
        "limit": limit,
    }
    return _dataset(source, stored, preprocessing, origin)


def _root() -> Path:
    return Path(os.environ.get("PELLUCID_CACHE") or Path.home() / ".cache" / "pellucid").expanduser()


def _dataset(
    source: Source, stored: Cached, preprocessing: Preprocessing, origin: Mapping[str, str | int | None]
) -> Dataset:
    pixels, kept = stored.pixels, stored.kept
    if isinstance(source.names, RowNames):
        names: Sequence[str] = source.names.of(kept)
        split = balanced(row_positions(np.asarray(source.names.of(kept).rows)))
    else:
        names = tuple(source.names[row] for row in kept.tolist())
        split = _split_of_files(names, None if source.partition is None else source.partition[kept])
    skipped = f", {len(stored.skipped):,} unreadable left out" if stored.skipped else ""
    return Dataset(
        description=f"{len(names):,} {source.noun}, {_CROPS[preprocessing.crop]}{skipped}",
        kind=source.kind,
        names=names,
        split=split,
        preprocessing=preprocessing,
        attributes=None if source.attributes is None else source.attributes.of(kept),
        fingerprint=stored.fingerprint,
        skipped=stored.skipped,
        fetch=lambda rows: pixels[rows],
        origin=origin,
    )


def _sprites(size: int, channels: int | None, crop: Crop | None, skip: int, limit: int | None) -> Dataset:
    if size != 64 or channels not in (None, 1) or crop not in (None, "whole", "center"):
        raise ConfigError(
            f"sprites: expected size 64, 1 channel and no crop, got size {size}, channels {channels}, "
            f"crop {crop}. Leave these settings out."
        )
    total = int(np.prod(sprites.SIZES))
    chosen = np.arange(total)[selection(total, skip, limit)]
    rule = f"pellucid sprites 1, rows {chosen[0]} to {chosen[-1]}"
    return Dataset(
        description=f"{len(chosen):,} sprites with five known factors (dSprites, drawn on the fly)",
        kind="sprites",
        names=RowNames(chosen),
        split=balanced(row_positions(chosen)),
        preprocessing=Preprocessing(64, 1, "whole"),
        attributes=Attributes(
            sprites.FACTORS,
            _SPRITE_KINDS,
            lambda rows: sprites.values_of(sprites.indices_of(chosen[rows])),
        ),
        fingerprint=hashlib.sha256(rule.encode()).hexdigest(),
        skipped=(),
        fetch=lambda rows: sprites.render(sprites.indices_of(chosen[rows]))[..., None] * np.uint8(255),
        origin={"source": "sprites", "skip": skip, "limit": limit},
    )


def name_positions(names: Sequence[str]) -> Float[np.ndarray, " image"]:
    """A number in [0, 1] for each name: the first 8 bytes of its sha256, over 2**64."""
    hashes = [hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()[:8] for name in names]
    return np.frombuffer(b"".join(hashes), ">u8").astype(np.float64) / 2.0**64


def row_positions(rows: Int[np.ndarray, " image"]) -> Float[np.ndarray, " image"]:
    """A number in [0, 1] for each row number: SplitMix64 of it (Steele et al. 2014), over 2**64."""
    mixed = (rows.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (mixed ^ (mixed >> np.uint64(31))).astype(np.float64) / 2.0**64


def balanced(positions: Float[np.ndarray, " image"]) -> UInt8[np.ndarray, " image"]:
    """Train below .90, validation below .95, else test.

    Of three images or more, at least one is in train and one in validation: where there would be none, the
    image whose position is nearest moves.
    """
    split: UInt8[np.ndarray, " image"] = np.digitize(positions, (0.90, 0.95)).astype(np.uint8)
    order = np.argsort(positions, kind="stable")
    if len(split) >= 3 and not (split == TRAIN).any():
        split[order[0]] = TRAIN
    if len(split) >= 3 and not (split == VALIDATION).any():
        last_of_train, first_of_test = order[split[order] == TRAIN][-1:], order[split[order] == TEST][:1]
        split[first_of_test if (split == TRAIN).sum() == 1 else last_of_train] = VALIDATION
    return split


def _split_of_files(
    names: Sequence[str], partition: UInt8[np.ndarray, " image"] | None
) -> UInt8[np.ndarray, " image"]:
    split = balanced(name_positions(names))
    if partition is None or not {TRAIN, VALIDATION} <= set(partition.tolist()):
        return split
    split[partition <= TEST] = partition[partition <= TEST]
    return split
