"""Find out what a path holds, and say so when it is nothing that can be read."""

from collections.abc import Callable
from pathlib import Path

from pellucid.data.arrays import npy, npz
from pellucid.data.folders import celeba, celeba_pictures, folder
from pellucid.data.images import printable
from pellucid.data.listing import SHARDS, kind_of
from pellucid.data.parquet import parquet
from pellucid.data.source import Source
from pellucid.errors import DataError

UNDERSTOOD = (
    "a folder of pictures, a CelebA folder (img_align_celeba/ beside list_attr_celeba.txt), "
    "a .npy, .npz or .parquet file, or a built-in set: 'sprites', 'people' or 'scenes'"
)


def find_source(data: Path, *, skip: int = 0, limit: int | None = None) -> Source:
    """Say what `data` is, and which of its images are meant: `limit` of them after the first `skip`.

    Raises:
        DataError: If it is none of the understood kinds, is empty, or is malformed.
        ConfigError: If `skip` or `limit` leave no image.
        MissingExtraError: If it is a Parquet file and pyarrow is not installed.
    """
    reader, got = _reader(data)
    if reader is None:
        raise DataError(f"{printable(data)}: expected {UNDERSTOOD}, got {got}. {_advice(data)}")
    return reader(data, skip, limit)


def _reader(data: Path) -> tuple[Callable[[Path, int, int | None], Source] | None, str]:
    try:
        if data.is_dir():
            return (celeba if celeba_pictures(data) else folder), ""
        if not data.exists():
            return None, "nothing there"
    except OSError as error:
        return None, f"a path that cannot be used ({error.strerror})"
    readers = {".npy": npy, ".npz": npz, ".parquet": parquet}
    return readers.get(data.suffix.lower()), f"a {data.suffix or 'plain'} file"


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
