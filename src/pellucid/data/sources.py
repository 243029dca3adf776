"""Find out what a path holds, and say so when it is nothing that can be read."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from pellucid.data.array_pixels import Reading
from pellucid.data.arrays import npy, npz
from pellucid.data.folders import celeba, celeba_pictures, folder
from pellucid.data.images import printable
from pellucid.data.listing import SHARDS, kind_of
from pellucid.data.parquet import parquet
from pellucid.data.source import Source
from pellucid.errors import ConfigError, DataError

UNDERSTOOD = (
    "a folder of pictures, a CelebA folder (img_align_celeba/ beside list_attr_celeba.txt), "
    "a .npy, .npz or .parquet file, or a built-in set: 'sprites', 'people' or 'scenes'"
)

_ARRAYS = {".npy": npy, ".npz": npz}
READING = Reading()
"""An array whose shape and type tell how it is to be read."""


def find_source(data: Path, *, skip: int = 0, limit: int | None = None, reading: Reading = READING) -> Source:
    """Say what `data` is, and which of its images are meant: `limit` of them after the first `skip`.

    Args:
        data: A folder or a file.
        skip: Images to leave out at the start.
        limit: Images to take at most.
        reading: How an array is to be read.

    Raises:
        DataError: If it is none of the understood kinds, is empty, or is malformed.
        ConfigError: If `skip` or `limit` leave no image.
        MissingExtraError: If it is a Parquet file and pyarrow is not installed.
    """
    reader, got = _reader(data, reading)
    if reader is None:
        raise DataError(f"{printable(data)}: expected {UNDERSTOOD}, got {got}. {_advice(data)}")
    return reader(data, skip, limit)


def _reader(data: Path, reading: Reading) -> tuple[Callable[[Path, int, int | None], Source] | None, str]:
    ending = data.suffix.lower()
    try:
        is_folder = data.is_dir()
        if not is_folder and not data.exists():
            return None, "nothing there"
    except OSError as error:
        return None, f"a path that cannot be used ({error.strerror})"
    if not is_folder and ending in _ARRAYS:
        return partial(_ARRAYS[ending], reading=reading), ""
    if reading.axes is not None:
        raise ConfigError(f"{printable(data)}: --axes is for .npy and .npz files. Leave it out.")
    if is_folder:
        return (celeba if celeba_pictures(data) else folder), ""
    return (parquet if ending == ".parquet" else None), f"a {data.suffix or 'plain'} file"


def _advice(data: Path) -> str:
    """What to do about something that is not understood."""
    name = str(data)
    if "://" in name or ":/" in name:  # a path loses one of two slashes
        return "Addresses are read by `pellucid features` and `detect` only: download it."
    if name.lower().endswith(SHARDS):
        return f"Unpack it, and name that folder: mkdir pictures; tar -xf {printable(name)} -C pictures"
    if name.lower().endswith(".zip"):
        return "Unpack it, and name that folder."
    if kind_of(data.name) == "image" and data.is_file():
        return "Name the folder that it lies in."
    return "Check the path."
