"""Open any source of images as one `Dataset`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pellucid.data.array_pixels import Reading
from pellucid.data.axes import Axes, check_axes
from pellucid.data.builtin import BUILTIN, open_builtin
from pellucid.data.cache import Cached, Progress, cached
from pellucid.data.copies import copies_note, keep_together
from pellucid.data.dataset import TEST, TRAIN, VALIDATION, Dataset, balanced, name_positions, row_positions
from pellucid.data.images import Crop, Preprocessing
from pellucid.data.paths import cache_folder, expanded
from pellucid.data.source import RowNames, Source
from pellucid.data.sources import find_source
from pellucid.errors import ConfigError

_CROPS = {"center": "centre crop", "celeba": "face crop", "whole": "uncropped"}


def open_dataset(
    data: str | Path,
    *,
    size: int = 64,
    channels: int | None = None,
    crop: Crop | None = None,
    window: tuple[float, float] | None = None,
    axes: Axes | None = None,
    skip: int = 0,
    limit: int | None = None,
    cache: Path | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Open a folder of pictures, a CelebA folder, an array or Parquet file, or a built-in set.

    Built in are `sprites`, `people` and `scenes`, see `pellucid.data.builtin`.

    The first time, every picture is decoded into a cache; later it is there at once. Pictures that cannot be
    read are listed in `skipped`. The split is 90 % train, 5 % validation, 5 % test by a hash of the name, so
    an image stays in its part when others are added. A copy, pixel for pixel, is in the part of the first.
    CelebA's own partition is used where it is present and gives the chosen images a train and a validation
    part. From three images on, neither is ever empty.

    Args:
        data: What to open.
        size: Side of the square images: 32, 64, 128 or 256.
        channels: 1 or 3; None takes what the data are.
        crop: None takes `celeba` for a CelebA folder, else `center`.
        window: The values that become black and white, see `Preprocessing`.
        axes: What the axes of an array are, such as `NHWC`; None if their lengths tell.
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
    if data in BUILTIN:
        if Path(data).is_dir():
            raise ConfigError(
                f"{data}: both a built-in set and a folder here. Write ./{data} for the folder."
            )
        if window is not None or axes is not None:
            raise ConfigError(
                f"{data}: is drawn, so there is no window and there are no axes. Leave them out."
            )
        return open_builtin(str(data), size=size, channels=channels, crop=crop, skip=skip, limit=limit)
    preprocessing = Preprocessing(size, 3 if channels is None else channels, crop or "center", window)
    reading = Reading(check_axes(axes), preprocessing.window)
    source = find_source(expanded(data), skip=skip, limit=limit, reading=reading)
    preprocessing = replace(preprocessing, channels=channels or source.channels, crop=crop or source.crop)
    stored = cached(source, preprocessing, root=cache or cache_folder(), workers=workers, progress=progress)
    origin: dict[str, str | int | None] = {
        "source": str(expanded(data).resolve()),
        "skip": skip,
        "limit": limit,
        "axes": axes,
    }
    return _dataset(source, stored, preprocessing, origin)


def open_prepared(
    data: str,
    preprocessing: Preprocessing,
    *,
    axes: Axes | None = None,
    skip: int = 0,
    limit: int | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Open images prepared as those of a model were; see `open_dataset`.

    Raises:
        ConfigError: If a built-in set cannot be drawn like that.
    """
    drawn = BUILTIN.get(data)
    if drawn and (preprocessing.channels != drawn.channels or preprocessing.size not in drawn.sizes):
        kind = {1: "grey", 3: "color"}
        sizes = " or ".join(map(str, drawn.sizes))
        raise ConfigError(
            f"{data}: drawn as {kind[drawn.channels]} images of {sizes} pixels a side, but the model takes "
            f"{kind[preprocessing.channels]} images of {preprocessing.size}. Name other images, or use "
            "another run."
        )
    return open_dataset(
        data,
        size=preprocessing.size,
        channels=preprocessing.channels,
        crop=None if drawn else preprocessing.crop,
        window=None if drawn else preprocessing.window,
        axes=axes,
        skip=skip,
        limit=limit,
        progress=progress,
    )


def _dataset(
    source: Source, stored: Cached, preprocessing: Preprocessing, origin: Mapping[str, str | int | None]
) -> Dataset:
    pixels, kept, known = stored.pixels, stored.kept, source.annotations
    if isinstance(source.names, RowNames):
        names: Sequence[str] = source.names.of(kept)
        split = balanced(row_positions(np.asarray(source.names.of(kept).rows)))
    else:
        names = tuple(source.names[row] for row in kept.tolist())
        split = balanced(name_positions(names))
    keep_together(split, stored.copies)
    if known.partition is not None:
        _adopt(split, known.partition[kept])
    notes = source.notes + known.notes + stored.notes
    if stored.copies:
        notes += (copies_note(names, stored.copies, split),)
    skipped = f", {len(stored.skipped):,} unreadable left out" if stored.skipped else ""
    return Dataset(
        description=f"{len(names):,} {source.noun}, {_CROPS[preprocessing.crop]}{skipped}",
        kind=source.kind,
        names=names,
        split=split,
        preprocessing=preprocessing,
        attributes=None if known.attributes is None else known.attributes.of(kept),
        fingerprint=stored.fingerprint,
        skipped=stored.skipped,
        fetch=pixels.read,
        origin=origin,
        identity=None if known.identity is None else known.identity[kept],
        copies=stored.copies,
        notes=notes,
    )


def _adopt(split: UInt8[np.ndarray, " image"], partition: UInt8[np.ndarray, " image"]) -> None:
    """Take CelebA's own parts where the chosen images have some to train on and some to validate on."""
    if {TRAIN, VALIDATION} <= set(partition.tolist()):
        split[partition <= TEST] = partition[partition <= TEST]
