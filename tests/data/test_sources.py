"""Every kind of source is made in a temporary folder with numpy, pyarrow, zipfile or Pillow."""

import io
import os
import sys
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pellucid.data import arrays
from pellucid.data.array_pixels import Reading
from pellucid.data.source import RowNames, Source, selection
from pellucid.data.sources import find_source
from pellucid.errors import ConfigError, DataError, MissingExtraError

pytestmark = pytest.mark.usefixtures("as_installed")


def picture(value: int, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("L", (8, 8), value).save(file, kind)
    return file.getvalue()


def items(source: Source) -> list:
    return [item for chunk in source.chunks() for item in chunk]


def pixels(source: Source) -> np.ndarray:
    return np.stack(items(source))


def photographs(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(picture(0))
    return root


def test_folders_are_searched_in_sorted_order_and_what_is_hidden_comes_last_with_a_reason(
    tmp_path: Path,
) -> None:
    photographs(
        tmp_path, "b.png", "a/z.JPG", "a/b/y.webp", "a.jpeg", ".hidden.png", ".thumbnails/x.png", "image.txt"
    )
    (tmp_path / "notes.txt").write_text("no picture")
    source = find_source(tmp_path)
    assert source.kind == "folder"
    read = ("a.jpeg", "a/b/y.webp", "a/z.JPG", "b.png", "image.txt")
    assert source.names == (*read, ".hidden.png", ".thumbnails/")
    assert items(source)[:5] == [tmp_path / name for name in read]
    assert all("begins with a dot" in item for item in items(source)[5:])


def test_of_an_mvtec_category_only_what_is_to_be_trained_on_is_read(tmp_path: Path) -> None:
    photographs(
        tmp_path,
        "train/good/000.png",
        "train/good/001.png",
        "test/good/000.png",
        "test/hole/000.png",
        "ground_truth/hole/000_mask.png",
    )
    source = find_source(tmp_path, skip=1)
    assert source.names == ("train/good/001.png",)
    (note,) = source.notes
    assert note.startswith("MVTec AD's layout: read are the 2 images in train/, not the 3 in test/")
    assert find_source(tmp_path / "test").names == ("good/000.png", "hole/000.png")
    assert "Beside 1 images" in find_source(tmp_path / "test").notes[0]


def test_links_in_a_circle_come_to_an_end(tmp_path: Path) -> None:
    photographs(tmp_path, "a/one.png")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "self").symlink_to(tmp_path / "a")
    (tmp_path / "gone.png").symlink_to(tmp_path / "missing.png")
    source = find_source(tmp_path)
    assert source.names == ("a/one.png", "gone.png")
    assert "cannot be read" in items(source)[1]


def test_linked_folders_are_followed(tmp_path: Path) -> None:
    photographs(tmp_path / "elsewhere", "one.png")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "link").symlink_to(tmp_path / "elsewhere")
    assert find_source(tmp_path / "here").names == ("link/one.png",)


def test_state_changes_with_a_file_and_only_then(tmp_path: Path) -> None:
    photographs(tmp_path, "a.png", "b.png")
    before = find_source(tmp_path).state
    assert find_source(tmp_path).state == before
    os.utime(tmp_path / "b.png", ns=(1, 1))
    assert find_source(tmp_path).state != before


def test_skip_and_limit_select_in_sorted_order(tmp_path: Path) -> None:
    photographs(tmp_path, *(f"{at}.png" for at in range(9)))
    assert find_source(tmp_path, skip=3, limit=2).names == ("3.png", "4.png")
    assert find_source(tmp_path, skip=7, limit=99).names == ("7.png", "8.png")


@given(count=st.integers(1, 50), skip=st.integers(-2, 60), limit=st.none() | st.integers(-2, 60))
def test_selection_is_what_slicing_gives(count: int, skip: int, limit: int | None) -> None:
    expected = list(range(count))[max(skip, 0) :][: limit if limit is None else max(limit, 0)]
    if skip < 0 or not expected:
        with pytest.raises(ConfigError):
            selection(count, skip, limit)
    else:
        assert list(range(count))[selection(count, skip, limit)] == expected


def test_celeba_is_known_by_its_layout(tmp_path: Path) -> None:
    photographs(
        tmp_path, "img_align_celeba/000001.jpg", "img_align_celeba/000002.jpg", "img_align_celeba/x.jpg"
    )
    (tmp_path / "list_attr_celeba.txt").write_text("2\nBald Young\n000001.jpg 1 -1\n000002.jpg -1 -1\n")
    (tmp_path / "list_eval_partition.txt").write_text("000001.jpg 2\n000002.jpg 0\n")
    source = find_source(tmp_path)
    assert (source.kind, source.crop, source.channels) == ("celeba", "celeba", 3)
    assert source.names == ("000001.jpg", "000002.jpg", "x.jpg")
    assert source.annotations.partition.tolist() == [2, 0, 255]
    values = source.annotations.attributes.lookup(np.arange(3))
    assert values[:2].tolist() == [[1, 0], [0, 0]]
    assert np.isnan(values[2]).all()


@pytest.mark.parametrize("name", ["people.zip", "missing", "one.png", "nul\0", "x" * 300])
def test_what_is_not_understood_is_told_what_is(tmp_path: Path, name: str) -> None:
    photographs(tmp_path, "one.png")
    (tmp_path / "people.zip").write_bytes(b"PK")
    told = r"expected a folder of pictures.*\.npz or \.parquet.*'sprites', 'people' or 'scenes', got"
    with pytest.raises(DataError, match=told):
        find_source(tmp_path / name)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="got none"):
        find_source(tmp_path)


def test_rows_have_names_of_eight_digits() -> None:
    names = RowNames(range(5, 9))
    assert list(names.of(np.array([0, 3]))) == ["00000005", "00000008"]
    assert list(names) == ["00000005", "00000006", "00000007", "00000008"]
    assert (names[0], names[-1], len(names), list(names[1:3])) == (
        "00000005",
        "00000008",
        4,
        list(names)[1:3],
    )
    assert "00000008" in names


IMAGES = np.random.default_rng(0).integers(0, 256, (7, 6, 5, 3), np.uint8)


def stored(path: Path, array: np.ndarray, how: str) -> Path:
    """The same array as .npy, or in a .npz packed or not."""
    if how == "npy":
        np.save(path.with_suffix(".npy"), array)
        return path.with_suffix(".npy")
    (np.savez if how == "npz" else np.savez_compressed)(path.with_suffix(".npz"), images=array)
    return path.with_suffix(".npz")


@pytest.mark.parametrize("how", ["npy", "npz", "packed npz"])
class TestArrays:
    def test_bytes_are_given_as_they_are(self, tmp_path: Path, how: str) -> None:
        source = find_source(stored(tmp_path / "a", IMAGES, how), skip=2, limit=4)
        assert np.array_equal(pixels(source), IMAGES[2:6])
        assert (source.kind, source.channels) == ("array", 3)
        assert list(source.names) == ["00000002", "00000003", "00000004", "00000005"]

    def test_without_a_channel_axis_they_are_grey(self, tmp_path: Path, how: str) -> None:
        source = find_source(stored(tmp_path / "a", IMAGES[..., 0], how))
        assert source.channels == 1
        assert np.array_equal(pixels(source)[..., 0], IMAGES[..., 0])

    @pytest.mark.parametrize(
        ("array", "axes", "guessed"),
        [
            (IMAGES[0], "HWC", True),
            (IMAGES[0].transpose(2, 0, 1), "CHW", False),
            (IMAGES[0, :, :, 0], "HW", False),
            (IMAGES.transpose(0, 3, 1, 2), "NCHW", True),
            (IMAGES, "NHWC", True),
            (IMAGES[..., 0], "NHW", True),
            (IMAGES[:3, ..., 0], "NHW", False),
        ],
    )
    def test_axes_are_told_by_their_lengths_or_by_name(
        self, tmp_path: Path, how: str, array: np.ndarray, axes: str, guessed: bool
    ) -> None:
        many = IMAGES[: len(array)] if axes.startswith("N") else IMAGES[:1]
        expected = many if "C" in axes else many[..., :1]
        path = stored(tmp_path / "a", np.ascontiguousarray(array), how)
        assert np.array_equal(pixels(find_source(path, reading=Reading(axes))), expected)
        if not guessed:
            with pytest.raises(DataError, match=f"--axes.*{axes}|{axes}.*--axes"):
                find_source(path)
            return
        source = find_source(path)
        assert len(source.names) == len(expected)
        assert np.array_equal(pixels(source), expected)
        assert bool(source.notes) == (axes in ("HWC", "NCHW"))

    def test_axes_that_do_not_fit_are_refused(self, tmp_path: Path, how: str) -> None:
        path = stored(tmp_path / "a", IMAGES, how)
        with pytest.raises(DataError, match=r"expected an array \[image height width\], got shape"):
            find_source(path, reading=Reading("NHW"))
        with pytest.raises(DataError, match="Keep 1 or 3 channels"):
            find_source(path, reading=Reading("NCHW"))

    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.int64, np.float32, np.float64])
    def test_a_window_says_which_values_are_black_and_white(
        self, tmp_path: Path, how: str, dtype: type
    ) -> None:
        values = np.random.default_rng(0).integers(0, 250, (4, 6, 5)).astype(dtype)
        source = find_source(stored(tmp_path / "a", values, how), reading=Reading(window=(20, 200)))
        expected = np.rint((values.astype(float).clip(20, 200) - 20) / 180 * 255)
        assert np.array_equal(pixels(source)[..., 0], expected)

    def test_zeros_and_ones_are_looked_for_in_the_whole_file(self, tmp_path: Path, how: str) -> None:
        dark = np.random.default_rng(0).integers(0, 2, (300, 6, 5), np.uint8)
        assert pixels(find_source(stored(tmp_path / "a", dark, how), limit=10)).max() == 255
        dark[299, 0, 0] = 2
        for limit in (10, 299, 300):
            assert pixels(find_source(stored(tmp_path / "a", dark, how), limit=limit)).max() < 3

    @pytest.mark.parametrize("dtype", [np.uint8, np.bool_, np.float32, np.float64, ">f4", np.float16])
    def test_zero_and_one_are_black_and_white(self, tmp_path: Path, how: str, dtype: type) -> None:
        source = find_source(stored(tmp_path / "a", (IMAGES > 127).astype(dtype), how))
        assert np.array_equal(pixels(source), np.where(IMAGES > 127, 255, 0))

    def test_floats_are_rounded_to_levels(self, tmp_path: Path, how: str) -> None:
        source = find_source(stored(tmp_path / "a", (IMAGES / 255).astype(np.float32), how))
        assert np.array_equal(pixels(source), IMAGES)

    def test_floats_beyond_one_are_refused(self, tmp_path: Path, how: str) -> None:
        source = find_source(stored(tmp_path / "a", IMAGES.astype(np.float32), how))
        with pytest.raises(DataError, match=r"expected floats in \[0, 1\], got 0 to 255"):
            items(source)

    def test_an_image_that_is_not_finite_is_left_out_with_a_reason(self, tmp_path: Path, how: str) -> None:
        images = (IMAGES / 255).astype(np.float32)
        images[3, 0, 0, 0] = np.nan
        found = items(find_source(stored(tmp_path / "a", images, how)))
        assert found[3] == "has values that are not finite"
        assert np.array_equal(found[4], IMAGES[4])

    @pytest.mark.parametrize(
        ("array", "message"),
        [
            (IMAGES.astype(np.int64), "--window 0,4095"),
            (np.zeros((4, 8, 8, 4), np.uint8), "Keep 1 or 3 channels"),
            (np.zeros((109, 89, 4), np.uint8), "Keep 1 or 3 channels"),
            (np.zeros((4, 64), np.uint8), "one grey image, or pixels in a row.*--axes HW"),
            (np.zeros((3, 64, 60), np.uint8), "--axes NHW or --axes CHW"),
            (np.zeros((3, 64, 3), np.uint8), "--axes HWC or --axes CHW"),
            (np.zeros((9, 3, 64, 3), np.uint8), "--axes NHWC or --axes NCHW"),
            (np.zeros((2, 2, 2, 2, 2), np.uint8), "3 or 4 axes"),
            (np.zeros((0, 8, 8), np.uint8), "expected 1 to"),
        ],
    )
    def test_other_arrays_are_refused_with_advice(
        self, tmp_path: Path, how: str, array: np.ndarray, message: str
    ) -> None:
        with pytest.raises(DataError, match=message):
            find_source(stored(tmp_path / "a", array, how))


def test_axes_are_for_arrays(tmp_path: Path) -> None:
    photographs(tmp_path, "a.png")
    with pytest.raises(ConfigError, match="--axes is for"):
        find_source(tmp_path, reading=Reading("NHW"))


def test_the_images_of_an_npz_are_found_by_key_or_alone(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", imgs=IMAGES, other=IMAGES[:2], labels=np.arange(7))
    np.savez(tmp_path / "b.npz", photos=IMAGES, labels=np.arange(7))
    np.savez(tmp_path / "c.npz", one=IMAGES, two=IMAGES)
    assert len(find_source(tmp_path / "a.npz").names) == 7
    assert len(find_source(tmp_path / "b.npz").names) == 7
    with pytest.raises(DataError, match="one array"):
        find_source(tmp_path / "c.npz")


class Canary:
    """Unpickling it creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def test_official_dsprites_are_read_with_factors_and_without_their_pickle(tmp_path: Path) -> None:
    canary = tmp_path / "unpickled"
    classes = np.array([[0, shape, 5, 7, 1, 2] for shape in (0, 1, 2, 2)], np.int64)
    values = np.array([[1, shape + 1, 0.5, 1.25, 0.1, 0.9] for shape in (0, 1, 2, 2)], np.float64)
    images = (IMAGES[:4, :, :, 0] > 99).astype(np.uint8)
    path = tmp_path / "dsprites.npz"
    metadata = np.array([Canary(canary)], object)
    np.savez_compressed(path, metadata=metadata, imgs=images, latents_values=values, latents_classes=classes)
    source = find_source(path, skip=1)
    assert np.array_equal(pixels(source)[..., 0], images[1:] * 255)
    assert source.annotations.attributes.names == (
        "shape",
        "scale",
        "orientation",
        "position x",
        "position y",
    )
    assert source.annotations.attributes.kinds[:3] == ("categorical", "ordinal", "periodic")
    expected = np.array([[1, 0.5, 1.25, 0.1, 0.9], [2, 0.5, 1.25, 0.1, 0.9]], np.float32)
    assert np.array_equal(source.annotations.attributes.lookup(np.array([0, 2])), expected)
    assert not canary.exists()


def test_arrays_of_objects_are_never_unpickled(tmp_path: Path) -> None:
    canary = tmp_path / "unpickled"
    np.save(tmp_path / "a.npy", np.array([Canary(canary)], object))
    np.savez(tmp_path / "a.npz", imgs=np.array([Canary(canary)], object))
    for name in ("a.npy", "a.npz"):
        with pytest.raises(DataError):
            find_source(tmp_path / name)
    assert not canary.exists()


def header(shape: tuple[int, ...]) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return file.getvalue()


def test_an_archive_that_claims_more_than_it_has_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("imgs.npy", header((50_000_000, 64, 64)) + b"\0" * 64)
    with pytest.raises(DataError, match="does not have the size that it claims"):
        find_source(tmp_path / "a.npz")


def test_an_archive_that_unpacks_beyond_the_limit_is_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(arrays, "MAX_ARRAY_BYTES", 2**20)
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("imgs.npy", header((4096, 32, 32)) + bytes(4096 * 32 * 32))
    with pytest.raises(DataError, match="unpacked"):
        items(find_source(tmp_path / "a.npz"))


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_an_archive_that_is_packed_as_numpy_never_does_is_refused(tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w", method) as archive:
        archive.writestr("imgs.npy", header((4, 8, 8)) + bytes(4 * 8 * 8))
    with pytest.raises(DataError, match="numpy never does"):
        find_source(tmp_path / "a.npz")


def test_a_parquet_bomb_is_refused_unread(tmp_path: Path) -> None:
    cells = [bytes(2**20)] * 80  # 80 MB of zeros in a file of some kilobytes
    parquet.write_table(
        pa.table({"image": cells}), tmp_path / "a.parquet", compression="zstd", use_dictionary=False
    )
    assert (tmp_path / "a.parquet").stat().st_size < 100_000
    with pytest.raises(DataError, match="hardly shrink"):
        items(find_source(tmp_path / "a.parquet"))


def test_a_file_shorter_than_its_header_says_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(header((10**6, 64, 64)) + b"\0" * 64)
    with pytest.raises(DataError, match="ends early"):
        find_source(tmp_path / "a.npy")


@pytest.mark.parametrize("kind", ["npy", "npz", "packed npz", "parquet"])
@given(
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=6),
    end=st.floats(0, 1),
)
@settings(max_examples=60, deadline=None)
def test_mutated_files_are_read_or_refused(
    kind: str, changes: list[tuple[float, int]], end: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    base = tmp_path_factory.getbasetemp() / "mutated"
    base.mkdir(exist_ok=True)
    if kind == "parquet":
        path = base / "a.parquet"
        parquet.write_table(pa.table({"image": [picture(at) for at in range(3)]}), path)
    else:
        path = stored(base / kind.split()[0], IMAGES, kind)
    data = bytearray(path.read_bytes())
    for at, value in changes:
        data[int(at * (len(data) - 1))] = value
    path.write_bytes(data[: len(data) if end < 0.7 else int(len(data) * end)])
    try:
        found = items(find_source(path))
    except DataError:
        return
    assert found


@pytest.mark.parametrize("form", ["bytes", "struct"])
def test_parquet_gives_the_pictures_of_its_rows(tmp_path: Path, form: str) -> None:
    contents = [picture(at) for at in range(20)]
    cells = contents if form == "bytes" else [{"bytes": data, "path": "/etc/passwd"} for data in contents]
    table = pa.table({"label": list(range(20)), "image": cells})
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=6)
    assert items(find_source(tmp_path / "a.parquet")) == contents
    source = find_source(tmp_path / "a.parquet", skip=7, limit=10)
    assert items(source) == contents[7:17]
    assert source.names[0] == "00000007"
    assert source.kind == "parquet"


def test_parquet_rows_without_bytes_have_a_reason_and_no_path_is_followed(tmp_path: Path) -> None:
    photographs(tmp_path, "one.png")
    cells = [{"bytes": None, "path": str(tmp_path / "one.png")}, {"bytes": picture(1), "path": None}]
    parquet.write_table(pa.table({"img": cells}), tmp_path / "a.parquet")
    assert items(find_source(tmp_path / "a.parquet")) == ["the row holds no picture", picture(1)]


def test_parquet_without_pictures_is_refused(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"label": [1, 2]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"expected a column 'image'.*got label \(int64\)"):
        find_source(tmp_path / "a.parquet")
    parquet.write_table(pa.table({"image": pa.array([], pa.binary())}), tmp_path / "b.parquet")
    with pytest.raises(DataError, match="got 0"):
        find_source(tmp_path / "b.parquet")


def test_parquet_without_pyarrow_names_the_extra(tmp_path: Path, monkeypatch) -> None:
    parquet.write_table(pa.table({"image": [picture(0)]}), tmp_path / "a.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'pellucid\[parquet\]'"):
        find_source(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    ("columns", "advice"),
    [
        ({"image": ["a.png"]}, "paths in it are never followed"),
        ({"image": [[1, 2, 3]]}, "holds no encoded pictures: save numbers as .npy"),
        ({"image": pa.array([b"1"], pa.binary(1))}, "'image' as plain binary"),
        ({"label": [1]}, "Store the bytes of JPEG, PNG or WEBP files in a column 'image'"),
        ({"left": [b"1"], "right": [b"2"]}, "Call the one that is meant 'image': left or right"),
    ],
)
def test_a_table_without_pictures_is_told_what_to_do_by_what_it_holds(
    tmp_path: Path, columns: dict[str, list[object]], advice: str
) -> None:
    parquet.write_table(pa.table(columns), tmp_path / "x.parquet")
    with pytest.raises(DataError, match=advice):
        find_source(tmp_path / "x.parquet")


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("shard.tar", "mkdir pictures; tar -xf .*shard.tar -C pictures"),
        ("shard.tar.gz", "mkdir pictures; tar -xf .*shard.tar.gz -C pictures"),
        ("images.zip", "Unpack it, and name that folder."),
        ("one.png", "Name the folder that it lies in."),
        ("s3://bucket/images", "download it"),
        ("nowhere", "Check the path."),
    ],
)
def test_what_is_not_read_is_told_what_to_do(tmp_path: Path, name: str, advice: str) -> None:
    place = name if "://" in name else tmp_path / name
    for file in ("shard.tar", "shard.tar.gz", "images.zip", "one.png"):
        (tmp_path / file).write_bytes(picture(1))
    with pytest.raises(DataError, match=advice):
        find_source(Path(place))


def test_a_folder_of_shards_says_how_to_unpack_them(tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    for at in range(3):
        (tmp_path / "shards" / f"{at}.tar").write_bytes(b"tar")
    with pytest.raises(DataError, match=r"0\.tar: is a tar shard.*Unpack it: tar -xf 0\.tar"):
        find_source(tmp_path / "shards")
