"""Draw the pictures of docs/people.md: a strip for every factor, and twenty-eight people.

python benchmarks/people_pictures.py
"""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from pellucid.data import people
from pellucid.report.ink import Sheet, encode, signed
from pellucid.report.mosaic import column_starts, mosaic, opaque

IMAGES = Path(__file__).parent.parent / "docs" / "images"
SIZE, STEPS, LABEL, GAP, MARGIN = 128, 7, 250, 4, 12
TURNS = (-40.0, 0.0, 40.0)


def strip(factor: people.Factor) -> tuple[list[float], Float[Tensor, "step 3 height width"]]:
    """Pictures of the average person with one factor moved; a thing to wear is turned instead."""
    if factor.chance is None:
        values = np.linspace(factor.low, factor.high, STEPS).tolist()
        return values, torch.cat([picture(**{factor.name: value}) for value in values])
    worn = [picture(**{factor.name: value}, azimuth=turn) for value in (0, 1) for turn in TURNS]
    return [], torch.cat([*worn, picture(**{factor.name: 1}, elevation=20, azimuth=-20)])


def picture(**values: float) -> Float[Tensor, "1 3 height width"]:
    return people.render(people.with_factors(people.neutral(), **values), SIZE)


def strips(factors: tuple[people.Factor, ...]) -> Figure:
    """One row for each factor: its name, unit and pictures, with the value under each."""
    band = SIZE + 22
    lefts = column_starts(SIZE, [GAP] * (STEPS - 1))
    sheet = Sheet(LABEL + lefts[-1] + SIZE + MARGIN, len(factors) * band + MARGIN, 120)
    for row, factor in enumerate(factors):
        top = MARGIN + row * band
        values, images = strip(factor)
        sheet.picture(mosaic(opaque(images)[None], 0, [GAP] * (STEPS - 1)), LABEL, top)
        sheet.text(factor.name, LABEL - MARGIN, top + 50, 9, bold=True, ha="right", va="center")
        sheet.text(factor.unit, LABEL - MARGIN, top + 72, 7, color=sheet.ink.muted, ha="right", va="center")
        for left, value in zip(lefts, values, strict=False):
            sheet.text(signed(value), LABEL + left + SIZE / 2, top + SIZE + 9, 6.5, ha="center", va="center")
    return sheet.figure


def crowd(generator: torch.Generator) -> Figure:
    """People as `people.sample` draws them."""
    cells = opaque(people.render(people.sample(28, generator), SIZE)).reshape(4, 7, SIZE, SIZE, 4)
    pixels = mosaic(cells, GAP, [GAP] * 6)
    sheet = Sheet(pixels.shape[1], pixels.shape[0], 120)
    sheet.picture(pixels, 0, 0)
    return sheet.figure


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    for role in ("identity", "nuisance"):
        factors = tuple(factor for factor in people.FACTORS if factor.role == role)
        (IMAGES / f"people-{role}.png").write_bytes(encode(strips(factors), "png"))
    (IMAGES / "people.png").write_bytes(encode(crowd(torch.Generator().manual_seed(0)), "png"))
