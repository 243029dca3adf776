"""An exported model says what the model says, on batches of any size."""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from exported_case import Case

from pellucid.data.images import to_float
from pellucid.errors import MissingExtraError, RunError
from pellucid.runtime import export as module
from pellucid.runtime.conversion import TOLERANCE, open_session
from pellucid.runtime.export import KEY, export


def pictures(case: Case, count: int) -> np.ndarray:
    built = case.model.config.architecture
    shape = (count, built.size, built.size, built.channels)
    return np.random.default_rng(count).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("count", [1, 2, 7, 64, 65])
def test_networks_agree_with_the_model(case: Case, count: int) -> None:
    pixels = pictures(case, count)
    encoder, decoder = (
        open_session((case.run / "onnx" / f"{n}.onnx").read_bytes()) for n in ("encoder", "decoder")
    )
    mean, log_variance = encoder.run(None, {"pixels": pixels})
    posterior = case.model.encode(to_float(pixels))
    assert np.abs(mean - posterior.mean.numpy()).max() < TOLERANCE * max(1, posterior.mean.abs().max())
    assert np.abs(log_variance - posterior.log_variance.numpy()).max() < TOLERANCE * 16
    (image,) = decoder.run(None, {"latents": posterior.mean.numpy()})
    assert np.abs(image - case.model.decode(posterior.mean).numpy()).max() < TOLERANCE


@pytest.mark.parametrize("count", [1, 5, 33])
def test_the_detector_judges_as_the_detector_in_python(case: Case, count: int) -> None:
    pixels = pictures(case, count)
    session = open_session((case.run / "onnx" / "detector.onnx").read_bytes())
    about = json.loads(session.get_modelmeta().custom_metadata_map[KEY])
    found = dict(zip(about["outputs"], session.run(about["outputs"], {"pixels": pixels}), strict=True))
    verdicts = case.detector.judge(to_float(pixels))
    for row, verdict in enumerate(verdicts):
        parts = {part.column: part.contribution for part in verdict.contributions}
        expected = [parts[column["name"]] for column in about["detector"]["columns"]]
        size = max(1, np.abs(expected).sum())
        assert np.abs(found["contributions"][row] - expected).max() < TOLERANCE * size
        assert abs(found["score"][row] - verdict.score) < TOLERANCE * size
        assert bool(found["normal"][row]) == (verdict.verdict == "normal")
        assert found["p_value"][row] == pytest.approx(verdict.p_value, abs=1e-12)
        assert about["detector"]["base"] + found["contributions"][row].sum() == pytest.approx(
            found["score"][row]
        )
        if verdict.probability is not None:
            assert abs(found["probability"][row] - verdict.probability) < TOLERANCE * size
    assert ("probability" in found) == (verdicts[0].probability is not None)
    assert about["detector"]["threshold"] == verdicts[0].threshold


def test_the_metadata_say_what_a_program_needs(case: Case) -> None:
    for file in case.exported.files:
        written = onnx.load(file)
        onnx.checker.check_model(written, full_check=True)
        about = json.loads({entry.key: entry.value for entry in written.metadata_props}[KEY])
        pre = case.model.config.preprocessing
        assert about["preprocessing"]["size"] == pre.size
        assert about["preprocessing"]["channels"] == pre.channels
        assert about["preprocessing"]["crop"]["name"] == pre.crop
        assert [latent["name"] for latent in about["latents"]][2] == "<b>left</b>"
        assert about["model"] == case.model.fingerprint
        doubt = "without any network, PCA tells these images apart as well"
        assert about["cautions"] == ([doubt] if file.name == "detector.onnx" else [])
        assert str(Path.cwd()) not in str(written)  # where it was exported is nobody's business
        assert not [t for t in written.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL]


def test_an_answer_that_is_too_far_off_is_not_written(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong:
        def run(self, names: list[str], given: dict[str, np.ndarray]) -> list[np.ndarray]:
            return [np.zeros((len(given["pixels"]), 6), np.float32) for _ in names]

    monkeypatch.setattr(module, "to_onnx", lambda *_: b"")
    monkeypatch.setattr(module, "open_session", lambda _: Wrong())
    with pytest.raises(RunError, match="within 1e-05 of what PyTorch computes.*got posterior_mean"):
        export(case.model, case.detector.table, None, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_the_packages_it_says_how_to_get_them(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'pellucid\[onnx\]'"):
        export(case.model, case.detector.table, None, tmp_path)


def test_export_leaves_the_model_as_it_was(case: Case) -> None:
    pixels = to_float(pictures(case, 3))
    assert torch.isfinite(case.model.reconstruct(pixels)).all()
    assert not case.model.vae.training
