"""Figs 13 to 15: one person with and without sunglasses, both codes, their difference."""

import numpy as np
from jaxtyping import Float64

from pellucid.comparison.compare import compare, population_deviation
from pellucid.data.people import render
from pellucid.report.comparison import comparison_figure
from pellucid.reproduction.claims import one_latent_dominates
from pellucid.reproduction.context import Context
from pellucid.reproduction.exhibit import Exhibit, Part, Table, photographs
from pellucid.reproduction.pairs import POSE_AND_LIGHT, differences, draw_pairs, explained_by_sunglasses

_FIGURES = (13, 14, 15)
_TITLE = "One person, with and without sunglasses"
_PAPER = (
    "Two pictures of a simulated person, without and with sunglasses (Fig 13), both codes as bars (Fig 14), "
    "and the difference as bars (Fig 15), in which a single latent stands out: the one that had been named "
    "sunglasses, z17 in the paper's model."
)
_SITUATIONS = (("sunglasses alone", ()), ("sunglasses, pose and light", POSE_AND_LIGHT))


def sunglasses(context: Context) -> Part:
    """Compare many pairs of simulated pictures, and show the first."""
    model, table = context.model("people")
    active, settings = table.active(), context.settings
    if not active:
        return _nothing(len(table.records))
    with context.watch.working("finding the latent of sunglasses"):
        share = explained_by_sunglasses(model, settings.measured, settings.seed)
    latent = active[int(np.argmax(share[active]))]
    name, deviation = table.label(latent), population_deviation(table)
    numbers: dict[str, object] = {
        "latent": f"z{latent}",
        "label": name,
        "variance_explained": float(share[latent]),
        "pairs": settings.persons,
    }
    rows, counts, parts = [], {}, {}
    for situation, changing in _SITUATIONS:
        with context.watch.working(f"comparing pairs: {situation}"):
            apart = differences(model, draw_pairs(settings.persons, changing, settings.seed + 1)) / deviation
        found, part = dominance(apart[:, active], active.index(latent))
        counts[situation], parts[situation] = found, part
        rows.append((situation, f"{found} of {len(apart)} ({found / len(apart):.0%})", f"{part:.0%}"))
        numbers[situation] = {"differs_most": found, "median_share_of_squares": part}
    alone, turned = counts
    pair = draw_pairs(1, (), settings.seed + 1)
    size = model.config.preprocessing.size
    compared = compare(model, render(pair.a, size), render(pair.b, size), table=table)
    exhibit = Exhibit(
        figures=_FIGURES,
        title=_TITLE,
        paper=_PAPER,
        here=(
            f"The latent that says most of sunglasses is {name}: wearing them explains {share[latent]:.0%} "
            f"of its variance over {settings.measured:,} simulated people by chance. The figure shows the "
            f"first of {settings.persons} people; that its first row is typical is what the table counts. "
            f"The verdict on that pair: “{compared.sentence}”",
            f"Where pose and light change, too, {name} differs most in {counts[turned]} of "
            f"{settings.persons} pairs.",
        ),
        pictures=(
            photographs(
                "sunglasses",
                "One person without and with sunglasses, both codes and their difference as bars, latent by "
                "latent.",
                comparison_figure(compared),
            ),
        ),
        tables=(
            Table(
                f"{settings.persons} simulated people, each without and with sunglasses, differences in "
                "population standard deviations.",
                ("Changed", f"{name} differs most in", "Its median share of the squared difference"),
                tuple(rows),
            ),
        ),
        claims=(
            one_latent_dominates(counts[alone], settings.persons, parts[alone], float(share[latent]), name),
        ),
    )
    return Part("sunglasses", (exhibit,), numbers)


def dominance(apart: Float64[np.ndarray, "pair latent"], column: int) -> tuple[int, float]:
    """In how many pairs a column differs most, and its median share of the squared difference."""
    first = int((np.abs(apart).argmax(axis=1) == column).sum())
    squares = np.square(apart)
    return first, float(np.median(squares[:, column] / np.maximum(squares.sum(axis=1), 1e-12)))


def _nothing(latents: int) -> Part:
    exhibit = Exhibit(
        figures=_FIGURES,
        title=_TITLE,
        paper=_PAPER,
        here=(f"None of the {latents} latents is active, so no two pictures can be compared. Train longer.",),
        claims=(one_latent_dominates(0, 0, 0.0, 0.0, None),),
    )
    return Part("sunglasses", (exhibit,), {"latent": None})
