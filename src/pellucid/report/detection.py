"""How well normal and anomalous images are told apart: precision-recall curves, and average precisions."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Float64
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MultipleLocator

from pellucid.anomaly.evaluation import BAND, Evaluation
from pellucid.errors import ConfigError
from pellucid.report.ink import LIGHT, Ink, Sheet, font, plain_axes
from pellucid.report.lettering import cut

POSITIVE = ("normal", "anomalous")
_DPI = 240.0
_WIDTH, _PAD = 1800, 48
_PANEL, _BETWEEN, _AXIS = 740, 48, 84
_MORE = {LIGHT.paper: ("#1b8a63", "#9c2f6d", "#6d5bb8", "#5a6370")}
_MORE_DARK = ("#5fd0a4", "#e58abd", "#b5a6f2", "#a2abb6")
_DASHES = ("-", (0, (6, 2)), (0, (2, 1.5)))
_ROW, _GROUP = 46, 50
_NAMES, _DOTS, _NUMBERS = 470, 400, 204
_TICKS = (0.9, 0.99, 0.999, 0.5, 0.95, 0.98, 0.8, 0.995, 0.998)  # the most wanted first
_NEAREST = 1e-4  # to an average precision of 1, on an axis that has no place for 1 itself


def colors(ink: Ink) -> tuple[str, ...]:
    """Colours for things that are compared, which differ in lightness where few are needed."""
    return (ink.strong, ink.second, *_MORE.get(ink.paper, _MORE_DARK))


def share(value: float) -> str:
    """An average precision in three digits, never rounded up to 1."""
    return f"{min(value, 0.9994 if value < 1 else 1):.3f}"


def precision_recall_figure(evaluations: Sequence[Evaluation], *, ink: Ink = LIGHT) -> Figure:
    """Draw precision over recall with either class as the positive one: mean and band over the splits.

    Args:
        evaluations: What is compared, in the order of the legend.
        ink: The paper.

    Raises:
        ConfigError: If there are none.
    """
    _expect_some(evaluations)
    sheet = Sheet(_WIDTH, 990 + _ROW * len(evaluations), _DPI, ink)
    splits = len(evaluations[0].average_precision[0])
    low = _lowest(evaluations)
    for at, positive in enumerate(POSITIVE):
        left = _PAD + _AXIS + at * (_PANEL + _BETWEEN + _AXIS)
        title = f"Finding the {positive} images"
        sheet.text(title, left - _AXIS, 34, 10, bold=True, va="top")
        note = f"{positive} images are the positive class"
        sheet.text(note, left - _AXIS, 78, 7, color=ink.muted, va="top")
        axes = sheet.axes(left, 128, _PANEL - 20, 620)
        draw_precision_recall(axes, evaluations, at, low, ink)
    note = f"Lines: mean of {splits} random splits. Bands: 5 % to 95 % of the splits."
    sheet.text(note, _PAD, 852, 7, color=ink.muted, va="top")
    _legend(sheet, evaluations, 926)
    return sheet.figure


def _expect_some(evaluations: Sequence[Evaluation]) -> None:
    if not evaluations:
        raise ConfigError("expected one evaluation or more to draw, got none. Evaluate some columns first.")


def _lowest(evaluations: Sequence[Evaluation]) -> float:
    """The tenth below all curves and chances: where the axes of both panels begin."""
    bottoms = [float(np.quantile(e.precision, BAND[0], axis=1).min()) for e in evaluations]
    bottom = min(*bottoms, *(min(e.chance) for e in evaluations))
    return max(0.0, float(np.floor(10 * bottom - 0.3)) / 10)


def draw_precision_recall(
    axes: Axes, evaluations: Sequence[Evaluation], at: int, low: float, ink: Ink
) -> None:
    """The curves with one class as the positive one, and what chance gives.

    Args:
        axes: Where.
        evaluations: The curves.
        at: 0 for normal as the positive class, 1 for anomalous.
        low: Where the axis of precision begins.
        ink: The paper.
    """
    for chance in sorted({evaluation.chance[at] for evaluation in evaluations}):
        axes.axhline(chance, color=ink.muted, lw=1, ls=(0, (4, 3)), zorder=1)
        text = f"chance {chance:.3f}"
        axes.text(
            0.01,
            chance + 0.012 * (1 - low),
            text,
            color=ink.muted,
            va="bottom",
            fontproperties=font(7),
            bbox={"facecolor": ink.paper, "alpha": 0.8, "lw": 0, "pad": 1},  # a curve may pass behind
            zorder=4,
        )
    for evaluation, (color, dash) in zip(evaluations, _styles(len(evaluations), ink), strict=True):
        below, above = np.quantile(evaluation.precision[at], BAND, axis=0)
        axes.fill_between(evaluation.recall, below, above, color=color, alpha=0.18, lw=0)
        axes.plot(evaluation.recall, evaluation.precision[at].mean(axis=0), color=color, lw=1.5, ls=dash)
    plain_axes(axes, ink)
    axes.grid(axis="y", color=ink.faint, lw=0.5)
    axes.set_axisbelow(True)
    axes.set(xlim=(0, 1), ylim=(low, 1 + 0.01 * (1 - low)))
    axes.set_xlabel("recall: the share of them that is found", fontproperties=font(7.5), color=ink.muted)
    axes.set_ylabel("precision", fontproperties=font(7.5), color=ink.muted)
    axes.xaxis.set_major_locator(MultipleLocator(0.2))
    axes.yaxis.set_major_locator(MultipleLocator(0.2 if low < 0.3 else 0.1 if low < 0.7 else 0.05))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.tick_params(axis="y", length=0)


def _styles(count: int, ink: Ink) -> list[tuple[str, object]]:
    """A colour and a dash for each; dashes begin where colours run out."""
    palette = colors(ink)
    return [(palette[i % len(palette)], _DASHES[i // len(palette) % len(_DASHES)]) for i in range(count)]


def _legend(sheet: Sheet, evaluations: Sequence[Evaluation], top: int) -> None:
    """A line for each evaluation: its colour, its name, and both average precisions with their bands."""
    rights = (1360, _WIDTH - _PAD)
    for positive, right in zip(POSITIVE, rights, strict=True):
        head = f"average precision, {positive}"
        sheet.text(head, right, top - 4, 7, color=sheet.ink.muted, ha="right", va="center")
    axes = sheet.axes(_PAD, top, 90, _ROW * len(evaluations) + 20)
    axes.set(xlim=(0, 1), ylim=(_ROW * len(evaluations) + 20, 0))
    axes.set_axis_off()
    styles = _styles(len(evaluations), sheet.ink)
    for row, (evaluation, (color, dash)) in enumerate(zip(evaluations, styles, strict=True)):
        middle = 42 + _ROW * row
        axes.plot([0, 0.9], [middle] * 2, color=color, lw=2, ls=dash)
        name = cut(evaluation.name, 8.5, 1.9)
        sheet.text(name, _PAD + 100, top + middle, 8.5, va="center")
        counts = f"{evaluation.counts[0]:,} normal, {evaluation.counts[1]:,} anomalous"
        sheet.text(counts, _PAD + 570, top + middle, 6.8, color=sheet.ink.muted, va="center")
        for at, right in enumerate(rights):
            text = _mean_and_band(evaluation.average_precision[at])
            sheet.text(text, right, top + middle, 8.5, ha="right", va="center")


def _mean_and_band(values: Float64[np.ndarray, " split"]) -> str:
    low, high = np.quantile(values, BAND).tolist()
    return f"{share(float(values.mean()))}  ({share(low)} to {share(high)})"


def average_precision_figure(
    groups: Mapping[str, Sequence[Evaluation]],
    *,
    baseline: Evaluation | None = None,
    ink: Ink = LIGHT,
) -> Figure:
    """Draw average precisions of many evaluations as rows: training losses, a sweep of beta, baselines.

    The axis is that of the logarithm of 1 - AP, so that from .98 to .99 is as far as from .99 to .995. One
    name has one colour in all groups.

    Args:
        groups: Evaluations under a heading each, both in the order given.
        baseline: What is to be beaten: a dashed line through all rows.
        ink: The paper.

    Raises:
        ConfigError: If there are none.
    """
    every = [evaluation for group in groups.values() for evaluation in group]
    _expect_some(every)
    rows = _GROUP * len(groups) + _ROW * len(every)
    sheet = Sheet(_WIDTH, 150 + rows + 170, _DPI, ink)
    names = list(dict.fromkeys(evaluation.name for evaluation in every))
    ends = [*every, *([baseline] if baseline else [])]
    limits = _limits(ends)
    for at, positive in enumerate(POSITIVE):
        left = _PAD + _NAMES + at * (_DOTS + _NUMBERS + 52)
        sheet.text(f"Finding the {positive} images", left, 34, 10, bold=True, va="top")
        text = "average precision"
        if baseline:
            reached = share(float(baseline.average_precision[at].mean()))
            text += f"; dashed: {cut(baseline.name, 7, 1.1)} {reached}"
        sheet.text(text, left, 78, 7, color=ink.muted, va="top")
        axes = sheet.axes(left, 130, _DOTS, rows + 20)
        _draw_rows(sheet, axes, groups, names, at, left, ink)
        _scale_axes(axes, limits, rows + 20, ink)
        if baseline:
            line = float(stretched(baseline.average_precision[at].mean()))
            axes.axvline(line, color=ink.text, lw=0.9, ls=(0, (4, 2)), zorder=1)
    note = "Dots: mean of the splits. Lines: 5 % to 95 % of the splits. Short upright lines: chance."
    sheet.text(note, _PAD, sheet.height - 60, 7, color=ink.muted, va="top")
    return sheet.figure


def stretched(values: Float[np.ndarray, "*shape"] | np.floating | float) -> Float64[np.ndarray, "*shape"]:
    """Where average precisions are on an axis on which each halving of what is missing to 1 is as far."""
    return np.asarray(-np.log2(np.maximum(1 - np.asarray(values, np.float64), _NEAREST)))


def _limits(evaluations: Sequence[Evaluation]) -> tuple[float, float]:
    lows = [np.quantile(e.average_precision, BAND[0], axis=1).min() for e in evaluations]
    highs = [np.quantile(e.average_precision, BAND[1], axis=1).max() for e in evaluations]
    low = stretched(min(*lows, *(min(e.chance) for e in evaluations)))
    high = stretched(max(highs))
    pad = 0.05 * float(high - low) or 0.1
    return float(low) - pad, float(high) + pad


def _draw_rows(
    sheet: Sheet,
    axes: Axes,
    groups: Mapping[str, Sequence[Evaluation]],
    names: Sequence[str],
    at: int,
    left: int,
    ink: Ink,
) -> None:
    palette, top = colors(ink), 10
    for head, group in groups.items():
        if at == 0:
            text = cut(head, 8.5, (_NAMES - 30) / _DPI)
            sheet.text(text, _PAD, 130 + top + _GROUP / 2 + 4, 8.5, bold=True, va="center")
        top += _GROUP
        for evaluation in group:
            middle, color = top + _ROW / 2, palette[names.index(evaluation.name) % len(palette)]
            values = evaluation.average_precision[at]
            ends = stretched(np.quantile(values, BAND))
            axes.plot(ends, [middle] * 2, color=color, lw=1.6, solid_capstyle="butt")
            axes.plot(stretched(values.mean()), middle, marker="o", ms=5.5, color=color)
            chance = stretched(evaluation.chance[at])
            axes.plot([chance] * 2, [middle - 12, middle + 12], color=ink.muted, lw=1)
            if at == 0:
                name = cut(evaluation.name, 8, (_NAMES - 60) / _DPI)
                sheet.text(name, _PAD + 24, 130 + middle, 8, color=color, va="center")
            number = share(float(values.mean()))
            sheet.text(number, left + _DOTS + 24, 130 + middle, 8, bold=True, color=color, va="center")
            top += _ROW


def _scale_axes(axes: Axes, limits: tuple[float, float], height: float, ink: Ink) -> None:
    plain_axes(axes, ink)
    axes.set(xlim=limits, ylim=(height, 0), yticks=[])
    places: list[tuple[float, str]] = []
    least = 0.15 * (limits[1] - limits[0])  # between two labels
    for tick in _TICKS:
        at = float(stretched(tick))
        if limits[0] <= at <= limits[1] and all(abs(at - place) >= least for place, _ in places):
            places.append((at, f"{tick:g}".removeprefix("0")))
    axes.set_xticks([at for at, _ in places], [text for _, text in places])
    axes.grid(axis="x", color=ink.faint, lw=0.5)
    axes.set_axisbelow(True)
