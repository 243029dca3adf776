"""One writer at a time, whoever is killed; and nothing is left of the lock or of a killed writer's files."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from pellucid.errors import BusyError
from pellucid.storage import writing
from pellucid.storage.writing import locked, locked_folder, replacing

HOLD = """
import sys, time
from pathlib import Path
from pellucid.storage.writing import locked, locked_folder
with {function}(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@contextmanager
def held_elsewhere(path: Path, function: str = "locked") -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock until it is killed."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD.format(function=function), str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("function", ["locked", "locked_folder"])
def test_a_lock_ends_with_its_holder_however_that_ends(tmp_path: Path, function: str) -> None:
    lock = {"locked": locked, "locked_folder": locked_folder}[function]
    with held_elsewhere(tmp_path / "target", function) as process:
        with (
            pytest.raises(BusyError, match=f"target: process {process.pid} on .* is writing it"),
            lock(tmp_path / "target"),
        ):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
        with lock(tmp_path / "target"):  # at once
            pass
    assert not list(tmp_path.rglob("*lock"))


def test_waiting_is_as_long_as_it_is_told(tmp_path: Path) -> None:
    with held_elsewhere(tmp_path / "target") as process:
        threading.Timer(0.2, process.kill).start()
        with locked(tmp_path / "target", patience=10):
            pass
    began = time.monotonic()
    with ThreadPoolExecutor(1) as other, locked(tmp_path / "target"):
        with pytest.raises(BusyError):
            other.submit(enter, tmp_path / "target", 0.1).result()
        assert 0.1 <= time.monotonic() - began < 5


def test_a_lock_that_ends_while_it_is_asked_for_is_nobodys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, removed = writing._taken, []

    def after_it_has_ended(file: int, lock: Path) -> bool:
        if not removed:  # between the opening and the locking, its last holder has let go
            lock.unlink()
            removed.append(lock)
        return taken(file, lock)

    monkeypatch.setattr(writing, "_taken", after_it_has_ended)
    with locked(tmp_path / "target"):
        assert removed


def enter(path: Path, patience: float) -> None:
    with locked(path, patience=patience):
        pass


def test_counting_in_many_threads_loses_nothing(tmp_path: Path) -> None:
    """Every unlock removes the file that the others wait for."""
    path = tmp_path / "count"
    path.write_text("0")

    def count() -> None:
        for _ in range(25):
            with locked(path, patience=60):
                number = int(path.read_text())
                with replacing(path) as file:
                    file.write(str(number + 1).encode())

    with ThreadPoolExecutor(8) as threads:
        for counted in [threads.submit(count) for _ in range(8)]:
            counted.result()
    assert path.read_text() == "200"
    assert list(tmp_path.iterdir()) == [path]


def test_within_a_lock_the_same_thread_may_ask_again_by_any_path(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    with locked(tmp_path / "folder" / "file"), locked(tmp_path / "link" / "file"):
        pass
    with locked_folder(tmp_path / "folder"), locked_folder(tmp_path / "link"), ThreadPoolExecutor(1) as other:
        with pytest.raises(BusyError, match="process"):
            other.submit(locked_folder(tmp_path / "link").__enter__).result()
        with locked(tmp_path / "folder" / "file"):  # files have locks of their own
            pass


def test_a_folder_that_stays_empty_is_removed_again(tmp_path: Path) -> None:
    with locked_folder(tmp_path / "a" / "empty"):
        assert (tmp_path / "a" / "empty").is_dir()
    with locked_folder(tmp_path / "a" / "full"):
        (tmp_path / "a" / "full" / "file").touch()
    (tmp_path / "a" / "there").mkdir()
    with locked_folder(tmp_path / "a" / "there"):
        pass
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["full", "there"]
    assert [path.name for path in (tmp_path / "a" / "full").iterdir()] == ["file"]


def test_what_killed_writers_left_of_a_file_is_removed_and_nothing_else(tmp_path: Path) -> None:
    left = f".table.csv.{'0' * 16}.part"
    others = ["table.csv", ".table.csv.part", f".another.csv.{'0' * 16}.part", f".table.csv.{'0' * 15}.part"]
    for name in (left, *others):
        (tmp_path / name).touch()
    with locked(tmp_path / "table.csv"):
        assert not (tmp_path / left).exists()
    assert {path.name for path in tmp_path.iterdir()} == set(others)


@pytest.mark.parametrize("kind", ["fifo", "link", "folder"])
def test_a_lock_that_is_no_plain_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    lock, elsewhere = tmp_path / ".file.lock", tmp_path / "elsewhere"
    if kind == "fifo":
        os.mkfifo(lock)
    elif kind == "link":
        lock.symlink_to(elsewhere)
    else:
        lock.mkdir()
    with pytest.raises(OSError, match=".*") as refused, locked(tmp_path / "file"):
        pass
    assert str(refused.value.filename).startswith(str(tmp_path))
    assert not elsewhere.exists()


def test_where_the_system_has_no_locks_it_says_so_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(file: int) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(writing, "_take", no_locks)
    with pytest.warns(UserWarning, match="cannot be locked"), locked(tmp_path / "file"):
        (tmp_path / "file").touch()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_who_holds_a_lock_cannot_say_just_anything(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as other, locked(tmp_path / "file"):
        (tmp_path / ".file.lock").write_text("\x1b[2Jprocess of evil")
        with pytest.raises(BusyError, match="another process is writing it"):
            other.submit(enter, tmp_path / "file", 0).result()


def test_an_error_while_writing_leaves_the_old_file_and_tells_of_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "file"):
        raise KeyboardInterrupt
    with pytest.raises(OSError, match="No space") as full, replacing(tmp_path / "file"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert full.value.filename == str(tmp_path / "file")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file", "old")]
