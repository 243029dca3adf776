"""Decoded images in a file, read by row when they are asked for."""

import math
import os
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8

from pellucid.data.images import printable
from pellucid.errors import DataError
from pellucid.storage.regular import open_regular

_BLOCK_BYTES = 1 << 24


class PixelFile:
    """Images one after another in a file, and nothing else.

    The file is read and not mapped into memory: were it cut while it is used, a mapped one would end the
    process by a bus error. It may be sent to other processes, and read by several threads at once.

    Attributes:
        shape: image height width channel.

    Args:
        path: The file, which stays open.
        shape: What it holds.

    Raises:
        OSError: If it cannot be opened, or is not a regular file.
        ValueError: If its size is not that of the shape.
    """

    def __init__(self, path: Path, shape: tuple[int, int, int, int]) -> None:
        self.shape, self._path, self._lock = shape, path, threading.Lock()
        with open_regular(path) as file:
            if os.fstat(file.fileno()).st_size != math.prod(shape):
                raise ValueError("the pixels are damaged")
            self._descriptor = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._descriptor)

    def __reduce__(self) -> tuple[type["PixelFile"], tuple[Path, tuple[int, int, int, int]]]:
        return PixelFile, (self._path, self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, rows: Int[np.ndarray, " row"]) -> UInt8[np.ndarray, "row height width channel"]:
        """Read images by row; neighbors are read at once.

        Raises:
            DataError: If the file is shorter now, or cannot be read.
            IndexError: If there is no such row.
        """
        if len(rows) and not 0 <= rows.min() <= rows.max() < len(self):
            raise IndexError(f"expected rows from 0 to {len(self) - 1}, got {rows.min()} to {rows.max()}")
        pixels = np.empty((len(rows), *self.shape[1:]), np.uint8)
        size, flat = math.prod(self.shape[1:]), pixels.reshape(-1).data
        breaks = (np.flatnonzero(np.diff(rows) != 1) + 1).tolist()
        for begin, end in zip([0, *breaks], [*breaks, len(rows)], strict=True):
            if begin < end:
                self._fill(flat[begin * size : end * size], int(rows[begin]) * size)
        return pixels

    def blocks(self) -> Iterator[UInt8[np.ndarray, "row height width channel"]]:
        """All images in order, some megabytes at a time."""
        step = max(1, _BLOCK_BYTES // math.prod(self.shape[1:]))
        for start in range(0, len(self), step):
            yield self.read(np.arange(start, min(start + step, len(self))))

    def _fill(self, pixels: memoryview, offset: int) -> None:
        try:
            while pixels:
                count = self._read_some(pixels, offset)
                if not count:
                    raise OSError("it is shorter than it was")
                pixels, offset = pixels[count:], offset + count
        except OSError as error:
            raise DataError(
                f"{printable(self._path)}: cannot be read any more ({error.strerror or error}). Start again: "
                "what is damaged is made anew."
            ) from error

    def _read_some(self, pixels: memoryview, offset: int) -> int:
        if hasattr(os, "preadv"):
            return os.preadv(self._descriptor, [pixels], offset)
        with self._lock:
            os.lseek(self._descriptor, offset, os.SEEK_SET)
            content = os.read(self._descriptor, len(pixels))
        pixels[: len(content)] = content
        return len(content)
