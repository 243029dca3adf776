from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pellucid.errors import DataError
from pellucid.reproduction.material import (
    crops_of,
    judged_images,
    learned_and_judged,
    names_sha256,
    training_images,
)
from pellucid.reproduction.settings import Settings
from pellucid.reproduction.watching import SILENT, Watch


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """40 flat faces, each of its own grey, and 12 flat others, six of them crops of two pictures."""
    for folder, names in (
        ("celeba", [f"{i:03d}.png" for i in range(40)]),
        (
            "nonfaces",
            [f"tree{i}.png" for i in range(6)] + [f"street{i}_{j}.png" for i in (1, 2) for j in range(3)],
        ),
    ):
        (tmp_path / folder).mkdir()
        for i, name in enumerate(names):
            Image.fromarray(np.full((70, 70, 3), 5 * i, np.uint8)).save(tmp_path / folder / name)
    return tmp_path


def test_the_last_thousand_or_an_eighth_are_kept_from_training() -> None:
    assert learned_and_judged(8000, 1000) == 7000
    assert learned_and_judged(202_599, 1000) == 201_599
    assert learned_and_judged(800, 1000) == 700
    with pytest.raises(DataError, match="at least 16"):
        learned_and_judged(15, 1000)


def test_no_image_is_both_learned_from_and_judged_by(photographs: Path) -> None:
    settings = Settings(data=str(photographs), images=8)
    learned = training_images(settings, "faces", SILENT)
    judged = judged_images(settings, "faces", SILENT)
    normal = [name for name, usual in zip(judged.names, judged.normal, strict=True) if usual]
    assert sorted([*learned.names, *normal]) == [f"{i:03d}.png" for i in range(40)]
    assert normal == ["035.png", "036.png", "037.png", "038.png", "039.png"]
    assert int((~judged.normal).sum()) == 8
    greys = judged.images[:5].amax(dim=(1, 2, 3))
    assert greys.tolist() == pytest.approx([5 * i / 255 for i in range(35, 40)])


def test_simulated_people_are_judged_by_others_than_they_were_learned_from() -> None:
    settings = Settings(images=5)
    learned, judged = training_images(settings, "people", SILENT), judged_images(settings, "people", SILENT)
    assert len(learned) == 999_995
    assert judged.names[:5] == tuple(f"{row:08d}" for row in range(999_995, 1_000_000))
    assert learned.names[len(learned) - 1] == "00999994"
    assert judged.normal.tolist() == [True] * 5 + [False] * 5


def test_crops_of_a_picture_stay_together_and_counted_pictures_do_not() -> None:
    assert crops_of(["a_0.jpg", "b.jpg", "a_1.jpg", "c_0.jpg"]).tolist() == [0, 0, -2, 0]
    assert not crops_of([f"IMG_{i:04d}.jpg" for i in range(50)]).any()


def test_groups_of_the_judged_images_join_crops_only(photographs: Path) -> None:
    judged = judged_images(Settings(data=str(photographs), images=12), "faces", SILENT)
    groups = dict(zip(judged.names, judged.groups.tolist(), strict=True))
    assert groups["street1_0.png"] == groups["street1_2.png"] != groups["street2_0.png"]
    assert len(set(groups.values())) == len(judged.names) - 4


def test_faces_and_others_that_cannot_be_read_are_said(photographs: Path) -> None:
    for damaged in ("celeba/003.png", "celeba/036.png", "nonfaces/tree2.png"):
        (photographs / damaged).write_bytes(b"no picture")
    said = list[str]()
    settings, watch = Settings(data=str(photographs), images=8), Watch(say=said.append)
    training_images(settings, "faces", watch)
    judged_images(settings, "faces", watch)
    expected = [
        f"1 image is left out, because it cannot be read: {n}." for n in ("003.png", "036.png", "tree2.png")
    ]
    assert said == expected


def test_images_that_come_or_go_change_the_checksum(photographs: Path) -> None:
    before = names_sha256(photographs)
    (photographs / "nonfaces" / "tree0.png").unlink()
    assert names_sha256(photographs) != before


def test_a_folder_without_the_two_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "celeba").mkdir()
    Image.fromarray(np.zeros((70, 70, 3), np.uint8)).save(tmp_path / "celeba" / "a.png")
    with pytest.raises(DataError, match="no nonfaces"):
        names_sha256(tmp_path)
