"""Writing: sheets, boards and screens with letter-like strokes on them, from one pale word to a full page."""

import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from pellucid.data.scenes.canvas import Canvas, Picture, Plane, cells, mix, paint, plane
from pellucid.data.scenes.color import tint
from pellucid.data.scenes.draws import Draws

_SIDE = 32  # letters in a row of the tables
_MARGIN = 0.05
# In heights of a line: radius of a bowl, thickness of a stroke, a letter's step; levels, down from the middle
_BOWL, _STROKE, _PITCH = 0.17, 0.095, 0.56
_TOP, _BASE, _UP, _DOWN = -0.19, 0.19, -0.42, 0.40
_NO_STEM, _NO_BOWL = (0.0, -1.0), (0.0, 0.0, -9.0)
# The bowl is cut off where (x, y)·(first two) exceeds the third; then left and right stem, from and to; a bar
_LETTERS = (
    ((0.0, 0.0, 1.0), _NO_STEM, _NO_STEM, 0.0),  # o
    ((1.0, 0.0, 0.08), _NO_STEM, _NO_STEM, 0.0),  # c
    ((0.8, 0.6, 0.08), _NO_STEM, _NO_STEM, 1.0),  # e
    ((0.0, 1.0, 0.0), (_TOP, _BASE), (0.0, _BASE), 0.0),  # n
    ((0.0, 1.0, 0.0), (_UP, _BASE), (0.0, _BASE), 0.0),  # h
    ((0.0, -1.0, 0.0), (_TOP, 0.0), (_TOP, _BASE), 0.0),  # u
    ((0.0, 0.0, 1.0), (_UP, _BASE), _NO_STEM, 0.0),  # b
    ((0.0, 0.0, 1.0), _NO_STEM, (_UP, _BASE), 0.0),  # d
    ((0.0, 0.0, 1.0), (_TOP, _DOWN), _NO_STEM, 0.0),  # p
    ((0.0, 0.0, 1.0), _NO_STEM, (_TOP, _DOWN), 0.0),  # q
    ((0.0, 0.0, 1.0), _NO_STEM, (_TOP, _BASE), 0.0),  # a
    ((0.7, 0.7, -0.05), (_TOP, _BASE), _NO_STEM, 0.0),  # r
    (_NO_BOWL, (_UP, _BASE), _NO_STEM, 0.0),  # l
    (_NO_BOWL, (_UP, _BASE), (_UP, _BASE), 1.0),  # H
    (_NO_BOWL, _NO_STEM, _NO_STEM, 0.0),  # a space
)
_SPACE = len(_LETTERS) - 1
_ALPHABET = torch.tensor([(*bowl, *left, *right, bar) for bowl, left, right, bar in _LETTERS]).T.contiguous()


def draw(draws: Draws, effort: Float32[Tensor, " scene"], canvas: Canvas) -> Picture:
    """A sheet, at times a dark one, turned a little on a plain ground, with more or less of it written on."""
    hue, dark = draws(), (draws() < 0.35).float()
    sheet_light = torch.lerp(draws.between(0.78, 0.95), draws.between(0.06, 0.22), dark)
    ink_light = torch.lerp(draws.between(0.04, 0.2), draws.between(0.75, 0.95), dark)
    ink_light = torch.lerp(sheet_light, ink_light, (0.1 + effort * 2).clamp(max=1))
    turn = plane(draws.between(-0.1, 0.1))
    x = (canvas.x - 0.5) + turn * (canvas.y - 0.5)
    y = (canvas.y - 0.5) - turn * (canvas.x - 0.5)
    half_width, half_height = draws.between(0.40, 0.52), draws.between(0.40, 0.52)
    sheet = torch.maximum(x.abs() - plane(half_width), y.abs() - plane(half_height))

    picture = _ground(draws, hue, sheet_light, effort, canvas)
    shadow = tint(hue, 0.2, torch.full_like(hue, 0.05))
    paint(picture, shadow, 0.3 * canvas.coverage(sheet - 0.015, blur=0.06))
    paint(picture, tint(hue, draws.between(0.0, 0.12), sheet_light), canvas.coverage(sheet, blur=0.02))

    ink = tint(hue + draws.between(0.2, 0.8), draws.between(0.0, 0.3), ink_light)
    rows = (draws.between(3.5, 9.0) + 4 * effort).floor()
    line = 2 * (half_height - _MARGIN) / rows
    letters = draws.choice(_SPACE, _SIDE * _SIDE)
    spaces = _spaces(draws, effort, 2 * (half_width - _MARGIN) / (line * _PITCH), rows)
    letters = torch.where(spaces, _SPACE, letters)
    x, y = x + plane(half_width - _MARGIN), y + plane(half_height - _MARGIN)
    paint(picture, ink, _writing(letters, x, y, plane(line), canvas) * canvas.coverage(sheet + _MARGIN))
    return picture


def _ground(draws: Draws, hue: Tensor, sheet_light: Tensor, effort: Tensor, canvas: Canvas) -> Picture:
    away = torch.where(sheet_light > 0.5, -1.0, 1.0) * draws.between(0.05, 0.3)
    light = sheet_light + away * (0.3 + effort).clamp(max=1)
    hue, chroma = hue + draws.between(0.2, 0.8), draws.between(0, 0.2)
    slope = (canvas.x + canvas.y).expand(len(hue), -1, -1) / 2
    return mix(tint(hue, chroma, light - 0.03), tint(hue, chroma, light + 0.03), slope)


def _spaces(
    draws: Draws, effort: Float32[Tensor, " scene"], columns: Tensor, rows: Tensor
) -> Bool[Tensor, "scene place"]:
    """Which places of the tables stay empty: between words, past a line's end, below the last line."""
    row, column = torch.arange(_SIDE)[None, :, None], torch.arange(_SIDE)[None, None, :]
    written = (rows * (0.08 + 0.92 * effort)).clamp(min=0.5)
    full = (plane(written) - row).clamp(0, 1) * draws.between(0.6, 1.3, _SIDE, 1).clamp(max=1)
    empty: Tensor = (draws(_SIDE, _SIDE) < 0.16) | (column + 1 > full * plane(columns))
    return empty.flatten(1)


def _writing(letters: Int64[Tensor, "scene place"], x: Plane, y: Plane, line: Plane, canvas: Canvas) -> Plane:
    """How much ink there is at each pixel."""
    grid = cells(x / (line * _PITCH), y / line, side=_SIDE)
    of_pixel = letters.gather(1, grid.number.flatten(1)).view(grid.number.shape)
    open_x, open_y, cut, *stems, bar = (trait.take(of_pixel) for trait in _ALPHABET)
    across, down = (grid.u - 0.5) * _PITCH, grid.v - 0.5
    bowl = (torch.sqrt(across.square() + down.square()) - _BOWL).abs()
    strokes = torch.maximum(bowl, across * open_x + down * open_y - cut)
    for top, bottom, side in ((*stems[:2], _BOWL), (*stems[2:], -_BOWL)):
        stem = torch.maximum((across + side).abs(), torch.maximum(top - down, down - bottom))
        strokes = torch.minimum(strokes, stem)
    strokes = torch.minimum(strokes, torch.maximum(down.abs(), across.abs() - _BOWL) + (1 - bar))
    # A stroke thinner than a pixel is a pixel wide and paler.
    thickness = _STROKE * line
    drawn = thickness.clamp(min=canvas.pixel)
    return canvas.coverage(strokes * line - drawn / 2) * (thickness / drawn)
