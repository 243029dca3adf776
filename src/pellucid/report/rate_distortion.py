"""A sweep in one picture: what each value keeps and what that costs, and how well its latents come apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from pellucid.model.sealed import write_file
from pellucid.report.ink import LIGHT, Ink, Sheet, encode, font, plain_axes, text_width, wrap
from pellucid.report.label_places import label_places
from pellucid.sweep.grid import SYMBOLS
from pellucid.sweep.results import RunResult, Sweep
from pellucid.sweep.scoring import LABELS

PICTURE = "sweep.png"
_DPI = 200
_WIDTH, _MARGIN = 2000, 40
_MARKERS = ("o", "s", "^", "D", "v", "p")
_MARKER_POINTS = 6.0
_RING_POINTS = 13.0


@dataclass(frozen=True)
class _Box:
    """A rectangle in device pixels from the top left."""

    left: float
    top: float
    width: float
    height: float


def sweep_figure(sweep: Sweep, *, ink: Ink = LIGHT) -> Figure:
    """Draw a sweep: the sentence of the choice, rate against distortion, and the score of every value.

    Left, a dot for every run at its KL and its reconstruction loss, one colour for each value of the varied
    setting, labelled with the number of active latents; right, the score that decides, a line at the median
    of the seeds. A seed has the same marker in both; a hollow one has no active latent; the chosen run has a
    ring.
    """
    symbol = SYMBOLS.get(sweep.setting, sweep.setting)
    seeds = len({result.run.seed for result in sweep.runs})
    values = len(sweep.values)
    many = (
        f"{values} value{'s' if values > 1 else ''} of {symbol}, {seeds} seed{'s' if seeds > 1 else ''} each"
    )
    title = wrap(f"{sweep.objective}, {many}: {sweep.data}", 120, 2)
    sentence = wrap(sweep.choice.reason, 148, 3)
    head = _MARGIN + 34 * len(title) + 16 + 30 * len(sentence)
    sheet = Sheet(_WIDTH, head + 820, _DPI, ink)
    for line, text in enumerate(title):
        sheet.text(text, _MARGIN, _MARGIN + 34 * line, 10, bold=True, va="top")
    for line, text in enumerate(sentence):
        top = _MARGIN + 34 * len(title) + 16 + 30 * line
        sheet.text(text, _MARGIN, top, 8.5, color=ink.strong, va="top")
    colors = _palette(len(sweep.values), ink)
    _rate_and_distortion(sheet, sweep, colors, _Box(_MARGIN + 110, head + 130, 990, 540))
    _scores(sheet, sweep, colors, _Box(1330, head + 130, 630, 540))
    _legend(sheet, sweep, head + 785)
    return sheet.figure


def save_sweep(sweep: Sweep, folder: Path) -> Path:
    """Draw a sweep as the folder's sweep.png, and return where it is."""
    path = folder / PICTURE
    write_file(path, encode(sweep_figure(sweep), "png"))
    return path


def _palette(count: int, ink: Ink) -> list[str]:
    """Colours of one sequence, the highest value farthest from the paper's lightness."""
    ends = (0.82, 0.05) if ink is LIGHT else (0.35, 1.0)
    shades = np.linspace(*ends, count) if count > 1 else [ends[1]]
    return [to_hex(matplotlib.colormaps["viridis"](float(shade))) for shade in shades]


def _panel(sheet: Sheet, box: _Box, indent: int, title: str, note: str) -> Axes:
    """Axes under a title and a line of explanation, which begin `indent` pixels left of them."""
    left = box.left - indent
    sheet.text(title, left, box.top - 94, 9.5, bold=True, va="top")
    sheet.text(note, left, box.top - 54, 7.5, color=sheet.ink.muted, va="top")
    axes = sheet.axes(box.left, box.top, box.width, box.height)
    _plain(axes, sheet.ink)
    return axes


def _rate_and_distortion(sheet: Sheet, sweep: Sweep, colors: Sequence[str], box: _Box) -> None:
    axes = _panel(
        sheet,
        box,
        110,
        "What an image's latents say, and how far the picture is off",
        f"{sweep.images:,} held-out images; a dot is a run with {sweep.latents} latents. "
        "Left: simpler codes. Down: better pictures.",
    )
    axes.set_xlabel(
        "information in the latents (KL), nats per image", fontproperties=font(8), color=sheet.ink.muted
    )
    axes.set_ylabel("reconstruction loss, nats per image", fontproperties=font(8), color=sheet.ink.muted)
    groups = [_points(sweep.at(value)) for value in sweep.values]
    everything = np.concatenate(groups)
    axes.set_xlim(*_limits(everything[:, 0], 0.22))
    axes.set_ylim(*_limits(everything[:, 1], 0.14))
    medians = np.array([np.median(group, axis=0) for group in groups])
    axes.plot(*medians.T, color=sheet.ink.faint, lw=1.5, zorder=1)
    for value, color in zip(sweep.values, colors, strict=True):
        for result in sweep.at(value):
            _dot(axes, result.kl, result.reconstruction, result, sweep, color, sheet.ink)
    _label_groups(sheet, sweep, [_pixels(axes, group, box) for group in groups], box)


def _limits(values: Float[np.ndarray, " run"], above: float) -> tuple[float, float]:
    """Ends of an axis of what is never negative: at least a nat wide, with room for labels above."""
    low, high = float(values.min()), float(values.max())
    span = max(high - low, 0.1 * high, 1.0)
    start = (low + high - span) / 2
    return max(start - 0.1 * span, -0.05 * span), max(start, 0) + (1 + above) * span


def _points(results: Sequence[RunResult]) -> Float[np.ndarray, "run 2"]:
    return np.array([(result.kl, result.reconstruction) for result in results])


def _pixels(axes: Axes, points: Float[np.ndarray, "run 2"], box: _Box) -> Float[np.ndarray, "run 2"]:
    """Where points of the axes are on the sheet."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    across = box.left + (points[:, 0] - left) / (right - left) * box.width
    down = box.top + (high - points[:, 1]) / (high - low) * box.height
    return np.stack([across, down], axis=1)


def _dot(axes: Axes, x: float, y: float, result: RunResult, sweep: Sweep, color: str, ink: Ink) -> None:
    marker = _marker(sweep, result.run.seed)
    face, edge = (color, ink.paper) if result.active_latents else (ink.paper, color)
    axes.plot(
        x,
        y,
        marker=marker,
        ms=_MARKER_POINTS,
        mfc=face,
        mec=edge,
        mew=0.8 if result.active_latents else 1.4,
        ls="",
        zorder=3,
        clip_on=False,
    )
    if result.run == sweep.choice.run:
        axes.plot(
            x,
            y,
            marker="o",
            ms=_RING_POINTS,
            mfc="none",
            mec=ink.second,
            mew=1.8,
            ls="",
            zorder=4,
            clip_on=False,
        )


def _marker(sweep: Sweep, seed: int) -> str:
    seeds = sorted({result.run.seed for result in sweep.runs})
    return _MARKERS[seeds.index(seed)] if len(seeds) <= len(_MARKERS) else "o"


def _label_groups(sheet: Sheet, sweep: Sweep, groups: Sequence[np.ndarray], frame: _Box) -> None:
    """Write beside each value's dots what it is and how many latents it leaves active."""
    labels = [(sweep.at(value)[0].run.label, _active(sweep.at(value))) for value in sweep.values]
    widths = [max(text_width(name, 8, bold=True), text_width(note, 7)) * _DPI + 6 for name, note in labels]
    within = (frame.left, frame.top, frame.left + frame.width, frame.top + frame.height)
    places = label_places(
        groups, [(width, 58.0) for width in widths], within, reach=sheet.pixels(_MARKER_POINTS)
    )
    for (name, note), place in zip(labels, places, strict=True):
        sheet.text(name, place.left + 3, place.top + 2, 8, bold=True, va="top")
        sheet.text(note, place.left + 3, place.top + 32, 7, color=sheet.ink.muted, va="top")
        if place.line is not None:
            xs, ys = np.array(place.line).T
            ends = xs / sheet.width, 1 - ys / sheet.height
            sheet.figure.add_artist(Line2D(*ends, color=sheet.ink.muted, lw=0.7))


def _active(results: Sequence[RunResult]) -> str:
    counts = [result.active_latents for result in results]
    low, high = min(counts), max(counts)
    return f"{low if low == high else f'{low} to {high}'} active"


def _scores(sheet: Sheet, sweep: Sweep, colors: Sequence[str], box: _Box) -> None:
    label = LABELS.get(sweep.score, sweep.score)
    axes = _panel(
        sheet,
        box,
        60,
        f"How well the latents come apart: {label}",
        _SENTENCES.get(sweep.score, "Line: median of the seeds."),
    )
    top = max(result.scores[sweep.score] for result in sweep.runs)
    axes.set_xlim(-0.6, len(sweep.values) - 0.4)
    axes.set_ylim(0, min(1.02, max(0.1, 1.2 * top)))
    axes.set_xticks(range(len(sweep.values)), [f"{value:g}" for value in sweep.values])
    axes.set_xlabel(SYMBOLS.get(sweep.setting, sweep.setting), fontproperties=font(8), color=sheet.ink.muted)
    if sweep.choice.tied and sweep.choice.spread:
        best = max(
            median(result.scores[sweep.score] for result in sweep.at(value)) for value in sweep.choice.tied
        )
        axes.axhspan(
            max(0, best - sweep.choice.spread), best, color=sheet.ink.faint, alpha=0.5, lw=0, zorder=0
        )
    for place, (value, color) in enumerate(zip(sweep.values, colors, strict=True)):
        results = sweep.at(value)
        middle = median(result.scores[sweep.score] for result in results)
        axes.plot([place - 0.3, place + 0.3], [middle] * 2, color=color, lw=2, zorder=2)
        for offset, result in zip(_offsets(len(results)), results, strict=True):
            _dot(axes, place + offset, result.scores[sweep.score], result, sweep, color, sheet.ink)


_SENTENCES = {
    "mig": "Mutual information gap, 0 to 1. Line: median of the seeds.",
    "udr": "Do other seeds find the same latents? 0 to 1. Line: median.",
}


def _offsets(count: int) -> Float[np.ndarray, " run"]:
    """Dots side by side, so that equal scores are both seen."""
    return np.linspace(-0.18, 0.18, count) if count > 1 else np.zeros(1)


def _legend(sheet: Sheet, sweep: Sweep, top: float) -> None:
    """What the markers mean."""
    seeds = sorted({result.run.seed for result in sweep.runs})
    axes = sheet.axes(0, top - 20, sheet.width, 40)
    axes.set(xlim=(0, sheet.width), ylim=(0, 40))
    axes.set_axis_off()
    entries = [
        (_marker(sweep, seed), _MARKER_POINTS, sheet.ink.muted, sheet.ink.muted, f"seed {seed}")
        for seed in seeds
    ]
    if len(seeds) > len(_MARKERS):
        entries = []
    if any(not result.active_latents for result in sweep.runs):
        entries.append(("o", _MARKER_POINTS, "none", sheet.ink.muted, "no active latent"))
    if sweep.choice.run is not None:
        entries.append(
            ("o", _RING_POINTS - 3, "none", sheet.ink.second, f"the run to use, {sweep.choice.run.name}")
        )
    left = float(_MARGIN + 12)
    for marker, points, face, edge, text in entries:
        axes.plot(left, 20, marker=marker, ms=points, mfc=face, mec=edge, mew=1.4, ls="")
        sheet.text(text, left + 22, top, 7.5, color=sheet.ink.muted, va="center")
        left += 22 + text_width(text, 7.5) * _DPI + 44
    if sweep.choice.tied and sweep.choice.spread:
        text = "grey: within the seeds' spread of the best median"
        sheet.text(text, sheet.width - _MARGIN, top, 7.5, color=sheet.ink.muted, va="center", ha="right")


def _plain(axes: Axes, ink: Ink) -> None:
    plain_axes(axes, ink)
    axes.tick_params(labelsize=8)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", color=ink.faint, lw=0.5)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_major_locator(MaxNLocator(6))
