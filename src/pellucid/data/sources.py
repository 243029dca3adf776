"""Where images come from: a folder, CelebA's layout, an array file, or a Parquet file.

A source knows its images' names and how to read them; finding it has decoded none of them.
"""

import math
import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, SupportsIndex, overload

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped, UInt8

from pellucid.data.attributes import Attributes, from_table, match_celeba_attributes, read_celeba_partition
from pellucid.data.images import MAX_PIXELS, Crop, printable
from pellucid.errors import ConfigError, DataError, MissingExtraError

UNDERSTOOD = (
    "a folder of pictures, a CelebA folder (img_align_celeba/ beside list_attr_celeba.txt), "
    "a .npy, .npz or .parquet file, or the built-in 'sprites'"
)
READ = (".jpg", ".jpeg", ".jpe", ".png", ".webp")
# What people also have in such folders: listed as skipped, with the reason, and not passed over in silence.
NOT_READ = (
    ".gif",
    ".bmp",
    ".tif",
    ".tiff",
    ".heic",
    ".heif",
    ".avif",
    ".jp2",
    ".jxl",
    ".ppm",
    ".pgm",
    ".tga",
)
MAX_FILES = 10_000_000
MAX_ROWS = 100_000_000
MAX_ARRAY_BYTES = 64 * 2**30
MAX_ATTRIBUTE_BYTES = 2**30
MAX_ROW_GROUP_BYTES = 8 * 2**30
MAX_MEMBERS = 1_000

Item = Path | bytes | np.ndarray | str
"""A picture to read; or, as text, the reason why there is none."""


@dataclass(frozen=True)
class Source:
    """Images that can be read, in order.

    Attributes:
        kind: `folder`, `celeba`, `array` or `parquet`.
        noun: What the images are, for people: `photographs from faces`.
        names: One for each image, sorted.
        state: Changes whenever the images may have changed: paths, sizes, times of modification.
        chunks: Starts reading: lists of items, as many items in all as there are names.
        seconds: How long decoding takes one processor, very roughly.
        attributes: Of the images, in the order of the names.
        partition: uint8 [image], CelebA's own 0 train, 1 validation, 2 test, 255 unknown; or None.
        channels: 1 or 3, what the images have by nature.
        crop: What suits the images.
    """

    kind: str
    noun: str
    names: Sequence[str]
    state: tuple[Any, ...]
    chunks: Callable[[], Iterator[list[Item]]]
    seconds: float
    attributes: Attributes | None = None
    partition: UInt8[np.ndarray, " image"] | None = None
    channels: int = 3
    crop: Crop = "center"


class RowNames(Sequence[str]):
    """The names of an array's rows: eight digits each, made when asked for."""

    def __init__(self, rows: range | Int[np.ndarray, " row"]) -> None:
        self.rows = rows

    def of(self, kept: Int[np.ndarray, " kept"]) -> "RowNames":
        """The names at some positions."""
        return RowNames(kept + self.rows.start if isinstance(self.rows, range) else self.rows[kept])

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: SupportsIndex) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> "RowNames": ...
    def __getitem__(self, index: SupportsIndex | slice) -> "str | RowNames":
        if isinstance(index, slice):
            return RowNames(self.rows[index])
        return f"{self.rows[index]:08d}"

    def __iter__(self) -> Iterator[str]:
        return (f"{row:08d}" for row in self.rows)


def find_source(data: Path, *, skip: int = 0, limit: int | None = None) -> Source:
    """Say what `data` is, and which of its images are meant: `limit` of them after the first `skip`.

    Raises:
        DataError: If it is none of the understood kinds, is empty, or is malformed.
        ConfigError: If `skip` or `limit` leave no image.
        MissingExtraError: If it is a Parquet file and pyarrow is not installed.
    """
    reader, got = _reader(data)
    if reader is None:
        raise DataError(f"{printable(data)}: expected {UNDERSTOOD}, got {got}. Check the path.")
    return reader(data, skip, limit)


def _reader(data: Path) -> tuple[Callable[[Path, int, int | None], Source] | None, str]:
    try:
        if data.is_dir():
            return (_celeba if (data / "img_align_celeba").is_dir() else _folder), ""
        if not data.exists():
            return None, "nothing there"
    except OSError as error:
        return None, f"a path that cannot be used ({error.strerror})"
    readers = {".npy": _npy, ".npz": _npz, ".parquet": _parquet}
    reader = readers.get(data.suffix.lower()) if data.is_file() else None
    return reader, f"a {data.suffix or 'plain'} file"


def selection(count: int, skip: int, limit: int | None) -> slice:
    """The images that `skip` and `limit` leave of `count`.

    Raises:
        ConfigError: If they leave none.
    """
    if skip < 0 or (limit is not None and limit < 1):
        raise ConfigError(f"expected skip >= 0 and limit >= 1, got {skip} and {limit}. Change them.")
    if skip >= count:
        raise ConfigError(f"skip: expected less than the {count:,} images there are, got {skip:,}. Lower it.")
    return slice(skip, count if limit is None else min(count, skip + limit))


def _folder(root: Path, skip: int, limit: int | None) -> Source:
    files = _selected_files(root, skip, limit)
    return _of_files("folder", f"photographs from {_title(root)}", root, files)


def _celeba(root: Path, skip: int, limit: int | None) -> Source:
    pictures = root / "img_align_celeba"
    files = _selected_files(pictures, skip, limit)
    names = tuple(file.name for file in files)
    table, parts = root / "list_attr_celeba.txt", root / "list_eval_partition.txt"
    attributes = match_celeba_attributes(table, names) if table.is_file() else None
    partition = None
    if parts.is_file():
        known = read_celeba_partition(parts)
        partition = np.array([known.get(name.rpartition("/")[2], 255) for name in names], np.uint8)
    noun = f"photographs from {_title(root)} (CelebA layout)"
    return _of_files("celeba", noun, pictures, files, attributes, partition, "celeba")


@dataclass(frozen=True)
class _File:
    name: str
    size: int
    modified: int
    problem: str = ""


def _of_files(
    kind: str,
    noun: str,
    root: Path,
    files: list[_File],
    attributes: Attributes | None = None,
    partition: UInt8[np.ndarray, " image"] | None = None,
    crop: Crop = "center",
) -> Source:
    def chunks() -> Iterator[list[Item]]:
        for at in range(0, len(files), 32):
            yield [file.problem or root / file.name for file in files[at : at + 32]]

    return Source(
        kind=kind,
        noun=noun,
        names=tuple(file.name for file in files),
        state=(str(root.resolve()), [(file.name, file.size, file.modified) for file in files]),
        chunks=chunks,
        seconds=_decoding_seconds(len(files), sum(file.size for file in files)),
        attributes=attributes,
        partition=partition,
        crop=crop,
    )


def _decoding_seconds(images: int, size: int) -> float:
    return images * 0.3e-3 + size / 20e6


def _selected_files(root: Path, skip: int, limit: int | None) -> list[_File]:
    files = sorted(_walk(root), key=lambda file: file.name)
    if not files:
        raise DataError(
            f"{printable(root)}: expected pictures (.jpg, .png or .webp) in or below the folder, got none. "
            "Check the path."
        )
    return files[selection(len(files), skip, limit)]


def _walk(root: Path) -> Iterator[_File]:
    """All pictures below a folder; each folder once, so that links in a circle come to an end."""
    waiting, seen, count = [(root, "")], set[tuple[int, int]](), 0
    while waiting:
        folder, prefix = waiting.pop()
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                inside = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            yield _File(prefix, 0, 0, f"the folder cannot be listed ({error.strerror})")
            continue
        for entry in inside:
            if entry.name.startswith("."):
                continue
            if _is_folder(entry):
                waiting.append((Path(entry.path), f"{prefix}{entry.name}/"))
            elif os.path.splitext(entry.name)[1].lower() in READ + NOT_READ:  # noqa: PTH122 (faster)
                count += 1
                if count > MAX_FILES:
                    raise DataError(f"{printable(root)}: expected at most {MAX_FILES:,} pictures. Split it.")
                yield _file(entry, prefix)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _file(entry: os.DirEntry[str], prefix: str) -> _File:
    name = prefix + entry.name
    try:
        status = entry.stat()
    except OSError as error:
        return _File(name, 0, 0, f"cannot be read ({error.strerror})")
    return _File(name, status.st_size, status.st_mtime_ns)


def _title(path: Path) -> str:
    return printable(path.resolve().name or str(path))


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


def _npy(path: Path, skip: int, limit: int | None) -> Source:
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # a damaged header raises ValueError, OverflowError, SyntaxError ...
        raise DataError(f"{printable(path)}: expected an array of images ({_first_line(error)}).") from error
    shape = _image_shape(array.shape, array.dtype, printable(path))

    def blocks(start: int, stop: int) -> Iterator[Shaped[np.ndarray, "row ..."]]:
        step = _rows_in_block(shape)
        for at in range(start, stop, step):
            yield np.asarray(array[at : min(at + step, stop)])

    return _of_array(path, "", _Array(shape, array.dtype, blocks), skip, limit)


def _npz(path: Path, skip: int, limit: int | None) -> Source:
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
    return replace(source, attributes=attributes)


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
        noun=f"images from {_title(path)}",
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
        raise DataError(f"{printable(path)}: is no readable .npz ({_first_line(error)}).") from error
    return {name: header for name, header in headers.items() if header is not None}


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Header | None:
    if not info.filename.endswith(".npy"):
        return None
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
        raise DataError(f"{label}: is damaged ({_first_line(error)}). Copy the file again.") from error


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


def _parquet(path: Path, skip: int, limit: int | None) -> Source:
    try:
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise MissingExtraError(
            f"{printable(path)}: reading Parquet needs pyarrow. Run: pip install 'pellucid[parquet]'"
        ) from error
    try:
        with parquet.ParquetFile(path) as file:
            column = _image_column(path, file)
            count = file.metadata.num_rows
            size = _check_row_groups(path, file)
    except (DataError, ConfigError):
        raise
    except Exception as error:  # pyarrow raises its own tree, OSError and more on damage
        raise DataError(f"{printable(path)}: is no readable Parquet file ({_first_line(error)}).") from error
    if not 1 <= count <= MAX_ROWS:
        raise DataError(f"{printable(path)}: expected 1 to {MAX_ROWS:,} rows, got {count:,}. Check the file.")
    chosen = selection(count, skip, limit)
    rows = range(count)[chosen]
    status = path.stat()
    return Source(
        kind="parquet",
        noun=f"images from {_title(path)}",
        names=RowNames(rows),
        state=(str(path.resolve()), status.st_size, status.st_mtime_ns, column, rows.start, rows.stop),
        chunks=lambda: _read_parquet(path, column, rows),
        seconds=_decoding_seconds(len(rows), size * len(rows) // count),
    )


def _image_column(path: Path, file: Any) -> str:
    schema = file.schema_arrow
    suitable = [field.name for field in schema if _holds_pictures(field.type)]
    named = [name for name in ("image", "img", "images") if name in suitable]
    choice = named[:1] or suitable
    if len(choice) != 1:
        got = ", ".join(f"{printable(field.name)} ({str(field.type)[:40]})" for field in list(schema)[:8])
        raise DataError(
            f"{printable(path)}: expected a column 'image' of bytes or of {{bytes, path}}, "
            f"got {got}. Rename it."
        )
    return choice[0]


def _holds_pictures(type_: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_struct(type_):
        at = type_.get_field_index("bytes")
        return at >= 0 and _holds_pictures(type_.field(at).type)
    return bool(pa.types.is_binary(type_) or pa.types.is_large_binary(type_))


def _check_row_groups(path: Path, file: Any) -> int:
    sizes = [file.metadata.row_group(at).total_byte_size for at in range(file.metadata.num_row_groups)]
    if max(sizes, default=0) > MAX_ROW_GROUP_BYTES:
        limit = MAX_ROW_GROUP_BYTES // 2**30
        raise DataError(
            f"{printable(path)}: expected row groups of at most {limit} GiB, got more. Rewrite it."
        )
    return sum(sizes)


def _read_parquet(path: Path, column: str, rows: range) -> Iterator[list[Item]]:
    """The pictures' bytes, eight at a time; a path in the file is never followed."""
    import pyarrow.parquet as parquet

    try:
        with parquet.ParquetFile(path) as file:
            first, groups = _row_groups(file, rows)
            batches = file.iter_batches(batch_size=8, row_groups=groups, columns=[column])
            cells = (_picture(cell) for batch in batches for cell in batch.column(0).to_pylist())
            wanted = islice(cells, rows.start - first, rows.stop - first)
            while chunk := list(islice(wanted, 8)):
                yield chunk
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{printable(path)}: is damaged ({_first_line(error)}). Copy it again.") from error


def _row_groups(file: Any, rows: range) -> tuple[int, list[int]]:
    """The first row of the first row group that is needed, and all that are needed."""
    starts = [0]
    for at in range(file.metadata.num_row_groups):
        starts.append(starts[-1] + file.metadata.row_group(at).num_rows)
    needed = [at for at in range(len(starts) - 1) if starts[at] < rows.stop and starts[at + 1] > rows.start]
    return starts[needed[0]], needed


def _picture(cell: Any) -> Item:
    data = cell.get("bytes") if isinstance(cell, dict) else cell
    return data if isinstance(data, bytes) else "the row holds no picture"


def _first_line(error: Exception) -> str:
    return printable(str(error).partition("\n")[0][:200]) or type(error).__name__
