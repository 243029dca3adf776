"""Images that are the same, pixel for pixel, as a model sees them."""

import hashlib
from collections.abc import Callable, Container, Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Int, UInt8

from pellucid.data.dataset import TRAIN, VALIDATION, Dataset
from pellucid.data.images import printable

_AT_ONCE = 256

Pixels = Callable[[Int[np.ndarray, " row"]], UInt8[np.ndarray, "row height width channel"]]


def digests(pixels: Pixels, rows: Int[np.ndarray, " row"]) -> Iterator[bytes]:
    """Hash the pixels of images: 16 bytes each, the same for images that are the same and for no others."""
    for start in range(0, len(rows), _AT_ONCE):
        for image in pixels(rows[start : start + _AT_ONCE]):
            yield hashlib.blake2b(image.tobytes(), digest_size=16).digest()


def find_copies(pixels: Pixels, count: int) -> dict[int, int]:
    """Find the images that are copies of an earlier one: their rows, and the row of the first one."""
    first: dict[bytes, int] = {}
    copies = {}
    for row, digest in enumerate(digests(pixels, np.arange(count))):
        original = first.setdefault(digest, row)
        if original != row:
            copies[row] = original
    return copies


def among(pixels: Pixels, rows: Int[np.ndarray, " row"], known: Container[bytes]) -> Bool[np.ndarray, " row"]:
    """Tell of each image whether its digest is known."""
    return np.array([digest in known for digest in digests(pixels, rows)], bool)


def keep_together(split: UInt8[np.ndarray, " image"], copies: Mapping[int, int]) -> None:
    """Put copies into the part of the split that the first one is in.

    Where that would leave no image to train on or none to validate on, as it does where all images are the
    same, the split stays as it is.
    """
    moved = split.copy()
    moved[list(copies)] = split[list(copies.values())]
    if {TRAIN, VALIDATION} <= set(moved.tolist()):
        split[:] = moved


def without_copies(dataset: Dataset, rows: Int[np.ndarray, " row"]) -> Int[np.ndarray, " kept"]:
    """Leave out the rows of images that are copies of another one among these rows, which comes first."""
    first = [dataset.copies.get(row, row) for row in rows.tolist()]
    kept: Int[np.ndarray, " kept"] = rows[np.sort(np.unique(first, return_index=True)[1])]
    return kept


def copies_note(names: Sequence[str], copies: Mapping[int, int], split: UInt8[np.ndarray, " image"]) -> str:
    """Say how many images are copies, of what, and whether they are held out from each other."""
    pairs = list(copies.items())
    some = ", ".join(f"{printable(names[row])} of {printable(names[first])}" for row, first in pairs[:3])
    more = f" and {len(pairs) - 3:,} more" if len(pairs) > 3 else ""
    what = (
        "1 image is a copy of another" if len(pairs) == 1 else f"{len(pairs):,} images are copies of others"
    )
    divided = sum(split[row] != split[first] for row, first in pairs)
    where = f"{divided:,} are in another part of the data than the first: held-out losses flatter."
    if not divided:
        where = "No copy is held out from its first."
    return f"{what}, pixel for pixel: {some}{more}. {where}"
