from pathlib import Path

import numpy as np
import pytest

from pellucid.data.store import Dataset, open_dataset
from pellucid.model.architecture import Architecture


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """200 grey pictures of a bright bar, whose place is all there is to know."""
    chance = np.random.default_rng(0)
    pixels = np.zeros((200, 32, 32), np.uint8)
    for image, left in zip(pixels, chance.integers(0, 24, 200), strict=True):
        image[:, left : left + 8] = 255
    np.save(tmp_path / "bars.npy", pixels)
    return open_dataset(tmp_path / "bars.npy", size=32)


@pytest.fixture
def architecture() -> Architecture:
    return Architecture("burgess", 32, 1, 3)
