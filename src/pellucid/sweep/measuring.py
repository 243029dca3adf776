"""What each run of a sweep is worth: rate and distortion on held-out images, and scores."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int

import pellucid
from pellucid.data.dataset import Dataset
from pellucid.errors import ConfigError, RunError
from pellucid.latents.activity import Codes, measure_activity
from pellucid.metrics.table import FEWEST_IMAGES
from pellucid.metrics.udr import udr
from pellucid.model.directory import model_fingerprint, read_config
from pellucid.model.predictor import Model, load
from pellucid.objective.reconstruction import training_loss
from pellucid.sweep.choosing import choose
from pellucid.sweep.grid import GridRun, Plan, done
from pellucid.sweep.results import RESULTS, RunResult, Sweep, read_sweep
from pellucid.sweep.scoring import AGAINST_FACTORS, LABELS, KnownFactors, known_factors, score_codes
from pellucid.training.sampler import generator_for

MEASURED = 10_000
"""Held-out images at most that a run is measured on."""

_BATCH = 256


def deciding_score(plan: Plan) -> str:
    """The score that decides: MIG where the images' factors are known, else UDR.

    Raises:
        ConfigError: If it is UDR and a value has one seed only, with which there is nothing to compare.
    """
    if known_factors(plan.dataset, _rows(plan)) is not None:
        return "mig"
    if len({run.seed for run in plan.runs}) < 2:
        raise ConfigError(
            f"seeds: expected 2 or more, because without {FEWEST_IMAGES} held-out images of known factors "
            "a run is scored by whether other seeds find the same latents (UDR). Give --seeds 3."
        )
    return "udr"


def measure_grid(
    plan: Plan,
    *,
    failures: Mapping[str, str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Sweep:
    """Measure every finished run on held-out images and choose one.

    What an earlier sweep.json in `plan.out` says of the same weights and images is taken from there.

    Args:
        plan: What was trained.
        failures: Name of each run that failed -> why.
        progress: Called with the number of runs done and of all.

    Raises:
        RunError: If no run is finished, or one is damaged.
    """
    rows, score = _rows(plan), deciding_score(plan)
    failures = dict(failures or {})
    finished = [run for run in plan.runs if done(plan, run)]
    known = known_factors(plan.dataset, rows)
    old = _earlier(plan, len(rows), score)
    results: list[RunResult] = []
    for value in sorted({run.value for run in finished}):
        group = [run for run in finished if run.value == value]
        if score == "udr" and len(group) < 2:
            failures[group[0].name] = "it has no other seed to be compared with."
            continue
        measured = _reused(plan, group, old) or _measure_group(plan, group, rows, known)
        results += measured
        if progress:
            progress(len(results), len(finished))
    if not results:
        raise RunError(f"{plan.out}: expected at least one finished run. Repeat the sweep to go on with it.")
    order = {run: place for place, run in enumerate(plan.runs)}
    results.sort(key=lambda result: order[result.run])
    return Sweep(
        data=plan.dataset.description,
        data_fingerprint=plan.dataset.fingerprint,
        objective=plan.config.objective.name,
        setting=plan.runs[0].setting,
        latents=plan.architecture.latents,
        images=len(rows),
        score=score,
        runs=tuple(results),
        failures=failures,
        choice=choose(results, score, label=LABELS[score]),
    )


def _rows(plan: Plan) -> Int[np.ndarray, " row"]:
    return plan.dataset.rows("held-out", at_most=MEASURED)


def _earlier(plan: Plan, images: int, score: str) -> dict[GridRun, RunResult]:
    """Results that still hold, by run; a missing or damaged file has none."""
    if not (plan.out / RESULTS).is_file():
        return {}
    try:
        old = read_sweep(plan.out)
    except RunError:
        return {}
    now = (plan.dataset.fingerprint, images, score, pellucid.__version__)
    if (old.data_fingerprint, old.images, old.score, old.version) != now:
        return {}
    names = set(AGAINST_FACTORS) if score in AGAINST_FACTORS else {score}
    return {result.run: result for result in old.runs if set(result.scores) == names}


def _reused(plan: Plan, group: Sequence[GridRun], old: Mapping[GridRun, RunResult]) -> list[RunResult]:
    """The group's earlier results, if they are of the same runs with the same weights; else none."""
    value = group[0].value
    if {run for run in old if run.value == value} != set(group):  # UDR depends on the whole group
        return []
    same = all(_is_of(old[run], plan.path(run)) for run in group)
    return [old[run] for run in group] if same else []


def _is_of(result: RunResult, run: Path) -> bool:
    """Whether a result is that of the model which lies there now."""
    config, weights = read_config(run)
    return [model_fingerprint(config, digest) for digest in weights] == [result.fingerprint]


def _measure_group(
    plan: Plan, group: Sequence[GridRun], rows: Int[np.ndarray, " row"], known: KnownFactors | None
) -> list[RunResult]:
    models = [load(plan.path(run), device=plan.device) for run in group]
    measured = rate_and_distortion(models, plan.dataset, rows, dict(plan.config.objective.losses))
    activities = [measure_activity(codes) for codes, _ in measured]
    if known is None:
        similar = udr([codes.mean for codes, _ in measured], [activity.kl for activity in activities])
        scores = [{"udr": float(score)} for score in similar]
    else:
        scores = [score_codes(codes.mean, known) for codes, _ in measured]
    return [
        RunResult(
            run=run,
            fingerprint=model.fingerprint,
            steps=int(model.config.training["steps_taken"]),
            reconstruction=distortion,
            kl=max(0.0, float(activity.kl.sum())),
            active_latents=int(activity.active.sum()),
            scores=scored,
        )
        for run, model, activity, (_, distortion), scored in zip(
            group, models, activities, measured, scores, strict=True
        )
    ]


@torch.no_grad()
def rate_and_distortion(
    models: Sequence[Model],
    dataset: Dataset,
    rows: Int[np.ndarray, " row"],
    losses: Mapping[str, float],
) -> list[tuple[Codes, float]]:
    """Measure what each model says of some images, and how far its pictures are from them.

    The distortion is that of a z drawn from the posterior, because the KL is the price of such a z; that of
    the posterior mean would belong to another rate. All models get the same noise.

    Args:
        models: With the preprocessing of the data set.
        dataset: Its images are fetched once for all models.
        rows: Which images.
        losses: Name -> weight of the reconstruction losses, as in training.

    Returns:
        For each model its codes of the images, and the mean training loss, nats-like per image.

    Raises:
        RunError: If a model's answers are not numbers.
    """
    means = np.empty((len(models), len(rows), models[0].latents), np.float32)
    log_variances, totals = np.empty_like(means), np.zeros(len(models))
    for start in range(0, len(rows), _BATCH):
        images = dataset.batch(rows[start : start + _BATCH])
        part = slice(start, start + len(images))
        for i, model in enumerate(models):
            posterior = model.vae.encode(images.to(model.device))
            z = posterior.sample(generator_for(0, "rate and distortion", start))
            totals[i] += float(training_loss(losses, images.to(model.device), model.vae.decode(z)).sum())
            means[i, part] = posterior.mean.cpu().numpy()
            log_variances[i, part] = posterior.log_variance.cpu().numpy()
    if not all(np.isfinite(values).all() for values in (means, log_variances, totals)):
        raise RunError("expected finite codes and losses, got nan or inf. A training diverged: train again.")
    return [
        (Codes(mean, log_variance), float(total / len(rows)))
        for mean, log_variance, total in zip(means, log_variances, totals, strict=True)
    ]
