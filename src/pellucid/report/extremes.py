"""The images that a loss puts at either end of each class, above their reconstructions."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float64, Int64
from matplotlib.figure import Figure
from torch import Tensor

from pellucid.anomaly.evaluation import Extremes
from pellucid.anomaly.features import Features
from pellucid.anomaly.verdict import COLUMN_LABELS
from pellucid.objective.reconstruction import LOSSES
from pellucid.report.ink import LIGHT, Ink, Sheet
from pellucid.report.lettering import short
from pellucid.report.mosaic import fitted, mosaic

_DPI = 240.0
_PAD, _BETWEEN = 48, 60
_CELL, _GAP, _COLUMNS = 128, 12, 6
_PART = _COLUMNS * (_CELL + _GAP) - _GAP
_BAND = 2 * _CELL + 4 + 48  # an image, its reconstruction, the value

ImagesOf = Callable[[Int64[np.ndarray, " row"]], Tensor]
"""Rows of the features -> their images, float32 [row channel height width] in [0, 1]."""


def extremes_figure(
    extremes: Extremes,
    features: Features,
    images: ImagesOf,
    reconstruct: Callable[[Tensor], Tensor],
    *,
    most: int = 2 * _COLUMNS,
    ink: Ink = LIGHT,
) -> Figure:
    """Draw the paper's Figs 7 to 10 on one sheet: four grids, each image above what the model makes of it.

    Args:
        extremes: Which images.
        features: Of all images: where the values of the loss come from.
        images: Rows -> images.
        reconstruct: Images -> reconstructions, as `Model.reconstruct`.
        most: How many images a grid shows at most.
        ink: The paper.
    """
    parts = (
        ("Normal, rebuilt best", extremes.normal_least),
        ("Normal, rebuilt worst", extremes.normal_largest),
        ("Anomalous, rebuilt best", extremes.anomalous_least),
        ("Anomalous, rebuilt worst", extremes.anomalous_largest),
    )
    label = COLUMN_LABELS.get(extremes.loss, extremes.loss)
    values = features.select([extremes.loss])[:, 0]
    longest = max(1, max(min(most, len(rows)) for _, rows in parts))
    height = 74 + -(-longest // _COLUMNS) * (_BAND + 16) + 30
    sheet = Sheet(2 * (_PAD + _PART) + _BETWEEN, 160 + 2 * height, _DPI, ink)
    sheet.text(f"The extremes of the {label}", _PAD, 30, 11, bold=True, va="top")
    note = f"Above: the image. Below: its reconstruction, and the {label} ({LOSSES[extremes.loss].unit})."
    sheet.text(note, _PAD, 84, 7, color=ink.muted, va="top")
    for place, (title, rows) in enumerate(parts):
        down, across = divmod(place, 2)
        left, top = _PAD + across * (_PART + _BETWEEN), 150 + down * height
        sheet.text(title, left, top, 9, bold=True, va="top")
        shown = rows[:most]
        if len(shown):
            originals = images(shown)
            _grid(sheet, originals, reconstruct(originals), values[shown], left, top + 48)
        else:
            sheet.text("There are none.", left, top + 56, 8, color=ink.muted, va="top")
    return sheet.figure


def _grid(
    sheet: Sheet,
    originals: Tensor,
    reconstructions: Tensor,
    values: Float64[np.ndarray, " image"],
    left: int,
    top: int,
) -> None:
    """Bands of images above their reconstructions, each pair over its value."""
    for start in range(0, len(originals), _COLUMNS):
        part = slice(start, start + _COLUMNS)
        pair = torch.cat([originals[part], reconstructions[part]])
        cells = fitted(pair, _CELL).reshape(2, -1, _CELL, _CELL, 4)
        above = top + start // _COLUMNS * (_BAND + 16)
        sheet.picture(mosaic(cells, 4, [_GAP] * (cells.shape[1] - 1)), left, above)
        for column, value in enumerate(values[part].tolist()):
            middle = left + column * (_CELL + _GAP) + _CELL / 2
            sheet.text(short(value), middle, above + 2 * _CELL + 14, 7, ha="center", va="top")
