"""The trained models that come with the package, by name."""

import os
from pathlib import Path

from pellucid.errors import ConfigError
from pellucid.model.directory import CONFIG
from pellucid.model.predictor import Model, load
from pellucid.model.sealed import write_file
from pellucid.storage.shipped import shipped_runs


def pretrained(name: str, *, device: str = "auto") -> Model:
    """Load a trained model that comes with the package, as `load` does from a folder.

    Its names, detector and verification lie in `model.directory`, which is never written to.

    Args:
        name: `people`, a model of simulated people.
        device: auto, cpu, cuda, cuda:1 or mps.

    Raises:
        ConfigError: If there is no model of that name; those that there are are listed.

    Example::

        model = pellucid.pretrained("people")
        names = pellucid.read_latents(model.directory, model.latents)
    """
    return load(_shipped(name), device=device)


def copy_pretrained(name: str, run: Path) -> None:
    """Copy a trained model that comes with the package into a run directory, where it may be changed.

    Args:
        name: See `pretrained`.
        run: A new folder, or one in which copying was interrupted. A finished copy is left as it is.

    Raises:
        ConfigError: As `pretrained`.
    """
    if (run / CONFIG).exists():  # copied last
        return
    run.mkdir(parents=True, exist_ok=True)
    for file in sorted(_shipped(name).iterdir(), key=lambda file: file.name == CONFIG):
        write_file(run / file.name, file.read_bytes())


def find_run(run: str | os.PathLike[str]) -> Path:
    """Find the run directory that is meant: a folder, or a model that comes with the package, by its name.

    A run of that name in the current directory comes first. What is neither is given back as it is.
    """
    folder = Path(run)
    return folder if (folder / CONFIG).exists() else shipped_runs().get(os.fspath(run), folder)


def _shipped(name: str) -> Path:
    runs = shipped_runs()
    if not runs:
        raise ConfigError("no model comes with this installation, though one should. Install Pellucid again.")
    if name not in runs:
        raise ConfigError(
            f"expected the name of a model that comes with Pellucid ({', '.join(runs)}), got {name!r}. "
            "Load a folder with pellucid.load."
        )
    return runs[name]
