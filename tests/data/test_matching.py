import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.data.matching import match

TWO = ("crack/000.jpg", "hole/000.jpg")


@pytest.mark.parametrize(
    ("files", "names", "rows"),
    [
        (["b.jpg", "a.jpg"], ["a.jpg", "b.jpg", "c.jpg"], [1, 0, -1]),
        # Relative paths, with whatever stands before or is left out before.
        (["hole/000.jpg", "crack/000.jpg"], TWO, [1, 0]),
        ([r".\hole\000.jpg", "./crack/000.jpg"], TWO, [1, 0]),
        (["/data/bottle/hole/000.jpg"], TWO, [-1, 0]),
        (["hole/000.jpg"], ["bottle/test/hole/000.jpg"], [0]),
        # A base name only if it can mean one image; and one image only what one name can mean.
        (["000.jpg"], TWO, [-1, -1]),
        (["001.jpg"], ["crack/000.jpg", "hole/001.jpg"], [-1, 0]),
        (["hole/000.jpg", "000.jpg"], TWO, [-1, 0]),
        (["hole/000.jpg", "crack/000.jpg"], ["000.jpg"], [-1]),
        (["a.jpg", "a.jpg"], ["a.jpg"], [-1]),
        # Two paths that contradict each other are not the same image.
        (["crack/000.jpg"], ["hole/000.jpg"], [-1]),
        # The same path counts more than the same end, and a longer end more than a shorter one.
        (["000.jpg"], ["000.jpg", "hole/000.jpg"], [0, -1]),
        (["data/hole/000.jpg", "data/000.jpg"], ["000.jpg", "hole/000.jpg"], [1, 0]),
        # In whatever case and with whatever ending, if that leaves one.
        (["A.JPG"], ["a.jpg"], [0]),
        (["a.JPG"], ["A.jpg", "a.jpg"], [-1, -1]),
        (["A.jpg"], ["A.jpg", "a.jpg"], [0, -1]),
        (["000001.jpg", "000002"], ["000001.png", "000002.webp"], [0, 1]),
        (["a"], ["a.png", "a.jpg"], [-1, -1]),
        (["a.jpg"], ["a.png", "a.jpg"], [-1, 0]),
        (["a.1"], ["a.1.png", "a.2.png"], [0, -1]),
        (["HOLE/000"], TWO, [-1, 0]),
        (["Zoe\u0308.png"], ["Zo\u00eb.png"], [0]),
        (["a", ""], ["a.png"], [0]),
    ],
)
def test_rows_go_to_the_image_they_name(files: list[str], names: list[str], rows: list[int]) -> None:
    assert match(files, names).rows.tolist() == rows


def test_names_that_could_mean_several_images_are_told() -> None:
    assert match(["000.jpg", "hole/000.jpg", "elsewhere/1.jpg"], TWO).ambiguous == ("000.jpg",)


PATHS = [
    "/".join(parts) for n in (1, 2, 3) for parts in itertools.product(("a", "b"), ("A", "a"), ("b",)[: n - 1])
]


@given(
    st.lists(st.sampled_from(PATHS)), st.lists(st.sampled_from(PATHS), min_size=1, unique=True), st.randoms()
)
def test_the_order_of_rows_and_images_changes_nothing_and_no_row_is_used_twice(files, names, chance) -> None:
    def pairs(files: list[str], names: list[str]) -> set[tuple[str, str]]:
        rows = match(files, names).rows.tolist()
        used = [row for row in rows if row >= 0]
        assert len(set(used)) == len(used)
        return {(names[at], files[row]) for at, row in enumerate(rows) if row >= 0}

    found = pairs(files, names)
    assert all(files.count(name) == 1 for name in names if (name, name) in found)
    assert {name for name in names if files.count(name) == 1} == {a for a, b in found if a == b}
    other_files, other_names = list(files), list(names)
    chance.shuffle(other_files)
    chance.shuffle(other_names)
    assert pairs(other_files, other_names) == found
