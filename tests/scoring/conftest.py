"""An untrained run with a detector, and pictures in every form, of which some cannot be read."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from untrained_run import make_untrained_run

from pellucid.anomaly.detector import Detector
from pellucid.anomaly.storage import save_detector
from pellucid.data.images import to_float
from pellucid.data.store import open_dataset
from pellucid.model.predictor import load

COUNT = 150


@pytest.fixture(scope="session")
def scored_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = make_untrained_run(tmp_path_factory.mktemp("runs") / "scored", spread=4)
    drawn = [open_dataset(name, size=32, limit=60) for name in ("people", "scenes")]
    model = load(run, device="cpu")
    save_detector(Detector(model).fit(*(to_float(some.fetch(some.rows("all"))) for some in drawn)), run)
    return run


@pytest.fixture(scope="session")
def contents() -> list[bytes]:
    """Encoded pictures of different sizes; the fourth is cut off, the eighth is text."""
    chance, found = np.random.default_rng(0), []
    for _ in range(COUNT):
        side = int(chance.integers(20, 70))
        file = io.BytesIO()
        low = chance.integers(0, 256, (4, 4, 3), np.uint8)
        Image.fromarray(low).resize((side, side + 5)).save(file, "JPEG")
        found.append(file.getvalue())
    found[3] = found[3][:100]
    found[7] = b"no picture"
    return found


@pytest.fixture(scope="session")
def photos(contents: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many") / "photos"
    for at, content in enumerate(contents):
        file = folder / f"{at // 100}" / f"{at:04d}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return folder


@pytest.fixture(scope="session")
def shard(contents: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shards") / "shard.tar"
    with tarfile.open(path, "w") as archive:
        for at, content in enumerate(contents):
            for name, data in ((f"{at // 100}/{at:04d}.jpg", content), (f"{at:04d}.json", b"{}")):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture(scope="session")
def table(contents: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tables") / "pictures.parquet"
    pq.write_table(pa.table({"image": contents}), path, row_group_size=40)
    return path
