"""What a detector looks at and whether its probabilities hold: coefficients, texture, reliability."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float64, Int64
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from pellucid.anomaly.evaluation import BAND, Evaluation, TextureDiagnosis
from pellucid.anomaly.features import LOSS_COLUMNS
from pellucid.anomaly.verdict import COLUMN_LABELS
from pellucid.errors import DataError
from pellucid.report.detection import POSITIVE, share
from pellucid.report.ink import LIGHT, Ink, Sheet, font, plain_axes
from pellucid.report.lettering import added, cut

_DPI = 240.0
_PAD, _ROW = 48, 46
_LABELS, _WIDE = 470, 700
_BINS = 10
_NORMAL_95 = 1.959964


def coefficients_figure(
    evaluation: Evaluation, *, labels: Mapping[str, str] | None = None, most: int = 20, ink: Ink = LIGHT
) -> Figure:
    """Draw the coefficients on standardised columns with their spread over splits, the largest first (Fig 6).

    Args:
        evaluation: Where they come from.
        labels: column -> how people call it; losses have names of their own.
        most: How many rows at most; what the others lie within is written.
        ink: The paper.
    """
    means = evaluation.coefficients.mean(axis=0)
    bands = np.quantile(evaluation.coefficients, BAND, axis=0)  # [2 column]
    order = np.argsort(-np.abs(means), kind="stable")
    shown, rest = order[:most], order[most:]
    height = _ROW * len(shown)
    sheet = Sheet(1600, 190 + height + 190, _DPI, ink)
    sheet.text(
        cut(f"What the verdict rests on: {evaluation.name}", 10.5, 6.2), _PAD, 34, 10.5, bold=True, va="top"
    )
    note = "What one standard deviation more of each adds to the log-odds of being normal."
    sheet.text(note, _PAD, 84, 7.5, color=ink.muted, va="top")
    axes = sheet.axes(_PAD + _LABELS, 170, _WIDE, height)
    names = {**COLUMN_LABELS, **(labels or {})}
    for row, column in enumerate(shown.tolist()):
        color = ink.second if means[column] < 0 else ink.strong
        axes.plot(bands[:, column], [row, row], color=color, lw=1.8, solid_capstyle="butt")
        axes.plot(means[column], row, marker="o", ms=5.5, color=color)
        middle = 170 + _ROW * (row + 0.5)
        name = names.get(evaluation.columns[column], evaluation.columns[column])
        sheet.text(cut(name, 8, (_LABELS - 20) / _DPI), _PAD, middle, 8, va="center")
        low, high = bands[:, column].tolist()
        text = f"{added(float(means[column]))}  ({added(low)} to {added(high)})"
        sheet.text(text, _PAD + _LABELS + _WIDE + 24, middle, 7.5, va="center", color=color)
    _plain(axes, len(shown), ink)
    for text, at, side in (("◂ more anomalous", -8, "right"), ("more normal ▸", 8, "left")):
        zero = _PAD + _LABELS + _WIDE * _fraction(axes, 0)
        color = ink.second if at < 0 else ink.strong
        sheet.text(text, zero + at, 160, 7, color=color, ha=side, va="bottom")
    splits = len(evaluation.coefficients)
    note = f"Dots: mean of {splits} splits. Lines: 5 % to 95 % of the splits."
    if len(rest):
        note += f" The other {len(rest)} are within ±{np.abs(means[rest]).max():.2f}."
    note += "\nLosses rise and fall together, so single ones may take a weight against another."
    sheet.text(note, _PAD, sheet.height - 106, 7, color=ink.muted, va="top", linespacing=1.4)
    return sheet.figure


def _fraction(axes: Axes, value: float) -> float:
    low, high = axes.get_xlim()
    return (value - low) / (high - low)


def _plain(axes: Axes, rows: int, ink: Ink) -> None:
    """Rows from above, zero among them, an upright line there."""
    plain_axes(axes, ink)
    low, high = axes.get_xlim()
    axes.set(xlim=(min(low, 0.0), max(high, 0.0)), ylim=(rows - 0.5, -0.5), yticks=[])
    axes.axvline(0, color=ink.muted, lw=0.8, zorder=1)
    axes.grid(axis="x", color=ink.faint, lw=0.5)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−")))


def texture_figure(
    diagnosis: TextureDiagnosis,
    *,
    measure: str = "texture",
    labels: Mapping[str, str] | None = None,
    ink: Ink = LIGHT,
) -> Figure:
    """Draw the paper's diagnosis as numbers: average precision among equally busy images, and correlations.

    Args:
        diagnosis: What was measured.
        measure: The name of the measure of texture.
        labels: column -> how people call it; losses have names of their own.
        ink: The paper.
    """
    shown = _losses_or_largest(diagnosis)
    sheet = Sheet(1800, 960, _DPI, ink)
    sheet.text("Among equally busy images", _PAD, 34, 10, bold=True, va="top")
    note = "average precision within bins of texture; short lines: chance"
    sheet.text(note, _PAD, 78, 7, color=ink.muted, va="top")
    axes = sheet.axes(_PAD + 112, 140, 690, 560)
    _draw_bins(axes, diagnosis, ink)
    _describe_bins(sheet, diagnosis, measure, _PAD + 112, 690)
    _key(sheet, [f"finding the {kind} images" for kind in POSITIVE], _PAD, 896)
    left = 980
    sheet.text("How far losses follow texture", left, 34, 10, bold=True, va="top")
    note = f"Spearman's correlation of each with the {cut(measure, 7, 1.2)} of the image"
    sheet.text(note, left, 78, 7, color=ink.muted, va="top")
    height = 690 if len(shown) > 6 else 560
    axes = sheet.axes(left + 330, 140, 442, height)
    _draw_correlations(axes, diagnosis.correlation[:, shown], ink)
    names = {**COLUMN_LABELS, **(labels or {})}
    for row, column in enumerate(shown):
        name = names.get(diagnosis.columns[column], diagnosis.columns[column])
        middle = 140 + height * (row + 0.5) / len(shown)
        sheet.text(cut(name, 8, 310 / _DPI), left, middle, 8, va="center")
    _key(sheet, [f"{kind} images" for kind in POSITIVE], left, 896)
    return sheet.figure


def _describe_bins(sheet: Sheet, diagnosis: TextureDiagnosis, measure: str, left: int, width: int) -> None:
    """Under the axes: how many images each bin holds, and at the sides of each where it begins and ends."""
    bins, muted = diagnosis.counts.shape[1], sheet.ink.muted
    for place, edge in enumerate(diagnosis.edges.tolist()):
        text = f"{edge:.2g}".replace("-", "−")
        sheet.text(text, left + width * place / bins, 718, 7, color=muted, ha="center", va="top")
    for row, (kind, color) in enumerate(zip(POSITIVE, _two(sheet.ink), strict=True)):
        top = 752 + 30 * row
        sheet.text(kind, left - 12, top, 6.8, color=color, ha="right", va="top")
        for place, count in enumerate(diagnosis.counts[row].tolist()):
            middle = left + width * (place + 0.5) / bins
            sheet.text(f"{count:,} images", middle, top, 6.8, color=color, ha="center", va="top")
    text = f"{cut(measure, 7.5, 2)} of the image"
    sheet.text(text, left + width / 2, 822, 7.5, color=muted, ha="center", va="top")


def _two(ink: Ink) -> tuple[str, str]:
    return ink.strong, ink.second


def _key(sheet: Sheet, names: Sequence[str], left: float, top: int) -> None:
    for name, color in zip(names, _two(sheet.ink), strict=True):
        sheet.text(f"● {name}", left, top, 7.5, color=color, va="center")
        left += 390 if len(name) > 20 else 270


def _losses_or_largest(diagnosis: TextureDiagnosis, most: int = 12) -> list[int]:
    """The losses; where there are none, the columns that follow texture most."""
    losses = [at for at, column in enumerate(diagnosis.columns) if column in LOSS_COLUMNS]
    if losses:
        return losses
    size = np.nan_to_num(np.abs(diagnosis.correlation)).max(axis=0)
    return [int(column) for column in np.argsort(-size, kind="stable")[:most]]


def _draw_bins(axes: Axes, diagnosis: TextureDiagnosis, ink: Ink) -> None:
    bins = diagnosis.counts.shape[1]
    lowest = 1.0
    for at, color in enumerate(_two(ink)):
        for place in range(bins):
            values = diagnosis.average_precision[at, place]
            values, x = values[np.isfinite(values)], place + (at - 0.5) * 0.46
            if not len(values):
                continue
            chance = float(diagnosis.chance[at, place])
            axes.plot([x - 0.1, x + 0.1], [chance] * 2, color=ink.muted, lw=1)
            lowest = min(lowest, chance)
            low, high = np.quantile(values, BAND).tolist()
            axes.plot([x, x], [low, high], color=color, lw=1.8, solid_capstyle="butt")
            axes.plot(x, values.mean(), marker="o", ms=5.5, color=color)
            axes.text(
                x,
                high + 0.012,
                share(float(values.mean())),
                color=color,
                ha="center",
                va="bottom",
                fontproperties=font(7),
            )
            lowest = min(lowest, low)
    plain_axes(axes, ink)
    low = max(0.0, float(np.floor(10 * lowest - 0.3)) / 10)
    axes.set(xlim=(-0.5, bins - 0.5), ylim=(low, 1 + 0.06 * (1 - low)))
    axes.set_xticks(np.arange(bins + 1) - 0.5, [""] * (bins + 1))
    axes.grid(axis="y", color=ink.faint, lw=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)


def _draw_correlations(axes: Axes, correlation: Float64[np.ndarray, "2 column"], ink: Ink) -> None:
    for at, color in enumerate(_two(ink)):
        for row, value in enumerate(correlation[at].tolist()):
            middle = row + (at - 0.5) * 0.3
            if not np.isfinite(value):
                axes.text(0.02, middle, "constant", color=ink.muted, va="center", fontproperties=font(6.8))
                continue
            axes.barh(middle, value, height=0.26, color=color)
            beside = value + (0.02 if value >= 0 else -0.02)
            side = "left" if value >= 0 else "right"
            axes.text(
                beside, middle, added(value), color=color, ha=side, va="center", fontproperties=font(6.8)
            )
    known = correlation[np.isfinite(correlation)]
    axes.set_xlim(-1.2 if known.size and known.min() < 0 else 0, 1.2)
    _plain(axes, correlation.shape[1], ink)
    axes.set_xticks([tick for tick in (-1, -0.5, 0, 0.5, 1) if tick >= axes.get_xlim()[0]])


def reliability_bins(
    probability: Float64[np.ndarray, " image"], normal: Bool[np.ndarray, " image"], bins: int = _BINS
) -> tuple[Float64[np.ndarray, "bin 4"], Int64[np.ndarray, " bin"]]:
    """In each bin of equal width: mean probability, share that is normal, and the share's 95 % interval.

    The interval is Wilson's. Bins without images are left out. Also: how many images are in each.
    """
    place = np.minimum((probability * bins).astype(np.int64), bins - 1)
    rows, counts = [], []
    for at in np.unique(place):
        inside = place == at
        count, found = int(inside.sum()), float(normal[inside].mean())
        z = _NORMAL_95**2 / count
        centre = (found + z / 2) / (1 + z)
        reach = float(np.sqrt(z * (found * (1 - found) + z / 4))) / (1 + z)
        rows.append((float(probability[inside].mean()), found, centre - reach, centre + reach))
        counts.append(count)
    return np.array(rows, np.float64).reshape(-1, 4), np.array(counts, np.int64)


def calibration_error(
    probability: Float64[np.ndarray, " image"], normal: Bool[np.ndarray, " image"]
) -> float:
    """How far probabilities are from shares, mean over images in ten bins of equal width, 0 to 1."""
    rows, counts = reliability_bins(probability, normal)
    return float(np.average(np.abs(rows[:, 0] - rows[:, 1]), weights=counts))


def reliability_figure(
    probability: Float64[np.ndarray, " image"],
    normal: Bool[np.ndarray, " image"],
    *,
    ink: Ink = LIGHT,
) -> Figure:
    """Draw whether images said to be normal with probability p are so in a share p of all cases.

    Args:
        probability: Of being normal, 0 to 1, of images that were not fitted.
        normal: Whether they are.
        ink: The paper.

    Raises:
        DataError: If there are no images, or a probability is none.
    """
    if not len(probability) or not ((probability >= 0) & (probability <= 1)).all():
        raise DataError(
            "expected probabilities from 0 to 1 of one image or more. Leave out unreadable images."
        )
    rows, _ = reliability_bins(probability, normal)
    sheet = Sheet(900, 1180, _DPI, ink)
    sheet.text("Do the probabilities hold?", _PAD, 34, 10, bold=True, va="top")
    brier = float(np.mean((probability - normal) ** 2))
    error = calibration_error(probability, normal)
    note = f"{len(normal):,} unseen images; calibration error {error:.3f}, Brier score {brier:.3f}"
    sheet.text(note, _PAD, 78, 7, color=ink.muted, va="top")
    axes = sheet.axes(_PAD + 84, 130, 740, 700)
    axes.plot([0, 1], [0, 1], color=ink.muted, lw=1, ls=(0, (4, 3)))
    axes.vlines(rows[:, 0], rows[:, 2], rows[:, 3], color=ink.strong, lw=1.6)
    axes.plot(rows[:, 0], rows[:, 1], color=ink.strong, lw=0.8, marker="o", ms=5.5)
    axes.set_ylabel("share that is normal", fontproperties=font(7.5), color=ink.muted)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    _quiet(axes, ink)
    below = sheet.axes(_PAD + 84, 880, 740, 150)
    edges = np.linspace(0, 1, 2 * _BINS + 1)
    parts = [np.histogram(probability[of], edges)[0] for of in (normal, ~normal)]
    below.stairs(parts[0] + parts[1], edges, fill=True, color=ink.second)
    below.stairs(parts[0], edges, fill=True, color=ink.strong)
    below.set_xlim(-0.02, 1.02)
    below.set_ylabel("images", fontproperties=font(7.5), color=ink.muted)
    below.set_xlabel("probability of being normal", fontproperties=font(7.5), color=ink.muted)
    _quiet(below, ink)
    below.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    _key(sheet, [f"{kind} images" for kind in POSITIVE], _PAD + 84, 1150)
    return sheet.figure


def _quiet(axes: Axes, ink: Ink) -> None:
    plain_axes(axes, ink)
    axes.grid(color=ink.faint, lw=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
