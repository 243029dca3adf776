"""One latent on one sheet: what it does to a picture, where, how its codes lie, and what it goes with."""

from typing import cast

import matplotlib
import numpy as np
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from PIL import Image

from pellucid.latents.cards import Card
from pellucid.latents.tracking import Tracking
from pellucid.report.grids import middle_step
from pellucid.report.ink import LIGHT, Ink, Sheet, plain_axes, signed, wrap
from pellucid.report.mosaic import column_starts, fitted, mosaic

COLORS = "inferno"
_DPI = 200.0
_WIDTH = 1500
_PAD = 40
_STRIP_LEFT = 236
_STRIP_TOP = 190


def verdict(card: Card) -> str:
    """How much the latent says, in one line."""
    codes = (
        f"codes from {signed(card.low)} to {signed(card.high)} (1 % to 99 % of {card.counts.sum():,} images)"
    )
    return f"KL {card.kl:.2f} nats per image · {codes}"


def authorship(card: Card) -> str:
    """Where the name comes from."""
    if card.name is None:
        return "No name yet."
    origin = (
        "Name suggested from the evidence, not confirmed by a person"
        if card.suggested
        else "Named by a person"
    )
    return f"{origin}{': ' + card.evidence if card.evidence else ''}."


def interval(track: Tracking) -> tuple[float, float, float]:
    """Value, lower and upper end of the interval, from 0 (no better than chance) to 1 (perfect)."""
    chance = 0.5 if track.statistic == "AUC" else 0.0
    low, value, high = (
        min(1.0, max(0.0, (x - chance) / (1 - chance))) for x in (track.low, track.value, track.high)
    )
    return value, low, high


def attribute_name(track: Tracking) -> str:
    """The attribute for people: `Wearing Hat`, `shape, class 2`."""
    which = "" if track.category is None else f", class {track.category}"
    return track.attribute.replace("_", " ") + which


def direction(track: Tracking) -> str:
    """Whether the latent rises or falls with the attribute."""
    return {1: "rises with", -1: "falls with"}.get(track.direction, "varies with")


def response_picture(card: Card, side: int) -> UInt8[np.ndarray, "side side 3"]:
    """Where the picture changes, bright on the dimmed grey mean of the strip."""
    mean = card.strip.images.mean(dim=(0, 1))[None]
    grey = fitted(mean, side)[0, :, :, :3].mean(axis=2, keepdims=True) / 255
    response = card.response / max(float(card.response.max()), 1e-9)
    repeat = max(1, side // response.shape[0])
    share = np.repeat(np.repeat(response, repeat, 0), repeat, 1)
    if share.shape[0] != side:
        share = np.asarray(_resized(response, side))
    color = matplotlib.colormaps[COLORS](share)[..., :3]
    cover = np.sqrt(share)[..., None]
    return cast(np.ndarray, np.rint(255 * (cover * color + (1 - cover) * 0.45 * grey))).astype(np.uint8)


def _resized(response: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(
        Image.fromarray(response.astype(np.float32)).resize((side, side), Image.Resampling.BILINEAR)
    )


def draw_histogram(axes: Axes, card: Card, ink: Ink) -> None:
    """The codes' histogram before the bell curve that training pulls them towards."""
    counts, edges = card.counts, card.edges
    widths = np.diff(edges)
    density = counts / max(float((counts * widths).sum()), 1e-9)
    reach = max(3.5, float(np.abs(edges[[0, -1]]).max()) if len(edges) else 0)
    x = np.linspace(-reach, reach, 201)
    bell = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    axes.fill_between(x, bell, color=ink.faint, lw=0)
    axes.stairs(density, edges, fill=True, color=ink.strong, alpha=0.8)
    axes.plot(x, bell, color=ink.text, lw=0.9, ls=(0, (4, 2)))
    plain_axes(axes, ink)
    axes.set_yticks([])
    axes.set_xlim(-reach, reach)
    axes.set_ylim(0, 1.08 * max(float(density.max(initial=0)), float(bell.max())))
    ticks = [t for t in (-6, -3, 0, 3, 6) if abs(t) <= reach]
    axes.set_xticks(ticks, [signed(t) for t in ticks])


def histogram_figure(card: Card, *, ink: Ink = LIGHT) -> Figure:
    """The histogram by itself."""
    sheet = Sheet(420, 300, _DPI, ink)
    axes = sheet.axes(16, 12, 388, 236)
    draw_histogram(axes, card, ink)
    axes.tick_params(labelsize=8.5)  # drawn small on the page
    return sheet.figure


def draw_tracks(axes: Axes, tracks: tuple[Tracking, ...], ink: Ink) -> None:
    """Bars from chance to perfect with 95 % intervals; the numbers are beside them."""
    for row, track in enumerate(tracks):
        value, low, high = interval(track)
        axes.barh(row, value, height=0.5, color=ink.strong, alpha=0.8)
        axes.plot([low, high], [row, row], color=ink.text, lw=1)
        axes.plot([low, low, high, high], [row - 0.14, row + 0.14] * 2, color=ink.text, lw=0)
        for end in (low, high):
            axes.plot([end, end], [row - 0.14, row + 0.14], color=ink.text, lw=1)
    plain_axes(axes, ink)
    axes.set_xlim(0, 1)
    axes.set_ylim(4.6, -0.6)
    axes.set_yticks([])
    axes.set_xticks([0, 1], ["chance", "perfect"])
    axes.xaxis.get_ticklabels()[0].set_horizontalalignment("left")
    axes.xaxis.get_ticklabels()[1].set_horizontalalignment("right")
    axes.axvline(0, color=ink.muted, lw=0.8)


def card_figure(card: Card, *, ink: Ink = LIGHT) -> Figure:
    """The whole card as one figure."""
    side = _cell(card)
    strip, lefts, heads = _strip(card, side)
    panels = _STRIP_TOP + strip.shape[0] + 60
    sheet = Sheet(_WIDTH, panels + 470, _DPI, ink)
    sheet.text(wrap(card.label, 60, 1)[0], _PAD, 22, 12, bold=True, va="top")
    sheet.text(verdict(card), _PAD, 70, 8, color=ink.muted, va="top")
    sheet.text(wrap(authorship(card), 110, 1)[0], _PAD, 98, 8, color=ink.muted, va="top")
    for start, head in zip(lefts, heads, strict=True):
        sheet.text(head, _STRIP_LEFT + start + side / 2, _STRIP_TOP - 8, 7, ha="center", va="bottom")
    for row, label in enumerate(card.strip.labels):
        middle = _STRIP_TOP + row * (side + 4) + side / 2
        text = "\n".join(wrap(label, 12, 2))
        sheet.text(text, _STRIP_LEFT - 20, middle, 7, color=ink.muted, ha="right", va="center")
    sheet.picture(strip, _STRIP_LEFT, _STRIP_TOP)
    _response_panel(sheet, card, _PAD, panels)
    _histogram_panel(sheet, card, 420, panels)
    _tracks_panel(sheet, card, 840, panels)
    return sheet.figure


def _cell(card: Card) -> int:
    columns = len(card.strip.values) + (card.strip.starts is not None)
    side = min(160, (_WIDTH - _PAD - _STRIP_LEFT - 24) // columns - 4)
    size = card.strip.images.shape[3]
    return max(8, side // size * size or side)


def _strip(card: Card, side: int) -> tuple[np.ndarray, list[int], list[str]]:
    columns, heads = strip_columns(card, side)
    middle = middle_step(card.strip.values) if card.strip.starts is None else None
    gaps = [4 if middle is None or i not in (middle - 1, middle) else 12 for i in range(len(columns) - 1)]
    if card.strip.starts is not None:
        gaps[0] = 16
    return mosaic(columns.swapaxes(0, 1), 4, gaps), column_starts(side, gaps), heads


def strip_columns(card: Card, side: int) -> tuple[UInt8[np.ndarray, "column row side side 4"], list[str]]:
    """The strip's images by column, the start first where there is one, and each column's head."""
    strip = card.strip
    rows, steps = strip.images.shape[:2]
    moved = fitted(strip.images.flatten(0, 1), side).reshape(rows, steps, side, side, 4).swapaxes(0, 1)
    heads = [signed(float(value)) for value in strip.values]
    if strip.starts is None:
        return moved, heads
    return np.concatenate([fitted(strip.starts, side)[None], moved]), ["start", *heads]


def _panel_title(sheet: Sheet, text: str, left: float, top: float) -> None:
    sheet.text(text, left, top, 8, bold=True, va="top")


def _response_panel(sheet: Sheet, card: Card, left: int, top: int) -> None:
    _panel_title(sheet, "Where the picture changes", left, top)
    axes = sheet.axes(left, top + 40, 320, 320)
    axes.imshow(
        response_picture(card, 320 if 320 % len(card.response) == 0 else 256), interpolation="nearest"
    )
    axes.set_axis_off()
    bar = sheet.axes(left, top + 372, 320, 16)
    scale = ScalarMappable(Normalize(0, float(card.response.max())), COLORS)
    sheet.figure.colorbar(scale, cax=bar, orientation="horizontal")
    bar.set_xticks([0, float(card.response.max())], ["no change", f"{card.response.max():.2f} of full scale"])
    bar.tick_params(colors=sheet.ink.muted, length=0, labelsize=7)
    bar.get_xticklabels()[0].set_horizontalalignment("left")
    bar.get_xticklabels()[1].set_horizontalalignment("right")
    bar.spines["outline"].set_visible(False)


def _histogram_panel(sheet: Sheet, card: Card, left: int, top: int) -> None:
    _panel_title(sheet, "Codes of the images", left, top)
    draw_histogram(sheet.axes(left, top + 50, 360, 310), card, sheet.ink)
    text = "dashed: the bell curve that all\ncodes together are pulled towards"
    sheet.text(text, left, top + 405, 7, color=sheet.ink.muted, va="top")


def _tracks_panel(sheet: Sheet, card: Card, left: int, top: int) -> None:
    _panel_title(sheet, "What it goes with", left, top)
    if not card.tracks:
        sheet.text(
            "No known attribute goes with it beyond chance.",
            left,
            top + 50,
            8,
            color=sheet.ink.muted,
            va="top",
        )
        return
    draw_tracks(sheet.axes(left + 270, top + 40, 150, 320), card.tracks[:5], sheet.ink)
    for row, track in enumerate(card.tracks[:5]):
        middle = top + 40 + 320 * (row + 0.6) / 5.2
        name = wrap(attribute_name(track), 20, 1)[0]
        sheet.text(direction(track), left, middle - 15, 6.5, color=sheet.ink.muted, va="center")
        sheet.text(name, left, middle + 11, 8, va="center")
        sheet.text(f"{track.statistic} {track.value:.2f}", left + 440, middle - 15, 7, va="center")
        n = f"n {track.images:,}" + (f", {track.positives:,} have it" if track.positives is not None else "")
        sheet.text(n, left + 440, middle + 11, 6, color=sheet.ink.muted, va="center")
    note = "lines: 95 % interval, on\nimages that did not choose"
    sheet.text(note, left + 270, top + 405, 7, color=sheet.ink.muted, va="top")
