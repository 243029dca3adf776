import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.data import pixel_file
from pellucid.data.pixel_file import PixelFile
from pellucid.errors import DataError

pytestmark = pytest.mark.usefixtures("as_installed")

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 4, 4, 3), np.uint8)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("pixels") / "pixels"
    PIXELS.tofile(file)
    return file


@given(rows=st.lists(st.integers(0, 19), max_size=40))
def test_rows_are_those_of_numpy(path: Path, rows: list[int]) -> None:
    chosen = np.array(rows, np.int64)
    assert np.array_equal(PixelFile(path, PIXELS.shape).read(chosen), PIXELS[chosen])


def test_systems_that_cannot_read_at_a_place_give_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "preadv")
    rows = np.array([3, 4, 5, 0, 19, 19])
    assert np.array_equal(PixelFile(path, PIXELS.shape).read(rows), PIXELS[rows])


def test_a_file_is_read_on_after_a_short_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", lambda file, buffers, at: preadv(file, [buffers[0][:7]], at))
    assert np.array_equal(PixelFile(path, PIXELS.shape).read(np.arange(20)), PIXELS)


@pytest.mark.parametrize("rows", [[-1], [20], [0, 5, 20]])
def test_rows_that_are_not_there_are_refused(path: Path, rows: list[int]) -> None:
    with pytest.raises(IndexError, match="from 0 to 19"):
        PixelFile(path, PIXELS.shape).read(np.array(rows))


def test_blocks_are_all_rows_in_order(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixel_file, "_BLOCK_BYTES", 150)
    blocks = list(PixelFile(path, PIXELS.shape).blocks())
    assert len(blocks) == 7
    assert np.array_equal(np.concatenate(blocks), PIXELS)


def test_another_process_reads_the_same(path: Path) -> None:
    data = pickle.dumps(PixelFile(path, PIXELS.shape))
    assert np.array_equal(pickle.loads(data).read(np.arange(20)), PIXELS)  # noqa: S301


def test_threads_do_not_disturb_each_other(path: Path) -> None:
    file, wrong = PixelFile(path, PIXELS.shape), list[int]()

    def look(row: int) -> None:
        for _ in range(200):
            if not np.array_equal(file.read(np.array([row, 19 - row])), PIXELS[[row, 19 - row]]):
                wrong.append(row)

    threads = [threading.Thread(target=look, args=(row,)) for row in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_it_closes_its_file(path: Path) -> None:
    before = len(list(Path("/dev/fd").iterdir()))
    file = PixelFile(path, PIXELS.shape)
    assert len(list(Path("/dev/fd").iterdir())) == before + 1
    del file
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_another_size_is_refused(path: Path) -> None:
    with pytest.raises(ValueError, match="damaged"):
        PixelFile(path, (19, 4, 4, 3))


CUT = """
import os, sys
import numpy as np
from pellucid.data.store import open_dataset
from pellucid.errors import DataError
dataset = open_dataset(sys.argv[1], size=32)
(pixels,) = __import__("pathlib").Path(os.environ["PELLUCID_CACHE"]).glob("*/pixels")
os.truncate(pixels, 100)
try:
    dataset.batch(np.arange(len(dataset)))
except DataError as error:
    print(error)
"""


def test_a_cache_that_is_cut_while_it_is_used_is_an_error_and_no_bus_error(bars: Path) -> None:
    done = subprocess.run([sys.executable, "-c", CUT, str(bars)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    assert "cannot be read any more (it is shorter than it was)" in done.stdout


def test_an_array_that_is_cut_while_it_is_used_is_an_error_and_no_bus_error(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.zeros((5000, 8, 8), np.uint8))
    code = """
import os, sys
from pellucid.data.sources import find_source
from pellucid.errors import DataError
chunks = find_source(__import__("pathlib").Path(sys.argv[1])).chunks()
next(chunks)
os.truncate(sys.argv[1], 30_000)
try:
    list(chunks)
except DataError as error:
    print(error)
"""
    command = [sys.executable, "-c", code, str(tmp_path / "images.npy")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    assert "is damaged" in done.stdout


def test_an_error_of_the_disk_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "preadv", broken)
    with pytest.raises(DataError, match=r"Input/output error\). Start again"):
        PixelFile(path, PIXELS.shape).read(np.arange(3))
