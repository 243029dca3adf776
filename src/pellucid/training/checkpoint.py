"""The whole state of a training run in one file, replaced in one step.

Weights and both Adam moments of every network are tensors, such as `vae.weights.encoder.0.bias` and
`discriminator.exp_avg.0.weight`; the position is JSON in the header. One file means that there is never a
mixture of two moments on disk, whatever kills the process.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from io import BufferedIOBase, BytesIO
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from pellucid.errors import RunError, TrainingError
from pellucid.model.inside import inside
from pellucid.model.sealed import write_file
from pellucid.storage.regular import open_regular, read_regular
from pellucid.storage.strict_json import parse_json

Learners = dict[str, tuple[nn.Module, torch.optim.Adam]]
"""name -> a network and the Adam that has taken one step for each step of the run."""

CHECKPOINT = Path("training") / "checkpoint.safetensors"
_MAX_HEADER_BYTES = 1 << 20
_MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True)
class Position:
    """Where a run stands.

    Attributes:
        step: Optimiser steps taken.
        seconds: Seconds of training so far, over all resumed parts.
        settings: Everything that decides the weights; a resumed run must have the same.
    """

    step: int
    seconds: float
    settings: dict[str, Any]


def _checksum(tensors: Mapping[str, Tensor], position: str) -> str:
    digest = hashlib.sha256(position.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()


def tensors_of(learners: Learners) -> dict[str, Tensor]:
    """Every weight and moment itself, by its name in the file; zeros for moments that are not there yet."""
    tensors = {}
    for learner, (network, optimizer) in learners.items():
        for name, weights in network.state_dict().items():
            tensors[f"{learner}.weights.{name}"] = weights
        for name, parameter in network.named_parameters():
            state = optimizer.state.get(parameter)
            for moment in _MOMENTS:
                tensors[f"{learner}.{moment}.{name}"] = (
                    state[moment] if state else torch.zeros_like(parameter)
                )
    return tensors


def load_tensors(learners: Learners, tensors: Mapping[str, Tensor], step: int) -> None:
    """Set weights, moments and the optimisers' count of steps; `tensors` are named as in the file."""
    for learner, (network, optimizer) in learners.items():
        network.load_state_dict({name: tensors[f"{learner}.weights.{name}"] for name in network.state_dict()})
        for name, parameter in network.named_parameters():
            moments = {moment: tensors[f"{learner}.{moment}.{name}"] for moment in _MOMENTS}
            counts_on = parameter.device if optimizer.defaults["fused"] else "cpu"
            optimizer.state[parameter] = {
                "step": torch.tensor(float(step), device=counts_on),
                # laid out in memory like the weight, which the fused Adam takes for granted
                **{moment: torch.empty_like(parameter).copy_(tensor) for moment, tensor in moments.items()},
            }


def write_checkpoint(run: Path, learners: Learners, position: Position) -> None:
    """Replace the run's checkpoint.

    Raises:
        RunError: If the run's folder `training` is a link.
        TrainingError: If a weight is no longer finite, or the file cannot be written; the last one stays.
    """
    path = inside(run, CHECKPOINT)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors_of(learners).items()}
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise TrainingError(
            "a weight is no longer finite; the last checkpoint is kept. Lower --learning-rate."
        )
    record = json.dumps(asdict(position), sort_keys=True)
    metadata = {"position": record, "sha256": _checksum(tensors, record)}
    try:
        write_file(path, save(tensors, metadata))
    except OSError as error:
        there = path.exists()
        then = "the last one is intact" if there else "there is none yet"
        advice = "then go on with --resume" if there else "or choose another --out"
        raise TrainingError(
            f"{path}: cannot be written ({error.strerror or error}); {then}. Free some space, {advice}."
        ) from error


def read_settings(run: Path) -> dict[str, Any]:
    """What the run was told, from its checkpoint's header: to be compared before anything is loaded.

    Raises:
        RunError: If there is no checkpoint, or it is damaged.
    """
    path = inside(run, CHECKPOINT)
    if not path.exists():
        raise RunError(f"{path}: no checkpoint to resume from. Train without --resume.")
    try:
        with open_regular(path) as file:
            settings = parse_json(_metadata(file)["position"])["settings"]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path}: damaged ({error}). Train anew with another --out.") from error
    if not isinstance(settings, dict):
        raise RunError(f"{path}: damaged. Train anew with another --out.")
    return settings


def _metadata(file: BufferedIOBase) -> dict[str, Any]:
    """The texts in the header of a safetensors file."""
    length = int.from_bytes(file.read(8), "little")
    if length > _MAX_HEADER_BYTES:
        raise ValueError("its header is too long")
    metadata = parse_json(file.read(length))["__metadata__"]
    return dict(metadata)


def _sensible(position: Position) -> bool:
    step, seconds = position.step, position.seconds
    return (
        type(step) is int
        and 0 <= step < 1 << 53
        and type(seconds) in (int, float)
        and 0 <= seconds < math.inf
        and isinstance(position.settings, dict)
    )


def read_checkpoint(run: Path, learners: Learners) -> Position:
    """Load weights and moments in place and return where the run stands.

    Raises:
        RunError: If there is no checkpoint, or it is damaged or of other networks.
    """
    path = inside(run, CHECKPOINT)
    kinds = {name: (tensor.shape, tensor.dtype) for name, tensor in tensors_of(learners).items()}
    limit = 4 * sum(shape.numel() for shape, _ in kinds.values()) + (1 << 20)
    if not path.exists():
        raise RunError(f"{path}: no checkpoint to resume from. Train without --resume.")
    try:
        content = read_regular(path, max_bytes=limit)
        metadata = _metadata(BytesIO(content))
        tensors = load(content)
        record = metadata["position"]
        intact = metadata["sha256"] == _checksum(tensors, record)
        position = Position(**parse_json(record))
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path}: damaged ({error}). Train anew with another --out.") from error
    fits = {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()} == kinds
    if not intact or not fits or not _sensible(position):
        raise RunError(f"{path}: damaged, or of other networks. Train anew with another --out.")
    load_tensors(learners, tensors, position.step)
    return position
