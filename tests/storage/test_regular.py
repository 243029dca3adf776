import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pellucid.storage import regular
from pellucid.storage.regular import open_regular, read_regular

pytestmark = pytest.mark.skipif(os.name != "posix", reason="has no FIFO")


@pytest.fixture(autouse=True)
def five_seconds() -> Iterator[None]:
    def waited(number: int, frame: object) -> None:
        raise AssertionError("it waited")

    before = signal.signal(signal.SIGALRM, waited)
    signal.alarm(5)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))


IRREGULAR: dict[str, Callable[[Path], object]] = {
    "FIFO": os.mkfifo,
    "socket": make_socket,
    "folder": Path.mkdir,
    "link to /dev/zero": lambda path: path.symlink_to("/dev/zero"),
    "link to a FIFO": lambda path: (os.mkfifo(f"{path}.fifo"), path.symlink_to(f"{path}.fifo")),
    "link to itself": lambda path: path.symlink_to(path),
    "nothing": lambda path: None,
}


@pytest.mark.parametrize("kind", IRREGULAR)
def test_what_is_no_regular_file_is_refused_at_once(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    IRREGULAR[kind](Path("file"))
    descriptors = len(list(Path("/dev/fd").iterdir()))
    for read in (open_regular, lambda path: read_regular(path, max_bytes=10)):
        with pytest.raises(OSError, match="file") as caught:
            read(Path("file"))
        assert caught.value.strerror
    assert len(list(Path("/dev/fd").iterdir())) == descriptors


def test_a_path_with_a_null_byte_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="not a valid path"):
        open_regular(tmp_path / "a\0b")


def test_a_fifo_that_takes_the_files_place_after_the_check_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, check = tmp_path / "file", regular._check
    path.write_bytes(b"")

    def replaced_afterwards(status: os.stat_result, path: Path) -> None:
        check(status, path)
        path.unlink()
        os.mkfifo(path)

    monkeypatch.setattr(regular, "_check", replaced_afterwards)
    open_, opened = os.open, []

    def opening(path: Path, flags: int) -> int:
        monkeypatch.setattr(regular, "_check", check)
        opened.append(path)
        return open_(path, flags)

    monkeypatch.setattr(os, "open", opening)
    with pytest.raises(OSError, match="not a regular file"):
        open_regular(path)
    assert opened == [path]


def test_a_link_to_a_regular_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert read_regular(tmp_path / "link", max_bytes=7) == b"content"


def test_a_file_is_refused_by_its_size_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        file.truncate(2**40)  # a hole: it takes no disk
    with pytest.raises(OSError, match=r"at most 1,000 bytes"):
        read_regular(tmp_path / "file", max_bytes=1000)


def test_a_file_that_grows_is_read_as_it_was_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, status = tmp_path / "file", os.fstat
    path.write_bytes(b"before")

    def growing(descriptor: int) -> os.stat_result:
        found = status(descriptor)
        with path.open("ab") as file:
            file.write(b" and after")
        return found

    monkeypatch.setattr(os, "fstat", growing)
    assert read_regular(path, max_bytes=26).startswith(b"before")
    with pytest.raises(OSError, match="at most"):
        read_regular(path, max_bytes=26)
