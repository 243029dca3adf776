"""A folder as the pages have it: a trained run under the names that they use, photographs, pictures."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from people_run import people
from PIL import Image

from pellucid.anomaly.detector import Detector
from pellucid.anomaly.storage import save_detector
from pellucid.data.images import to_pixels
from pellucid.data.people import render
from pellucid.data.store import open_dataset
from pellucid.latents.activity import encode_dataset, measure_activity
from pellucid.latents.names import mark, read_latents, rename, with_activity, write_latents
from pellucid.model.predictor import load
from pellucid.training.defaults import settings_for
from pellucid.training.loop import train

RUNS = ("demo/people", "runs/mine", "runs/faces")
PICTURES = ("photo.jpg", "a.jpg", "b.jpg")


@pytest.fixture(scope="session")
def written_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pages find; for copying only."""
    home = tmp_path_factory.mktemp("home")
    run = home / RUNS[0]
    drawn = to_pixels(render(people(160, ("azimuth", "sunglasses", "background_color")), 64))
    np.save(home / "people.npy", drawn)
    dataset = open_dataset(home / "people.npy", cache=home / "cache")
    config, architecture = settings_for(
        dataset,
        objective="vae",
        losses=(("mse", 1.0),),
        latents=32,
        preset="burgess",
        learning_rate=3e-3,
        steps=50,
        batch_size=16,
        seed=0,
        validations=1,
    )
    model = train(dataset, architecture, config, run, device="cpu").model
    rows = dataset.rows("held-out")
    measured = measure_activity(encode_dataset(model, dataset, rows))
    table = with_activity(read_latents(run, model.latents), measured)
    assert table.active(), "after so short a training no latent says anything"
    strongest = table.active()[0]
    write_latents(run, mark(rename(table, strongest, "sunglasses"), strongest, nuisance=True))
    model = load(run, device="cpu")
    scenes = open_dataset("scenes", limit=40)
    save_detector(
        Detector(model).fit(dataset.batch(dataset.rows("all")), scenes.batch(scenes.rows("all"))), run
    )
    for other in RUNS[1:]:
        shutil.copytree(run, home / other)
    for folder, count in (("photos", 80), ("more-photos", 80), ("incoming", 24)):
        (home / folder).mkdir()
        for number, pixels in enumerate(drawn[:count]):
            Image.fromarray(pixels).save(home / folder / f"{number:03d}.jpg")
    (home / "incoming" / "damaged.jpg").write_bytes(b"\xff\xd8\xff\xe0 this is no picture")
    for name, pixels in zip(PICTURES, drawn, strict=False):
        Image.fromarray(pixels).save(home / name)
    return home


@pytest.fixture
def home(written_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, as the working directory."""
    copy = tmp_path / "home"
    shutil.copytree(written_home, copy)
    monkeypatch.chdir(copy)
    return copy
