"""`open_dataset` on real files of every kind."""

import hashlib
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pellucid.data import sprites
from pellucid.data.dataset import balanced, name_positions, row_positions
from pellucid.data.images import Preprocessing, read_image
from pellucid.data.store import open_dataset
from pellucid.errors import ConfigError, DataError

CELEBA = Path(__file__).parents[3] / "shared" / "data" / "celeba"


def photographs(root: Path, names: list[str]) -> Path:
    for at, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(at).integers(0, 256, (40, 50, 3), np.uint8)
        Image.fromarray(pixels).save(root / name, "PNG")
    return root


def celeba(root: Path, count: int) -> Path:
    names = [f"{at:06d}.jpg" for at in range(1, count + 1)]
    photographs(root / "img_align_celeba", names)
    rows = "".join(f"{name} {'1' if at % 3 else '-1'} -1\n" for at, name in enumerate(names))
    (root / "list_attr_celeba.txt").write_text(f"{count}\nSmiling Bald\n{rows}")
    return root


def test_a_folder_becomes_images_names_and_parts(tmp_path: Path) -> None:
    names = [f"{at:03d}.png" for at in range(40)]
    data = open_dataset(photographs(tmp_path / "holiday", names), size=32)
    assert data.description == "40 photographs from holiday, centre crop"
    assert (data.kind, len(data), tuple(data.names)) == ("folder", 40, tuple(names))
    assert data.preprocessing == Preprocessing(32, 3, "center")
    assert data.attributes is None
    rows = np.array([3, 1, 3])
    expected = np.stack([read_image(tmp_path / "holiday" / names[row], data.preprocessing) for row in rows])
    assert np.array_equal(data.fetch(rows), expected)
    assert torch.equal(data.batch(rows), torch.from_numpy(expected).permute(0, 3, 1, 2) / 255)


def test_the_parts_are_those_of_the_names_hashes(tmp_path: Path) -> None:
    names = [f"{at:03d}.png" for at in range(60)]
    data = open_dataset(photographs(tmp_path, names), size=32)
    for name, part in zip(data.names, data.split, strict=True):
        position = int(hashlib.sha256(name.encode()).hexdigest()[:16], 16) / 2**64
        assert part == (0 if position < 0.90 else 1 if position < 0.95 else 2)
    parts = [set(data.rows(part).tolist()) for part in ("train", "validation", "test")]
    assert set.union(*parts) == set(data.rows("all").tolist()) == set(range(60))
    assert parts[1] | parts[2] == set(data.rows("held-out").tolist())


def test_an_image_stays_in_its_part_when_others_are_added(tmp_path: Path) -> None:
    names = [f"{at:03d}.png" for at in range(80)]
    before = open_dataset(photographs(tmp_path, names), size=32)
    after = open_dataset(photographs(tmp_path, [*names, "a.png", "010b.png"]), size=32)
    parts = dict(zip(after.names, after.split.tolist(), strict=True))
    assert [parts[name] for name in before.names] == before.split.tolist()


@given(st.lists(st.floats(0, 1), min_size=3, max_size=40))
def test_train_and_validation_are_never_empty(positions: list[float]) -> None:
    split = balanced(np.array(positions))
    assert {0, 1} <= set(split.tolist())
    plain = np.array([0 if p < 0.90 else 1 if p < 0.95 else 2 for p in positions])
    assert (split != plain).sum() <= 2
    if {0, 1} <= set(plain.tolist()):
        assert np.array_equal(split, plain)


def test_row_positions_divide_evenly() -> None:
    counts = np.bincount(balanced(row_positions(np.arange(200_000)))) / 200_000
    assert np.abs(counts - [0.90, 0.05, 0.05]).max() < 0.002


def test_copies_are_told_and_never_held_out_from_each_other(tmp_path: Path) -> None:
    names = [f"{at:03d}.png" for at in range(60)]
    photographs(tmp_path, names)
    parts = dict(zip(names, open_dataset(tmp_path, size=32).split.tolist(), strict=True))
    first = next(name for name in names if parts[name] == 0)
    held_out = next(name for name in names if parts[name] == 1)
    copies = [f"copy{at}.png" for at in range(40)]
    for at, copy in enumerate(copies):
        (tmp_path / copy).write_bytes((tmp_path / (held_out if at % 2 else first)).read_bytes())
    for _ in range(2):  # decoded, then from the cache
        data = open_dataset(tmp_path, size=32)
        parts = dict(zip(data.names, data.split.tolist(), strict=True))
        assert {parts[copy] for copy in copies[::2]} == {parts[first]} == {0}
        assert {parts[copy] for copy in copies[1::2]} == {parts[held_out]} == {1}
        assert {data.names[row] for row in data.copies} == set(copies)
        assert {data.names[row] for row in data.copies.values()} == {first, held_out}
        (note,) = data.notes
        assert note.startswith("40 images are copies of others, pixel for pixel: copy0.png of ")


def test_celebas_own_partition_is_used_where_it_gives_both_parts(tmp_path: Path) -> None:
    root = celeba(tmp_path, 12)
    hashed = open_dataset(root, size=32).split.tolist()
    assert hashed == balanced(name_positions([f"{at:06d}.jpg" for at in range(1, 13)])).tolist()
    parts = [0] * 6 + [1] * 2 + [2] * 3
    lines = [f"{at:06d}.jpg {part}" for at, part in enumerate(parts, start=1)]
    (root / "list_eval_partition.txt").write_text("\n".join(lines) + "\n")
    assert open_dataset(root, size=32).split.tolist() == [*parts, hashed[11]]
    only_train = open_dataset(root, size=32, limit=5)
    assert {0, 1} <= set(only_train.split.tolist())


def test_celeba_has_its_crop_and_attributes(tmp_path: Path) -> None:
    root = celeba(tmp_path, 5)
    (root / "img_align_celeba" / "000002.jpg").write_bytes(b"\xff\xd8\xff broken")
    data = open_dataset(root, size=32)
    assert data.kind == "celeba"
    assert data.preprocessing.crop == "celeba"
    assert [name for name, _ in data.skipped] == ["000002.jpg"]
    assert data.description.endswith("(CelebA layout), face crop, 1 unreadable left out")
    assert data.names[1] == "000003.jpg"
    assert data.attributes.lookup(np.array([1, 2, 0])).tolist() == [[1, 0], [0, 0], [0, 0]]
    assert open_dataset(root, size=32, crop="whole", channels=1).fetch(np.array([0])).shape == (1, 32, 32, 1)


def test_five_percent_damaged_pictures_are_left_out_and_listed(tmp_path: Path) -> None:
    names = [f"{at:03d}.png" for at in range(100)]
    photographs(tmp_path, names)
    for name in names[::20]:
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-200])
    data = open_dataset(tmp_path, size=32)
    assert len(data) == 95
    assert [name for name, _ in data.skipped] == names[::20]
    assert data.rows("all").tolist() == list(range(95))
    last = read_image(tmp_path / "099.png", data.preprocessing)
    assert np.array_equal(data.fetch(np.array([94]))[0], last)


def test_arrays_keep_their_channels_and_row_numbers(tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((30, 32, 32)).astype(np.float32)
    images[4] = np.inf
    np.save(tmp_path / "a.npy", images)
    data = open_dataset(tmp_path / "a.npy", size=32, skip=2)
    assert data.preprocessing == Preprocessing(32, 1, "center")
    assert list(data.names)[:3] == ["00000002", "00000003", "00000005"]
    assert data.skipped == (("00000004", "has values that are not finite"),)
    assert np.array_equal(data.fetch(np.array([2]))[0, :, :, 0], np.rint(images[5] * 255))
    resized = open_dataset(tmp_path / "a.npy", size=64, channels=3)
    assert resized.fetch(np.array([0, 1])).shape == (2, 64, 64, 3)


def test_parquet_pictures_are_decoded(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.new("RGB", (9, 9), (1, 2, 3)).save(file, "PNG")
    table = pa.table({"image": [{"bytes": file.getvalue(), "path": None}, {"bytes": b"bad", "path": None}]})
    parquet.write_table(table, tmp_path / "a.parquet")
    data = open_dataset(str(tmp_path / "a.parquet"), size=32)
    assert (data.fetch(np.array([0])) == [1, 2, 3]).all()
    assert data.skipped[0][0] == "00000001"
    assert "expected a JPEG" in data.skipped[0][1]


def test_sprites_are_drawn_from_their_factors() -> None:
    data = open_dataset("sprites")
    assert len(data) == len(data.names) == 737_280
    assert data.preprocessing == Preprocessing(64, 1, "center")
    assert (data.kind, data.skipped) == ("sprites", ())
    row = np.ravel_multi_index((2, 5, 7, 11, 30), sprites.SIZES)
    rows = np.array([row, 0])
    drawn = sprites.render(np.array([[2, 5, 7, 11, 30], [0, 0, 0, 0, 0]]))
    assert np.array_equal(data.fetch(rows)[..., 0], drawn * 255)
    values = data.attributes.lookup(rows)
    assert values[:, 0].tolist() == [2, 0]
    assert values[:, 1].tolist() == [1, 0.5]
    assert data.names[row] == f"{row:08d}"
    part = open_dataset("sprites", skip=int(row), limit=3)
    assert np.array_equal(part.fetch(np.array([0])), data.fetch(rows[:1]))
    assert part.fingerprint != data.fingerprint == open_dataset("sprites").fingerprint


@pytest.mark.parametrize(
    "setting", [{"size": 32}, {"channels": 3}, {"crop": "celeba"}, {"skip": 737_280}, {"limit": 0}]
)
def test_sprites_of_other_forms_are_refused(setting: dict) -> None:
    with pytest.raises(ConfigError):
        open_dataset("sprites", **setting)


def test_skip_and_limit_select_before_everything_else(tmp_path: Path) -> None:
    names = [f"{at}.png" for at in range(9)]
    photographs(tmp_path, names)
    (tmp_path / "0.png").write_bytes(b"bad")
    data = open_dataset(tmp_path, size=32, skip=1, limit=4)
    assert data.names == ("1.png", "2.png", "3.png", "4.png")
    assert data.skipped == ()
    with pytest.raises(ConfigError, match="skip"):
        open_dataset(tmp_path, size=32, skip=9)


def test_settings_are_checked_before_files_are(tmp_path: Path) -> None:
    for setting in ({"size": 63}, {"channels": 2}, {"workers": -1}):
        with pytest.raises(ConfigError):
            open_dataset(tmp_path / "missing", **setting)
    with pytest.raises(DataError, match="got nothing there"):
        open_dataset(tmp_path / "missing")


@pytest.mark.skipif(not CELEBA.is_dir(), reason="CelebA's photographs are not beside the checkout")
def test_real_photographs_open_with_their_attributes() -> None:
    data = open_dataset(CELEBA, skip=7000, limit=50)
    assert (len(data), data.names[0], data.skipped) == (50, "007001.jpg", ())
    lines = (CELEBA / "list_attr_celeba.txt").read_text().splitlines()
    line = next(line for line in lines if line.startswith("007003"))
    signs = np.array([float(sign) for sign in line.split()[1:]])
    assert np.array_equal(data.attributes.lookup(np.array([2]))[0], (signs + 1) / 2)
    assert 60 < data.fetch(data.rows("all")).mean() < 190


def test_a_sample_of_rows_is_the_same_every_time_and_from_everywhere() -> None:
    data = open_dataset("sprites")
    rows = data.rows("validation", at_most=3000)
    assert np.array_equal(rows, data.rows("validation", at_most=3000))
    assert len(rows) == len(set(rows.tolist())) == 3000
    assert set(rows.tolist()) <= set(data.rows("validation").tolist())
    assert np.allclose(np.bincount(sprites.indices_of(rows)[:, 0]) / 3000, 1 / 3, atol=0.04)
    assert np.array_equal(data.rows("test", at_most=10**9), data.rows("test"))


def test_the_origin_opens_the_same_images_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photographs(tmp_path / "holiday", [f"{at:03d}.png" for at in range(9)])
    monkeypatch.chdir(tmp_path)
    data = open_dataset("holiday", size=32, skip=2, limit=5)
    monkeypatch.chdir("/")
    source, skip, limit = (data.origin[key] for key in ("source", "skip", "limit"))
    assert open_dataset(str(source), size=32, skip=skip, limit=limit).fingerprint == data.fingerprint  # type: ignore[arg-type]
