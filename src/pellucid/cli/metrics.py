"""`pellucid metrics`: the field's disentanglement scores of a run, on images whose factors are known."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pellucid.cli.opening import Run, held_out_split, only_with, open_run, skipped_record
from pellucid.cli.printing import print_json, print_table
from pellucid.errors import ConfigError, DataError
from pellucid.terminal import counting_bar

if TYPE_CHECKING:
    from pellucid.data.dataset import Dataset
    from pellucid.latents.names import LatentTable
    from pellucid.metrics.mig import InformationGap
    from pellucid.metrics.table import Score

PROTOCOL = (
    "All latents count, active or not, except where a protocol leaves out those that do not move (FactorVAE "
    "score, InfoMEC). Scores of other factors, of fewer images or by another protocol are not comparable.",
    "MIG (Locatello) is of posterior means in 20 bins, MIG (Chen) of samples of the posteriors: two "
    "quantities, not to be compared. Of three names disentanglement_lib computes other quantities: SAP is of "
    "lines and thresholds, as in its paper (there: linear SVMs), DCI of forests (there: boosted trees), "
    "explicitness of one value against all others, as in its paper (there: of all values at once; true "
    "factors of sprites score 0.98 instead of 0.78).",
    "Intervals are for other images and the same model. Training again moves scores more.",
)


def metrics(
    run: Run,
    /,
    *,
    data: str | None = None,
    skip: int = 0,
    limit: int | None = None,
    images: int = 10_000,
    factors: str | None = None,
    resamples: int = 50,
    seed: int = 0,
    trust_data: bool = False,
    json: bool = False,
    device: str = "auto",
) -> None:
    """Score how well single latents stand for single known factors: MIG, SAP, DCI, InfoMEC and the others.

    The images need known factors or attributes: sprites, people, CelebA. What each score asks, its ceiling
    and its known failings: docs/metrics.md.

    Args:
        run: A run directory, or `people`, the model that comes with Pellucid.
        data: Images to score on: `sprites`, `people`, a CelebA root. Default: the training data, of
            which only held-out images count, however it is named.
        skip: Leave out the first images of --data by name.
        limit: Use no more than this many images of --data.
        images: Score on at most this many, drawn at random.
        factors: Only these factors, by name, between commas.
        resamples: Halves of the images that the 95 % intervals rest on.
        seed: Decides all that is drawn.
        trust_data: Open the training images at the path that the run names, even if it was not trained here.
        json: Print everything as JSON.
        device: auto, cpu, cuda, cuda:1 or mps.
    """
    import numpy as np

    from pellucid.latents.activity import encode_dataset
    from pellucid.latents.names import read_latents
    from pellucid.metrics.mig import mig
    from pellucid.metrics.table import evaluate

    if images < 1:
        raise ConfigError(f"--images: expected 1 or more, got {images}. The literature takes 10,000.")
    only_with("--data", data is not None, skip=skip or None, limit=limit)
    model, dataset, _ = open_run(run, data, skip, limit, device, trust_data=trust_data)
    split = held_out_split(model, dataset)
    rows = dataset.rows(split, at_most=images)
    known = _known(dataset, rows, factors)
    with counting_bar("encoding images") as advance:
        codes = encode_dataset(model, dataset, known.rows, progress=advance)
    with counting_bar("scoring") as advance:
        scores = evaluate(
            codes.mean,
            known.values,
            known.names,
            log_variances=codes.log_variance,
            categorical=known.categorical,
            seed=seed,
            resamples=resamples,
            progress=advance,
        )
    latents = read_latents(run, model.latents)
    gap = mig(codes.mean, known.values)
    shuffled = np.random.default_rng(seed).permutation(len(known.rows))
    chance = _shares(mig(codes.mean[shuffled], known.values))
    where = (
        f"held-out images of {dataset.description}" if split == "held-out" else f"of {dataset.description}"
    )
    if json:
        record = {
            "data": dataset.description,
            "held_out": split == "held-out",
            "seed": seed,
            "resamples": resamples,
            "skipped": skipped_record(dataset),
        }
        print_json(record | _record(scores, gap, chance, known, latents))
        return
    _print_scores(scores, known, where, latents)
    _print_factors(gap, chance, known, latents)


@dataclass(frozen=True)
class _Known:
    """The factors that can be scored, and the images on which they are known.

    Attributes:
        rows: int [image].
        values: float32 [image factor].
        names: One for each factor.
        categorical: One for each factor.
        left_out: Why each other factor cannot be scored, by its name.
    """

    rows: Any
    values: Any
    names: tuple[str, ...]
    categorical: tuple[bool, ...]
    left_out: dict[str, str]


def _known(dataset: "Dataset", rows: Any, wanted: str | None) -> _Known:
    import numpy as np

    from pellucid.metrics.table import unusable

    known = dataset.attributes
    if known is None:
        raise ConfigError(
            f"metrics needs images whose factors are known, and of {dataset.description} none are. Name "
            "others with --data, or train several seeds and compare them: pellucid sweep."
        )
    values = known.lookup(rows)
    described = np.isfinite(values).any(axis=1)  # images without a row in the table of attributes
    rows, values = rows[described], values[described]
    chosen = _chosen(known.names, wanted)
    faults = unusable(values[:, chosen])
    kept = [index for index, fault in zip(chosen, faults, strict=True) if fault is None]
    left_out = {
        known.names[index]: fault for index, fault in zip(chosen, faults, strict=True) if fault is not None
    }
    if not kept:
        reasons = "; ".join(f"{name} is {fault}" for name, fault in list(left_out.items())[:3])
        if len(left_out) > 3:
            reasons += f"; and so on for {len(left_out) - 3} more"
        raise DataError(f"expected a factor that is known and varies on {len(rows):,} images, but {reasons}.")
    return _Known(
        rows=rows,
        values=values[:, kept],
        names=tuple(known.names[index] for index in kept),
        categorical=tuple(known.kinds[index] in ("binary", "categorical") for index in kept),
        left_out=left_out,
    )


def _chosen(names: Sequence[str], wanted: str | None) -> list[int]:
    if wanted is None:
        return list(range(len(names)))
    spelled = {name.replace("_", " ").lower(): name for name in names}
    asked = [name.strip() for name in wanted.split(",") if name.strip()]
    asked = [spelled.get(name.replace("_", " ").lower(), name) for name in asked]
    missing = [name for name in asked if name not in names]
    if missing or not asked:
        raise ConfigError(
            f"--factors: expected some of {', '.join(names)}, got {missing[0] if missing else 'none'!r}."
        )
    return [index for index, name in enumerate(names) if name in asked]


def _record(
    scores: "Sequence[Score]",
    gap: "InformationGap",
    chance: Sequence[float],
    known: _Known,
    latents: "LatentTable",
) -> dict[str, Any]:
    shares = _shares(gap)
    return {
        "images": len(known.rows),
        "latents": len(latents.records),
        "factors": list(known.names),
        "left_out": known.left_out,
        "scores": [
            {
                "name": score.name,
                "value": score.value,
                "low": score.low,
                "high": score.high,
                "images": score.images,
                "biased": score.biased,
                "per_factor": score.per_factor and dict(zip(known.names, score.per_factor, strict=True)),
            }
            for score in scores
        ],
        "by_factor": [
            {
                "factor": name,
                "latent": f"z{gap.best[index]}",
                "name": latents.records[gap.best[index]].name,
                "information": shares[index],
                "information_by_chance": chance[index],
                "gap": float(gap.gaps[index]),
            }
            for index, name in enumerate(known.names)
        ],
        "notes": [*_chance(known), *_few(scores), *PROTOCOL],
    }


def _shares(gap: "InformationGap") -> list[float]:
    """What the best latent knows of each factor, as a share of the factor's entropy."""
    shares: list[float] = (gap.information.max(axis=0) / gap.entropy).tolist()
    return shares


def _counted(factors: int) -> str:
    return "1 factor" if factors == 1 else f"{factors} factors"


def _chance(known: _Known) -> list[str]:
    count = len(known.names)
    if count < 2:
        return ["With one factor, only MIG, SAP and explicitness can be said. Chance: explicitness 0.5."]
    return [
        f"Chance: FactorVAE score and beta-VAE score {1 / count:.2f}, explicitness 0.5; modularity of noise "
        "is above 0; about 0 for all others."
    ]


def _few(scores: "Sequence[Score]") -> list[str]:
    from pellucid.metrics.table import STANDARD_IMAGES

    few = next((score.images for score in scores if score.biased), None)
    if few is None:
        return []
    return [
        f"Warning: {few:,} images are fewer than {STANDARD_IMAGES:,}. That moves the scores themselves, not "
        "their intervals alone (all but beta-VAE score). Compare with scores of as many only."
    ]


def _print_scores(scores: "Sequence[Score]", known: _Known, where: str, latents: "LatentTable") -> None:
    from rich.console import Console
    from rich.table import Table

    printed = Table()
    printed.add_column("metric")
    printed.add_column("value", justify="right")
    printed.add_column("95 %", justify="right")
    for score in scores:
        printed.add_row(score.name, f"{score.value:.3f}", f"{score.low:.3f}-{score.high:.3f}")
    console = Console()
    print_table(printed)
    lines = [
        f"On {len(known.rows):,} {where}; {len(latents.records)} latents; {_counted(len(known.names))}: "
        f"{', '.join(known.names)}.",
        *(f"Left out: {name}, {fault}." for name, fault in known.left_out.items()),
        *_chance(known),
        *_few(scores),
        *PROTOCOL,
    ]
    for line in lines:
        console.print(line, markup=False, highlight=False)


def _print_factors(
    gap: "InformationGap", chance: Sequence[float], known: _Known, latents: "LatentTable"
) -> None:
    from rich.console import Console
    from rich.table import Table

    printed = Table(title="Which latent says most of each factor")
    printed.add_column("factor")
    printed.add_column("latent")
    for column in ("it knows", "by chance", "gap"):
        printed.add_column(column, justify="right")
    shares = _shares(gap)
    for index in sorted(range(len(known.names)), key=lambda factor: -shares[factor]):
        printed.add_row(
            known.names[index],
            latents.label(int(gap.best[index])),
            f"{shares[index]:.0%}",
            f"{chance[index]:.0%}",
            f"{gap.gaps[index]:.2f}",
        )
    console = Console()
    print_table(printed)
    console.print(
        "it knows: share of the factor's entropy that the latent tells, in 20 bins. by chance: what the best "
        "latent knows of shuffled images. gap: how far it is ahead of the next latent.",
        markup=False,
        highlight=False,
    )
