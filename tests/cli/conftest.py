"""A command line without a shell, and one small run for all who look at one."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pellucid.cli import main
from pellucid.data.store import open_dataset
from pellucid.data.trained_here import remember_training

Run = Callable[..., int]


@pytest.fixture(scope="session")
def run() -> Run:
    """Runs a command and gives its exit code."""

    def run(*arguments: object) -> int:
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stop:
            return int(stop.code or 0)
        return 0

    return run


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 colour pictures of a dark or bright half plane, 6 of them damaged."""
    folder = tmp_path_factory.mktemp("photos")
    chance = np.random.default_rng(0)
    for i in range(120):
        pixels = np.full((40, 40, 3), 30, np.uint8)
        pixels[0, :2] = 2 * i  # no two are equal
        pixels[:, int(chance.integers(5, 35)) :] = (200, 120, 60)
        path = folder / f"{i:03d}.png"
        Image.fromarray(pixels).save(path)
        if i % 20 == 7:
            path.write_bytes(path.read_bytes()[:60])
    return folder


@pytest.fixture(scope="session")
def trained_once(run: Run, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on the photographs, long enough for the edge's place to be known."""
    out = tmp_path_factory.mktemp("runs") / "edge"
    cache = pytest.MonkeyPatch()
    cache.setenv("PELLUCID_CACHE", str(tmp_path_factory.mktemp("shared_cache")))
    settings = (
        "--size",
        32,
        "--latents",
        3,
        "--steps",
        150,
        "--batch-size",
        16,
        "--beta",
        1,
        "--device",
        "cpu",
    )
    assert (
        run("train", photos, "--out", out, *settings, "--preset", "burgess", "--loss", "mse", "--threads", 1)
        == 0
    )
    cache.undo()
    return out


@pytest.fixture
def trained(trained_once: Path, photos: Path) -> Path:
    """The run on the photographs, by somebody who has trained it with the cache of this test."""
    remember_training(open_dataset(photos, size=32))
    return trained_once
