"""The images: what models learn from, and what they never see and are judged by."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from pellucid.data.builtin import BUILTIN
from pellucid.data.dataset import Dataset
from pellucid.data.grouping import groups_of
from pellucid.data.images import printable, to_float
from pellucid.data.sources import find_source
from pellucid.data.store import open_dataset
from pellucid.errors import DataError
from pellucid.reproduction.plan import Subject
from pellucid.reproduction.settings import Settings
from pellucid.reproduction.watching import Watch

FACES, NONFACES = "celeba", "nonfaces"
_SMALLEST = 16
_CROPS = 10


@dataclass(frozen=True)
class Judged:
    """The images that no model was trained on: first the normal ones, then the anomalous ones.

    Attributes:
        images: float32 [image channel height width] in [0, 1].
        normal: bool [image].
        names: One for each.
        groups: int64 [image]: images with one number are crops of one picture.
        descriptions: What the normal and the anomalous images are.
    """

    images: Float32[Tensor, "image channel height width"]
    normal: Bool[np.ndarray, " image"]
    names: tuple[str, ...]
    groups: Int64[np.ndarray, " image"]
    descriptions: tuple[str, str]


def names_sha256(data: Path) -> str:
    """A checksum of the names of all images in a folder of `celeba` and `nonfaces`.

    Raises:
        DataError: If one of the two is not there or holds no images.
    """
    digest = hashlib.sha256()
    for part in (FACES, NONFACES):
        if not (data / part).is_dir():
            raise DataError(
                f"{printable(data)}: expected a folder with {FACES} (CelebA: img_align_celeba beside "
                f"list_attr_celeba.txt) and {NONFACES} (pictures of anything else), got no {part}. "
                "Leave --data out for simulated people and scenes."
            )
        for name in find_source(data / part).names:
            digest.update(name.encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()


def learned_and_judged(count: int, judged: int) -> int:
    """How many of so many images are learned from: all but the last `judged`, or but the last eighth.

    Raises:
        DataError: If there are too few for both.
    """
    if count < _SMALLEST:
        raise DataError(f"expected at least {_SMALLEST} faces, got {count}. Give more.")
    return count - min(judged, count // 8)


def training_images(settings: Settings, kind: Subject | str, watch: Watch) -> Dataset:
    """What a model learns from.

    Args:
        settings: Where the images are.
        kind: `faces`, `people` or `sprites`.
        watch: Told of the decoding.
    """
    if kind in BUILTIN:
        limit = None if kind == "sprites" else BUILTIN[kind].images - settings.images
        return open_dataset(kind, limit=limit)
    folder = _folder(settings) / FACES
    limit = learned_and_judged(len(find_source(folder).names), settings.images)
    with watch.counting("reading faces") as advance:
        faces = open_dataset(folder, limit=limit, progress=advance)
    _tell(faces, watch)
    return faces


def judged_images(settings: Settings, kind: Subject, watch: Watch) -> Judged:
    """The last images of the normal set, and the anomalous ones: a thousand of each if there are."""
    if kind == "people":
        first = BUILTIN["people"].images - settings.images
        usual = open_dataset("people", skip=first)
        unusual = open_dataset("scenes", limit=settings.images)
    else:
        folder = _folder(settings)
        skip = learned_and_judged(len(find_source(folder / FACES).names), settings.images)
        with watch.counting("reading faces") as advance:
            usual = open_dataset(folder / FACES, skip=skip, progress=advance)
        pre = usual.preprocessing
        with watch.counting("reading non-faces") as advance:
            unusual = open_dataset(
                folder / NONFACES, size=pre.size, channels=pre.channels, crop=pre.crop, progress=advance
            )
    for images in (usual, unusual):
        _tell(images, watch)
    chosen = (usual.rows("all"), unusual.rows("all", at_most=settings.images))
    pixels = np.concatenate([usual.fetch(chosen[0]), unusual.fetch(chosen[1])])
    names = [
        [data.names[int(row)] for row in rows] for data, rows in zip((usual, unusual), chosen, strict=True)
    ]
    groups = np.arange(len(pixels))
    if kind == "faces":
        groups[len(names[0]) :] += crops_of(names[1])
    return Judged(
        images=to_float(pixels),
        normal=np.repeat([True, False], [len(part) for part in names]),
        names=tuple(names[0] + names[1]),
        groups=groups,
        descriptions=(_described(usual, len(names[0])), _described(unusual, len(names[1]))),
    )


def _tell(images: Dataset, watch: Watch) -> None:
    if images.left_out is not None:
        watch.say(images.left_out)


def _described(images: Dataset, count: int) -> str:
    return images.description if count == len(images) else f"{count:,} of {images.description}"


def crops_of(names: Sequence[str]) -> Int64[np.ndarray, " image"]:
    """What to add to an image's number to get that of the first crop of its picture: 0 or less.

    Images called `street_0`, `street_1` are taken for crops of one picture, unless more than ten share a
    beginning: a camera that counts its pictures calls them so, too.
    """
    groups = groups_of(names)
    first = np.full(groups.max(initial=0) + 1, len(names))
    np.minimum.at(first, groups, np.arange(len(names)))
    many = np.bincount(groups, minlength=len(first)) > _CROPS
    same: Int64[np.ndarray, " image"] = np.where(many[groups], 0, first[groups] - np.arange(len(names)))
    return same


def _folder(settings: Settings) -> Path:
    assert settings.data is not None
    return Path(settings.data)
