"""How training went: one small chart for each quantity of metrics.jsonl."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from pellucid.report.ink import LIGHT, Ink, Sheet, font, plain_axes

Metrics = Sequence[Mapping[str, Any]]
_SETTLED = 0.03  # the share of a long training whose first values may leave the frame


@dataclass(frozen=True)
class Curve:
    """A chart: which columns of metrics.jsonl it draws, and what a reader should know.

    Attributes:
        title: What is drawn.
        unit: Of the vertical axis.
        training: Column of the training rows, if it has one.
        held_out: Column of the validation rows, if it has one.
        sentence: How to read it, for somebody who has never seen one.
    """

    title: str
    unit: str
    training: str | None
    held_out: str | None
    sentence: str


CURVES = (
    Curve(
        "Reconstruction error",
        "nats per image",
        "reconstruction",
        "validation_reconstruction",
        "How far the redrawn images are from the originals. Lower is better; were the held-out line to rise "
        "while the other falls, the model would be learning its images by heart.",
    ),
    Curve(
        "Information kept (KL)",
        "nats per image",
        "kl",
        "validation_kl",
        "How much the latents say about an image; 1 nat is about 1.4 bits, the answers to 1.4 yes-or-no "
        "questions. Training weighs this price against the reconstruction error.",
    ),
    Curve(
        "Total correlation",
        "nats per image",
        "total_correlation",
        None,
        "How far the latents repeat one another. Near 0, each says something that the others do not; "
        "being an estimate, it may fall a little below 0.",
    ),
    Curve(
        "Held-out score (negative objective)",
        "nats per image",
        None,
        "validation_negative_objective",
        "Minus the reconstruction error and minus the information kept, on images that were never trained "
        "on. Higher is better; a flat end says that longer training would change little. It bounds the "
        "images' log-likelihood only where the loss is a likelihood: squared errors do, but for a constant.",
    ),
    Curve(
        "Active latents",
        "how many",
        "active_latents",
        "validation_active_latents",
        "How many latents say anything about an image. Those that the model does not need fall silent.",
    ),
)


def series(metrics: Metrics, column: str | None) -> Float64[np.ndarray, "row 2"]:
    """Step and value of every row that has a finite number in `column`, in order of steps."""
    pairs = [(row.get("step"), row.get(column)) for row in metrics] if column else []
    kept = [(float(s), float(v)) for s, v in pairs if _number(s) and _number(v)]  # type: ignore[arg-type]
    return np.array(sorted(kept), np.float64).reshape(-1, 2)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def drawn_curves(metrics: Metrics) -> tuple[Curve, ...]:
    """The curves that there are numbers for."""
    return tuple(c for c in CURVES if len(series(metrics, c.training)) + len(series(metrics, c.held_out)))


def loss_curves(metrics: Metrics, *, ink: Ink = LIGHT) -> Figure:
    """All curves of a run as small multiples."""
    curves = drawn_curves(metrics)
    columns = min(3, max(1, len(curves)))
    rows = max(1, -(-len(curves) // columns))
    sheet = Sheet(columns * 500, rows * 400, 200, ink)
    for i, curve in enumerate(curves):
        row, column = divmod(i, columns)
        place_curve(sheet, curve, metrics, column * 500, row * 400)
    return sheet.figure


def curve_figure(curve: Curve, metrics: Metrics, *, ink: Ink = LIGHT) -> Figure:
    """One curve by itself."""
    sheet = Sheet(500, 400, 200, ink)
    place_curve(sheet, curve, metrics, 0, 0)
    return sheet.figure


def place_curve(sheet: Sheet, curve: Curve, metrics: Metrics, left: float, top: float) -> None:
    """Draw a curve in the 500 x 400 pixels whose top left corner is given."""
    sheet.text(curve.title, left + 16, top + 14, 8.5, bold=True, va="top")
    sheet.text(curve.unit, left + 16, top + 45, 7, color=sheet.ink.muted, va="top")
    axes = sheet.axes(left + 84, top + 92, 396, 236)
    _draw(axes, series(metrics, curve.training), series(metrics, curve.held_out), sheet.ink)
    _plain_ticks(axes, sheet.ink, whole=curve.unit == "how many")
    axes.set_xlabel("training step", fontproperties=font(7), color=sheet.ink.muted, labelpad=2)


def _draw(axes: Axes, training: np.ndarray, held_out: np.ndarray, ink: Ink) -> None:
    both = [line for line in (training, held_out) if len(line)]
    if len(training):
        many = len(training) > 60
        axes.plot(*training.T, color=ink.second, lw=0.6 if many else 1.2, alpha=0.45 if many else 1)
        if many:
            axes.plot(*_running(training).T, color=ink.second, lw=1.3)
    if len(held_out):
        axes.plot(*held_out.T, color=ink.strong, lw=1.5, marker="o", ms=2.6, zorder=3)
    last = max(float(line[-1, 0]) for line in both)
    axes.set_xlim(0, last * 1.02 or 1)
    axes.set_ylim(*_limits(both, last))
    _name_lines(axes, training, held_out, ink)


def _running(line: np.ndarray) -> np.ndarray:
    """The mean over a twentieth of the run, cut off where the window would leave it."""
    width = max(3, len(line) // 20)
    kernel = np.full(width, 1 / width)
    return np.stack([np.convolve(line[:, i], kernel, "valid") for i in (0, 1)], axis=1)


def _limits(lines: list[np.ndarray], last: float) -> tuple[float, float]:
    settled = [line[line[:, 0] >= (_SETTLED * last if len(line) > 30 else 0), 1] for line in lines]
    values = np.concatenate(settled)
    low, high = float(values.min()), float(values.max())
    pad = (high - low) * 0.12 or max(1.0, abs(high) * 0.05)
    return low - pad, high + pad


def _name_lines(axes: Axes, training: np.ndarray, held_out: np.ndarray, ink: Ink) -> None:
    """Each line's name and last value, in the corner that the lines leave free."""
    low, high = axes.get_ylim()
    longest = held_out if len(held_out) else training
    rising = float(np.mean(longest[len(longest) // 2 :, 1])) > (low + high) / 2
    lines = (("held-out images", held_out, ink.strong, "o"), ("training images", training, ink.second, ""))
    drawn = [line for line in lines if len(line[1])]
    for i, (name, line, color, marker) in enumerate(drawn):
        height = 0.08 + 0.12 * (len(drawn) - 1 - i) if rising else 0.95 - 0.12 * i
        axes.plot(
            [0.36, 0.43], [height] * 2, color=color, lw=1.5, marker=marker, ms=2.6, transform=axes.transAxes
        )
        axes.text(
            0.46,
            height,
            f"{name} {_rounded(line[-1, 1])}",
            transform=axes.transAxes,
            va="center",
            fontproperties=font(7),
            color=color,
        )


def _plain(value: float, digits: int) -> str:
    """A number without an exponent as far as that is readable, and with a real minus."""
    text = f"{value:,.0f}" if 10**digits <= abs(value) < 1e9 else f"{value:,.{digits}g}"
    return text.replace("-", "−")


def _rounded(value: float) -> str:
    """Three digits, and no more than two decimals."""
    return _plain(value, 3) if abs(value) >= 1 else f"{value:.2f}".replace("-", "−").replace("−0.00", "0.00")


def _plain_ticks(axes: Axes, ink: Ink, *, whole: bool) -> None:
    plain_axes(axes, ink)
    axes.grid(axis="y", color=ink.faint, lw=0.5)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(4, min_n_ticks=3, steps=[1, 2, 2.5, 5, 10], integer=whole))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v / 1000:g}k" if v >= 1000 else f"{v:g}"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: _plain(v, 5)))
    axes.tick_params(axis="y", length=0)
