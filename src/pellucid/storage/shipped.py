"""The models that come with the package: they are read, and never written to."""

import os
from pathlib import Path

from pellucid.errors import ConfigError

SHIPPED = Path(__file__).parents[1] / "pretrained"
"""A folder with one run for each model."""


def shipped_runs() -> dict[str, Path]:
    """List the models that come with the package: the folder of each by its name."""
    return {config.parent.name: config.parent for config in sorted(SHIPPED.glob("*/config.json"))}


def refuse_shipped(path: Path) -> None:
    """Refuse to write into a model that comes with the package, wherever that is installed.

    Raises:
        ConfigError: If the path lies in one, by whatever links it is reached.
    """
    place, shipped = (Path(os.path.realpath(one)) for one in (path, SHIPPED))
    if place.is_relative_to(shipped):
        run = shipped / place.relative_to(shipped).parts[0] if place != shipped else shipped
        raise ConfigError(
            f"{run}: comes with Pellucid and is never changed. Change a copy: cp -r {run} my-{run.name} "
            "(pellucid demo leaves one in demo/people)."
        )
