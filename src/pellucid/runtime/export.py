"""Write a model and its detector as ONNX files, and prove that they say what the model says.

Each file holds all that a program without Python needs to use it: as metadata under the key `pellucid`, one
JSON object with how a picture becomes pixels, what the outputs are, the latents' names and the threshold. The
files are written before export.json, which seals them by their checksums.
"""

import hashlib
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pellucid.anomaly.detector import Detector
from pellucid.anomaly.texture import TEXTURE
from pellucid.data.images import crop_box
from pellucid.errors import MissingExtraError, RunError
from pellucid.latents.names import LatentTable
from pellucid.model.predictor import Model
from pellucid.model.sealed import write_file, write_sealed
from pellucid.objective.reconstruction import LOSSES
from pellucid.runtime.fingerprint import run_fingerprint
from pellucid.runtime.graphs import DECODER, ENCODER, DecoderGraph, DetectorGraph, EncoderGraph, in_unit_range
from pellucid.runtime.session import DETECTOR, FORMAT, RECORD, VERSION, open_session
from pellucid.storage.writing import locked_folder, remove_abandoned

KEY = "pellucid"
_STEPS = ("normal", "p_value")  # as right as the score is, but it may lie at a step
TOLERANCE = 1e-5
OPSET = 20
_CHECKED = [1, 3, 11, 17]
"""Batch sizes that every file is checked on; none of them is the one that it was exported with."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        files: The ONNX files: encoder, decoder, and the detector if the run has one.
        differences: File name -> output -> the largest difference from PyTorch over all images of the check:
            absolute up to 1, relative above; of a score and its summands, relative to the sum of these.
    """

    files: tuple[Path, ...]
    differences: dict[str, dict[str, float]]


def export(model: Model, table: LatentTable, detector: Detector | None, folder: Path) -> Exported:
    """Write encoder.onnx, decoder.onnx and, with a detector, detector.onnx into a folder, and check each.

    Args:
        model: On any device; what is written runs on every one.
        table: Names of the latents.
        detector: Fitted, or None.
        folder: Is made if it is not there; files of an earlier export are replaced.

    Raises:
        MissingExtraError: If onnx, onnxscript or onnxruntime is not installed.
        RunError: If ONNX Runtime's answers are further than 1e-5 from PyTorch's; nothing is then written.
        BusyError: If another program exports into the folder.
        OSError: If it cannot be written.
    """
    _needs_packages()
    with locked_folder(folder):
        return _export(model, table, detector, folder)


def _export(model: Model, table: LatentTable, detector: Detector | None, folder: Path) -> Exported:
    vae, pixels = model.vae.cpu(), _pictures(model)
    graphs: dict[str, tuple[nn.Module, str, Sequence[str], Tensor]] = {
        "encoder.onnx": (EncoderGraph(vae), "pixels", ENCODER, pixels),
        "decoder.onnx": (DecoderGraph(vae), "latents", DECODER, model.encode(in_unit_range(pixels)).mean),
    }
    if detector is not None and detector.fitted is not None:
        judge = DetectorGraph(vae, detector.fitted)
        graphs[DETECTOR] = (judge, "pixels", judge.outputs, pixels)
    contents, differences = {}, {}
    for name, (graph, given, outputs, examples) in graphs.items():
        about = _about(model, table, detector if name == DETECTOR else None, given, outputs)
        contents[name] = _onnx(graph, given, outputs, examples, about)
        differences[name] = _check(contents[name], name, graph, given, outputs, examples)
    vae.to(model.device)
    for name, content in contents.items():
        remove_abandoned(folder / name)
        write_file(folder / name, content)
    record = {
        "format": FORMAT,
        "version": VERSION,
        "model": model.fingerprint,
        "run": run_fingerprint(model),
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()},
        "differences": differences,
    }
    write_sealed(folder / RECORD, record)
    return Exported(tuple(folder / name for name in contents), differences)


def _needs_packages() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            f"exporting needs onnx, onnxscript and onnxruntime ({error}). Run: pip install 'pellucid[onnx]'"
        ) from error


def _pictures(model: Model) -> Tensor:
    """Noise, flat colours and ramps: uint8 [32 height width channel]."""
    built = model.config.architecture
    chance = np.random.default_rng(0)
    noise = chance.integers(0, 256, (8, built.size, built.size, built.channels))
    flat = np.broadcast_to(chance.integers(0, 256, (8, 1, 1, built.channels)), noise.shape)
    ramp = np.broadcast_to(np.linspace(0, 255, built.size)[:, None, None], noise.shape[1:])
    mixed = (ramp * chance.random((16, 1, 1, built.channels))).round()
    return torch.from_numpy(np.concatenate([noise, flat, mixed]).astype(np.uint8))


def _about(
    model: Model, table: LatentTable, detector: Detector | None, given: str, outputs: Sequence[str]
) -> dict[str, Any]:
    pre = model.config.preprocessing
    about: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "model": model.fingerprint,
        "run": run_fingerprint(model),
        "input": given,
        "outputs": list(outputs),
        "preprocessing": {
            **asdict(pre),
            # Of width and height; `center` is the largest centred square, left and top rounded down
            "box": None if pre.crop == "center" else list(crop_box(1, 1, pre.crop)),
            "resize": "Lanczos, antialiased",
            "upright": "by the EXIF tag; transparency over white",
            "pixels": "uint8 [batch height width channel], 0 to 255",
        },
        "latents": [
            {"name": record.name, "active": record.active, "nuisance": record.nuisance}
            for record in table.records
        ],
        "losses": [{"name": loss.name, "unit": loss.unit} for loss in LOSSES.values()],
        "texture": list(TEXTURE),
    }
    if detector is not None and detector.fitted is not None:
        fitted = detector.fitted
        about["detector"] = {
            "kind": fitted.estimator.to_record()["kind"],
            "columns": [{"name": column, "label": detector.label(column)} for column in fitted.columns],
            "threshold": fitted.threshold,
            "base": fitted.base,
        }
    return about


def _onnx(
    graph: nn.Module, given: str, outputs: Sequence[str], examples: Tensor, about: dict[str, Any]
) -> bytes:
    batch = torch.export.Dim("batch")
    with _quiet():
        program = torch.onnx.export(
            graph.eval(),
            (examples[:5],),
            dynamo=True,
            dynamic_shapes=({0: batch},),
            input_names=[given],
            output_names=list(outputs),
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    written = program.model_proto
    entry = written.metadata_props.add()
    entry.key, entry.value = KEY, json.dumps(about, allow_nan=False)
    written.producer_name = "pellucid"
    del written.graph.metadata_props[:]
    for node in written.graph.node:  # where in which file each came from: of no use to others
        del node.metadata_props[:]
    content: bytes = written.SerializeToString()
    return content


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's notes on packages that are not there and on PyTorch's own deprecations."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _check(
    content: bytes, name: str, graph: nn.Module, given: str, outputs: Sequence[str], examples: Tensor
) -> dict[str, float]:
    """Compare the networks with PyTorch's, and what follows from them with what follows in PyTorch.

    One after the other, because a cross entropy makes much of little: where a pixel is all but black or
    white, the last digit of float32 is a tenth of a nat.
    """
    session = open_session(content)
    worst = {output: 0.0 for output in outputs if output not in _STEPS}
    for examined in torch.split(examples, _CHECKED):
        answers = session.run(list(outputs), {given: examined.numpy()})
        with torch.no_grad():
            expected = graph(examined)
            if isinstance(graph, DetectorGraph):
                mean, reconstruction = (torch.from_numpy(answer) for answer in answers[:2])
                expected = (*expected[:2], *graph.given(examined, mean, reconstruction)[2:])
        truth = {output: wanted.double().numpy() for output, wanted in zip(outputs, expected, strict=True)}
        for output, got in zip(outputs, answers, strict=True):
            if output in _STEPS:
                continue
            size = np.abs(truth[output])
            if output in ("score", "contributions"):
                size = np.abs(truth["contributions"]).sum(1).reshape(-1, *[1] * (size.ndim - 1))
            gap = np.abs(got.astype(np.float64) - truth[output]) / np.maximum(1, size)
            worst[output] = max(worst[output], float(gap.max()))
    too_far = [f"{output} {gap:.1e}" for output, gap in worst.items() if not gap <= TOLERANCE]
    if too_far:
        raise RunError(
            f"{name}: expected ONNX Runtime to agree with PyTorch within {TOLERANCE:g}, got "
            f"{', '.join(too_far)}. Use other versions of onnxscript and onnxruntime."
        )
    return worst
