"""An exported detector is used only if it is the one that was exported from the run's weights."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from exported_case import Case
from untrained_run import make_untrained_run

from pellucid.anomaly.features import measure_images
from pellucid.data.images import to_float
from pellucid.errors import RunError
from pellucid.model.predictor import Model, load
from pellucid.model.sealed import read_sealed, write_sealed
from pellucid.runtime.session import ExportedDetector


@pytest.fixture
def copy(case: Case, tmp_path: Path) -> Path:
    return Path(shutil.copytree(case.run, tmp_path / "run"))


def test_its_features_are_the_models(case: Case) -> None:
    built = case.model.config.architecture
    shape = (9, built.size, built.size, built.channels)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    values = ExportedDetector(case.model, case.run).values(pixels)
    assert np.abs(values - measure_images(case.model, to_float(pixels)).values).max() < 1e-5


def test_damage_is_noticed(case: Case, copy: Path) -> None:
    file = copy / "onnx" / "detector.onnx"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(RunError, match="checksum"):
        ExportedDetector(case.model, copy)
    file.unlink()
    with pytest.raises(RunError, match="cannot be read"):
        ExportedDetector(case.model, copy)


def test_what_does_not_fit_the_run_is_refused(case: Case, copy: Path, tmp_path: Path) -> None:
    other: Model = load(make_untrained_run(tmp_path / "other", latents=3), device="cpu")
    with pytest.raises(RunError, match="other weights"):
        ExportedDetector(other, copy)
    record = copy / "onnx" / "export.json"
    content = read_sealed(record)
    del content["files"]["detector.onnx"]
    write_sealed(record, content)
    with pytest.raises(RunError, match="before there was a detector"):
        ExportedDetector(case.model, copy)
    write_sealed(record, {**content, "version": 9})
    with pytest.raises(RunError, match="of version"):
        ExportedDetector(case.model, copy)
    record.unlink()
    with pytest.raises(RunError, match="pellucid export"):
        ExportedDetector(case.model, copy)
