"""Data sets in processes that are spawned, as loaders on macOS and Windows do; scripts without a guard."""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
import torch
from PIL import Image

from pellucid.data.dataset import Dataset
from pellucid.data.store import open_dataset


def photographs(root: Path) -> Path:
    root.mkdir()
    for at in range(12):
        pixels = np.random.default_rng(at).integers(0, 256, (40, 40, 3), np.uint8)
        Image.fromarray(pixels).save(root / f"{at:03d}.png")
    (root / "005.png").write_bytes(b"none")
    (root / "labels.csv").write_text("image,kind\n" + "".join(f"{at:03d}.png,{at % 2}\n" for at in range(12)))
    return root


def celeba(root: Path) -> Path:
    root.mkdir()
    photographs(root / "img_align_celeba")
    (root / "img_align_celeba" / "labels.csv").unlink()
    rows = "".join(f"{at:03d}.png {'1' if at % 3 else '-1'}\n" for at in range(12))
    (root / "list_attr_celeba.txt").write_text(f"12\nSmiling\n{rows}")
    return root


def array(root: Path) -> Path:
    np.save(root.with_suffix(".npy"), np.random.default_rng(0).integers(0, 256, (9, 32, 32, 3), np.uint8))
    return root.with_suffix(".npy")


def table(root: Path) -> Path:
    files = sorted(photographs(root).glob("*.png"))
    parquet.write_table(
        pa.table({"image": [file.read_bytes() for file in files]}), root.with_suffix(".parquet")
    )
    return root.with_suffix(".parquet")


@pytest.mark.parametrize(
    "make",
    [photographs, celeba, array, table, "people", "scenes", "sprites"],
    ids=lambda m: getattr(m, "__name__", m),
)
def test_a_data_set_is_the_same_in_another_process_and_its_images_are_not_sent(
    make: Callable[[Path], Path] | str, tmp_path: Path
) -> None:
    if isinstance(make, str):
        data = open_dataset(make, skip=100, limit=9)
    else:
        data = open_dataset(make(tmp_path / "data"), size=32, cache=tmp_path / "cache")
    sent = pickle.dumps(data)
    assert len(sent) < 5_000  # its images have 27,000 bytes or more
    there: Dataset = pickle.loads(sent)  # noqa: S301
    rows = np.arange(len(data))[::-2]
    assert torch.equal(there.batch(rows), data.batch(rows))
    assert list(there.names) == list(data.names)
    assert (there.fingerprint, there.origin, there.skipped) == (data.fingerprint, data.origin, data.skipped)
    assert np.array_equal(there.split, data.split)
    assert (there.attributes is None) == (data.attributes is None)
    if there.attributes is not None and data.attributes is not None:
        assert there.attributes.names == data.attributes.names
        found = there.attributes.lookup(rows)
        assert np.array_equal(found, data.attributes.lookup(rows), equal_nan=True)
        assert np.isfinite(found).any()


LOADER = """
import sys
from pathlib import Path
import numpy as np
import torch
import pellucid

class Rows(torch.utils.data.Dataset):
    def __init__(self, data):
        self.data = data
    def __getitem__(self, rows):
        return self.data.batch(np.array(rows))

if __name__ == "__main__":
    data = pellucid.open_dataset(sys.argv[1], size=32, cache=Path(sys.argv[2]), workers=0)
    parts = torch.utils.data.BatchSampler(range(len(data)), 4, drop_last=False)
    loader = torch.utils.data.DataLoader(
        Rows(data), sampler=parts, batch_size=None, num_workers=1, multiprocessing_context="spawn"
    )
    print(torch.equal(torch.cat(list(loader)), data.batch(np.arange(len(data)))))
"""
UNGUARDED = """
print("once", flush=True)
import sys
from pathlib import Path
import pellucid
data = pellucid.open_dataset(sys.argv[1], size=32, cache=Path(sys.argv[2]), workers=2)
print(len(data), flush=True)
"""


@pytest.mark.parametrize(
    ("text", "says"),
    [(LOADER, "True\n"), (UNGUARDED, "once\n11\n")],
    ids=["a spawn loader gives the images", "without a main guard it runs once and has its workers"],
)
def test_scripts_that_use_other_processes(text: str, says: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(text)
    photos = photographs(tmp_path / "photos")
    done = subprocess.run(
        [sys.executable, str(script), str(photos), str(tmp_path / "cache")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == (says, "", 0)
