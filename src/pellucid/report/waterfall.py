"""What adds up to a score: one step for every measurement, each beginning where the one above ended."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from pellucid.anomaly.explanation import Explanation
from pellucid.anomaly.features import PICTURE_COLUMNS
from pellucid.anomaly.texture import TEXTURE
from pellucid.anomaly.verdict import Contribution
from pellucid.data.images import printable
from pellucid.objective.reconstruction import LOSSES
from pellucid.report.ink import Ink, Sheet, plain_axes
from pellucid.report.lettering import added, cut, level, short

MOST_BARS = 9
"""Steps that are drawn one by one; the small ones beyond are one step together."""

_ROW = 70
_ABOVE, _BELOW = 118, 110
_LABEL_WIDTH = 336
_BARS_LEFT, _BARS_WIDTH = 352, 376
_VALUES_RIGHT, _RANKS_LEFT = 834, 854


@dataclass(frozen=True)
class Bar:
    """One step of the way from the mean score of normal images to this image's.

    Attributes:
        label: What adds it.
        note: What was measured, beside what is usual; empty for a sum.
        rank: How unusual that is.
        start: Where the steps before it have led.
        end: `start` and what it adds.
    """

    label: str
    note: str
    rank: str
    start: float
    end: float


def bars(explanation: Explanation, most: int = MOST_BARS) -> tuple[Bar, ...]:
    """The contributions as steps, the largest first; from `most` on the small ones are one step together.

    The first step starts at the explanation's base, and the last one ends at its score.
    """
    parts = explanation.contributions
    single = len(parts) if len(parts) <= most + 1 else most
    steps, reached = [], explanation.base
    for part in parts[:single]:
        steps.append(_step(part, reached))
        reached = steps[-1].end
    if single < len(parts):
        label = f"the other {len(parts) - single} together"
        end = reached + sum(part.contribution for part in parts[single:])
        steps.append(Bar(label, "", "", reached, end))
    return tuple(steps)


def _step(part: Contribution, start: float) -> Bar:
    note = f"{short(part.value)}, usually {short(part.usual)}"
    return Bar(printable(part.label), note, part.rank, start, start + part.contribution)


def waterfall_height(steps: Sequence[Bar]) -> int:
    """Device pixels that the steps take, with everything around them."""
    return _ABOVE + (len(steps) + 2) * _ROW + _BELOW


def place_waterfall(
    sheet: Sheet, explanation: Explanation, steps: Sequence[Bar], left: int, top: int
) -> None:
    """Draw the steps with their top left corner there: a row each for the start, every step and the score."""
    ink, first = sheet.ink, top + _ABOVE
    what = "score" if explanation.probability is None else "log-odds of being normal"
    sheet.text(f"What adds up to the {what}", left, top, 9, bold=True, va="top")
    note = "Each bar begins where the one above ended: left is more anomalous, right more normal."
    sheet.text(note, left, top + 40, 7, color=ink.muted, va="top")
    axes = sheet.axes(left + _BARS_LEFT, first, _BARS_WIDTH, (len(steps) + 2) * _ROW)
    draw_steps(axes, explanation, steps, ink)
    _name_sides(sheet, axes, explanation.threshold, left, first)
    sheet.text("among normal images", left + _RANKS_LEFT, first - 6, 7, color=ink.muted, va="bottom")
    for row, step in enumerate([_start(explanation), *steps, _end(explanation)]):
        _describe(sheet, step, _color(step, explanation, ink), left, first + row * _ROW)
    below = first + (len(steps) + 2) * _ROW + 62
    sheet.text(kinds(explanation), left, below, 7, color=ink.muted, va="top")


def _start(explanation: Explanation) -> Bar:
    return Bar("normal images", "their mean score", "", explanation.base, explanation.base)


def _end(explanation: Explanation) -> Bar:
    return Bar("this image", explanation.verdict, "", explanation.score, explanation.score)


def _color(step: Bar, explanation: Explanation, ink: Ink) -> str:
    if step == _start(explanation):
        return ink.text
    anomalous = step.end < (explanation.threshold if step == _end(explanation) else step.start)
    return ink.second if anomalous else ink.strong


def kinds(explanation: Explanation) -> str:
    """What kinds of measurements add, each together: losses go hand in hand, so only their sum is firm."""
    parts = explanation.contributions
    sums = {
        "losses": sum(part.contribution for part in parts if part.column in LOSSES),
        "texture": sum(part.contribution for part in parts if part.column in TEXTURE),
        "latents": sum(part.contribution for part in parts if part.column not in PICTURE_COLUMNS),
    }
    told = [f"{name} {added(total)}" for name, total in sums.items() if total]
    return f"In sum: {', '.join(told)}." if len(told) > 1 else ""


def _describe(sheet: Sheet, step: Bar, color: str, left: int, top: int) -> None:
    """The words and numbers of a row: what it is, what it adds, how unusual it is."""
    middle, muted = top + _ROW / 2, sheet.ink.muted
    label = cut(step.label, 8, (_LABEL_WIDTH - 8) / sheet.dpi)
    sheet.text(label, left, middle - (13 if step.note else 0), 8, va="center")
    sheet.text(step.note, left, middle + 16, 6.8, color=muted, va="center")
    value = added(step.end - step.start) if step.end != step.start or step.rank else level(step.end)
    sheet.text(value, left + _VALUES_RIGHT, middle, 8, color=color, bold=True, ha="right", va="center")
    rank = step.rank.removesuffix(" normal images").removesuffix(" of")
    shade = muted if rank == "usual" else sheet.ink.text
    sheet.text(rank, left + _RANKS_LEFT, middle, 7, color=shade, va="center")


def draw_steps(axes: Axes, explanation: Explanation, steps: Sequence[Bar], ink: Ink) -> None:
    """The bars from the base, in the first row, to the score, in the last; the anomalous side is tinted."""
    base, score, threshold, last = explanation.base, explanation.score, explanation.threshold, len(steps) + 1
    levels = [base, score, threshold, *(step.end for step in steps)]
    pad = 0.06 * (max(levels) - min(levels)) or 1.0
    low, high = min(levels) - pad, max(levels) + pad
    axes.axvspan(low, threshold, color=ink.second, alpha=0.07, lw=0)
    axes.axvline(threshold, color=ink.muted, lw=0.8, ls=(0, (4, 2)))
    axes.plot(base, 0, marker="o", ms=4.5, color=ink.text)
    ends = [base, *(step.end for step in steps)]
    for row, end in enumerate(ends):  # from bar to bar
        axes.vlines(
            end, row + 0.3 * (row > 0), row + (1 if row == last - 1 else 0.7), color=ink.muted, lw=0.6
        )
    for row, step in enumerate(steps, 1):
        color = _color(step, explanation, ink)
        # With an edge, so that the smallest bar too is seen and the way down has no gap.
        axes.barh(
            row, step.end - step.start, left=step.start, height=0.6, color=color, edgecolor=color, lw=0.6
        )
    axes.plot(score, last, marker="D", ms=6, color=_color(_end(explanation), explanation, ink), zorder=3)
    plain_axes(axes, ink)
    axes.set(xlim=(low, high), ylim=(last + 0.5, -0.5), yticks=[])
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−")))


def _name_sides(sheet: Sheet, axes: Axes, threshold: float, left: int, top: int) -> None:
    """Say over the threshold which side is which."""
    low, high = axes.get_xlim()
    at = left + _BARS_LEFT + _BARS_WIDTH * (threshold - low) / (high - low)
    sheet.text("◂ anomalous", at - 8, top - 6, 7, color=sheet.ink.second, ha="right", va="bottom")
    sheet.text("normal ▸", at + 8, top - 6, 7, color=sheet.ink.strong, va="bottom")
