"""ONNX Runtime's answers are PyTorch's, step by step, however well the model is trained."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from pellucid.anomaly.detector import Detector
from pellucid.data.dataset import Dataset
from pellucid.errors import RunError
from pellucid.model.predictor import Model
from pellucid.model.vae import VAE
from pellucid.runtime.conversion import EXACT, IR, OPSET, TOLERANCE, check, open_session, to_onnx
from pellucid.runtime.examples import example_pixels
from pellucid.runtime.graphs import Graph, detector_graph, encoder_graph
from pellucid.training.defaults import settings_for
from pellucid.training.loop import train

Converted = tuple[Detector, Callable[[VAE], Graph], bytes, torch.Tensor]


@pytest.fixture(scope="module", params=["barely", "well"])
def converted(
    request: pytest.FixtureRequest, bars: Any, tmp_path_factory: pytest.TempPathFactory
) -> Converted:
    """A detector of bars against noise on a model of 2 or of 400 steps.

    Without a penalty on its coefficients, so that it multiplies whatever small difference there is.
    """
    from pellucid.data.store import open_dataset

    dataset: Dataset = open_dataset(bars, size=32)
    steps = 2 if request.param == "barely" else 400
    config, architecture = settings_for(
        dataset, objective="vae", latents=4, preset="burgess", steps=steps, seed=0
    )
    run = tmp_path_factory.mktemp(request.param) / "run"
    model = train(dataset, architecture, config, run, device="cpu").model
    rng = np.random.default_rng(0)
    known = dataset.batch(dataset.rows("all"))
    strange = (known + torch.from_numpy(rng.normal(0, 0.02, known.shape).astype(np.float32))).clamp(0, 1)
    detector = Detector(model, strength=1e6).fit(known, strange)
    assert detector.fitted is not None
    build = partial(detector_graph, fitted=detector.fitted)
    images = torch.cat([known, strange]).mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
    pixels = torch.cat([example_pixels(model), images])
    return detector, build, to_onnx(build(model.vae), pixels), pixels


@pytest.mark.parametrize("threads", [1, 2])
def test_every_step_agrees_and_the_probability_follows_from_the_score(
    converted: Converted, threads: int
) -> None:
    detector, build, content, pixels = converted
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = check(
            "the detector", open_session(content, threads=threads), detector.model.vae, build, pixels
        )
    finally:
        torch.set_num_threads(before)
    for output in ("posterior_mean", "reconstruction", "losses"):
        assert found.steps[output] <= max(TOLERANCE, 4 * found.rounding[output])
    assert found.rounding["losses"] < 1e-4
    for output in ("texture", "contributions", "score", "normal", "p_value", "probability"):
        assert found.steps[output] <= EXACT
    # From pixels to the end, one tolerance for all is not to be had: but the probability's follows from the
    # score's, because a logistic curve is nowhere steeper than a quarter of its slope.
    assert detector.fitted is not None
    slope = detector.fitted.estimator.slope_
    assert found.whole["probability"] <= slope / 4 * found.whole["score"] + 1e-15
    assert found.whole["score"] > found.whole["losses"]  # this detector does multiply


def test_numbers_of_the_detector_are_kept_in_float64(converted: Converted) -> None:
    """The exporter writes a Python float as float32: a threshold that is rounded decides otherwise."""
    detector, _, content, pixels = converted
    assert detector.fitted is not None
    estimator: Any = detector.fitted.estimator
    session = open_session(content)
    score, probability, normal, parts = session.run(
        ["score", "probability", "normal", "contributions"], {"pixels": pixels.numpy()}
    )
    np.testing.assert_allclose(
        score, detector.fitted.base + parts.sum(1), rtol=0, atol=1e-11 * np.abs(parts).sum(1).max()
    )
    log_odds = estimator.slope_ * score + estimator.offset_
    np.testing.assert_allclose(probability, 1 / (1 + np.exp(-log_odds)), rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(normal, score >= detector.fitted.threshold)
    numbers = [t for t in onnx.load_model_from_string(content).graph.initializer if t.data_type == t.DOUBLE]
    stored = np.concatenate([onnx.numpy_helper.to_array(number).ravel() for number in numbers])
    assert detector.fitted.threshold in stored


def test_the_file_is_of_the_oldest_format_that_holds_it(converted: Converted) -> None:
    written = onnx.load_model_from_string(converted[2])
    assert (written.ir_version, [(s.domain, s.version) for s in written.opset_import]) == (IR, [("", OPSET)])
    assert onnx.helper.find_min_ir_version_for(written.opset_import) == IR
    onnx.checker.check_model(written, full_check=True)


class Off:
    """A session whose one output is a little off."""

    def __init__(self, content: bytes, output: str, by: float) -> None:
        self.session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        self.output, self.by = output, by

    def run(self, names: list[str], given: dict[str, np.ndarray]) -> list[np.ndarray]:
        answers = self.session.run(names, given)
        answers[names.index(self.output)] = answers[names.index(self.output)] + self.by
        return answers  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("output", "by"),
    [("posterior_mean", 3e-2), ("losses", 1e-2), ("texture", 1e-6), ("score", 100.0), ("probability", 1e-7)],
)
def test_a_step_that_is_off_is_named(converted: Converted, output: str, by: float) -> None:
    detector, build, content, pixels = converted
    with pytest.raises(RunError, match=f"got .*{output} [0-9.e+-]+.*One of onnxruntime"):
        check("the detector", Off(content, output, by), detector.model.vae, build, pixels[:32])


def test_a_model_that_diverged_is_named(converted: Converted) -> None:
    model: Model = converted[0].model
    weight = model.vae.encoder[-1].weight
    kept = weight.data.clone()
    weight.data[0] = torch.inf
    try:
        graph, pixels = encoder_graph(model.vae), converted[3]
        with pytest.raises(RunError, match="diverged: train again"):
            check("encoder.onnx", open_session(to_onnx(graph, pixels)), model.vae, encoder_graph, pixels)
    finally:
        weight.data[:] = kept
