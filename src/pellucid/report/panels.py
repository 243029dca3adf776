"""The three panels of the live tool as one figure: a picture, its latents, what the model makes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from pellucid.latents.names import LatentTable
from pellucid.report.ink import LIGHT, Ink, Sheet, plain_axes, signed, wrap
from pellucid.report.mosaic import fitted
from pellucid.report.outlines import outlines

_DPI = 200.0
_WIDTH, _PAD, _SIDE, _HEAD = 1800, 40, 448, 96
_ROW, _MOST_ROWS = 36, 24
_LABELS, _TRACK = 340, 320  # right end of the labels, width of the bars, from the left of their panel
_LINE = 34
_DOUBT = 2.0
_SPREAD = 3.0


@dataclass(frozen=True)
class Panels:
    """What stands in the three panels.

    Attributes:
        image: The picture as the encoder sees it, float32 [1 channel height width] in [0, 1].
        average: The average picture, likewise, whose outlines are laid over the picture.
        reconstruction: Likewise.
        table: The latents.
        mean: Of the posterior, float [latent].
        deviation: Of the posterior, float [latent].
        losses: What each loss is called, and its value.
    """

    image: Float[Tensor, "1 channel height width"]
    average: Float[Tensor, "1 channel height width"]
    reconstruction: Float[Tensor, "1 channel height width"]
    table: LatentTable
    mean: Float[Tensor, " latent"]
    deviation: Float[Tensor, " latent"]
    losses: Mapping[str, float]


def panels_figure(panels: Panels, *, ink: Ink = LIGHT) -> Figure:
    """Draw the picture under its guide, a bar for each active latent, the reconstruction above its losses.

    The 24 strongest latents have a row. A bar goes two posterior standard deviations to each side of the
    mean; behind it, grey, lie 98 % of the images that the latents were measured on.
    """
    table = panels.table
    shown = (table.active() or table.order())[:_MOST_ROWS]
    left, middle, right = _PAD, _PAD + _SIDE + 20, _WIDTH - _PAD - _SIDE
    below = _HEAD + max(_SIDE + 40 + _LINE * len(panels.losses), _ROW * len(shown)) + 60
    sheet = Sheet(_WIDTH, below, _DPI, ink)
    for head, place in (("Picture", left), ("Latents", middle + _LABELS), ("Reconstruction", right)):
        sheet.text(head, place, 40, 10, bold=True, va="top")
    picture = sheet.picture(fitted(panels.image, _SIDE)[0], left, _HEAD)
    for line in outlines(panels.average[0].numpy()):
        points = [(x * _SIDE - 0.5, y * _SIDE - 0.5) for x, y in zip(line[::2], line[1::2], strict=True)]
        picture.plot(*zip(*points, strict=True), color="#ffe08a", lw=1.0)
    sheet.picture(fitted(panels.reconstruction, _SIDE)[0], right, _HEAD)
    for row, latent in enumerate(shown):
        label = "\n".join(wrap(table.label(latent), 24, 1))
        y = _HEAD + _ROW * (row + 0.5)
        sheet.text(label, middle + _LABELS - 16, y, 7.5, ha="right", va="center")
        value = signed(float(panels.mean[latent]))
        sheet.text(value, middle + _LABELS + _TRACK + 70, y, 7.5, ha="right", va="center")
    axes = sheet.axes(middle + _LABELS, _HEAD, _TRACK, _ROW * len(shown))
    _draw(axes, panels, shown, ink)
    for row, (name, loss) in enumerate(panels.losses.items()):
        y = _HEAD + _SIDE + 40 + _LINE * row
        sheet.text(name, right, y, 7.5, va="center")
        sheet.text(f"{loss:.3g}", right + _SIDE, y, 7.5, ha="right", va="center")
    return sheet.figure


def _draw(axes: Axes, panels: Panels, shown: Sequence[int], ink: Ink) -> None:
    plain_axes(axes, ink)
    reach = _SPREAD
    for row, latent in enumerate(shown):
        record = panels.table.records[latent]
        mean, doubt = float(panels.mean[latent]), _DOUBT * float(panels.deviation[latent])
        low, high = record.low, record.high
        if low is not None and high is not None:
            axes.barh(row, high - low, left=low, height=0.3, color=ink.faint)
            reach = max(reach, -low, high)
        axes.barh(row, 2 * doubt, left=mean - doubt, height=0.55, color=ink.strong, alpha=0.4, linewidth=0)
        axes.plot([mean], [row], "o", color=ink.strong, markersize=4)
        reach = max(reach, abs(mean))
    axes.axvline(0, color=ink.faint, lw=0.8, zorder=0)
    axes.set_xlim(-1.05 * reach, 1.05 * reach)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_yticks([])
