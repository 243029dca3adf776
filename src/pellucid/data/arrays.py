"""Images that are the rows of an array: a .npy, or a .npz with dSprites' own factors where it has them.

Rows are read in blocks, and nothing is believed that a header claims until it has been checked.
"""

import math
import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Shaped, UInt8

from pellucid.data.annotations import Annotations
from pellucid.data.attributes import Attributes, from_table
from pellucid.data.images import MAX_PIXELS, printable
from pellucid.data.source import MAX_ROWS, Item, RowNames, Source, first_line, selection, title
from pellucid.errors import DataError

MAX_ARRAY_BYTES = 64 * 2**30
MAX_ATTRIBUTE_BYTES = 2**30
MAX_MEMBERS = 1_000


@dataclass(frozen=True)
class _Array:
    """An array of images in a file.

    Attributes:
        shape: image height width channel; the channel is 1 where the file's array has none.
        dtype: uint8, bool or a float.
        blocks: Reads the rows from the first number up to the second, [row ...] at a time, in order.
    """

    shape: tuple[int, int, int, int]
    dtype: np.dtype[Any]
    blocks: Callable[[int, int], Iterator[Shaped[np.ndarray, "row ..."]]]


def npy(path: Path, skip: int, limit: int | None) -> Source:
    """The rows of an array, mapped from disk.

    Raises:
        DataError: If it does not hold images.
        ConfigError: If `skip` or `limit` leave no image.
    """
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # a damaged header raises ValueError, OverflowError, SyntaxError ...
        raise DataError(f"{printable(path)}: expected an array of images ({first_line(error)}).") from error
    shape = _image_shape(array.shape, array.dtype, printable(path))

    def blocks(start: int, stop: int) -> Iterator[Shaped[np.ndarray, "row ..."]]:
        step = _rows_in_block(shape)
        for at in range(start, stop, step):
            yield np.asarray(array[at : min(at + step, stop)])

    return _of_array(path, "", _Array(shape, array.dtype, blocks), skip, limit)


def npz(path: Path, skip: int, limit: int | None) -> Source:
    """The rows of the one array of images in an archive, with dSprites' factors if it has them.

    Raises:
        DataError: If it is damaged, or does not hold one array of images.
        ConfigError: If `skip` or `limit` leave no image.
    """
    members = _members(path)
    key = _image_member(path, members)
    header = members[key]
    shape = _image_shape(header.shape, header.dtype, f"{printable(path)}, {key}")

    def blocks(start: int, stop: int) -> Iterator[Shaped[np.ndarray, "row ..."]]:
        return _read_rows(path, key, header, start, stop, _rows_in_block(shape))

    source = _of_array(path, key, _Array(shape, header.dtype, blocks), skip, limit)
    if not {"latents_values", "latents_classes"} <= members.keys():
        return source
    attributes = _sprite_attributes(path, members, shape[0], skip, len(source.names))
    return replace(source, annotations=Annotations(attributes))


def _of_array(path: Path, key: str, array: _Array, skip: int, limit: int | None) -> Source:
    chosen = selection(array.shape[0], skip, limit)
    rows = range(array.shape[0])[chosen]
    label = printable(path)

    def chunks() -> Iterator[list[Item]]:
        scale = _scale(array, rows, label)
        for block in array.blocks(rows.start, rows.stop):
            yield _pixel_items(block.reshape(len(block), *array.shape[1:]), scale, label)

    status = path.stat()
    height, width, channels = array.shape[1:]
    return Source(
        kind="array",
        noun=f"images from {title(path)}",
        names=RowNames(rows),
        state=(str(path.resolve()), status.st_size, status.st_mtime_ns, key, rows.start, rows.stop),
        chunks=chunks,
        seconds=len(rows) * (height * width * channels) / 50e6,
        channels=channels,
    )


def _image_shape(shape: tuple[int, ...], dtype: np.dtype[Any], label: str) -> tuple[int, int, int, int]:
    """Check that an array may hold images, and give its shape with the channel."""
    problem = _problem(shape, dtype)
    if problem:
        raise DataError(f"{label}: expected images as [image height width] or [... channel], {problem}.")
    count, height, width, *channel = shape
    return count, height, width, *(channel or [1])  # type: ignore[return-value]


def _problem(shape: tuple[int, ...], dtype: np.dtype[Any]) -> str:
    got = f"got shape {list(shape)} of {dtype}"
    if not (dtype == np.uint8 or dtype == np.bool_ or dtype.kind == "f"):
        return f"{got}. Save it as uint8, bool, or float in [0, 1]"
    if len(shape) not in (3, 4):
        return f"{got}. Give it three or four axes"
    if len(shape) == 4 and shape[3] not in (1, 3):
        advice = "Move the channel axis last" if shape[1] in (1, 3) else "Keep 1 or 3 channels"
        return f"{got}. {advice}"
    if not 1 <= shape[0] <= MAX_ROWS or shape[1] < 1 or not 1 <= shape[2] * shape[1] <= MAX_PIXELS:
        return f"{got}. Keep 1 to {MAX_ROWS:,} images of 1 to {MAX_PIXELS:,} pixels"
    return ""


def _rows_in_block(shape: tuple[int, int, int, int]) -> int:
    return int(np.clip(2**22 // (shape[1] * shape[2] * shape[3]), 1, 256))


def _scale(array: _Array, rows: range, label: str) -> int:
    """What turns the array's values to 0 ... 255: bytes that are all 0 or 1 are black and white."""
    if array.dtype.kind == "f" or array.dtype == np.bool_:
        return 255
    return 255 if all(block.max() <= 1 for block in array.blocks(rows.start, rows.stop)) else 1


def _pixel_items(
    block: Bool[np.ndarray, "row height width channel"]
    | UInt8[np.ndarray, "row height width channel"]
    | Float[np.ndarray, "row height width channel"],
    scale: int,
    label: str,
) -> list[Item]:
    if block.dtype.kind != "f":
        return list(block.astype(np.uint8) * np.uint8(scale))
    finite = np.isfinite(block).all(axis=(1, 2, 3))
    values = np.where(finite[:, None, None, None], block, 0)
    if values.min() < -1e-6 or values.max() > 1 + 1e-6:
        got = f"{values.min():.4g} to {values.max():.4g}"
        raise DataError(f"{label}: expected floats in [0, 1], got {got}. Scale them, or save uint8.")
    pixels = np.rint(values.clip(0, 1) * scale).astype(np.uint8)
    return [
        pixel if good else "has values that are not finite"
        for pixel, good in zip(pixels, finite, strict=True)
    ]


@dataclass(frozen=True)
class _Header:
    """An array in an archive: its shape, and what it takes unpacked, in bytes."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def row_size(self) -> int:
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    @property
    def size(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def _members(path: Path) -> dict[str, _Header]:
    """The arrays in a .npz by name, without those that only unpickling could read."""
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            if len(infos) > MAX_MEMBERS:
                raise DataError(
                    f"{printable(path)}: expected at most {MAX_MEMBERS} arrays, got {len(infos)}."
                )
            headers = {info.filename.removesuffix(".npy"): _member(archive, info) for info in infos}
    except DataError:
        raise
    except Exception as error:  # zipfile and numpy's header parser raise nearly any type on damage
        raise DataError(f"{printable(path)}: is no readable .npz ({first_line(error)}).") from error
    return {name: header for name, header in headers.items() if header is not None}


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Header | None:
    if not info.filename.endswith(".npy"):
        return None
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{info.filename} is packed as numpy never does")  # LZMA may ask for 4 GiB to unpack
    with archive.open(info) as file:
        header = _read_header(file)
        if header is not None and info.file_size != file.tell() + header.size:
            raise ValueError(f"{info.filename} does not have the size that it claims")
    return header


def _read_header(file: Any) -> _Header | None:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_2_0(file)
    else:
        return None
    return None if dtype.hasobject or (fortran and len(shape) > 1) else _Header(shape, dtype)


def _image_member(path: Path, members: dict[str, _Header]) -> str:
    named = [name for name in ("imgs", "images") if name in members]
    suitable = [name for name, header in members.items() if not _problem(header.shape, header.dtype)]
    choice = named[:1] or suitable
    if len(choice) != 1:
        got = ", ".join(
            f"{printable(name)} {list(header.shape)}" for name, header in list(members.items())[:5]
        )
        raise DataError(
            f"{printable(path)}: expected images under the key 'imgs' or 'images', or one array "
            f"[image height width (channel)] in C order, got {got or 'no array'}. Rename the key."
        )
    return choice[0]


def _read_rows(
    path: Path, key: str, header: _Header, start: int, stop: int, step: int
) -> Iterator[Shaped[np.ndarray, "row ..."]]:
    """Stream rows out of a member: never more in memory than a block, whatever the archive claims."""
    label = f"{printable(path)}, {printable(key)}"
    if header.size > MAX_ARRAY_BYTES:
        got = f"{header.size / 2**30:.1f}"
        raise DataError(f"{label}: expected at most {MAX_ARRAY_BYTES / 2**30:g} GiB unpacked, got {got}.")
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as file:
            _read_header(file)
            file.seek(start * header.row_size, os.SEEK_CUR)
            for at in range(start, stop, step):
                rows = min(step, stop - at)
                data = file.read(rows * header.row_size)
                yield np.frombuffer(data, header.dtype).reshape(rows, *header.shape[1:])
    except Exception as error:
        raise DataError(f"{label}: is damaged ({first_line(error)}). Copy the file again.") from error


def _sprite_attributes(
    path: Path, members: dict[str, _Header], images: int, skip: int, count: int
) -> Attributes:
    """dSprites' own factors; its first latent, the colour, is always white."""
    tables = []
    for key in ("latents_classes", "latents_values"):
        header = members[key]
        fits = header.shape == (images, 6) and header.size <= MAX_ATTRIBUTE_BYTES
        if not fits or header.dtype.kind not in "iuf":
            raise DataError(f"{printable(path)}, {key}: expected numbers [{images} 6], got {header.shape}.")
        blocks = _read_rows(path, key, header, skip, skip + count, 65_536)
        tables.append(np.concatenate(list(blocks)).astype(np.float32))
    classes, values = tables
    table = np.concatenate([classes[:, 1:2], values[:, 2:]], axis=1)
    return from_table(
        ("shape", "scale", "orientation", "position x", "position y"),
        ("categorical", "ordinal", "periodic", "ordinal", "ordinal"),
        table,
    )
