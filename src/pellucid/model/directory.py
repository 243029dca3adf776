"""The run directory's model: config.json and model.safetensors, written and read without running any code."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from pellucid.data.images import Preprocessing
from pellucid.errors import ConfigError, RunError
from pellucid.model.architecture import Architecture
from pellucid.model.sealed import read_sealed, write_file, write_sealed
from pellucid.model.vae import VAE
from pellucid.storage.regular import open_regular, read_regular
from pellucid.storage.shipped import shipped_runs

FORMAT = "pellucid-model"
VERSION = 2
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
DETECTOR, SAME = "detector.json", "same.json"
"""What is learned of other images with the model, beside it."""
_HEADER_BYTES = 1 << 20
_STORED = (torch.float32, torch.float16)


@dataclass(frozen=True)
class ModelConfig:
    """What config.json says.

    Attributes:
        architecture: Everything needed to build the networks.
        preprocessing: What every image goes through before the encoder.
        data: What the model was trained on, for people: description, fingerprint, counts.
        training: How it was trained: objective, steps, seed and the rest.
    """

    architecture: Architecture
    preprocessing: Preprocessing
    data: Mapping[str, Any]
    training: Mapping[str, Any]

    def __post_init__(self) -> None:
        built, scored = self.architecture, self.preprocessing
        if (built.size, built.channels) != (scored.size, scored.channels):
            raise ConfigError(
                f"expected preprocessing to make {built.channels} x {built.size} x {built.size} images, "
                f"as the networks take, got {scored.channels} x {scored.size} x {scored.size}."
            )


def save_model(directory: Path, weights: Mapping[str, Tensor], config: ModelConfig) -> None:
    """Publish weights and config in `directory`; a kill at any moment leaves a pair that loads.

    Weights of float16 take half the space, and are float32 again when they are read.

    Two files cannot be replaced at once, so config.json first accepts the old weights and the new ones,
    then the weights are replaced, then only the new ones are accepted.
    """
    content = save({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()})
    new = hashlib.sha256(content).hexdigest()
    record = {
        "format": FORMAT,
        "version": VERSION,
        "architecture": asdict(config.architecture),
        "preprocessing": asdict(config.preprocessing),
        "data": dict(config.data),
        "training": dict(config.training),
    }
    config_path, weights_path = directory / CONFIG, directory / WEIGHTS
    if config_path.exists() and weights_path.exists():
        with open_regular(weights_path) as file:
            old = hashlib.file_digest(file, "sha256").hexdigest()
        write_sealed(config_path, {**record, "weights_sha256": [old, new]})
    write_file(weights_path, content)
    write_sealed(config_path, {**record, "weights_sha256": [new]})


def model_fingerprint(config: ModelConfig, weights: str) -> str:
    """Compute the fingerprint of all that turns an image into a code and back.

    Args:
        config: Of which architecture and preprocessing count.
        weights: sha256 of the weights, in hexadecimal.

    Returns:
        64 hexadecimal digits.
    """
    parts = [weights, asdict(config.architecture), asdict(config.preprocessing)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _take(content: dict[str, Any], key: str, kind: type, path: Path) -> Any:
    value = content.pop(key, None)
    if not isinstance(value, kind):
        raise RunError(f"{path}: expected {key!r} to be a {kind.__name__}, not {type(value).__name__}.")
    return value


def _instead(directory: Path) -> str:
    if not os.path.lexists(directory):
        return "nothing there"
    if not directory.is_dir():
        return "a file"
    return f"a folder without {CONFIG}" if any(directory.iterdir()) else "an empty folder"


def _meant(directory: Path) -> str:
    """The run that stands above or below what was named, or how to make one."""
    near = [directory.parent] if directory.is_file() and (directory.parent / CONFIG).is_file() else []
    near += sorted(config.parent for config in directory.glob(f"*/{CONFIG}"))[:3]
    if near:
        return f"Did you mean {' or '.join(map(str, near))}?"
    shipped = f" Or take one that comes with Pellucid: {', '.join(shipped_runs())}." if shipped_runs() else ""
    return f"Make one: pellucid train DATA --out RUN.{shipped}"


def read_config(directory: Path) -> tuple[ModelConfig, list[str]]:
    """Read and check config.json; nothing is allocated by what it says.

    Returns:
        The config, and the sha256 of the weights that belong to it.

    Raises:
        RunError: If it is missing, damaged, from a newer version, or says what Pellucid does not know.
    """
    path = directory / CONFIG
    if not path.exists():
        raise RunError(
            f"{directory}: expected the folder of a run, got {_instead(directory)}. {_meant(directory)}"
        )
    content = read_sealed(path)
    if content.pop("format", None) != FORMAT:
        raise RunError(f"{path}: expected the format {FORMAT!r}. This is not a model of Pellucid's.")
    version = content.pop("version", None)
    if type(version) is not int or version != VERSION:
        raise RunError(f"{path}: expected version {VERSION}, got {version!r}. Update Pellucid to read it.")
    sections = {
        key: _take(content, key, dict, path) for key in ("architecture", "preprocessing", "data", "training")
    }
    hashes = _take(content, "weights_sha256", list, path)
    if content:
        raise RunError(f"{path}: unknown keys {', '.join(sorted(content))}. Update Pellucid to read it.")
    seen = sections["preprocessing"]
    if isinstance(seen.get("window"), list):
        seen["window"] = tuple(seen["window"])
    try:
        config = ModelConfig(
            Architecture(**sections["architecture"]),
            Preprocessing(**seen),
            sections["data"],
            sections["training"],
        )
    except (TypeError, ConfigError) as error:
        raise RunError(f"{path}: {error}") from error
    return config, [str(digest) for digest in hashes]


def _read_weights(path: Path, vae: VAE, accepted: list[str]) -> tuple[dict[str, Tensor], str]:
    expected = {name: tuple(tensor.shape) for name, tensor in vae.state_dict().items()}
    largest = sum(tensor.numel() * 4 for tensor in vae.state_dict().values()) + _HEADER_BYTES
    try:
        content = read_regular(path, max_bytes=largest)
        digest = hashlib.sha256(content).hexdigest()
        if digest not in accepted:
            raise RunError(
                f"{path}: its checksum is not the one in {CONFIG}. Restore it from a copy, or train again."
            )
        weights = load(content)
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except (SafetensorError, KeyError) as error:  # a dtype that torch has not
        raise RunError(f"{path}: expected safetensors, but {error}.") from error
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    if found != expected or any(tensor.dtype not in _STORED for tensor in weights.values()):
        raise RunError(f"{path}: its tensors are not those of the networks in {CONFIG}.")
    if not all(bool(tensor.isfinite().all()) for tensor in weights.values()):
        raise RunError(f"{path}: expected finite weights only. Restore it from a copy, or train again.")
    return {name: tensor.float() for name, tensor in weights.items()}, digest


def read_model(directory: str | os.PathLike[str]) -> tuple[VAE, ModelConfig, str]:
    """Build the networks and fill in the weights, with every check made before it is needed.

    Returns:
        The networks in eval mode, the config, and the sha256 of the weights.
    """
    root = Path(directory)
    config, accepted = read_config(root)
    with torch.device("meta"):  # no memory and no random numbers until the weights are known to fit
        vae = VAE(config.architecture)
    weights, digest = _read_weights(root / WEIGHTS, vae, accepted)
    vae.load_state_dict(weights, assign=True)
    return vae.eval(), config, digest
