"""One verdict on one sheet: where the reconstruction fails, what adds up to it, and what would turn it."""

import re
from collections.abc import Sequence

import matplotlib
import numpy as np
import torch
from jaxtyping import Float, Float32
from matplotlib.figure import Figure
from torch import Tensor

from pellucid.anomaly.explanation import Counterfactual, Explanation, Move, Neighbour
from pellucid.anomaly.features import PICTURE_COLUMNS
from pellucid.anomaly.verdict import percent
from pellucid.report.card import COLORS
from pellucid.report.ink import LIGHT, Ink, Sheet, text_width
from pellucid.report.lettering import added, cut, level, lines, short
from pellucid.report.mosaic import fitted, mosaic
from pellucid.report.waterfall import bars, place_waterfall, waterfall_height

RESIDUAL_TOP = 0.4
"""The difference, of full scale, from which on the heat map is brightest: fixed, so that figures compare."""

_DPI = 240.0
_WIDTH, _PAD = 1800, 48
_CELL = 384
_MOST_MOVES = 4
_NEAR, _NEAR_GAP, _NEAR_COLUMNS = 128, 4, 4
_RIGHT = _WIDTH - _PAD - (_NEAR_COLUMNS * (_NEAR + _NEAR_GAP) - _NEAR_GAP)


def heat(
    image: Float[Tensor, "1 channel height width"], share: Float[np.ndarray, "height width"]
) -> Float32[Tensor, "1 3 height width"]:
    """A map over the dimmed grey picture, which shows where the share is 0 or nan; 1 is the brightest.

    Args:
        image: The picture, values in [0, 1].
        share: Of the brightest, 0 to 1, or nan where nothing was measured.
    """
    grey = image.mean(dim=(0, 1)).numpy()
    return torch.from_numpy(_over(grey, share)).permute(2, 0, 1)[None]


def _over(
    grey: Float[np.ndarray, "height width"], share: Float[np.ndarray, "height width"]
) -> Float32[np.ndarray, "height width 3"]:
    known = np.nan_to_num(np.clip(share, 0, 1))
    cover = np.sqrt(known)[..., None]
    color = matplotlib.colormaps[COLORS](known)[..., :3]
    mixed: Float32[np.ndarray, "height width 3"] = (
        cover * color + (1 - cover) * 0.5 * grey[..., None]
    ).astype(np.float32)
    return mixed


def explanation_figure(explanation: Explanation, *, ink: Ink = LIGHT) -> Figure:
    """Draw an explanation on one sheet.

    From the top: the verdict and how sure it is, the sentence, the picture beside its reconstruction and
    where they differ, the waterfall of contributions, the nearest normal images, and what would turn the
    verdict.
    """
    text = re.sub(r"(?<!\S)-(?=\d)", "−", explanation.sentence)
    sentence = lines(text, 9.5, (_WIDTH - 2 * _PAD) / _DPI, 6)
    pictures = 260 + 42 * len(sentence)
    lower = pictures + _CELL + 136
    steps = bars(explanation)
    height = max(waterfall_height(steps), _right_height(explanation))
    sheet = Sheet(_WIDTH, lower + height + 40, _DPI, ink)
    _head(sheet, explanation, sentence)
    _pictures(sheet, explanation, pictures)
    place_waterfall(sheet, explanation, steps, _PAD, lower)
    below = _neighbours(sheet, explanation.neighbours, lower)
    _counterfactual(sheet, explanation, below)
    return sheet.figure


def _head(sheet: Sheet, explanation: Explanation, sentence: Sequence[str]) -> None:
    color = sheet.ink.second if explanation.verdict == "anomalous" else sheet.ink.strong
    sheet.text(explanation.verdict.capitalize(), _PAD, 98, 22, color=color, bold=True, va="baseline")
    if explanation.borderline:
        sheet.text("borderline", _PAD, 28, 8, color=color, va="baseline")
    sheet.text(
        cut(explanation.name, 7.5, 2.2, keep_end=True), _PAD, 120, 7.5, color=sheet.ink.muted, va="top"
    )
    tiles = [
        (level(explanation.score), f"{_score_name(explanation)}; threshold {level(explanation.threshold)}"),
        (_p_value(explanation.p_value), "p-value: the share of normal images\nthat look no more normal"),
    ]
    if explanation.probability is not None:
        at = percent(explanation.threshold_probability or 0)
        tiles.insert(
            0, (percent(explanation.probability), f"probability of being normal;\nat the threshold {at}")
        )
    for (value, caption), left in zip(tiles, (620, 1000, 1316)[-len(tiles) :], strict=True):
        sheet.text(value, left, 98, 16, va="baseline")
        sheet.text(caption, left, 120, 7, color=sheet.ink.muted, va="top", linespacing=1.3)
    for row, line in enumerate(sentence):
        sheet.text(line, _PAD, 196 + 42 * row, 9.5, va="top")


def _score_name(explanation: Explanation) -> str:
    return "score" if explanation.probability is None else "log-odds"


def _p_value(value: float) -> str:
    return f"{value:.2g}" if value >= 0.0001 else f"{value:.0e}".replace("e-0", "e−")


def _pictures(sheet: Sheet, explanation: Explanation, top: int) -> None:
    gap = (_WIDTH - 2 * _PAD - 4 * _CELL) // 3
    lost = 1 - explanation.similarity.clip(0, 1)
    shown = (
        ("picture", explanation.image),
        ("reconstruction", explanation.reconstruction),
        ("where it is off", heat(explanation.image, explanation.residual / RESIDUAL_TOP)),
        ("where structure is lost", heat(explanation.image, lost)),
    )
    for column, (title, image) in enumerate(shown):
        left = _PAD + column * (_CELL + gap)
        sheet.text(title, left, top - 12, 8.5, bold=True, va="bottom")
        sheet.picture(fitted(image, _CELL)[0], left, top)
    _scale(sheet, _PAD + 2 * (_CELL + gap), top, "0", f"difference of {RESIDUAL_TOP:g} or more")
    _scale(sheet, left, top, "SSIM 1, the same", "0 or less")
    sheet.text("not measured along the edge", left, top + _CELL + 62, 7, color=sheet.ink.muted, va="top")


def _scale(sheet: Sheet, left: int, top: int, low: str, high: str) -> None:
    """The colours of a heat map as they are over medium grey."""
    below = top + _CELL + 12
    axes = sheet.axes(left, below, _CELL, 14)
    share = np.linspace(0, 1, _CELL)[None]
    axes.imshow(_over(np.full(share.shape, 0.5), share), aspect="auto", interpolation="nearest")
    axes.set_axis_off()
    for text, edge, side in ((low, left, "left"), (high, left + _CELL, "right")):
        sheet.text(text, edge, below + 22, 7, color=sheet.ink.muted, ha=side, va="top")


def _near_rows(neighbours: Sequence[Neighbour]) -> int:
    """Two rows if both are full, else one."""
    return 2 if len(neighbours) >= 2 * _NEAR_COLUMNS else 1


def _neighbours(sheet: Sheet, neighbours: Sequence[Neighbour], top: int) -> int:
    """Draw the nearest normal images, and return where there is room below them."""
    if not neighbours:
        return top
    sheet.text("Nearest normal images", _RIGHT, top, 9, bold=True, va="top")
    note = "how far away, in standard deviations"
    sheet.text(note, _RIGHT, top + 40, 7, color=sheet.ink.muted, va="top")
    step = _NEAR + _NEAR_GAP
    for place, near in enumerate(neighbours[: _near_rows(neighbours) * _NEAR_COLUMNS]):
        row, column = divmod(place, _NEAR_COLUMNS)
        left, above = _RIGHT + column * step, top + 78 + row * (step + 34)
        sheet.picture(fitted(near.image[None], _NEAR)[0], left, above)
        sheet.text(f"{near.distance:.2f}", left + _NEAR / 2, above + _NEAR + 6, 7, ha="center", va="top")
    return top + _neighbours_height(neighbours)


def _neighbours_height(neighbours: Sequence[Neighbour]) -> int:
    return 78 + _near_rows(neighbours) * (_NEAR + _NEAR_GAP + 34) + 30 if neighbours else 0


def _right_height(explanation: Explanation) -> int:
    change = explanation.counterfactual
    below = 150 if change is None else 78 + 2 * _NEAR + 52 + 34 * (len(_move_lines(change.moves)) + 3)
    return _neighbours_height(explanation.neighbours) + below


def _counterfactual(sheet: Sheet, explanation: Explanation, top: int) -> None:
    change, muted = explanation.counterfactual, sheet.ink.muted
    sheet.text("What would turn the verdict", _RIGHT, top, 9, bold=True, va="top")
    if change is None:
        for row, line in enumerate(_no_change(explanation)):
            sheet.text(line, _RIGHT, top + 44 + 30 * row, 7.5, color=muted, va="top")
        return
    note = (
        "the smallest change of latents, decoded" if change.smallest else "the smallest change found, decoded"
    )
    sheet.text(note, _RIGHT, top + 40, 7, color=muted, va="top")
    side, gap = 2 * _NEAR, 3 * _NEAR_GAP
    pair = np.stack([fitted(image, side)[0] for image in (explanation.reconstruction, change.image)])
    sheet.picture(mosaic(pair[None], 0, [gap]), _RIGHT, top + 78)
    below = top + 78 + side
    for column, caption in enumerate(("reconstruction", "after the change")):
        middle = _RIGHT + column * (side + gap) + side / 2
        sheet.text(caption, middle, below + 6, 7, ha="center", va="top")
    below += 52
    for row, text in enumerate(_move_lines(change.moves)):
        sheet.text(text, _RIGHT, below + 34 * row, 7.5, va="top")
    below += 34 * len(_move_lines(change.moves)) + 6
    for row, text in enumerate(_scores(explanation, change)):
        sheet.text(text, _RIGHT, below + 30 * row, 7, color=muted, va="top")


def _no_change(explanation: Explanation) -> tuple[str, str]:
    if all(part.column in PICTURE_COLUMNS for part in explanation.contributions):
        return "It does not rest on latents, so no", "change of them turns it."
    if explanation.probability is None and explanation.verdict == "normal":
        return "No change of the latents within the", "range of normal images was found to turn it."
    return "No change of the latents within the", "range of normal images turns it."


def _move_lines(moves: Sequence[Move]) -> list[str]:
    """Each latent's way, cut in its name where it is too long."""
    shown = len(moves) if len(moves) <= _MOST_MOVES else _MOST_MOVES - 1
    written = []
    for move in moves[:shown]:
        way = f"  {short(move.before)} → {short(move.after)}  ({added(move.deviations)} sd)"
        room = _WIDTH - _PAD - _RIGHT - text_width(way, 7.5) * _DPI - 12
        written.append(cut(move.label, 7.5, room / _DPI) + way)
    return written + ([f"and {len(moves) - shown} more"] if shown < len(moves) else [])


def _scores(explanation: Explanation, change: Counterfactual) -> tuple[str, str]:
    """What the change does to the score, and whether the decoded picture would get the other verdict too."""
    verdict = "anomalous" if change.rescored < explanation.threshold else "normal"
    still = "still " if verdict == explanation.verdict else ""
    return (
        f"score {level(explanation.score)} → {level(change.score)}, the losses as they are",
        f"the decoded picture itself: {level(change.rescored)}, {still}{verdict}",
    )
