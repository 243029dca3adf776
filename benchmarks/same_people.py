"""Simulated people with and without sunglasses: is it named as the difference, and is the person found again?

python benchmarks/same_people.py RUN [--people 200] [--draws 5] [--known 1500] [--figure roc.png]

RUN is a model of people whose latents are measured, named and marked as nuisance. Persons of the pairs took
no part in `--known`, from which sameness is learned. What is counted:

1. Of pairs of one person, without sunglasses in A and with them in B: how often is the latent of sunglasses
   the one that differs most? In each scale; against all active latents, and against those that do not follow
   pose or light; and against the usual: each latent's difference over its standard deviation in pairs of one
   person that differ in the same nuisances, sunglasses the same. `true factors` is what a perfect description
   would score: pose and light themselves differ by more than sunglasses do in many pairs.
2. One picture of a person is wanted among one other picture of each: rank 1, rank 10, ROC of all pairs, with
   nuisance latents ignored and used, weighing latents alike or as learned.
3. How often the verdict is "alike" for one person and for strangers.
"""

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import roc_curve

import pellucid
from pellucid.comparison.compare import NOTABLE, SURE, population_deviation
from pellucid.comparison.known import Known, learn
from pellucid.comparison.people import encode_people, known_people
from pellucid.comparison.same import error_rates
from pellucid.data.people import FACTORS, IDENTITY, NAMES, NUISANCE, Factor, person, sample
from pellucid.latents.activity import Codes
from pellucid.latents.names import LatentTable
from pellucid.model.predictor import Model

POSE, LIGHT = ("azimuth", "elevation"), ("light_azimuth", "light_elevation")
SETTINGS = {
    "nothing else": (),
    "light": LIGHT,
    "pose": POSE,
    "pose and light": POSE + LIGHT,
}
OTHERS = tuple(name for name in NUISANCE if name not in (*POSE, *LIGHT, "sunglasses"))
Score = Callable[[np.ndarray, np.ndarray], np.ndarray]  # codes [image latent] twice -> [wanted candidate]


@dataclass(frozen=True)
class Pairs:
    """Two pictures of each person: factors [pair factor] and codes."""

    factors: tuple[np.ndarray, np.ndarray]
    codes: tuple[Codes, Codes]


def columns(names: tuple[str, ...]) -> list[int]:
    """Where factors stand."""
    return [NAMES.index(name) for name in names]


def draw_pairs(
    model: Model,
    people: np.ndarray,
    changing: tuple[str, ...],
    generator: torch.Generator,
    *,
    others: bool,
    sunglasses: tuple[float, float] | None,
) -> Pairs:
    """Two pictures of each person.

    Args:
        model: Encodes them.
        people: Seeds of the persons.
        changing: Nuisances drawn for each picture by itself; pose and light that are not among them are drawn
            for each person.
        generator: Decides them.
        others: Whether hair, clothes, background and so on are drawn for each person, or neutral.
        sunglasses: Worn in A and in B; None leaves them to chance.
    """
    base = torch.cat([person(int(seed)) for seed in people])
    drawn = [sample(len(people), generator) for _ in range(3)]
    shared = columns(POSE + LIGHT + (OTHERS if others else ()))
    base[:, shared] = drawn[0][:, shared]
    pictures = []
    for which in (0, 1):
        factors = base.clone()
        own = columns(changing)
        factors[:, own] = drawn[1 + which][:, own]
        if sunglasses is not None:
            factors[:, NAMES.index("sunglasses")] = sunglasses[which]
        pictures.append(factors)
    codes = [encode_people(model, factors) for factors in pictures]
    return Pairs((pictures[0].numpy(), pictures[1].numpy()), (codes[0], codes[1]))


def followed(model: Model, latents: list[int]) -> tuple[dict[int, str], int]:
    """The factor that explains most of each latent's variance (20 bins), and the latent of sunglasses."""
    factors = sample(4000, torch.Generator().manual_seed(99))
    mean, known = encode_people(model, factors).mean, factors.numpy()
    share = np.zeros((len(latents), len(NAMES)))
    for column in range(len(NAMES)):
        edges = np.quantile(known[:, column], np.linspace(0, 1, 21)[1:-1])
        bins = np.digitize(known[:, column], np.unique(edges))
        for row, latent in enumerate(latents):
            code = mean[:, latent]
            inside = sum(code[bins == b].var() * (bins == b).mean() for b in np.unique(bins))
            share[row, column] = 1 - inside / code.var()
    best = {latent: NAMES[int(share[row].argmax())] for row, latent in enumerate(latents)}
    return best, latents[int(share[:, NAMES.index("sunglasses")].argmax())]


def first(difference: np.ndarray, among: list[int], latent: int) -> float:
    """How often the latent differs most."""
    return float((np.array(among)[np.abs(difference[:, among]).argmax(axis=1)] == latent).mean())


def largest_difference(model: Model, table: LatentTable, people: int, draws: int) -> None:
    """Print how often the latent of sunglasses differs most."""
    active, deviation = table.active(), population_deviation(table)
    follows, glasses = followed(model, active)
    calm = [latent for latent in active if follows[latent] not in (*POSE, *LIGHT)]
    print(
        f"sunglasses: {table.label(glasses)}. Following pose or light, so set aside in the middle columns: "
    )
    print(", ".join(f"{table.label(j)} ({follows[j]})" for j in active if j not in calm), end=".\n\n")
    heads = [f"{scale}, all" for scale in ("raw", "posterior", "population")]
    heads += [f"{scale}, calm" for scale in ("raw", "posterior", "population")]
    heads += ["beyond the usual, all", "true factors, population, all"]
    print(f"| also changed | hair, clothes ... | {' | '.join(heads)} |\n{'|---' * (len(heads) + 2)}|")
    spread = np.array([deviation_of(factor) for factor in FACTORS])
    for others in (False, True):
        for name, changing in SETTINGS.items():
            found: list[list[float]] = []
            for draw in range(draws):
                generator = torch.Generator().manual_seed(1 + draw)
                pairs = draw_pairs(
                    model, np.arange(people), changing, generator, others=others, sunglasses=(0.0, 1.0)
                )
                a, b = pairs.codes
                raw = b.mean.astype(np.float64) - a.mean
                doubt = np.sqrt(np.exp(a.log_variance.astype(np.float64)) + np.exp(b.log_variance))
                scales = (raw, raw / doubt, raw / deviation)
                usual = usual_difference(model, changing, others, draw)
                truth = (pairs.factors[1] - pairs.factors[0]) / spread
                found.append(
                    [first(scale, among, glasses) for among in (active, calm) for scale in scales]
                    + [first(raw / usual, active, glasses)]
                    + [first(truth, list(range(len(NAMES))), NAMES.index("sunglasses"))]
                )
            cells = " | ".join(f"{share:.1%}" for share in np.mean(found, axis=0))
            print(f"| {name} | {'by chance' if others else 'neutral'} | {cells} |", flush=True)


def deviation_of(factor: Factor) -> float:
    """Standard deviation of a factor over the population: spread evenly, or 1 by its chance."""
    if factor.chance is not None:
        return math.sqrt(factor.chance * (1 - factor.chance))
    return (factor.high - factor.low) / math.sqrt(12)


def usual_difference(model: Model, changing: tuple[str, ...], others: bool, draw: int) -> np.ndarray:
    """Standard deviation [latent] of the difference in pairs of one person, sunglasses the same in both.

    A floor of a tenth of the prior's standard deviation: where nothing changes, the usual difference is none.
    """
    generator = torch.Generator().manual_seed(1000 + draw)
    spread = []
    for worn in (0.0, 1.0):
        people = np.arange(50_000, 50_200)
        pairs = draw_pairs(model, people, changing, generator, others=others, sunglasses=(worn, worn))
        spread.append(pairs.codes[1].mean - pairs.codes[0].mean)
    return np.maximum(np.concatenate(spread).std(axis=0), 0.1)


def scores(table: LatentTable, known: Known) -> dict[str, Score]:
    """Ways to rank, each higher for the same person."""
    deviation = population_deviation(table)

    def alike(latents: list[int]) -> Score:
        def score(a: np.ndarray, b: np.ndarray) -> np.ndarray:
            apart = ((a[:, None] - b[None]) / deviation)[:, :, latents]
            return np.asarray(-np.square(apart).sum(axis=2))

        return score

    def learned(which: str) -> Score:
        model = getattr(known, which)

        def score(a: np.ndarray, b: np.ndarray) -> np.ndarray:
            return np.stack([model.log_odds(one[None], b) for one in a])

        return score

    return {
        "all used, weighing alike": alike(table.active()),
        "nuisances ignored, weighing alike": alike(table.identity()),
        "nuisances ignored, as learned": learned("identity"),
        "all used, as learned": learned("everything"),
    }


def galleries(
    model: Model, table: LatentTable, known: Known, people: int, draws: int
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Print how well people are found again; give each way's ROC with all nuisances by chance."""
    print(
        f"\n| pictures of {people} people | ranked by | rank 1 | rank 10 | median rank | AUC | equal error |"
        f" accepted at 1 % false |\n{'|---' * 8}|"
    )
    situations = {
        "sunglasses put on, pose and light changed, the rest neutral": (POSE + LIGHT, False, (0.0, 1.0)),
        "the same, hair and clothes by chance but kept": (POSE + LIGHT, True, (0.0, 1.0)),
        "all nuisances by chance": (NUISANCE, False, None),
    }
    curves = {}
    for situation, (changing, others, worn) in situations.items():
        drawn = [
            draw_pairs(
                model,
                np.arange(people),
                changing,
                torch.Generator().manual_seed(500 + draw),
                others=others,
                sunglasses=worn,
            ).codes
            for draw in range(draws)
        ]
        for name, score in scores(table, known).items():
            tables = [score(a.mean, b.mean) for a, b in drawn]
            rank = np.concatenate([(t > np.diag(t)[:, None]).sum(axis=1) for t in tables])
            values = np.concatenate([t.ravel() for t in tables])
            same = np.tile(np.eye(people, dtype=bool).ravel(), draws)
            who = np.tile(np.stack(np.indices((people, people)), axis=-1).reshape(-1, 2), (draws, 1))
            rates = error_rates(values, same, who)
            print(
                f"| {situation} | {name} | {np.mean(rank < 1):.1%} | {np.mean(rank < 10):.1%} | "
                f"{np.median(rank) + 1:.0f} | {rates.auc:.3f} ({rates.auc_low:.3f}-{rates.auc_high:.3f}) | "
                f"{rates.equal_error:.1%} | {rates.accepted:.1%} |",
                flush=True,
            )
            curves[name] = roc_curve(same, values)[:2]
    print(f"By chance: rank 1 {1 / people:.1%}, rank 10 {10 / people:.1%}, AUC 0.5.")
    return curves


def verdicts(model: Model, table: LatentTable, known: Known, people: int, draws: int) -> None:
    """Print how often no latent of identity differs notably, and how often sameness has even odds or more."""
    deviation, identity = population_deviation(table), table.identity()
    alike: dict[str, list[float]] = {"one person": [], "strangers": []}
    likely: dict[str, list[float]] = {"one person": [], "strangers": []}
    for draw in range(draws):
        generator = torch.Generator().manual_seed(900 + draw)
        pairs = draw_pairs(
            model, np.arange(people), POSE + LIGHT, generator, others=False, sunglasses=(0.0, 1.0)
        )
        a, b = pairs.codes
        for who, shift in (("one person", 0), ("strangers", 1)):
            raw = np.roll(b.mean, shift, axis=0).astype(np.float64) - a.mean
            doubt = np.sqrt(np.exp(a.log_variance) + np.exp(np.roll(b.log_variance, shift, axis=0)))
            notable = (np.abs(raw / deviation) >= NOTABLE) & (np.abs(raw / doubt) >= SURE)
            alike[who].append(float((~notable[:, identity].any(axis=1)).mean()))
            odds = known.identity.log_odds(a.mean, np.roll(b.mean, shift, axis=0))
            likely[who].append(float((odds >= 0).mean()))
    print(
        "\n| pose, light and sunglasses changed | no identity latent differs notably | "
        "probability 0.5 or more |"
    )
    print("|---|---|---|")
    for who in alike:
        print(f"| {who} | {np.mean(alike[who]):.1%} | {np.mean(likely[who]):.1%} |")


def draw_roc(curves: dict[str, tuple[np.ndarray, np.ndarray]], picture: Path) -> None:
    """The ROC curves with all nuisances by chance."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(5.4, 5), layout="constrained")
    for (name, (false, true)), style in zip(curves.items(), (":", "--", "-", "-."), strict=True):
        axes.plot(false, true, style, lw=2, label=f"{name}: AUC {np.trapezoid(true, false):.2f}")
    axes.plot([0, 1], [0, 1], color="black", lw=0.6)
    axes.set(xlabel="strangers accepted", ylabel="one person accepted", xlim=(0, 1), ylim=(0, 1), aspect=1)
    axes.set_title("Two pictures, all nuisances by chance: one person?", fontsize=10)
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    figure.savefig(picture, dpi=150)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--known", type=int, default=1500)
    parser.add_argument("--figure", type=Path)
    chosen = parser.parse_args()
    model = pellucid.load(chosen.run)
    table = pellucid.read_latents(chosen.run, model.latents)
    codes, who = known_people(model, chosen.known)
    known = learn(codes.mean, who, table, f"{chosen.known} simulated people")
    print(f"Identity: {', '.join(IDENTITY)}.\nLatents of identity: ", end="")
    print(", ".join(table.label(latent) for latent in table.identity()), end=".\n")
    largest_difference(model, table, chosen.people, chosen.draws)
    curves = galleries(model, table, known, chosen.people, chosen.draws)
    verdicts(model, table, known, chosen.people, chosen.draws)
    if chosen.figure:
        draw_roc(curves, chosen.figure)


if __name__ == "__main__":
    main()
