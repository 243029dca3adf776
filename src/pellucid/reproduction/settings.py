"""What a reproduction is told, and kept with it: going on with other settings is refused."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pellucid.data.images import printable
from pellucid.errors import ConfigError, RunError
from pellucid.model.sealed import read_sealed, write_sealed
from pellucid.storage.writing import LOCK

SETTINGS = "settings.json"
_WORDS = {"data": "--data", "minutes": "--minutes", "seed": "--seed", "images_sha256": "the images in --data"}


@dataclass(frozen=True)
class Settings:
    """Everything that decides a reproduction's numbers; all but the first five are the paper's protocol.

    Attributes:
        data: The folder with `celeba` and `nonfaces`, absolute; None for simulated people and scenes.
        images_sha256: Of the names of the images there, so that others are noticed; None without `data`.
        minutes: Of training in all, shared out among the models.
        steps: Steps of each model's training instead; for tests.
        seed: Decides weights, splits and what is drawn.
        images: Normal and anomalous images to evaluate on, at most, of either.
        few: Anomalous images of Figs 5 and 6.
        splits: Random splits of an evaluation.
        persons: Simulated people with and without sunglasses.
        measured: Images that latents are measured on, at most.
        sprites: Images that sprites are scored on, at most.
        components: Of the PCA that is compared with.
        learned: Training images that the PCA is fitted on, at most.
    """

    data: str | None = None
    images_sha256: str | None = None
    minutes: float | None = 120.0
    steps: int | None = None
    seed: int = 0
    images: int = 1000
    few: int = 100
    splits: int = 100
    persons: int = 200
    measured: int = 5000
    sprites: int = 10_000
    components: int = 32
    learned: int = 7000

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.steps is None):
            raise ConfigError("expected a budget in minutes or in steps, and not both.")
        if self.minutes is not None and not (math.isfinite(self.minutes) and self.minutes > 0):
            raise ConfigError(f"minutes: expected a number above 0, got {self.minutes}. The default is 120.")
        if not 0 <= self.seed < 2**32:  # scikit-learn and numpy's old generators take no larger ones
            raise ConfigError(f"seed: expected 0 or more and below 2**32, got {self.seed}. The default is 0.")


def keep_settings(out: Path, settings: Settings) -> None:
    """Write the settings into the report's folder, or compare them with those that it was begun with.

    Args:
        out: A folder that is there.
        settings: What is wanted now.

    Raises:
        ConfigError: If it was begun with others, naming what differs; or if it holds something else.
        RunError: If they are damaged.
    """
    now: dict[str, Any] = asdict(settings)
    if not (out / SETTINGS).exists():
        if any(file.name != LOCK for file in out.iterdir()):
            raise ConfigError(
                f"{printable(out)}: expected a new folder or a reproduction to go on with, got something "
                "else. Choose another --out."
            )
        write_sealed(out / SETTINGS, now)
        return
    then = read_sealed(out / SETTINGS)
    if then.keys() != now.keys():
        raise RunError(f"{printable(out / SETTINGS)}: from another version. Choose another --out.")
    differing = [
        f"{_WORDS.get(key, key)} (then {_short(then[key])}, now {_short(now[key])})"
        for key in now
        if then[key] != now[key]
    ]
    if differing:
        raise ConfigError(
            f"{printable(out)}: was begun with other settings: {', '.join(differing)}. Give the same to go "
            "on, or choose another --out."
        )


def _short(value: Any) -> str:
    return "nothing" if value is None else printable(str(value))[:80]
