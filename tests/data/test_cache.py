"""Caches are written, damaged, raced for and abandoned in temporary folders."""

import gc
import json
import multiprocessing
import os
import resource
import shutil
import weakref
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from pellucid.data import cache, crew
from pellucid.data.cache import Cached, cached
from pellucid.data.images import Preprocessing, read_image
from pellucid.data.source import Source
from pellucid.data.sources import find_source
from pellucid.errors import DataError

SMALL = Preprocessing(32, 1, "whole")
# Forked processes start at once; the program itself spawns its own.
FORKS = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


def photographs(root: Path, count: int) -> Path:
    root.mkdir(exist_ok=True)
    for at in range(count):
        pixels = np.random.default_rng(at).integers(0, 256, (8, 8), np.uint8)
        Image.fromarray(pixels).save(root / f"{at:03d}.png")
    return root


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return find_source(photographs(tmp_path / "photos", 6))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def opened(source: Source, root: Path) -> tuple[Cached, bool]:
    """The images, and whether they had to be decoded."""
    calls: list[int] = []
    return cached(source, SMALL, root=root, progress=lambda done, total: calls.append(done)), bool(calls)


def images(found: Cached) -> np.ndarray:
    return found.pixels.read(np.arange(len(found.pixels)))


def place(root: Path) -> Path:
    (only,) = root.iterdir()
    return only


def test_the_cache_holds_what_reading_gives_and_is_used_again(
    source: Source, root: Path, tmp_path: Path
) -> None:
    first, decoded = opened(source, root)
    assert decoded
    expected = np.stack([read_image(path, SMALL) for path in sorted((tmp_path / "photos").iterdir())])
    assert np.array_equal(images(first), expected)
    second, decoded = opened(source, root)
    assert not decoded
    assert np.array_equal(images(second), expected)
    assert second.fingerprint == first.fingerprint


def test_progress_ends_at_the_number_of_images(source: Source, root: Path) -> None:
    seen: list[tuple[int, int]] = []
    cached(source, SMALL, root=root, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (6, 6)


def test_another_size_crop_or_file_is_another_cache(source: Source, root: Path, tmp_path: Path) -> None:
    for preprocessing in (
        SMALL,
        Preprocessing(64, 1, "whole"),
        Preprocessing(32, 3, "whole"),
        Preprocessing(32, 1),
    ):
        cached(source, preprocessing, root=root)
    os.utime(tmp_path / "photos" / "000.png", ns=(1, 1))
    cached(find_source(tmp_path / "photos"), SMALL, root=root)
    assert len(list(root.iterdir())) == 5


def test_the_fingerprint_is_of_pixels_and_names_not_of_places_and_times(root: Path, tmp_path: Path) -> None:
    prints = []
    for name in ("here", "there"):
        folder = photographs(tmp_path / name, 4)
        os.utime(folder / "001.png", ns=(5, len(name)))
        prints.append(opened(find_source(folder), root)[0].fingerprint)
    (tmp_path / "there" / "001.png").rename(tmp_path / "there" / "001x.png")
    prints.append(opened(find_source(tmp_path / "there"), root)[0].fingerprint)
    Image.new("L", (8, 8)).save(tmp_path / "here" / "002.png")
    prints.append(opened(find_source(tmp_path / "here"), root)[0].fingerprint)
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


DAMAGE = {
    "first pixel flipped": lambda folder: flip(folder / "pixels", 0),
    "last pixel flipped": lambda folder: flip(folder / "pixels", -1),
    "a byte short": lambda folder: os.truncate(folder / "pixels", (folder / "pixels").stat().st_size - 1),
    "a byte long": lambda folder: os.truncate(folder / "pixels", (folder / "pixels").stat().st_size + 1),
    "no pixels": lambda folder: (folder / "pixels").unlink(),
    "no index": lambda folder: (folder / "index.json").unlink(),
    "index cut": lambda folder: os.truncate(folder / "index.json", 100),
    "index empty": lambda folder: os.truncate(folder / "index.json", 0),
    "index a list": lambda folder: (folder / "index.json").write_text("[]"),
    "index nested": lambda folder: (folder / "index.json").write_text("[" * 100_000),
    "index of bytes": lambda folder: (folder / "index.json").write_bytes(b"\xff\xfe\x00"),
    "index a folder": lambda folder: [(folder / "index.json").unlink(), (folder / "index.json").mkdir()],
    "a file instead": lambda folder: [shutil.rmtree(folder), folder.write_text("")],
    "empty": lambda folder: [shutil.rmtree(folder), folder.mkdir()],
}


@pytest.mark.parametrize("name", ["pixels", "index.json"])
@pytest.mark.parametrize("kind", ["FIFO", "/dev/zero", "/dev/null"])
def test_a_cache_of_what_is_no_regular_file_is_rebuilt(
    source: Source, root: Path, name: str, kind: str
) -> None:
    before = images(opened(source, root)[0])
    path = place(root) / name
    path.unlink()
    if kind == "FIFO":
        os.mkfifo(path)
    else:
        path.symlink_to(kind)
    after, decoded = opened(source, root)
    assert decoded
    assert np.array_equal(images(after), before)


def test_too_many_images_that_cannot_be_read_are_an_error(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "MAX_SKIPPED", 10)
    folder = photographs(tmp_path / "photos", 40)
    for path in sorted(folder.iterdir())[:20]:
        path.write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"at most 10 images that cannot be read, got more; 000\.png"):
        opened(find_source(folder), root)


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_cache_is_noticed_and_rebuilt(source: Source, root: Path, damage: str) -> None:
    before = images(opened(source, root)[0])
    DAMAGE[damage](place(root))
    after, decoded = opened(source, root)
    assert decoded
    assert np.array_equal(images(after), before)
    assert not opened(source, root)[1]
    place(root)


@given(at=st.floats(0, 1), value=st.integers(1, 255))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_changed_byte_of_the_index_changes_nothing_that_is_given(
    source: Source, root: Path, at: float, value: int
) -> None:
    truth, _ = opened(source, root)
    path = place(root) / "index.json"
    data = bytearray(path.read_bytes())
    data[int(at * (len(data) - 1))] ^= value
    path.write_bytes(data)
    found, _ = opened(source, root)
    assert found.fingerprint == truth.fingerprint
    assert found.skipped == ()
    assert np.array_equal(images(found), images(truth))


def test_bad_pictures_are_listed_with_their_reason(tmp_path: Path, root: Path) -> None:
    folder = photographs(tmp_path / "photos", 100)
    bad = ("007.png", "031.png", "050.png", "051.png", "099.png")
    for name in bad:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: len(data) // 2])
    (folder / "anim.gif").write_bytes(b"GIF89a")
    for decoded in (True, False):
        found, was_decoded = opened(find_source(folder), root)
        assert was_decoded == decoded
        assert tuple(name for name, _ in found.skipped) == (*bad, "anim.gif")
        assert len(found.pixels) == 95
        assert "got a GIF" in found.skipped[-1][1]
        assert str(folder) not in found.skipped[0][1]
        assert set(range(101)) - set(found.kept.tolist()) == {7, 31, 50, 51, 99, 100}
    assert np.array_equal(images(found)[-1], read_image(folder / "098.png", SMALL))
    listed = json.loads((place(root) / "index.json").read_text())["index"]
    assert listed["names"][7] == "008.png"
    assert listed["skipped"][0][0] == "007.png"


def test_only_bad_pictures_are_an_error(tmp_path: Path, root: Path) -> None:
    (tmp_path / "one.png").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"none of 1 images can be read; one\.png: expected a JPEG"):
        opened(find_source(tmp_path), root)
    assert list(root.iterdir()) == []


def test_two_runs_in_turn_end_with_the_first_ones_cache(source: Source, root: Path) -> None:
    inner: list[Cached] = []

    def another_run(done: int, total: int) -> None:
        inner.append(cached(source, SMALL, root=root))

    outer = cached(source, SMALL, root=root, progress=another_run)
    assert outer.fingerprint == inner[0].fingerprint
    assert np.array_equal(images(outer), images(inner[0]))
    place(root)


def run(folder: Path, root: Path, barrier, results) -> None:
    barrier.wait(60)
    found = cached(find_source(folder), SMALL, root=root)
    results.put((found.fingerprint, zlib.crc32(images(found).tobytes())))


@FORKS
def test_two_processes_build_the_same_cache_at_once(tmp_path: Path, root: Path) -> None:
    folder = photographs(tmp_path / "photos", 60)
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(3), context.Queue()
    processes = [context.Process(target=run, args=(folder, root, barrier, results)) for _ in range(3)]
    for process in processes:
        process.start()
    found = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(set(found)) == 1
    place(root)


class Deadly(bytes):
    """Kills the process that it is sent to."""

    def __reduce__(self) -> tuple:
        return os._exit, (9,)


def test_spawned_worker_processes_give_the_same_images_in_the_same_order(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, methods = multiprocessing.get_context, []
    monkeypatch.setattr(
        multiprocessing, "get_context", lambda method: methods.append(method) or context(method)
    )
    folder = photographs(tmp_path / "photos", 100)
    (folder / "050.png").write_bytes(b"bad")
    source = find_source(folder)
    found = [cached(source, SMALL, root=root / str(workers), workers=workers) for workers in (1, 2)]
    assert np.array_equal(images(found[0]), images(found[1]))
    assert found[0].skipped == found[1].skipped
    assert methods == ["spawn"]  # the only way that Windows, macOS and Linux have in common


def test_a_system_that_renames_no_open_file_has_the_same_images(
    source: Source, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = cached(source, SMALL, root=root.with_name("other"))
    monkeypatch.setattr(cache, "RENAMES_OPEN_FILES", False)
    held: list[Path] = []
    opening, rename = cache._pixels, Path.rename

    def holding(place: Path, *rest):
        pixels = opening(place, *rest)
        held.append(place)
        weakref.finalize(pixels, held.remove, place)
        return pixels

    def renaming(path: Path, target: Path) -> Path:
        gc.collect()
        if path in held:
            raise PermissionError(13, "Access is denied", str(path))
        return rename(path, target)

    monkeypatch.setattr(cache, "_pixels", holding)
    monkeypatch.setattr(Path, "rename", renaming)
    found = cached(source, SMALL, root=root)
    assert found.fingerprint == before.fingerprint
    assert np.array_equal(images(found), images(before))


@FORKS
def test_the_death_of_a_worker_costs_one_image(source: Source, root: Path, monkeypatch) -> None:
    fork = multiprocessing.get_context("fork")
    monkeypatch.setattr(multiprocessing, "get_context", lambda method: fork)

    def chunks() -> Iterator[list]:
        first, *rest = (item for chunk in source.chunks() for item in chunk)
        yield [first, Deadly(b"x")]
        yield rest[1:]

    found = cached(replace(source, chunks=chunks), SMALL, root=root, workers=2)
    assert found.skipped == (("001.png", "the process that decoded it died. Convert it, or leave it out."),)
    plain = cached(source, SMALL, root=root.with_name("plain"))
    assert np.array_equal(images(found), images(plain)[[0, 2, 3, 4, 5]])


def test_where_no_worker_can_live_this_process_decodes(tmp_path: Path, root: Path, monkeypatch) -> None:
    source = find_source(photographs(tmp_path / "photos", 200))
    starts: list[int] = []
    monkeypatch.setattr(crew, "_start", starts.append)
    assert len(cached(source, SMALL, root=root, workers=2).pixels) == 200
    assert starts == [2]


def test_ctrl_c_leaves_nothing(source: Source, root: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached(source, SMALL, root=root, progress=interrupt)
    assert list(root.iterdir()) == []


def test_too_little_free_disk_is_told_before_decoding(source: Source, root: Path, monkeypatch) -> None:
    usage = shutil.disk_usage(root.parent)._replace(free=6 * 32 * 32 - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(DataError, match=rf"{root}: expected 0\.0 MB of free disk.*PELLUCID_CACHE"):
        cached(
            find_source(root.parent / "photos"), SMALL, root=root, progress=lambda *_: pytest.fail("decoded")
        )


def test_a_disk_that_fills_up_leaves_nothing(source: Source, root: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, limits[1]))
    try:
        with pytest.raises(DataError, match="of free disk, got less"):
            cached(source, SMALL, root=root)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(root.iterdir()) == []


def test_a_cache_that_cannot_be_written_says_where_and_what_to_do(source: Source, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"file: the cache cannot be written .*PELLUCID_CACHE"):
        cached(source, SMALL, root=tmp_path / "file")


def test_what_a_killed_writer_left_is_removed_after_a_day(source: Source, root: Path) -> None:
    for name, age in ((".building-old", 90_000), (".building-new", 3_000)):
        (root / name).mkdir(parents=True)
        (root / name / "pixels").write_bytes(b"x")
        for path in (root / name / "pixels", root / name):
            written = path.stat().st_mtime - age
            os.utime(path, (written, written))
    opened(source, root)
    assert not (root / ".building-old").exists()
    assert (root / ".building-new").exists()


def test_a_source_that_gives_fewer_images_than_names_is_refused(source: Source, root: Path) -> None:
    short = replace(source, chunks=lambda: iter([next(source.chunks())[:2]]))
    with pytest.raises(DataError, match="expected 6 images, the source gave 2"):
        cached(short, SMALL, root=root)
