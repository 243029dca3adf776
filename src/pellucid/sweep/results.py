"""What a sweep found, and sweep.json, which holds it."""

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_type_hints

import pellucid
from pellucid.errors import RunError
from pellucid.model.sealed import read_sealed, write_sealed
from pellucid.sweep.grid import MAX_RUNS, GridRun

FORMAT = "pellucid-sweep"
VERSION = 2
RESULTS = "sweep.json"
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")


@dataclass(frozen=True)
class RunResult:
    """What was measured of one run, on images that it was not trained on.

    Attributes:
        run: Which one.
        fingerprint: sha256 of its weights, architecture and preprocessing.
        steps: Steps of the optimiser that it took.
        reconstruction: The training's own reconstruction loss of a z drawn from the posterior, nats-like per
            image.
        kl: Of all latents together, nats per image.
        active_latents: Latents that say something, see `pellucid.latents.activity`.
        scores: Name -> score in [0, 1], more is better.
    """

    run: GridRun
    fingerprint: str
    steps: int
    reconstruction: float
    kl: float
    active_latents: int
    scores: Mapping[str, float]


@dataclass(frozen=True)
class Choice:
    """Which run to use, and why.

    Attributes:
        run: The chosen one; None if no run has an active latent.
        reason: One sentence for people.
        tied: Values of the varied setting whose medians cannot be told from the best one's, ascending; the
            chosen value is among them.
        spread: How far seeds lie apart: the standard deviation of the score over seeds of one value, pooled
            over all values; None if there is one seed only.
    """

    run: GridRun | None
    reason: str
    tied: tuple[float, ...]
    spread: float | None


@dataclass(frozen=True)
class Sweep:
    """The results of a whole sweep.

    Attributes:
        data: The images, in words.
        data_fingerprint: sha256 of the images.
        objective: Its name.
        setting: What was varied.
        latents: How many every model has.
        images: Held-out images that were measured.
        score: The name of the score that decides.
        runs: One for each run that was measured, in the order of training.
        failures: Name of each run whose training failed -> why.
        choice: Which run to use.
        version: The version of Pellucid that measured.
    """

    data: str
    data_fingerprint: str
    objective: str
    setting: str
    latents: int
    images: int
    score: str
    runs: tuple[RunResult, ...]
    failures: Mapping[str, str]
    choice: Choice
    version: str = pellucid.__version__

    @property
    def values(self) -> tuple[float, ...]:
        """The values of the varied setting, ascending."""
        return tuple(sorted({result.run.value for result in self.runs}))

    def at(self, value: float) -> tuple[RunResult, ...]:
        """The runs with that value, by seed."""
        found = (result for result in self.runs if result.run.value == value)
        return tuple(sorted(found, key=lambda result: result.run.seed))


def sweep_record(sweep: Sweep) -> dict[str, Any]:
    """The sweep as JSON: what sweep.json holds and `--json` prints."""
    chosen, record = sweep.choice.run, asdict(sweep)
    record["choice"] = {**record["choice"], "run": None if chosen is None else chosen.name}
    record["runs"] = [
        {"name": result.run.name, "value": result.run.value, "seed": result.run.seed, **rest}
        for result, rest in zip(sweep.runs, record["runs"], strict=True)
        if rest.pop("run")
    ]
    return {"format": FORMAT, "format_version": VERSION, **record}


def write_sweep(folder: Path, sweep: Sweep) -> None:
    """Replace the folder's sweep.json."""
    write_sealed(folder / RESULTS, sweep_record(sweep))


def read_sweep(folder: Path) -> Sweep:
    """Read and check sweep.json.

    Raises:
        RunError: If it is missing, damaged, from a newer version, or says what a sweep cannot.
    """
    path = folder / RESULTS
    content = read_sealed(path)
    if (content.pop("format", None), content.pop("format_version", None)) != (FORMAT, VERSION):
        raise RunError(f"{path}: expected {FORMAT} {VERSION}. Repeat the sweep: what is trained is kept.")
    try:
        return _sweep(content)
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"{path}: expected a sweep's results, but {error}. Repeat the sweep: what is trained is kept."
        ) from error


def _sweep(content: dict[str, Any]) -> Sweep:
    setting = _typed(content, "setting", str)
    if not _NAME.fullmatch(setting):
        raise ValueError(f"{setting!r} is no setting")
    records = _typed(content, "runs", list)
    if len(records) > MAX_RUNS:
        raise ValueError(f"it has {len(records)} runs, more than {MAX_RUNS}")
    runs = tuple(_result(dict(record), setting) for record in records)
    by_name = {result.run.name: result.run for result in runs}
    if len(by_name) < len(runs):
        raise ValueError("a run stands twice")
    choice = dict(_typed(content, "choice", dict))
    chosen = choice.pop("run")
    sweep = Sweep(
        setting=setting,
        runs=runs,
        choice=Choice(
            run=None if chosen is None else by_name[chosen],
            reason=_typed(choice, "reason", str),
            tied=tuple(map(_number, _typed(choice, "tied", list))),
            spread=None if choice.get("spread") is None else _number(choice["spread"]),
        ),
        failures={str(name): str(why) for name, why in _typed(content, "failures", dict).items()},
        **{key: _typed(content, key, kind) for key, kind in _plain_fields(Sweep).items() if key != "setting"},
    )
    if any(sweep.score not in result.scores for result in runs):
        raise ValueError(f"a run lacks the score {sweep.score!r}")
    return sweep


def _plain_fields(kind: type) -> dict[str, type]:
    return {name: hint for name, hint in get_type_hints(kind).items() if hint in (str, int)}


def _result(record: dict[str, Any], setting: str) -> RunResult:
    run = GridRun(setting, _number(record["value"]), _typed(record, "seed", int))
    scores = {str(name): _number(score) for name, score in _typed(record, "scores", dict).items()}
    if record["name"] != run.name or run.seed < 0 or not all(score <= 1 for score in scores.values()):
        raise ValueError(f"{record['name']!r} is not {run.name}, or has a score above 1")
    return RunResult(
        run=run,
        scores=scores,
        reconstruction=float(_finite(record["reconstruction"])),
        kl=_number(record["kl"]),
        **{key: _typed(record, key, kind) for key, kind in _plain_fields(RunResult).items()},
    )


def _typed(record: dict[str, Any], key: str, kind: type) -> Any:
    value = record[key]
    if type(value) is not kind:
        raise ValueError(f"{key} is not a {kind.__name__}")
    return value


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is not a number")
    return float(value)


def _number(value: Any) -> float:
    if _finite(value) < 0:
        raise ValueError(f"{value!r} is below 0")
    return float(value)
