"""Shards, tables and URLs as hostile as they come: every input has a row, and nothing else happens."""

import gzip
import http.server
import io
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from pellucid.data.images import Preprocessing
from pellucid.errors import DataError
from pellucid.scoring import part as module
from pellucid.scoring.inputs import MOST_ROWS, PART, find_inputs
from pellucid.scoring.part import Part, read

PREPROCESSING = Preprocessing(32, 3, "center")


def only_part(path: Path) -> Part:
    (found,) = find_inputs([str(path)], PREPROCESSING).parts
    return found


@pytest.mark.parametrize("kept", [0.3, 0.999])
def test_a_shard_that_ends_too_early_has_a_reason(tmp_path: Path, contents: list[bytes], kept: float) -> None:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as archive:
        for at, content in enumerate(contents):
            info = tarfile.TarInfo(f"{at:04d}.jpg")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    data = whole.getvalue()
    (tmp_path / "cut.tar.gz").write_bytes(data[: int(kept * len(data))])
    rows = list(read(only_part(tmp_path / "cut.tar.gz")))
    assert all(isinstance(item, bytes) for _, item in rows[:-1])
    assert rows[-1][0] == str(tmp_path / "cut.tar.gz")
    assert "cannot be read from here on" in str(rows[-1][1])


@pytest.mark.parametrize(
    "content", [b"", b"no archive", gzip.compress(b"no archive", mtime=0), b"\x1f\x8b\x08" + b"\xff" * 99]
)
def test_what_is_no_shard_is_one_row_with_a_reason(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.tar").write_bytes(content)
    rows = list(read(only_part(tmp_path / "bad.tar")))
    assert len(rows) <= 1
    assert not content or "cannot be read" in str(rows[0][1])


def test_links_folders_and_giants_in_a_shard_are_not_followed(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "evil.tar", "w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo(f"{kind!r}.jpg")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        info = tarfile.TarInfo("../../etc/up.jpg")
        info.size = 3
        archive.addfile(info, io.BytesIO(b"abc"))
        giant = tarfile.TarInfo("giant.jpg")
        giant.size = 1 << 40
        archive.fileobj.write(giant.tobuf())  # type: ignore[union-attr]
    rows = dict(read(only_part(tmp_path / "evil.tar")))
    assert rows[f"{tmp_path}/evil.tar/../../etc/up.jpg"] == b"abc"
    assert "at most 16 GiB" in str(rows[f"{tmp_path}/evil.tar"])
    assert not [name for name in rows if "passwd" in str(rows[name])]
    assert not list(tmp_path.parent.glob("etc"))


def test_a_shard_has_a_most(monkeypatch: pytest.MonkeyPatch, shard: Path) -> None:
    monkeypatch.setattr(module, "MOST_IN_A_SHARD", 10)
    (found,) = find_inputs([str(shard)], PREPROCESSING).parts
    rows = list(read(found))
    assert len(rows) == 11
    assert "split it" in str(rows[-1][1])


def test_row_groups_of_a_table_stay_together(table: Path) -> None:
    (whole,) = find_inputs([str(table)], PREPROCESSING).parts
    assert (whole.start, whole.stop) == (0, 150)
    assert PART < MOST_ROWS
    assert len(list(read(whole))) == 150


def test_a_table_that_is_damaged_after_it_was_listed_has_all_its_rows(table: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.parquet"
    data = bytearray(table.read_bytes())
    copy.write_bytes(data)
    (found,) = find_inputs([str(copy)], PREPROCESSING).parts
    data[2000:9000] = bytes(7000)
    copy.write_bytes(data)
    rows = list(read(found))
    assert [name for name, _ in rows] == [f"{copy}/{row:08d}" for row in range(150)]
    copy.unlink()
    assert all("No such file" in str(item) for _, item in read(found))


@pytest.fixture
def server(photos: Path, shard: Path, table: Path, tmp_path: Path) -> Iterator[str]:
    """The address of a web server of the pictures."""
    root = tmp_path / "web"
    root.mkdir()
    for path in (photos, shard, table):
        (root / path.name).symlink_to(path)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root))) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()
        thread.join()


@pytest.mark.filterwarnings("default")
def test_pictures_and_shards_come_over_http(server: str, contents: list[bytes]) -> None:
    for url, count in (
        (f"{server}/shard.tar", 150),
        (f"{server}/photos/0/0002.jpg", 1),
        (f"{server}/photos/1/", 50),
    ):
        parts = find_inputs([url], PREPROCESSING).parts
        rows = {name.rpartition("/")[2]: item for part in parts for name, item in read(part)}
        assert len(rows) == count
        name = next(iter(rows))
        assert rows[name] == contents[int(name[:4])]


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", ["photos/0/0002.jpg", "shard.tar", "pictures.parquet"])
def test_a_signed_address_is_read_and_its_signature_is_in_no_name(server: str, name: str) -> None:
    query = "?X-Amz-Expires=60&X-Amz-Signature=secret/0123"
    found = find_inputs([f"{server}/{name}{query}"], PREPROCESSING)
    (part,) = found.parts
    rows = list(read(part))
    assert len(rows) == (1 if name.endswith("jpg") else 150)
    assert isinstance(rows[0][1], bytes)
    assert not [row for row, _ in rows if "secret" in row or not row.startswith(f"{server}/{name}")]


@pytest.mark.filterwarnings("default")
def test_an_address_that_does_not_answer_is_one_line(server: str) -> None:
    with pytest.raises(DataError, match="cannot be listed"):
        find_inputs([f"{server}/nothing.tar"], PREPROCESSING)
    with pytest.raises((DataError, OSError)):
        find_inputs(["nonsense://a/b.tar"], PREPROCESSING)
