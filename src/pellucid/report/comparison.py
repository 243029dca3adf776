"""Two pictures compared in one figure (the paper's Figs 13 to 15), and a gallery with its reasons."""

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from pellucid.comparison.compare import Comparison, Difference, in_words
from pellucid.comparison.gallery import Match, Reason
from pellucid.data.images import printable
from pellucid.errors import ConfigError
from pellucid.model.sealed import write_file
from pellucid.report.ink import LIGHT, Ink, Sheet, encode, plain_axes, signed, wrap
from pellucid.report.mosaic import fitted

_DPI = 200.0
_WIDTH = 1700
_PAD = 40
_CELL = 256
_ROW = 46
_MOST_ROWS = 24
_LABEL_RIGHT = 390
_CODES, _CHANGE = (410, 420), (890, 400)  # left and width of the two panels of bars
_NUMBERS = (1400, 1520, 1640)  # right ends of the columns
_SHEET = 1480
_THUMB = 192
_REASONS = 4


def comparison_figure(comparison: Comparison, *, ink: Ink = LIGHT) -> Figure:
    """Both pictures, their reconstructions, the counterfactual; below, each latent's codes and difference.

    The 24 latents that differ most have a row.
    """
    shown = comparison.differences[:_MOST_ROWS]
    title = wrap(comparison.sentence, 92, 3)
    pictures = 60 + 40 * len(title) + 70
    caption = "\n".join(wrap(f"A with B's {comparison.words}", 26, 2))
    bars = pictures + _CELL + 130
    sheet = Sheet(_WIDTH, bars + _ROW * len(shown) + 150, _DPI, ink)
    for line, text in enumerate(title):
        sheet.text(text, _PAD, 36 + 40 * line, 11, bold=True, va="top")
    sheet.text(_share(comparison), _PAD, 42 + 40 * len(title), 8, color=ink.muted, va="top")
    tiles = (
        ("A", comparison.image_a),
        ("B", comparison.image_b),
        ("A rebuilt", comparison.reconstruction_a),
        ("B rebuilt", comparison.reconstruction_b),
        (caption, comparison.counterfactual),
    )
    gap = (_WIDTH - 2 * _PAD - 5 * _CELL) // 4
    for column, (head, image) in enumerate(tiles):
        left = _PAD + column * (_CELL + gap)
        sheet.picture(fitted(image, _CELL)[0], left, pictures)
        sheet.text(head, left + _CELL / 2, pictures - 8, 8, ha="center", va="bottom")
    _heads(sheet, bars)
    axes = [sheet.axes(left, bars, width, _ROW * len(shown)) for left, width in (_CODES, _CHANGE)]
    _draw_codes(axes[0], shown, ink)
    _draw_differences(axes[1], shown, ink)
    for row, difference in enumerate(shown):
        _write_row(sheet, difference, bars + _ROW * (row + 0.5))
    hidden = len(comparison.differences) - len(shown)
    more = f" {hidden} latents that differ less are not shown." if hidden else ""
    foot = bars + _ROW * len(shown) + 60
    for line, text in enumerate(wrap(_FOOT + more, 150, 3)):
        sheet.text(text, _PAD, foot + 26 * line, 7, color=ink.muted, va="top")
    return sheet.figure


_FOOT = (
    "raw: B - A. posterior: raw in standard deviations of the encoder's own doubt about both pictures. "
    "population: raw in standard deviations of the latent over many pictures; the rows are in its order. "
    "Bold: 1 or more population and 2 or more posterior standard deviations."
)


def _share(comparison: Comparison) -> str:
    if comparison.share_nuisance is None:
        return "The two pictures have the same code."
    if not any(difference.nuisance for difference in comparison.differences):
        return "No latent is marked as nuisance: all count as identity."
    return (
        f"{comparison.share_nuisance:.0%} of the squared difference lies in nuisance latents, "
        f"{1 - comparison.share_nuisance:.0%} in the others."
    )


def _heads(sheet: Sheet, bars: int) -> None:
    top, ink = bars - 66, sheet.ink
    sheet.text("Codes of both", _CODES[0], top, 8, bold=True, va="top")
    sheet.text("■ A", _CODES[0], top + 28, 8, color=ink.strong, va="top")
    sheet.text("■ B", _CODES[0] + 70, top + 28, 8, color=ink.second, va="top")
    sheet.text("Difference B − A", _CHANGE[0], top, 8, bold=True, va="top")
    sheet.text("population standard deviations;", _CHANGE[0], top + 30, 7, color=ink.muted, va="top")
    sheet.text("■ nuisance", _CHANGE[0] + 318, top + 30, 7, color=ink.muted, va="top")
    for right, head in zip(_NUMBERS, ("raw", "posterior", "population"), strict=True):
        sheet.text(head, right, top + 30, 7, color=ink.muted, ha="right", va="top")


def _draw_codes(axes: Axes, shown: Sequence[Difference], ink: Ink) -> None:
    for row, difference in enumerate(shown):
        axes.barh(row - 0.19, difference.a, height=0.34, color=ink.strong)
        axes.barh(row + 0.19, difference.b, height=0.34, color=ink.second)
    reach = max([2.0, *(abs(value) for d in shown for value in (d.a, d.b))])
    _finish(axes, len(shown), reach, ink)


def _draw_differences(axes: Axes, shown: Sequence[Difference], ink: Ink) -> None:
    for row, difference in enumerate(shown):
        color = ink.faint if difference.nuisance else ink.strong
        edge = ink.muted if difference.nuisance else ink.strong
        axes.barh(row, difference.population, height=0.6, facecolor=color, edgecolor=edge, linewidth=0.6)
    _finish(axes, len(shown), max([2.0, *(abs(d.population) for d in shown)]), ink)


def _finish(axes: Axes, rows: int, reach: float, ink: Ink) -> None:
    plain_axes(axes, ink)
    axes.axvline(0, color=ink.muted, lw=0.8)
    axes.set_xlim(-1.06 * reach, 1.06 * reach)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_yticks([])
    end = int(reach)
    ticks = [-end, -end / 2, 0, end / 2, end]
    axes.set_xticks(ticks, [signed(tick) for tick in ticks])
    for tick in ticks:
        axes.axvline(tick, color=ink.faint, lw=0.6, zorder=0)


def _write_row(sheet: Sheet, difference: Difference, middle: float) -> None:
    label = "\n".join(wrap(difference.label, 24, 2))
    color = sheet.ink.muted if difference.nuisance else None
    sheet.text(
        label, _LABEL_RIGHT, middle, 7.5, bold=difference.notable, color=color, ha="right", va="center"
    )
    values = (difference.raw, difference.posterior, difference.population)
    for right, value in zip(_NUMBERS, values, strict=True):
        text = f"{value:+.2f}" if abs(value) < 100 else f"{value:+.0f}"
        sheet.text(text.replace("-", "−"), right, middle, 7.5, color=color, ha="right", va="center")


def gallery_figure(
    wanted: Float[Tensor, "image channel height width"],
    matches: Sequence[Match],
    pictures: Float[Tensor, "match channel height width"],
    *,
    candidates: int,
    note: str = "",
    ink: Ink = LIGHT,
) -> Figure:
    """The first ranks of a search, each with its picture and what speaks for and against it.

    Args:
        wanted: The pictures that were searched by; the first 6 are shown.
        matches: The first ranks, in order.
        pictures: The matches' pictures, in the same order.
        candidates: How many there were.
        note: What the order rests on, and what makes it doubtful.
        ink: Colours.

    Raises:
        ConfigError: If there are no matches, or not a picture for each.
    """
    if not matches or len(matches) != len(pictures):
        raise ConfigError(
            f"expected a picture for each match, got {len(matches)} and {len(pictures)}. Give both."
        )
    notes = wrap(note, 104, 6) if note else []
    head = 110 + 28 * len(notes)
    top = head + _THUMB + 110
    step = _THUMB + 28
    sheet = Sheet(_SHEET, top + step * len(matches) + 60, _DPI, ink)
    sheet.text(f"Nearest among {candidates:,} candidates", _PAD, 34, 12, bold=True, va="top")
    for line, text in enumerate(notes):
        sheet.text(text, _PAD, 82 + 28 * line, 7.5, color=ink.muted, va="top")
    sheet.text("wanted", 100, head + _THUMB / 2, 8, bold=True, ha="center", va="center")
    for column, tile in enumerate(fitted(wanted[:6], _THUMB)):
        sheet.picture(tile, 160 + column * (_THUMB + 12), head)
    sheet.text("What speaks for it, and against", 730, top - 56, 8, bold=True, va="top")
    sheet.text("■ for", 1150, top - 56, 8, color=ink.strong, va="top")
    sheet.text("■ against", 1240, top - 56, 8, color=ink.second, va="top")
    reach = max((abs(r.evidence) for m in matches for r in m.reasons[:_REASONS]), default=0.0) or 1.0
    tiles = fitted(torch.as_tensor(pictures), _THUMB)
    for row, (match, tile) in enumerate(zip(matches, tiles, strict=True)):
        place = top + row * step
        sheet.text(f"{row + 1}", 100, place + _THUMB / 2, 12, bold=True, ha="center", va="center")
        sheet.picture(tile, 160, place)
        _write_match(sheet, match, 160 + _THUMB + 24, place + _THUMB / 2)
        _draw_reasons(sheet, match.reasons[:_REASONS], place, reach)
    return sheet.figure


def _write_match(sheet: Sheet, match: Match, left: float, middle: float) -> None:
    name = "\n".join(wrap(printable(match.name), 28, 3))
    sheet.text(name, left, middle - 10, 8, bold=True, va="bottom")
    lines = [f"distance {match.distance:.2f}"]
    if match.probability is not None:
        lines.append(f"probability {in_words(match.probability)}")
    sheet.text("\n".join(lines), left, middle + 6, 7.5, color=sheet.ink.muted, va="top")


def _draw_reasons(sheet: Sheet, reasons: Sequence[Reason], top: float, reach: float) -> None:
    ink = sheet.ink
    axes = sheet.axes(970, top, 400, _THUMB)
    for row, reason in enumerate(reasons):
        color = ink.strong if reason.evidence > 0 else ink.second
        axes.barh(row, reason.evidence, height=0.6, color=color)
        middle = top + _THUMB * (row + 0.5) / _REASONS
        label = wrap(reason.label, 26, 1)[0]
        sheet.text(label, 950, middle - 1, 7.5, ha="right", va="center")
        text = f"{reason.evidence:+.1f}".replace("-", "−")
        sheet.text(text, 1450, middle, 7, color=ink.muted, ha="right", va="center")
    axes.set_facecolor(ink.paper)
    axes.axvline(0, color=ink.muted, lw=0.8)
    axes.set_xlim(-1.03 * reach, 1.03 * reach)
    axes.set_ylim(_REASONS - 0.5, -0.5)
    axes.set_axis_off()


def save_comparison(comparison: Comparison, path: Path) -> None:
    """Write the figure of a comparison as .png or .pdf.

    Raises:
        ConfigError: If the suffix is another.
    """
    _save(comparison_figure(comparison), path)


def save_gallery(figure: Figure, path: Path) -> None:
    """Write a gallery's figure as .png or .pdf.

    Raises:
        ConfigError: If the suffix is another.
    """
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    write_file(path, encode(figure, checked_kind(path)))


def checked_kind(path: Path) -> str:
    """`png` or `pdf`, as the name ends; commands ask before they compute.

    Raises:
        ConfigError: If it ends otherwise.
    """
    kind = path.suffix.lower().removeprefix(".")
    if kind not in ("png", "pdf"):
        raise ConfigError(
            f"{path}: expected a name that ends in .png or .pdf, got {path.suffix or 'no ending'!r}."
        )
    return kind
