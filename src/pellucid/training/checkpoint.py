"""The whole state of a training run in one file, replaced in one step.

Weights and both Adam moments are tensors; the position is JSON in the header. One file means that there is
never a mixture of two moments on disk, whatever kills the process.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from pellucid.errors import RunError, TrainingError
from pellucid.model.sealed import write_file
from pellucid.model.vae import VAE

CHECKPOINT = Path("training") / "checkpoint.safetensors"
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


def write_checkpoint(run: Path, vae: VAE, optimizer: torch.optim.Optimizer, position: Position) -> None:
    """Replace the run's checkpoint.

    Raises:
        TrainingError: If a weight is no longer finite, or the file cannot be written; the last one stays.
    """
    tensors = {
        f"weights.{name}": tensor.detach().cpu().contiguous() for name, tensor in vae.state_dict().items()
    }
    for name, parameter in vae.named_parameters():
        for moment in _MOMENTS:
            state = optimizer.state.get(parameter)
            tensors[f"{moment}.{name}"] = (
                state[moment].cpu().contiguous() if state else torch.zeros(parameter.shape)
            )
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise TrainingError(
            "a weight is no longer finite; the last checkpoint is kept. Lower --learning-rate."
        )
    record = json.dumps(asdict(position), sort_keys=True)
    metadata = {"position": record, "sha256": _checksum(tensors, record)}
    try:
        write_file(run / CHECKPOINT, save(tensors, metadata))
    except OSError as error:
        raise TrainingError(
            f"{run / CHECKPOINT}: cannot be written ({error.strerror or error}); the last one is intact. "
            "Free some space, then go on with --resume."
        ) from error


def read_settings(run: Path) -> dict[str, Any]:
    """What the run was told, from its checkpoint's header: to be compared before anything is loaded.

    Raises:
        RunError: If there is no checkpoint, or it is damaged.
    """
    path = run / CHECKPOINT
    if not path.is_file():
        raise RunError(f"{path}: no checkpoint to resume from. Train without --resume.")
    try:
        with safe_open(path, framework="pt") as file:
            settings = json.loads((file.metadata() or {})["position"])["settings"]
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise RunError(f"{path}: damaged ({error}). Train anew with another --out.") from error
    if not isinstance(settings, dict):
        raise RunError(f"{path}: damaged. Train anew with another --out.")
    return settings


def read_checkpoint(run: Path, vae: VAE, optimizer: torch.optim.Optimizer) -> Position:
    """Load weights and moments in place and return where the run stands.

    Raises:
        RunError: If there is no checkpoint, or it is damaged or of other networks.
    """
    path = run / CHECKPOINT
    shapes = {f"weights.{name}": tensor for name, tensor in vae.state_dict().items()}
    parameters = dict(vae.named_parameters())
    shapes |= {f"{moment}.{name}": tensor for name, tensor in parameters.items() for moment in _MOMENTS}
    limit = 4 * sum(tensor.numel() for tensor in shapes.values()) + (1 << 20)
    try:
        if path.stat().st_size > limit:
            raise RunError(
                f"{path}: expected at most {limit} bytes for these networks, got {path.stat().st_size}."
            )
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        record = metadata["position"]
        intact = metadata["sha256"] == _checksum(tensors, record)
        position = Position(**json.loads(record))
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path}: damaged ({error}). Train anew with another --out.") from error
    fits = {name: tensor.shape for name, tensor in tensors.items()} == {n: t.shape for n, t in shapes.items()}
    if not intact or not fits:
        raise RunError(f"{path}: damaged, or of other networks. Train anew with another --out.")
    vae.load_state_dict({name: tensors[f"weights.{name}"] for name in vae.state_dict()})
    for name, parameter in parameters.items():
        state = {moment: tensors[f"{moment}.{name}"].to(parameter.device) for moment in _MOMENTS}
        optimizer.state[parameter] = {"step": torch.tensor(float(position.step)), **state}
    return position
