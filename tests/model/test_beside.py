import hashlib
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from pellucid.errors import RunError
from pellucid.model.beside import MOST_ROWS, Shapes, drop_others, read_beside, write_beside

pytestmark = pytest.mark.usefixtures("as_installed")

SHAPES: Shapes = {"a": (np.dtype(np.float64), (None, 3)), "b": (np.dtype(np.uint8), (2,))}
ARRAYS = {"a": np.arange(12.0).reshape(4, 3), "b": np.array([7, 9], np.uint8)}


def put(folder: Path, content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    (folder / f"x-{digest[:16]}.safetensors").write_bytes(content)
    return digest


def read(folder: Path, digest: str) -> dict[str, np.ndarray]:
    return read_beside(folder / "x.json", "x", digest, SHAPES, "Do it again.")


def test_arrays_come_back_and_old_ones_go(tmp_path: Path) -> None:
    old = write_beside(tmp_path, "x", {"a": ARRAYS["a"] + 1})
    new = write_beside(tmp_path, "x", ARRAYS)
    drop_others(tmp_path, "x", new)
    assert [path.name for path in tmp_path.iterdir()] == [f"x-{new[:16]}.safetensors"]
    assert old != new
    for name, array in read(tmp_path, new).items():
        np.testing.assert_array_equal(array, ARRAYS[name])


@pytest.mark.parametrize(
    "arrays",
    [
        {"a": ARRAYS["a"]},
        {**ARRAYS, "c": ARRAYS["b"]},
        {**ARRAYS, "a": ARRAYS["a"][:, :2]},
        {**ARRAYS, "a": ARRAYS["a"].ravel()},
        {**ARRAYS, "a": ARRAYS["a"].astype(np.float32)},
        {**ARRAYS, "b": np.zeros(3, np.uint8)},
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    digest = put(tmp_path, save(arrays))
    with pytest.raises(RunError, match="other shapes or types. Do it again"):
        read(tmp_path, digest)


def test_what_is_too_large_is_not_even_read(tmp_path: Path) -> None:
    digest = put(tmp_path, bytes(MOST_ROWS * 3 * 8 + 2 + (1 << 16) + 1))
    with pytest.raises(RunError, match="at most"):
        read(tmp_path, digest)


@pytest.mark.parametrize(
    "digest", ["../../../etc/passwd", "/etc/passwd", "0" * 63 + "\n", "0" * 65, "F" * 64]
)
def test_no_digest_becomes_a_path_elsewhere(tmp_path: Path, digest: str) -> None:
    with pytest.raises(RunError, match="expected the digest"):
        read(tmp_path, digest)


def test_damaged_missing_and_foreign_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot be read"):
        read(tmp_path, "0" * 64)
    digest = put(tmp_path, b"\x80\x04K\x01.")  # what pickle writes for 1
    with pytest.raises(RunError, match="expected safetensors"):
        read(tmp_path, digest)
    digest = write_beside(tmp_path, "x", ARRAYS)
    path = tmp_path / f"x-{digest[:16]}.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    with pytest.raises(RunError, match="checksum"):
        read(tmp_path, digest)
