"""Images that are the rows of an array: a .npy, or a .npz with dSprites' own factors where it has them.

Rows are read in blocks, and nothing is believed that a header claims until it has been checked.
"""

import io
import math
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from pellucid.data.annotations import Annotations
from pellucid.data.array_pixels import ImageArray, Reading
from pellucid.data.attributes import Attributes, from_table
from pellucid.data.axes import Layout
from pellucid.data.images import printable
from pellucid.data.source import RowNames, Source, first_line, selection, title
from pellucid.errors import DataError
from pellucid.storage.regular import open_regular

MAX_ARRAY_BYTES = 64 * 2**30
MAX_FORTRAN_BYTES = 2**28
MAX_ATTRIBUTE_BYTES = 2**27
MAX_HEADER_BYTES = 10_000
MAX_DIRECTORY_BYTES = 2**22
"""Of a zip archive: zipfile keeps some twenty times that."""
_PIECE_BYTES = 2**22
_STEP_BYTES = 2**24  # by which zipfile goes over what is not wanted
MAX_MEMBERS = 1_000


def npy(path: Path, skip: int, limit: int | None, reading: Reading) -> Source:
    """The rows of an array, read in blocks.

    Raises:
        DataError: If it does not hold images, or its axes could be different things.
        ConfigError: If `skip` or `limit` leave no image.
    """
    label = printable(path)
    try:
        with open_regular(path) as file:
            header = _read_header(file)
            begin, size = file.tell(), os.fstat(file.fileno()).st_size
    except OSError as error:
        raise DataError(f"{label}: cannot be read ({error.strerror or error}). Check the path.") from error
    except Exception as error:  # a damaged header raises ValueError, OverflowError, SyntaxError ...
        raise DataError(f"{label}: expected an array of images ({first_line(error)}).") from error
    if header is None:
        raise DataError(f"{label}: expected an array of numbers in the format 1.0 or 2.0. Save it by numpy.")
    layout = reading.layout(header.shape, header.dtype, label)
    header = header.of_rows(layout)
    if begin + header.size > size:
        raise DataError(f"{label}: expected an array of images, but the file ends early. Copy it again.")
    if header.fortran and header.size > MAX_FORTRAN_BYTES:
        raise DataError(
            f"{label}: expected an array in C order, got {header.size:,} bytes in Fortran order. "
            "Save it by numpy.ascontiguousarray."
        )

    def blocks(start: int, stop: int) -> Iterator[Shaped[np.ndarray, "row ..."]]:
        step = _rows_in_block(layout)
        with _reading(label), open_regular(path) as file:
            if not header.fortran:
                file.seek(begin + start * header.row_size)
                yield from _blocks(file, header, range(start, stop, step))
                return
            file.seek(begin)
            whole = np.frombuffer(file.read(header.size), header.dtype).reshape(header.shape, order="F")
            for at in range(start, stop, step):
                yield np.array(whole[at : min(at + step, stop)], order="C")

    return _of_array(path, "", ImageArray(label, layout, header.dtype, blocks, reading.window), skip, limit)


@contextmanager
def _reading(label: str) -> Iterator[None]:
    """Turn whatever goes wrong into DataError: a file may be damaged, or change while it is read."""
    try:
        yield
    except Exception as error:  # zipfile and numpy raise nearly any type
        raise DataError(f"{label}: is damaged ({first_line(error)}). Copy the file again.") from error


def _blocks(file: Any, header: "_Header", starts: range) -> Iterator[Shaped[np.ndarray, "row ..."]]:
    """Stream rows out of a file: never more in memory than a block, whatever is claimed."""
    for at in starts:
        rows = min(starts.step, starts.stop - at)
        data = np.empty(rows * header.row_size, np.uint8)
        for begin in range(0, len(data), _PIECE_BYTES):  # zipfile takes three times what it reads at once
            piece = file.read(min(_PIECE_BYTES, len(data) - begin))
            data[begin : begin + _PIECE_BYTES] = np.frombuffer(piece, np.uint8)
        yield data.view(header.dtype).reshape(rows, *header.shape[1:])


def npz(path: Path, skip: int, limit: int | None, reading: Reading) -> Source:
    """The rows of the one array of images in an archive, with dSprites' factors if it has them.

    Raises:
        DataError: If it is damaged, or does not hold one array of images.
        ConfigError: If `skip` or `limit` leave no image.
    """
    members = _members(path)
    key = _image_member(path, members, reading)
    label = f"{printable(path)}, {printable(key)}"
    layout = reading.layout(members[key].shape, members[key].dtype, label)
    header = members[key].of_rows(layout)
    if header.size > MAX_ARRAY_BYTES:
        got = f"{header.size / 2**30:.1f}"
        most = f"{MAX_ARRAY_BYTES / 2**30:g}"
        raise DataError(f"{label}: expected at most {most} GiB unpacked, got {got}.")

    def blocks(start: int, stop: int) -> Iterator[Shaped[np.ndarray, "row ..."]]:
        return _read_rows(path, key, header, range(start, stop, _rows_in_block(layout)))

    array = ImageArray(label, layout, header.dtype, blocks, reading.window)
    source = _of_array(path, key, array, skip, limit)
    if not {"latents_values", "latents_classes"} <= members.keys():
        return source
    attributes = _sprite_attributes(path, members, layout.shape[0], skip, len(source.names))
    return replace(source, annotations=Annotations(attributes))


def _of_array(path: Path, key: str, array: ImageArray, skip: int, limit: int | None) -> Source:
    images, height, width, channels = array.layout.shape
    rows = range(images)[selection(images, skip, limit)]
    status = path.stat()
    state = (str(path.resolve()), status.st_size, status.st_mtime_ns, key, rows.start, rows.stop)
    return Source(
        kind="array",
        noun=f"images from {title(path)}",
        names=RowNames(rows),
        state=(*state, array.layout.axes),
        chunks=lambda: array.items(rows),
        seconds=len(rows) * (height * width * channels) / 50e6,
        channels=channels,
        notes=_notes(title(path), array.layout),
        said=array.said,
        value_range=lambda: array.value_range(rows),
    )


def _notes(name: str, layout: Layout) -> tuple[str, ...]:
    """Say what an array was taken for, unless it is in the usual order."""
    if layout.axes in ("NHW", "NHWC"):
        return ()
    images = "one image" if layout.one_image else f"{layout.shape[0]:,} images"
    return (f"{name} is taken for {images}, {layout}.",)


def _rows_in_block(layout: Layout) -> int:
    return int(np.clip(2**22 // math.prod(layout.shape[1:]), 1, 256))


@dataclass(frozen=True)
class _Header:
    """An array in an archive: its shape, and what it takes unpacked, in bytes."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool

    @property
    def row_size(self) -> int:
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    @property
    def size(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    def of_rows(self, layout: Layout) -> "_Header":
        """The same array as rows of images: an array that is one image has one."""
        return replace(self, shape=(1, *self.shape)) if layout.one_image else self


def _members(path: Path) -> dict[str, _Header]:
    """The arrays in a .npz by name, without those that only unpickling could read."""
    try:
        with open_regular(path) as file, _archive(file) as archive:
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


def _archive(file: BufferedReader) -> zipfile.ZipFile:
    """A zip archive: of its directory, and later of its content, only so much is read at once."""
    bounded = _Bounded(file)
    archive = zipfile.ZipFile(bounded)
    bounded.limit = _STEP_BYTES
    return archive


class _Bounded:
    """A file that refuses to be read by more than `limit` bytes at once."""

    def __init__(self, file: BufferedReader) -> None:
        self._file, self.limit = file, MAX_DIRECTORY_BYTES
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        """The next bytes; all that are left if no size is given."""
        content = self._file.read(min(size, self.limit + 1) if size >= 0 else self.limit + 1)
        if len(content) > self.limit:
            raise ValueError(f"expected parts of at most {self.limit:,} bytes, got more")
        return content


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Header | None:
    if not info.filename.endswith(".npy"):
        return None
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{info.filename} is packed as numpy never does")  # LZMA may ask for 4 GiB to unpack
    with archive.open(info) as file:
        header = _read_header(file)
        if header is not None and info.file_size != file.tell() + header.size:
            raise ValueError(f"{info.filename} does not have the size that it claims")
    return None if header is None or header.fortran else header


def _read_header(file: Any) -> _Header | None:
    """The header of an array; None if only unpickling could read it, or it is of a later format."""
    version = np.lib.format.read_magic(file)
    reader, width = {
        (1, 0): (np.lib.format.read_array_header_1_0, 2),
        (2, 0): (np.lib.format.read_array_header_2_0, 4),
    }.get(version, (None, 0))
    if reader is None:
        return None
    length = file.read(width)
    if int.from_bytes(length, "little") > MAX_HEADER_BYTES:
        raise ValueError("its header is too long")
    shape, fortran, dtype = reader(io.BytesIO(length + file.read(int.from_bytes(length, "little"))))
    if dtype.hasobject or any(length < 0 for length in shape):
        return None
    return _Header(shape, dtype, fortran and len(shape) > 1)


def _image_member(path: Path, members: dict[str, _Header], reading: Reading) -> str:
    named = [name for name in ("imgs", "images") if name in members]
    suitable = [name for name, header in members.items() if _suits(header, reading)]
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


def _suits(header: _Header, reading: Reading) -> bool:
    try:
        reading.layout(header.shape, header.dtype, "")
    except DataError:
        return False
    return True


def _read_rows(
    path: Path, key: str, header: _Header, starts: range
) -> Iterator[Shaped[np.ndarray, "row ..."]]:
    """Rows out of a member of an archive, in blocks that begin at `starts`."""
    with (
        _reading(f"{printable(path)}, {printable(key)}"),
        open_regular(path) as file,
        _archive(file) as archive,
        archive.open(f"{key}.npy") as member,
    ):
        _read_header(member)
        member.seek(starts.start * header.row_size, os.SEEK_CUR)
        yield from _blocks(member, header, starts)


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
        blocks = _read_rows(path, key, header, range(skip, skip + count, 65_536))
        tables.append(np.concatenate([block.astype(np.float32) for block in blocks]))
    classes, values = tables
    table = np.concatenate([classes[:, 1:2], values[:, 2:]], axis=1)
    return from_table(
        ("shape", "scale", "orientation", "position x", "position y"),
        ("categorical", "ordinal", "periodic", "ordinal", "ordinal"),
        table,
    )
