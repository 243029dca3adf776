"""Images in, rows out: in every container, whatever they are called and whatever kind of file they are."""

import io
import os
import socket
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pellucid.data.images import Preprocessing
from pellucid.data.listing import list_folder
from pellucid.data.store import open_dataset
from pellucid.errors import ConfigError, DataError
from pellucid.scoring.inputs import find_inputs
from pellucid.scoring.part import prepared

PREPROCESSING = Preprocessing(32, 3, "center")


def encoded(kind: str, shade: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (40, 40), (shade, 90, 30)).save(file, kind)
    return file.getvalue()


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.txt", "a")
    return file.getvalue()


IMAGES = {
    **{f"a{end}": encoded("JPEG", at) for at, end in enumerate((".jpg", ".JPEG", ".jpe", ".jfif", ".jif"))},
    **{
        f"by content{end}": encoded("JPEG", 50 + at)
        for at, end in enumerate(("", ".txt", ".json", ".dat", ".gif"))
    },
    "b.png": encoded("PNG", 100),
    "b.webp": encoded("WEBP", 101),
    "really a webp.jpg": encoded("WEBP", 102),
    "deep/er/c.png": encoded("PNG", 103),
    "=odd,na\tme.jpg": encoded("PNG", 104),
    "README": encoded("PNG", 105),
}
UNREAD = {
    "d.gif": (encoded("GIF", 0), "a GIF"),
    "d.bmp": (encoded("BMP", 0), "a BMP"),
    "d.tif": (encoded("TIFF", 0), "a TIFF"),
    "cut.jpg": (encoded("JPEG", 7)[:60], "damaged"),
    "empty.png": (b"", "empty"),
    "no ending": (b"\0\1\2", "something else"),
    "e.heix": (b"\0\0\0\x18ftypheix", "a HEIC"),
    "e.psd": (b"8BPS", "a PSD"),
    "e.mp4": (b"\0\0\0\x18ftypisom", "a video"),
    "e.dcm": (bytes(128) + b"DICM", "a DICOM"),
    "e.zip": (zipped(), "a zip archive"),
    ".hidden.jpg": (encoded("JPEG", 9), "begins with a dot"),
    "hidden/._real.png": (encoded("PNG", 9), "begins with a dot"),
}
COMPANIONS = {
    **{f"x.{end}": b"{}" for end in ("json", "txt", "cls", "csv", "xml", "yaml")},
    **{"LICENSE": b"Use it.", "readme.md": b"# Hello", "Thumbs.db": b"\xd0\xcf\x11\xe0"},
    **{".DS_Store": b"\0\0\0\1Bud1", "._a.jpg": b"\0\5\x16\7", ".gitkeep": b""},
}


def rows(*images: Path | str, limit: int | None = None) -> dict[str, object]:
    """Name and picture, or the reason why there is none, of each row; no name stands twice."""
    found = find_inputs([str(image) for image in images], PREPROCESSING, limit=limit)
    named = [row for part in found.parts for row in prepared(part, PREPROCESSING)]
    assert len(dict(named)) == len(named)
    return dict(named)


def in_folder(place: Path, contents: dict[str, bytes]) -> Path:
    for name, content in contents.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
    return place


def in_tar(place: Path, contents: dict[str, bytes], mode: str = "w", ending: str = ".tar") -> Path:
    path = place.with_name(place.name + ending)
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def in_tgz(place: Path, contents: dict[str, bytes]) -> Path:
    return in_tar(place, contents, "w:gz", ".tgz")


def in_folder_with_shard(place: Path, contents: dict[str, bytes]) -> Path:
    in_tar(in_folder(place, {"sub/x.json": b"{}"}) / "sub" / "shard", contents)
    return place


CONTAINERS = (in_folder, in_tar, in_tgz, in_folder_with_shard)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("url", [False, True], ids=["path", "url"])
def test_every_file_that_may_be_an_image_has_a_row(
    tmp_path: Path, container: Callable[[Path, dict[str, bytes]], Path], url: bool
) -> None:
    contents = IMAGES | {name: content for name, (content, _) in UNREAD.items()} | COMPANIONS
    place = container(tmp_path / "gate", contents)
    found = rows(f"file://{place}" if url else place)
    begin = (
        f"{'file://' if url else ''}{place}/{'sub/shard.tar/' if container is in_folder_with_shard else ''}"
    )
    from_afar = url and container is in_folder
    # Behind a URL what is a companion or hidden by its name is not looked into: a million requests.
    by_name = {
        name for name in contents if from_afar and name.startswith((".", "by content.txt", "by content.json"))
    }
    by_name |= {"README", "hidden/._real.png"} if from_afar else set()
    expected = {name for name in (*IMAGES, *UNREAD) if name not in by_name}
    assert {name.removeprefix(begin) for name in found} == expected
    for name in expected:
        item = found[begin + name]
        if name in IMAGES:
            assert isinstance(item, np.ndarray), (name, item)
        else:
            assert UNREAD[name][1] in str(item), (name, item)


def test_links_and_devices_in_a_shard_have_a_reason(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "gate.tar", "w") as archive:
        for name, kind in (
            ("sym.jpg", tarfile.SYMTYPE),
            ("hard.jpg", tarfile.LNKTYPE),
            ("device.jpg", tarfile.CHRTYPE),
            ("disk", tarfile.BLKTYPE),
            ("pipe.png", tarfile.FIFOTYPE),
            ("strange.jpg", b"Z"),
            ("to an image.txt", tarfile.SYMTYPE),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "real.jpg"
            archive.addfile(info)
        for name, kind in (("folder.jpg", tarfile.DIRTYPE), ("label.json", tarfile.SYMTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "other.json"
            archive.addfile(info)
    found = {name.rpartition("/")[2]: str(item) for name, item in rows(tmp_path / "gate.tar").items()}
    assert found.keys() == {
        *("sym.jpg", "hard.jpg", "device.jpg", "disk", "pipe.png", "strange.jpg", "to an image.txt")
    }
    assert all("is a link" in found[name] for name in ("sym.jpg", "hard.jpg", "to an image.txt"))
    assert all("no regular file" in found[name] for name in ("device.jpg", "disk", "pipe.png", "strange.jpg"))


@pytest.mark.skipif(os.name != "posix", reason="has no such files")
def test_what_is_no_regular_file_in_a_folder_has_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = in_folder(tmp_path / "gate", {"ok.jpg": encoded("JPEG", 1)})
    os.mkfifo(gate / "pipe.jpg")
    os.mkfifo(gate / "pipe")
    (gate / "gone.jpg").symlink_to("nowhere.jpg")
    (gate / "gone").symlink_to("nowhere")
    (gate / "linked.jfif").symlink_to("ok.jpg")
    (gate / ".cache").mkdir()
    (gate / ".cache" / "defect.png").write_bytes(encoded("PNG", 1))
    (gate / ".git").mkdir()
    (gate / ".git" / "HEAD").write_text("ref")
    monkeypatch.chdir(gate)  # the path of a socket may not be long
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("s")
    found = {name.removeprefix(f"{gate}/"): item for name, item in rows(gate).items()}
    unread = {"pipe.jpg", "pipe", "gone.jpg", "gone", "s", ".cache/"}
    assert found.keys() == {"ok.jpg", "linked.jfif"} | unread
    assert {name for name, item in found.items() if isinstance(item, str)} == unread
    assert "holds images" in str(found[".cache/"])


def test_rows_of_tables_and_arrays_are_all_there(tmp_path: Path) -> None:
    cells = [encoded("JPEG", 1), b"", None, b"text", encoded("GIF", 1), encoded("WEBP", 2)]
    pq.write_table(pa.table({"image": cells}), tmp_path / "t.parquet", row_group_size=2)
    found = list(rows(tmp_path / "t.parquet").values())
    assert [isinstance(item, np.ndarray) for item in found] == [True, False, False, False, False, True]
    pixels = np.random.default_rng(0).random((5, 32, 32))
    pixels[3] = np.inf
    np.save(tmp_path / "a.npy", pixels)
    np.savez(tmp_path / "b.npz", images=pixels, other=np.zeros(3))
    for name in ("a.npy", "b.npz"):
        found = list(rows(tmp_path / name).values())
        assert [isinstance(item, np.ndarray) for item in found] == [True, True, True, False, True]


def test_containers_in_a_folder_are_read_or_told(tmp_path: Path) -> None:
    inside = in_folder(tmp_path / "gate" / "deep", {"ok.jpg": encoded("JPEG", 1)})
    in_tar(inside / "shard", {"in tar.jfif": encoded("JPEG", 2)})
    in_tar(inside / "none", {"x.json": b"{}"})
    pq.write_table(pa.table({"image": [encoded("PNG", 3)]}), inside / "t.parquet")
    pq.write_table(pa.table({"label": [3]}), inside / "labels.parquet")
    (inside / "bad.parquet").write_bytes(b"PAR1")
    np.save(inside / "a.npy", np.zeros((3, 32, 32)))
    (inside / "picture.npz").write_bytes(encoded("JPEG", 4))
    found = {name.removeprefix(f"{inside}/"): item for name, item in rows(tmp_path / "gate").items()}
    read = {"ok.jpg", "shard.tar/in tar.jfif", "t.parquet/00000000", "picture.npz"}
    assert {name for name, item in found.items() if isinstance(item, np.ndarray)} == read
    assert found.keys() - read == {
        f"{inside}/none.tar".removeprefix(f"{inside}/"),
        "labels.parquet",
        "bad.parquet",
        "a.npy",
    }
    assert "holds no picture" in str(found["none.tar"])
    assert "Name it by itself" in str(found["a.npy"])


def test_a_data_set_lists_what_it_does_not_take(tmp_path: Path) -> None:
    contents = IMAGES | {name: content for name, (content, _) in UNREAD.items()} | COMPANIONS
    place = in_folder(tmp_path / "photos", contents)
    in_tar(place / "shard", {"a.jpg": encoded("JPEG", 1)})
    data = open_dataset(place, size=32, workers=0)
    assert set(data.names) == set(IMAGES)
    assert {name for name, _ in data.skipped} == {*UNREAD, "shard.tar"}
    assert len(open_dataset(place, size=32, limit=4, workers=0)) == 4


@pytest.mark.parametrize("name", ["nowhere", "nowhere.tar", "nowhere.parquet", "no/where.jpg"])
def test_what_is_not_there_is_an_error_also_among_others(tmp_path: Path, name: str) -> None:
    ok = in_folder(tmp_path, {"ok.jpg": encoded("JPEG", 1)}) / "ok.jpg"
    for images in ([name], [str(ok), name]):
        with pytest.raises(DataError, match="nothing there. Check the path"):
            find_inputs(images, PREPROCESSING)


def test_limit_means_so_many_in_all(tmp_path: Path) -> None:
    shards = [
        in_tar(tmp_path / f"{at}", {f"{i}.jpg": encoded("JPEG", i) for i in range(4)}) for at in range(6)
    ]
    names = [f"{shard}/{i}.jpg" for shard in shards for i in range(4)]
    pq.write_table(pa.table({"image": [encoded("PNG", 3)] * 9}), tmp_path / "t.parquet")
    table = [f"{tmp_path}/t.parquet/{row:08d}" for row in range(9)]
    found = find_inputs([str(tmp_path / "t.parquet"), *map(str, shards)], PREPROCESSING, limit=10)
    assert (found.limit, found.at_most) == (10, 10)
    assert list(rows(tmp_path / "t.parquet", limit=5)) == table[:5]
    folder = in_folder(tmp_path / "f", {f"{i}.jpg": encoded("JPEG", i) for i in range(4)})
    both = rows(folder, tmp_path / "t.parquet", limit=6)
    assert list(both) == [*(f"{folder}/{i}.jpg" for i in range(4)), *table[:2]]
    assert len(rows(*shards[:1], limit=3)) == 3
    assert names[0] in rows(*shards, limit=3)


def test_limit_decodes_no_more_of_an_array_than_is_wanted(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.random.default_rng(0).integers(0, 256, (600, 32, 32), np.uint8))
    told = list[tuple[int, int]]()
    found = find_inputs(
        [str(tmp_path / "a.npy")], PREPROCESSING, limit=7, progress=lambda *done: told.append(done)
    )
    assert found.count == 7
    assert told[-1] == (7, 7)


@pytest.mark.filterwarnings("default")
def test_a_chain_of_addresses_is_refused_with_what_to_do() -> None:
    with pytest.raises(ConfigError, match="chain of several .*Unpack the archive"):
        find_inputs(["zip://a.jpg::file:///tmp/b.zip"], PREPROCESSING)


def test_a_folder_is_listed_once_and_in_order(tmp_path: Path) -> None:
    place = in_folder(tmp_path, IMAGES | COMPANIONS)
    (place / "deep" / "up").symlink_to(place)
    listing = list_folder(place)
    assert [file.name for file in listing.files] == sorted(IMAGES)
    assert set(listing.companions) == {name for name in COMPANIONS if not name.startswith(".")}
