"""Images of one size, each with a name, a part of the split, and what is known of it."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Int64, UInt8
from torch import Tensor

from pellucid.data.attributes import Attributes
from pellucid.data.hashing import uniform
from pellucid.data.images import Preprocessing, printable, to_float

Split = Literal["train", "validation", "test", "held-out", "all"]
TRAIN, VALIDATION, TEST = 0, 1, 2

_PARTS = {
    "train": (TRAIN,),
    "validation": (VALIDATION,),
    "test": (TEST,),
    "held-out": (VALIDATION, TEST),
    "all": (TRAIN, VALIDATION, TEST),
}
_NAMED = 3  # images that could not be read, of which more are only counted
_SPLIT_STREAM = -1  # of each row's random numbers: pictures that are drawn use 0 and above


@dataclass(frozen=True)
class Dataset:
    """Images of one size, each with a name and a part of the split.

    Attributes:
        description: One line for people.
        kind: `folder`, `celeba`, `array`, `parquet`, `sprites`, `people` or `scenes`.
        names: One for each image: the file relative to the folder (CelebA: to img_align_celeba), with `/`;
            eight digits for the rows of an array.
        split: uint8 [image], 0 train, 1 validation, 2 test.
        preprocessing: How the images were made from the pictures.
        attributes: What is known of each image, or None.
        fingerprint: sha256 of pixels and names in hexadecimal, the same for the same images on every machine.
        skipped: Name and reason of each image that could not be read.
        fetch: Images by row: int [row] to uint8 [row height width channel], a copy.
        origin: What opens it again: `source` (an absolute path or a built-in name), `skip`, `limit`,
            `axes`.
        identity: int64 [image], who is on each image where a table says so, -1 unknown; or None.
        copies: The rows of images that are copies of an earlier one, pixel for pixel, and the row of the
            first; of sets that are drawn nothing is known.
        notes: What a person should know of how the images were read, one sentence or two each.
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
    identity: Int64[np.ndarray, " image"] | None = None
    copies: Mapping[int, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.split)

    @property
    def left_out(self) -> str | None:
        """Say how many images could not be read, and which come first; None if every image could."""
        return left_out([name for name, _ in self.skipped]) if self.skipped else None

    def rows(
        self, split: Split, *, at_most: int | None = None, where: Bool[np.ndarray, " image"] | None = None
    ) -> Int64[np.ndarray, " row"]:
        """The rows of a part of the data, ascending; `held-out` is validation and test.

        With `where`, only images for which it is true. With `at_most`, no more than that many, drawn by a
        fixed seed: the same ones every time.
        """
        chosen = np.isin(self.split, _PARTS[split])
        rows = np.flatnonzero(chosen if where is None else chosen & where)
        if at_most is None or len(rows) <= at_most:
            return rows
        return np.sort(np.random.Generator(np.random.PCG64(0)).choice(rows, at_most, replace=False))

    def batch(self, rows: Int[np.ndarray, " row"]) -> Float32[Tensor, "row channel height width"]:
        """Images by row as a model takes them, in [0, 1]."""
        return to_float(self.fetch(rows))


def left_out(names: Sequence[str]) -> str:
    """Say in one line that these images are left out, because they cannot be read.

    Args:
        names: Of one image or more, of which the first three are named.
    """
    count, named = len(names), ", ".join(printable(name) for name in names[:_NAMED])
    what = "1 image is left out, because it" if count == 1 else f"{count:,} images are left out, because they"
    more = f" and {count - _NAMED:,} more" if count > _NAMED else ""
    return f"{what} cannot be read: {named}{more}."


def name_positions(names: Sequence[str]) -> Float[np.ndarray, " image"]:
    """A number in [0, 1] for each name: the first 8 bytes of its sha256, over 2**64."""
    hashes = [hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()[:8] for name in names]
    return np.frombuffer(b"".join(hashes), ">u8").astype(np.float64) / 2.0**64


def row_positions(rows: Int[np.ndarray, " image"]) -> Float[np.ndarray, " image"]:
    """A number in [0, 1) for each row number."""
    return uniform(rows, _SPLIT_STREAM)


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
