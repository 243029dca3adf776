"""Folders with tables in every layout that people have, opened as `train` opens them."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pellucid.data.source import Source
from pellucid.data.sources import find_source
from pellucid.errors import DataError

TXT = "2\nBald Young\n000001.jpg 1 -1\n000002.jpg -1 -1\n"
CSV = "image_id,Bald,Young\n000001.jpg,1,-1\n000002.jpg,-1,-1\n"
PARTS = {"list_eval_partition.txt": "000001.jpg 2\n000002.jpg 0\n"}
PARTS_CSV = {"list_eval_partition.csv": "image_id,partition\n000001.jpg,2\n000002.jpg,0\n"}


def layout(root: Path, images: list[str], tables: dict[str, str]) -> Path:
    file = io.BytesIO()
    Image.new("L", (8, 8)).save(file, "PNG")
    for name, content in {**dict.fromkeys(images, file.getvalue()), **tables}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def values(source: Source) -> dict[str, list[float]]:
    known = source.annotations.attributes
    table = known.lookup(np.arange(len(source.names)))
    return dict(zip(known.names, np.where(np.isnan(table), -9, table).T.tolist(), strict=True))


def kinds(source: Source) -> dict[str, str]:
    known = source.annotations.attributes
    return dict(zip(known.names, known.kinds, strict=True))


MMLAB = {
    "Anno/list_attr_celeba.txt": TXT,
    "Eval/list_eval_partition.txt": PARTS["list_eval_partition.txt"],
}


@pytest.mark.parametrize(
    ("folder", "ending", "tables"),
    [
        ("img_align_celeba", "jpg", {"list_attr_celeba.txt": TXT, **PARTS}),
        ("img_align_celeba/img_align_celeba", "jpg", {"list_attr_celeba.csv": CSV, **PARTS_CSV}),
        ("Img/img_align_celeba", "jpg", MMLAB),
        ("Img/img_align_celeba_png", "png", MMLAB),
    ],
    ids=["torchvision", "Kaggle", "mmlab", "mmlab PNG"],
)
def test_every_layout_of_celeba_is_read(
    tmp_path: Path, folder: str, ending: str, tables: dict[str, str]
) -> None:
    images = [f"{folder}/00000{at}.{ending}" for at in (1, 2, 3)]
    source = find_source(layout(tmp_path, images, tables))
    assert (source.kind, source.crop) == ("celeba", "celeba")
    assert next(source.chunks())[0] == tmp_path / folder / f"000001.{ending}"
    assert source.names == tuple(f"00000{at}.{ending}" for at in (1, 2, 3))
    assert values(source) == {"Bald": [1, 0, -9], "Young": [0, 0, -9]}
    assert set(kinds(source).values()) == {"binary"}
    assert source.annotations.partition.tolist() == [2, 0, 255]
    assert sum("2 of 3 images matched" in note for note in source.annotations.notes) == 2


def test_celebas_identities_are_read_and_its_boxes_are_not_attributes(tmp_path: Path) -> None:
    tables = {
        "Anno/identity_CelebA.txt": "000001.jpg 2880\n000002.jpg 12\n000003.jpg 2880\n",
        "Anno/list_bbox_celeba.csv": "image_id,x_1\n000001.jpg,95\n",
    }
    images = [f"Img/img_align_celeba/00000{at}.jpg" for at in (1, 2, 3, 4)]
    known = find_source(layout(tmp_path, images, tables)).annotations
    assert known.attributes is None
    who = known.identity.tolist()
    assert who[0] == who[2] != who[1]
    assert who[3] == -1
    assert known.notes == (
        "Anno/identity_CelebA.txt: identities; 3 of 4 images matched.",
        "Tables that were seen and are not used: Anno/list_bbox_celeba.csv.",
    )


def test_a_malformed_table_of_celeba_stops_and_another_one_is_told(tmp_path: Path) -> None:
    layout(tmp_path, ["a.png"], {"labels.csv": "file,hat\na.png,1,2\n"})
    (note,) = find_source(tmp_path).annotations.notes
    assert note.startswith("labels.csv: not used. ")
    assert "line 2" in note
    layout(tmp_path, [], {"list_attr_celeba.txt": "3\nBald\na.png 1\n"})
    with pytest.raises(DataError, match=r"list_attr_celeba\.txt, line 1"):
        find_source(tmp_path)


def test_base_names_label_no_image_twice(tmp_path: Path) -> None:
    images = ["good/000.png", "hole/000.png", "hole/001.png"]
    source = find_source(layout(tmp_path, images, {"labels.csv": "file,hat\n000.png,1\n001.png,0\n"}))
    assert values(source) == {"hat": [-9, -9, 0]}
    assert source.annotations.notes == (
        "labels.csv: 1 attribute (hat); 1 of 3 images matched. Names that could mean several images, or "
        "stand more than once: 000.png.",
    )


def test_relative_paths_are_matched_in_whatever_case_and_with_any_ending(tmp_path: Path) -> None:
    table = "path,hat\n./GOOD/000.JPG,1\nhole\\000,0\n"
    source = find_source(layout(tmp_path, ["good/000.png", "hole/000.png"], {"labels.csv": table}))
    assert values(source) == {"hat": [1, 0]}


def test_kinds_follow_from_the_values_and_what_is_missing_is_unknown(tmp_path: Path) -> None:
    table = (
        "file,bit,sign,said,age,lens,left,right,caption,empty\n"
        "a.png,1,-1,Yes,31,Zeiss,0,unknown,a dog,\n"
        "b.png,0,1,no,NA,unknown,1,0,a cat,\n"
        "c.png,,1,unknown,2.5,Leica,2,1,a cow,\n"
        "d.png,?,-1,TRUE,-7,Zeiss,,0,a hen,\n"
    )
    source = find_source(layout(tmp_path, [f"{name}.png" for name in "abcd"], {"labels.csv": table}))
    assert kinds(source) == {
        "bit": "binary",
        "sign": "binary",
        "said": "binary",
        "age": "ordinal",
        "lens": "categorical",
        "left": "ordinal",
        "right": "binary",
    }
    assert values(source) == {
        "bit": [1, 0, -9, -9],
        "sign": [0, 1, 1, 0],
        "said": [1, 0, -9, 1],
        "age": [31, -9, 2.5, -7],
        "lens": [1, 2, 0, 1],
        "left": [0, 1, 2, -9],
        "right": [-9, 0, 1, 0],
    }
    (note,) = source.annotations.notes
    assert "lens is Leica or Zeiss or unknown" in note
    assert "Columns not used: caption (text), empty (empty)." in note


def test_a_table_without_names_of_columns_is_told(tmp_path: Path) -> None:
    table = {"labels.csv": "a.png,cat\nb.png,dog\nc.png,cat\n"}
    source = find_source(layout(tmp_path, ["a.png", "b.png", "c.png"], table))
    assert source.annotations.attributes is None
    assert source.annotations.notes == (
        "labels.csv: not used, its first line names an image, a.png, and not the columns. Put a line with "
        "their names before it, as file_name,label.",
    )


def test_metadata_of_folders_below_is_relative_to_them(tmp_path: Path) -> None:
    tables = {
        "train/metadata.csv": "file_name,lens,identity\n0.png,Zeiss,ann\n1.png,Leica,bob\n2.png,Leica,ann\n",
        "test/metadata.jsonl": '{"file_name": "0.png", "lens": "Cooke", "identity": "bob"}\n',
        "test/labels.csv": "file_name,lens\n0.png,no\n",
    }
    source = find_source(layout(tmp_path, ["test/0.png", "train/0.png", "train/1.png"], tables))
    assert values(source) == {"lens": [0, 2, 1]}  # Cooke, Leica, Zeiss: the same numbers in both tables
    who = source.annotations.identity.tolist()
    assert who[0] == who[2] != who[1]
    assert source.annotations.notes[-1] == "Tables that were seen and are not used: test/labels.csv."


def test_tables_that_match_nothing_contradict_or_are_our_own_are_told(tmp_path: Path) -> None:
    tables = {
        "a.csv": "file,hat\n0.png,1\n",
        "b.csv": "file,hat\n0.png,0\n",
        "c.csv": "file,cap\nx/9.png,0\n",
        "d.csv": "image,mse,z0\n0.png,1,2\n",
    }
    known = find_source(layout(tmp_path, ["0.png"], tables)).annotations
    assert known.attributes is None
    told = "\n".join(known.notes)
    assert "hat (in two tables)" in told
    assert "c.csv: not used, 0 of 1 images matched. Its column 'file' holds x/9.png ..." in told
    assert "d.csv: not used, it holds what Pellucid has measured." in told


@pytest.mark.parametrize("opened", ["img_align_celeba", "Img/img_align_celeba"])
def test_tables_beside_the_folder_of_images_are_told(tmp_path: Path, opened: str) -> None:
    root = layout(tmp_path / "faces", [f"{opened}/000001.jpg"], {"list_attr_celeba.csv": CSV})
    (note,) = find_source(root / opened).annotations.notes
    assert "list_attr_celeba.csv (name the folder faces to use it)" in note


def test_what_is_selected_is_what_is_counted(tmp_path: Path) -> None:
    layout(tmp_path, [f"{at}.png" for at in range(9)], {"labels.csv": "file,hat\n3.png,1\n5.png,0\n"})
    source = find_source(tmp_path, skip=3, limit=2)
    assert values(source) == {"hat": [1, -9]}
    assert "1 of 2 images matched" in source.annotations.notes[0]


@pytest.mark.parametrize(("skip", "limit"), [(0, 1), (1, None), (0, None)])
def test_a_name_that_means_several_images_means_none_whichever_are_wanted(
    tmp_path: Path, skip: int, limit: int | None
) -> None:
    layout(tmp_path, ["crack/000.png", "hole/000.png"], {"labels.csv": "file,hat\n000.png,1\n"})
    source = find_source(tmp_path, skip=skip, limit=limit)
    assert source.annotations.attributes is None
    assert "0 of" in source.annotations.notes[0]
    assert "could mean several images" in source.annotations.notes[0]


def test_the_tests_of_mvtecs_layout_do_not_lend_their_names_to_the_training(tmp_path: Path) -> None:
    images = ["train/good/000.png", "test/hole/000.png"]
    source = find_source(layout(tmp_path, images, {"labels.csv": "file,hat\n000.png,1\n"}))
    assert source.names == ("train/good/000.png",)
    assert source.annotations.attributes is None
