"""What a report shows: a figure of the paper beside this run's, a table, claims; and parts of these."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from matplotlib.figure import Figure
from PIL import Image

from pellucid.report.ink import DARK, LIGHT, Ink, encode
from pellucid.reproduction.claims import Claim

_COLORS = 64


@dataclass(frozen=True)
class Picture:
    """A picture as the page shows it.

    Attributes:
        name: Part of its file's name: letters, digits and hyphens.
        alt: What it shows, for those who cannot see it.
        light: A PNG on light paper.
        dark: The same on dark paper; None where there is none, as for photographs.
    """

    name: str
    alt: str
    light: bytes
    dark: bytes | None = None


@dataclass(frozen=True)
class Table:
    """A small table.

    Attributes:
        caption: What it is of.
        head: The columns.
        rows: The cells, row by row.
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Exhibit:
    """A figure of the paper, or several that belong together, beside what this run has.

    Attributes:
        figures: Their numbers in the paper; none for what the paper says without a figure.
        title: What they are about.
        paper: What the paper showed, in our words.
        here: What this run shows, a paragraph each, made of its numbers.
        pictures: This run's figures.
        tables: This run's tables.
        claims: What the paper says and this run tests.
    """

    figures: tuple[int, ...]
    title: str
    paper: str
    here: tuple[str, ...]
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Table, ...] = ()
    claims: tuple[Claim, ...] = ()


@dataclass(frozen=True)
class Part:
    """What is computed at once.

    Attributes:
        name: Its name in the catalogue.
        exhibits: In the paper's order.
        numbers: Everything that was measured, as JSON types.
    """

    name: str
    exhibits: tuple[Exhibit, ...]
    numbers: Mapping[str, Any]

    @property
    def claims(self) -> tuple[Claim, ...]:
        """Of all its exhibits."""
        return tuple(claim for exhibit in self.exhibits for claim in exhibit.claims)


def chart(name: str, alt: str, draw: Callable[[Ink], Figure]) -> Picture:
    """A figure of lines and letters, drawn on light and on dark paper, in few colours to be small."""
    light, dark = (_few_colors(encode(draw(ink), "png")) for ink in (LIGHT, DARK))
    return Picture(name, alt, light, dark)


def photographs(name: str, alt: str, figure: Figure) -> Picture:
    """A figure of images, in all their colours."""
    return Picture(name, alt, encode(figure, "png"))


def _few_colors(png: bytes) -> bytes:
    image = Image.open(BytesIO(png)).convert("RGB").quantize(_COLORS, dither=Image.Dither.NONE)
    buffer = BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def numbered(figures: tuple[int, ...]) -> str:
    """`Fig 1`, `Figs 2 and 3`, `Figs 7 to 10`; nothing for none."""
    if not figures:
        return ""
    first, last = figures[0], figures[-1]
    if first == last:
        return f"Fig {first}"
    return f"Figs {first} {'and' if last == first + 1 else 'to'} {last}"
