import pytest

from pellucid.data.roles import in_normal_folder, notes_on_roles, to_train_on

BOTTLE = [
    "ground_truth/hole/000_mask.png",
    "test/good/000.png",
    "test/hole/000.png",
    "train/good/000.png",
    "train/good/001.png",
]


def test_of_mvtecs_layout_the_training_images_are_left() -> None:
    kept, note = to_train_on(BOTTLE)
    assert kept.tolist() == [False, False, False, True, True]
    assert "2 images in train/, not the 3 in test/ and ground_truth/" in note


def test_of_all_categories_each_is_known_by_itself() -> None:
    names = [f"bottle/{name}" for name in BOTTLE] + ["tests/good/0.png", "zoo/test/lion.png"]
    kept, _ = to_train_on(names)
    assert [name for name, keep in zip(names, kept, strict=True) if keep] == [
        "bottle/train/good/000.png",
        "bottle/train/good/001.png",
        "tests/good/0.png",
        "zoo/test/lion.png",
    ]


@pytest.mark.parametrize("missing", ["train", "test"])
def test_other_folders_are_read_whole(missing: str) -> None:
    kept, note = to_train_on([name for name in BOTTLE if not name.startswith(missing)])
    assert kept.all()
    assert note == ""


def test_normal_folders_are_known_in_whatever_case_and_files_do_not_count() -> None:
    names = ["good/0.png", "a/OK/b/0.png", "good.png", "goods/0.png", "Normal/0.png"]
    assert in_normal_folder(names).tolist() == [True, True, False, False, True]


def test_masks_and_defects_beside_good_ones_are_told() -> None:
    told = list(notes_on_roles([name for name in BOTTLE if not name.startswith("train")]))
    assert told == [
        "1 of 3 images seem to be masks, as ground_truth/hole/000_mask.png, and are read like the others. "
        "Name a folder without them.",
        "Beside 1 images in folders called good, normal or ok lie others: hole (1).",
    ]
    assert not list(notes_on_roles(["a/0.png", "b/1.png", "2.png"]))
    assert not list(notes_on_roles(["good/0.png", "1.png"]))
    assert not list(notes_on_roles(["mask/0.png", "mask/1.png"]))  # a set of masks is a set of images
