"""Write a model and its detector as ONNX files, for programs without Python.

Each file holds all that such a program needs to use it: as metadata under the key `pellucid`, one JSON object
with how an image becomes pixels, what the outputs are, the latents' names and the threshold.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from pellucid.anomaly.detector import Detector
from pellucid.anomaly.texture import TEXTURE
from pellucid.data.images import CROPS, JPEG_REDUCTIONS, REDUCING_GAP, RESAMPLING, Preprocessing
from pellucid.latents.caution import cautions
from pellucid.latents.names import LatentTable
from pellucid.model.predictor import Model
from pellucid.model.sealed import write_file
from pellucid.model.vae import VAE
from pellucid.objective.reconstruction import LOSSES
from pellucid.runtime.conversion import Agreement, check, need_packages, open_session, to_onnx
from pellucid.runtime.examples import example_pixels
from pellucid.runtime.fingerprint import run_fingerprint
from pellucid.runtime.graphs import Graph, decoder_graph, detector_graph, encoder_graph, in_unit_range
from pellucid.storage.writing import locked_folder, remove_abandoned

FOLDER, DETECTOR = "onnx", "detector.onnx"
KEY, FORMAT, VERSION = "pellucid", "pellucid-onnx", 5


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        files: The ONNX files: encoder, decoder, and the detector if the run has one.
        agreement: File name -> how far ONNX Runtime's answers are from PyTorch's.
    """

    files: tuple[Path, ...]
    agreement: dict[str, Agreement]


def export(model: Model, table: LatentTable, detector: Detector | None, folder: Path) -> Exported:
    """Write encoder.onnx, decoder.onnx and, with a detector, detector.onnx into a folder, and check each.

    Args:
        model: On the CPU; what is written runs everywhere.
        table: Names of the latents.
        detector: Fitted, or None.
        folder: Is made if it is not there; files of an earlier export are replaced.

    Raises:
        MissingExtraError: If onnx, onnxscript or onnxruntime is not installed.
        RunError: If ONNX Runtime does not compute what PyTorch does; nothing is then written.
        BusyError: If another program exports into the folder.
        OSError: If it cannot be written.
    """
    need_packages()
    with locked_folder(folder):
        return _export(model, table, detector, folder)


def _export(model: Model, table: LatentTable, detector: Detector | None, folder: Path) -> Exported:
    vae, pixels = model.vae, example_pixels(model)
    builds: dict[str, tuple[Callable[[VAE], Graph], Tensor]] = {
        "encoder.onnx": (encoder_graph, pixels),
        "decoder.onnx": (decoder_graph, model.encode(in_unit_range(pixels, vae)).mean),
    }
    if detector is not None and detector.fitted is not None:
        builds[DETECTOR] = (partial(detector_graph, fitted=detector.fitted), pixels)
    contents, agreement = {}, {}
    for name, (build, examples) in builds.items():
        graph = build(vae)
        about = _about(model, table, detector if name == DETECTOR else None, graph.given, graph.outputs)
        contents[name] = to_onnx(graph, examples, {KEY: json.dumps(about, allow_nan=False)})
        agreement[name] = check(name, open_session(contents[name]), vae, build, examples)
    for name, content in contents.items():
        remove_abandoned(folder / name)
        write_file(folder / name, content)
    return Exported(tuple(folder / name for name in contents), agreement)


def preprocessing_record(pre: Preprocessing) -> dict[str, Any]:
    """Write down all that another program needs to make the same pixels of an image, in JSON's types."""
    return {
        "read": "the first image of a file, upright by its EXIF tag, over white where it is transparent; a "
        "JPEG decoded by libjpeg at 1/n of its size, for the first n of `jpeg_reductions` that divides width "
        "and height and leaves the crop `reducing_gap` times `size` pixels a side, if there is one",
        "levels": "8 bits a channel, round(255 (value - black) / (white - black)), from 0 to 255: of 16-bit "
        "grey by `window`, or 0 and 65535; of others by `window` if white is at most 255 or the file has 16 "
        "bits, of which the upper 8 count, times 257; else as they are",
        "window": None if pre.window is None else list(pre.window),
        "crop": {"name": pre.crop, **asdict(CROPS[pre.crop])},
        "jpeg_reductions": [] if pre.window is not None else list(JPEG_REDUCTIONS),
        "resize": {"filter": RESAMPLING.name.lower(), "antialias": True, "reducing_gap": REDUCING_GAP},
        "grey": "after resizing: (19595 red + 38470 green + 7471 blue + 32768) // 65536",
        "size": pre.size,
        "channels": pre.channels,
        "pixels": "uint8 [batch height width channel], 0 to 255",
    }


def _about(
    model: Model, table: LatentTable, detector: Detector | None, given: str, outputs: Sequence[str]
) -> dict[str, Any]:
    about: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "model": model.fingerprint,
        "run": run_fingerprint(model),
        "input": given,
        "outputs": list(outputs),
        "preprocessing": preprocessing_record(model.config.preprocessing),
        "latents": [
            {"name": record.name, "active": record.active, "nuisance": record.nuisance}
            for record in table.records
        ],
        "losses": [{"name": loss.name, "unit": loss.unit} for loss in LOSSES.values()],
        "texture": list(TEXTURE),
        "cautions": list(cautions(model, table) if detector is None else detector.cautions),
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
