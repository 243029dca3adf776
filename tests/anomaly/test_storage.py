"""A detector survives being written and read bit for bit, and anything else is refused."""

from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

from pellucid.anomaly.detector import Detector
from pellucid.anomaly.storage import load_detector, save_detector
from pellucid.errors import ConfigError, RunError
from pellucid.model.directory import DETECTOR
from pellucid.model.predictor import Model
from pellucid.model.sealed import read_sealed, write_sealed

pytestmark = pytest.mark.usefixtures("as_installed")


@pytest.mark.parametrize("anomalies", [True, False])
def test_scores_and_reasons_survive_bit_for_bit(
    anomalies: bool, blank_model: Model, smooth: Tensor, noisy: Tensor, tmp_path: Path
) -> None:
    rule = None if anomalies else "false-alarm=0.1"
    detector = Detector(blank_model, threshold=rule).fit(smooth, noisy if anomalies else None)
    save_detector(detector, tmp_path, {"normal": "ramps"})
    again = load_detector(blank_model, tmp_path)
    np.testing.assert_array_equal(again.score_samples(noisy), detector.score_samples(noisy))
    np.testing.assert_array_equal(again.p_values(noisy), detector.p_values(noisy))
    assert [e.record() for e in again.explain(noisy[:3])] == [e.record() for e in detector.explain(noisy[:3])]
    assert read_sealed(tmp_path / DETECTOR)["about"] == {"normal": "ramps"}


def test_what_was_not_beaten_is_remembered_and_said(
    detector: Detector, blank_model: Model, noisy: Tensor, tmp_path: Path
) -> None:
    detector.unbeaten = ("PCA", "PCA + texture")
    save_detector(detector, tmp_path)
    again = load_detector(blank_model, tmp_path)
    assert again.unbeaten == detector.unbeaten
    (judged,) = again.judge(noisy[0])
    assert judged.sentence.endswith("Caution: without any network, PCA tells these images apart as well.")


def test_fitting_again_leaves_one_file_of_normal_images(
    detector: Detector, blank_model: Model, smooth: Tensor, noisy: Tensor, tmp_path: Path
) -> None:
    save_detector(detector, tmp_path)
    save_detector(Detector(blank_model).fit(smooth[:40], noisy), tmp_path)
    assert len(list(tmp_path.glob("detector-*.safetensors"))) == 1
    load_detector(blank_model, tmp_path)


def test_a_detector_of_other_weights_is_refused(
    detector: Detector, blank_model: Model, tmp_path: Path
) -> None:
    save_detector(detector, tmp_path)
    other = Model(blank_model.vae, blank_model.config, fingerprint="e" * 64)
    with pytest.raises(RunError, match="other weights"):
        load_detector(other, tmp_path)


def test_none_is_said_to_be_missing(blank_model: Model, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="pellucid detector"):
        load_detector(blank_model, tmp_path)
    with pytest.raises(ConfigError, match="fitted"):
        save_detector(Detector(blank_model), tmp_path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("columns", ["mse", "z99"]),
        ("columns", "mse"),
        ("columns", [1, 2]),
        ("columns", ["mse", "mse"]),
        ("columns", ["mse"]),
        ("estimator", {"kind": "logistic"}),
        ("estimator", []),
        ("reference", {"sha256": "../../etc/passwd", "names": []}),
        ("reference", {"sha256": "0" * 64, "names": []}),
        ("reference", {"names": []}),
        ("unbeaten", ["luck"]),
        ("unbeaten", [["PCA"]]),
        ("unbeaten", "PCA"),
        ("version", 9),
        ("format", "other"),
        ("surprise", 1),
    ],
)
def test_a_changed_detector_is_one_clear_error(
    key: str, value: object, detector: Detector, blank_model: Model, tmp_path: Path
) -> None:
    save_detector(detector, tmp_path)
    content = read_sealed(tmp_path / DETECTOR)
    write_sealed(tmp_path / DETECTOR, {**content, key: value})
    with pytest.raises(RunError):
        load_detector(blank_model, tmp_path)


def test_damaged_normal_images_are_one_clear_error(
    detector: Detector, blank_model: Model, tmp_path: Path
) -> None:
    save_detector(detector, tmp_path)
    (file,) = tmp_path.glob("detector-*.safetensors")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(RunError, match="checksum"):
        load_detector(blank_model, tmp_path)
    file.write_bytes(b"\0" * 100_000_000)
    with pytest.raises(RunError, match="at most"):
        load_detector(blank_model, tmp_path)
    file.unlink()
    with pytest.raises(RunError, match="cannot be read"):
        load_detector(blank_model, tmp_path)
