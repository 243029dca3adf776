"""Arrays beside a sealed JSON file, in safetensors named after their own digest, which the JSON file knows.

The arrays are written before the JSON file that names them, so a kill at any moment leaves the old pair or
the new one.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped
from safetensors import SafetensorError
from safetensors.numpy import load, save

from pellucid.errors import RunError
from pellucid.model.sealed import write_file
from pellucid.storage.regular import read_regular

Arrays = dict[str, Shaped[np.ndarray, "..."]]
Shapes = Mapping[str, tuple[np.dtype[Any], tuple[int | None, ...]]]
"""For each array its type and shape; None stands for a length that is bounded but not known beforehand."""

DIGEST = re.compile("[0-9a-f]{64}")
MOST_ROWS = 10_000
"""What None in a shape may be at most."""
_HEADER_BYTES = 1 << 16


def write_beside(run: Path, stem: str, arrays: Mapping[str, Shaped[np.ndarray, "..."]]) -> str:
    """Write arrays into a run's folder and give their digest, for the JSON file that is written next.

    Args:
        run: The folder.
        stem: What the file's name begins with.
        arrays: By name.
    """
    content = save(dict(arrays))
    digest = hashlib.sha256(content).hexdigest()
    write_file(run / _name(stem, digest), content)
    return digest


def drop_others(run: Path, stem: str, digest: str) -> None:
    """Remove files of that stem that are not the one of this digest, once the JSON file names that one.

    What killed writers left goes, too; nobody else may be writing such files now.
    """
    others = {*run.glob(f"{stem}-*.safetensors"), *run.glob(f".{stem}-*.safetensors.*.part")}
    for other in others - {run / _name(stem, digest)}:
        other.unlink(missing_ok=True)


def read_beside(path: Path, stem: str, digest: str, shapes: Shapes, remedy: str) -> Arrays:
    """Read what lies beside a JSON file, with every check made before its content is believed.

    Args:
        path: The JSON file that names it.
        stem: What its name begins with.
        digest: In the JSON file.
        shapes: What is expected.
        remedy: What to do if it is damaged, one sentence.

    Raises:
        RunError: If it is missing, too large, or not what was written.
    """
    if not DIGEST.fullmatch(digest):  # it becomes part of a path
        raise RunError(f"{path}: expected the digest of {stem}'s arrays. {remedy}")
    beside = path.with_name(_name(stem, digest))
    most = {
        name: int(dtype.itemsize * np.prod([MOST_ROWS if length is None else length for length in shape]))
        for name, (dtype, shape) in shapes.items()
    }
    largest = sum(most.values()) + _HEADER_BYTES
    try:
        raw = read_regular(beside, max_bytes=largest)
    except OSError as error:
        raise RunError(f"{beside}: cannot be read ({error.strerror or error}). {remedy}") from error
    if hashlib.sha256(raw).hexdigest() != digest:
        raise RunError(f"{beside}: its checksum is not the one in {path.name}. {remedy}")
    try:
        arrays = load(raw)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:  # a dtype that numpy has not
        raise RunError(f"{beside}: expected safetensors, but {error}. {remedy}") from error
    if arrays.keys() != shapes.keys() or not all(_fits(arrays[name], *shapes[name]) for name in shapes):
        raise RunError(f"{beside}: expected {', '.join(sorted(shapes))} of other shapes or types. {remedy}")
    return arrays


def _fits(array: Shaped[np.ndarray, "..."], dtype: np.dtype[Any], shape: tuple[int | None, ...]) -> bool:
    return (
        array.dtype == dtype
        and array.ndim == len(shape)
        and all(
            length <= MOST_ROWS if expected is None else length == expected
            for length, expected in zip(array.shape, shape, strict=True)
        )
    )


def _name(stem: str, digest: str) -> str:
    return f"{stem}-{digest[:16]}.safetensors"
