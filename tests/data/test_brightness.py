"""Sets of images that show hardly anything, opened as `train` opens them."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pellucid.data.axes import check_axes
from pellucid.data.store import open_dataset
from pellucid.errors import ConfigError

CHANCE = np.random.default_rng(0)


def saved(root: Path, pixels: np.ndarray) -> Path:
    for at, image in enumerate(pixels):
        Image.fromarray(image).save(root / f"{at}.png")
    return root


def note(path: Path, **options: object) -> str:
    """What is said; the same when it comes out of the cache."""
    first, again = (open_dataset(path, size=32, **options).notes for _ in range(2))
    assert first == again
    return " ".join(text for text in first if "copies of" not in text)


@pytest.mark.parametrize(("bits", "window"), [(10, "0,1023"), (12, "0,4095"), (14, "0,16383")])
def test_few_bits_in_16_are_told_with_their_range_and_the_window_uses_them(
    tmp_path: Path, bits: int, window: str
) -> None:
    values = CHANCE.integers(0, 2**bits, (5, 40, 40)).astype(np.uint16)
    values[:, 0, 0], values[:, 0, 1] = 0, 2**bits - 1
    told = note(saved(tmp_path, values))
    assert f"the values found are 0 to {2**bits - 1:,}, of 0 to 65,535" in told
    assert f"train with --window {window}." in told
    low, high = map(float, window.split(","))
    assert note(tmp_path, window=(low, high)) == ""
    shown = open_dataset(tmp_path, size=32, window=(low, high)).fetch(np.arange(5))
    assert (shown.min(), shown.max()) == (0, 255)


@pytest.mark.parametrize(("value", "word"), [(0, "black"), (255, "white"), (97, "alike")])
def test_sets_of_one_value_are_told(tmp_path: Path, value: int, word: str) -> None:
    told = note(saved(tmp_path, np.full((4, 40, 40), value, np.uint8)))
    assert told == (
        f"All pixels of all images are {word}: the only value found is {value}. There is nothing to learn "
        "from them."
    )


def test_sets_of_equal_images_are_told(tmp_path: Path) -> None:
    pixels = np.broadcast_to(CHANCE.integers(0, 256, (40, 40)).astype(np.uint8), (4, 40, 40))
    (told,) = open_dataset(saved(tmp_path, pixels), size=32).notes
    assert told.startswith("3 images are copies of others")


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (
            CHANCE.integers(0, 6, (5, 40, 40)).astype(np.uint8),
            "are 0 to 5. To use the whole range, train with --window 0,7.",
        ),
        (CHANCE.random((5, 40, 40)) / 50, "train with --window 0,0.0199"),
        (CHANCE.integers(0, 2, (5, 40, 40)).astype(np.uint8), "All bytes of the array are 0 or 1"),
        (CHANCE.integers(0, 256, (5, 40, 40)).astype(np.uint8), ""),
        (np.zeros((5, 40, 40), np.uint8), "All pixels of all images are black: the only value found is 0."),
    ],
)
def test_arrays_are_told_in_their_own_values(tmp_path: Path, array: np.ndarray, told: str) -> None:
    np.save(tmp_path / "a.npy", array)
    found = note(tmp_path / "a.npy")
    assert told in found
    assert bool(found) == bool(told)


def test_a_set_that_is_drawn_has_no_window_and_no_axes() -> None:
    with pytest.raises(ConfigError, match="is drawn"):
        open_dataset("people", window=(0, 1))
    with pytest.raises(ConfigError, match="axes: expected one of HW"):
        check_axes("NHX")


def test_dark_pictures_of_8_bits_are_told_their_own_range(tmp_path: Path) -> None:
    saved(tmp_path, CHANCE.integers(0, 30, (4, 40, 40)).astype(np.uint8))
    told = note(tmp_path)
    assert "the values found are 0 to 29, of 0 to 255" in told
    assert "train with --window 0,31." in told
    assert note(tmp_path, window=(0.0, 31.0)) == ""
    shutil.rmtree(tmp_path)
