"""The runs of a sweep: which there are, what each is told, and training those that are not finished."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from pellucid.data.dataset import Dataset
from pellucid.errors import ConfigError, TrainingError
from pellucid.model.architecture import Architecture
from pellucid.model.directory import CONFIG, read_config
from pellucid.model.inside import inside
from pellucid.training.checkpoint import CHECKPOINT, read_settings
from pellucid.training.config import TrainingConfig, settings_of
from pellucid.training.loop import Progress, train
from pellucid.training.precision import FORMATS, settled_precision

MAX_RUNS = 1000
SETTINGS: Mapping[str, str] = {
    "beta-vae": "beta",
    "annealed-beta-vae": "capacity",
    "beta-tcvae": "beta",
    "factor-vae": "tc_weight",
    "dip-vae-i": "off_diagonal",
    "dip-vae-ii": "off_diagonal",
}
"""The setting of `Objective` that a sweep varies for each objective: its price on what the latents say."""

USUAL_VALUES: Mapping[str, tuple[float, ...]] = {
    "beta": (1, 2, 4, 8),
    "capacity": (5, 10, 15, 25),
    "tc_weight": (5, 10, 20, 40),
    "off_diagonal": (2, 5, 10, 20),
}
"""What is tried of each setting unless told otherwise: the range that the literature uses."""

SYMBOLS: Mapping[str, str] = {
    "beta": "β",
    "capacity": "capacity",
    "tc_weight": "tc-weight",
    "off_diagonal": "off-diagonal",
}
"""What people call these settings: β, and the others as the options of `pellucid train`."""

_ROUNDED_MINUTES = 0.005  # config.json has minutes with two decimals

Watch = Callable[["GridRun", int, int], AbstractContextManager[Callable[[Progress], None]]]


@dataclass(frozen=True)
class GridRun:
    """One run of a grid.

    Attributes:
        setting: What the sweep varies, such as `beta`.
        value: Its value in this run.
        seed: Decides weights, order and noise.
    """

    setting: str
    value: float
    seed: int

    @property
    def name(self) -> str:
        """The run's folder: `beta-4-seed-0`."""
        return f"{self.setting.replace('_', '-')}-{self.value:g}-seed-{self.seed}"

    @property
    def label(self) -> str:
        """The varied setting for people: `β = 4`."""
        return f"{SYMBOLS.get(self.setting, self.setting)} = {self.value:g}"


@dataclass(frozen=True)
class Plan:
    """Everything that a sweep trains: runs that differ in one setting of the objective and in the seed.

    Attributes:
        dataset: What all runs are trained on.
        architecture: Of all runs.
        config: Of all runs, but for the varied setting and the seed.
        runs: All of them, in the order in which they are trained.
        out: The folder that holds a folder for each.
        device: As in `pellucid.training.loop.train`.
    """

    dataset: Dataset
    architecture: Architecture
    config: TrainingConfig
    runs: tuple[GridRun, ...]
    out: Path
    device: str = "auto"

    def path(self, run: GridRun) -> Path:
        """The run's directory."""
        return inside(self.out, run.name)

    def config_of(self, run: GridRun) -> TrainingConfig:
        """What the run is told."""
        varied: dict[str, Any] = {run.setting: run.value}
        objective = replace(self.config.objective, **varied)
        return replace(self.config, objective=objective, seed=run.seed)


@dataclass(frozen=True)
class Trained:
    """How far the training of a grid came.

    Attributes:
        finished: Whether every run has used up its budget or failed; false after Ctrl-C.
        failures: Name of each run that diverged -> why.
    """

    finished: bool
    failures: Mapping[str, str]


def parse_values(text: str) -> tuple[float, ...]:
    """Read `1,2,4,8`.

    Raises:
        ConfigError: If something between the commas is not a number.
    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(
            f"betas: expected numbers between commas, such as 1,2,4,8, got {text!r}."
        ) from error


def grid(objective: str, values: tuple[float, ...] | None, seeds: int) -> tuple[GridRun, ...]:
    """All runs, seed by seed, so that a sweep that is stopped early has seen the whole range of values.

    Args:
        objective: Its name; `SETTINGS` says what is varied.
        values: Of the varied setting; the runs are in ascending order of it. None: `USUAL_VALUES`.
        seeds: How many seeds, from 0.

    Raises:
        ConfigError: If there are no runs, too many, two of the same name, or the objective has
            nothing to vary.
    """
    if objective not in SETTINGS:
        raise ConfigError(
            f"objective: expected one with a price to vary, {', '.join(SETTINGS)}, got {objective!r}. "
            "For a single setting use pellucid train."
        )
    if values is None:
        values = USUAL_VALUES[SETTINGS[objective]]
    if not values or not all(math.isfinite(value) and value >= 0 for value in values):
        raise ConfigError(f"betas: expected one number or more, 0 or above, got {list(values)}.")
    if seeds < 1 or seeds * len(values) > MAX_RUNS:
        raise ConfigError(f"seeds: expected 1 or more, and at most {MAX_RUNS} runs in all, got {seeds}.")
    runs = tuple(
        GridRun(SETTINGS[objective], value, seed) for seed in range(seeds) for value in sorted(values)
    )
    if len({run.name for run in runs}) < len(runs):
        raise ConfigError(f"betas: expected different ones, got {', '.join(f'{v:g}' for v in values)}.")
    return runs


def check_plan(plan: Plan) -> None:
    """Refuse, before anything is trained, what could not be trained or is not part of this sweep.

    Raises:
        ConfigError: If a run's settings make no sense, or its folder holds a run with other settings.
        RunError: If its checkpoint is damaged.
    """
    for run in plan.runs:
        config = plan.config_of(run)
        if not (plan.path(run) / CHECKPOINT).is_file():
            continue
        then = read_settings(plan.path(run))
        precision = FORMATS.get(settled_precision(config.precision, then.get("precision")), torch.float32)
        now = settings_of(config, plan.architecture, plan.dataset, precision)
        for key in sorted(now.keys() | then.keys()):
            if now.get(key) != then.get(key):
                raise ConfigError(
                    f"{plan.path(run)}: was trained with {key} {then.get(key)!r}, and this sweep asks for "
                    f"{now.get(key)!r}. Give the first command's settings, or choose another --out."
                )


def done(plan: Plan, run: GridRun) -> bool:
    """Whether the run has used up its budget, as its config.json says."""
    return share_done(plan, run) >= 1


def runs_left(plan: Plan) -> float:
    """How many runs are still to be trained; one that was interrupted counts for what is left of it."""
    return sum(1 - min(1.0, share_done(plan, run)) for run in plan.runs)


def share_done(plan: Plan, run: GridRun) -> float:
    """How much of its budget a run has used up, as its config.json says: 0 to 1 and a little more."""
    if not (plan.path(run) / CONFIG).is_file() or not (plan.path(run) / CHECKPOINT).is_file():
        return 0.0
    spent = read_config(plan.path(run))[0].training
    most = plan.config.most_steps(len(plan.dataset.rows("train")))
    by_steps = float(spent["steps_taken"]) / most if most is not None else 0.0
    if plan.config.minutes is None:
        return by_steps
    return max(by_steps, (float(spent["minutes_taken"]) + _ROUNDED_MINUTES) / plan.config.minutes)


def train_grid(plan: Plan, *, command: str | None = None, watch: Watch | None = None) -> Trained:
    """Train every run that is not finished; one that was interrupted goes on where it was.

    Ctrl-C and SIGTERM end it with everything saved: the same call goes on. A run that diverges does not stop
    the others.

    Args:
        plan: Checked by `check_plan`.
        command: The command line that asked for it, to be recorded with the models.
        watch: Called with each run, its number from 1 and the number of runs; gives a context whose value
            is told the progress.

    Raises:
        TrainingError: If every run that was trained failed.
    """
    failures: dict[str, str] = {}
    for number, run in enumerate(plan.runs, start=1):
        if done(plan, run):
            continue
        try:
            with (watch or _unwatched)(run, number, len(plan.runs)) as on_progress:
                trained = train(
                    plan.dataset,
                    plan.architecture,
                    plan.config_of(run),
                    plan.path(run),
                    resume=(plan.path(run) / CHECKPOINT).is_file(),
                    device=plan.device,
                    command=command,
                    on_progress=on_progress,
                )
        except TrainingError as error:
            failures[run.name] = str(error)
            if len(failures) == len(plan.runs):
                raise
            continue
        if not trained.finished:
            return Trained(False, failures)
    return Trained(True, failures)


@contextmanager
def _unwatched(run: GridRun, number: int, of: int) -> Iterator[Callable[[Progress], None]]:
    yield lambda progress: None
