"""A traversal that moves: every row is one picture, its latent swept up and down again."""

import math
from io import BytesIO
from pathlib import Path

import matplotlib
import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageColor, ImageDraw, ImageFont

from pellucid.latents.traverse import Traversal
from pellucid.report.grids import split_label
from pellucid.report.ink import LIGHT, Sheet, signed
from pellucid.report.mosaic import CELL, fitted, same_images

_GAP = 10
_LINE = 17
_PERIOD = 3200  # milliseconds up and down


def sweep_order(steps: int) -> list[int]:
    """The steps from first to last and back, each end once, so that the loop has no jump."""
    return [*range(steps), *range(steps - 2, 0, -1)]


def sweep_frames(traversal: Traversal) -> list[Image.Image]:
    """One frame for each entry of `sweep_order`: the rows in a compact grid, labelled, a dot for the value.

    A photo that all rows start from stands in the first cell; different photos stand left of their rows.
    """
    rows, steps = traversal.images.shape[:2]
    side = max(CELL, traversal.images.shape[3])
    moving = fitted(traversal.images.flatten(0, 1), side).reshape(rows, steps, side, side, 4)[..., :3]
    starts, labels = _still(traversal, side), list(traversal.labels)
    if starts is not None and len(starts) == 1:
        still = np.broadcast_to(starts[:, None], (1, steps, side, side, 3))
        moving, labels, starts = np.concatenate([still, moving]), ["start", *labels], None
    grid = _Grid(len(moving), side, pair=starts is not None)
    base = grid.sheet(labels, starts)
    return [_frame(base, grid, moving[:, step], traversal, step) for step in sweep_order(steps)]


def sweep_gif(traversal: Traversal) -> bytes:
    """The frames as an animated GIF that loops, all in one palette, so that still parts stay still."""
    frames = sweep_frames(traversal)
    palette = _palette(frames)
    indexed = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    buffer = BytesIO()
    duration = min(200, max(30, round(_PERIOD / len(frames), -1)))
    indexed[0].save(
        buffer, "GIF", save_all=True, append_images=indexed[1:], duration=duration, loop=0, optimize=False
    )
    return buffer.getvalue()


def _palette(frames: list[Image.Image]) -> Image.Image:
    """The colours of a few frames, and those of paper and type exactly as they are."""
    shown = frames[:: max(1, len(frames) // 4)][:4]
    inks = [LIGHT.paper, LIGHT.text, LIGHT.muted, LIGHT.faint, LIGHT.strong]
    samples = Image.fromarray(np.concatenate([np.asarray(frame) for frame in shown]))
    few = samples.quantize(256 - len(inks), method=Image.Quantize.MEDIANCUT, kmeans=2).getpalette() or []
    few = few[: 3 * (256 - len(inks))]
    palette = Image.new("P", (1, 1))
    palette.putpalette([*few, *(part for ink in inks for part in ImageColor.getrgb(ink)[:3])])
    return palette


def _columns(cells: int, ideal: float) -> int:
    """Near the ideal number of columns, the one that leaves the fewest places empty."""
    near = [n for n in range(max(1, round(0.75 * ideal)), round(1.3 * ideal) + 1) if n <= cells]
    return min(near or [1], key=lambda n: (-cells % n, abs(n - ideal)))


class _Grid:
    """Where each cell of a frame is."""

    def __init__(self, cells: int, side: int, *, pair: bool) -> None:
        self.side = side
        self.inset = side + _GAP // 3 if pair else 0
        self.cell_width = self.inset + side + _GAP
        self.cell_height = side + 2 * _LINE + _GAP
        self.columns = _columns(cells, math.sqrt(1.6 * cells * self.cell_height / self.cell_width))
        self.rows = -(-cells // self.columns)
        self.width = self.columns * self.cell_width + _GAP
        self.height = self.rows * self.cell_height + _GAP + 2 * _LINE

    def corner(self, cell: int) -> tuple[int, int]:
        row, column = divmod(cell, self.columns)
        return _GAP + column * self.cell_width, _GAP + row * self.cell_height

    def sheet(self, labels: list[str], starts: UInt8[np.ndarray, "row side side 3"] | None) -> Image.Image:
        """What stays the same in all frames."""
        Sheet(self.width, self.height, 200)  # refuses what is too large for a figure
        sheet = Image.new("RGB", (self.width, self.height), LIGHT.paper)
        draw, type_ = ImageDraw.Draw(sheet), _type(12)
        for cell, label in enumerate(labels):
            left, top = self.corner(cell)
            name, note = split_label(label)
            lines = [*name, note][:2] if note else name
            for line, text in enumerate(lines):
                color = LIGHT.muted if note and line == len(lines) - 1 else LIGHT.text
                cut = _cut(text, type_, self.cell_width - _GAP)
                draw.text((left, top + self.side + 2 + line * (_LINE - 2)), cut, color, font=type_)
            if starts is not None:
                sheet.paste(Image.fromarray(starts[cell]), (left, top))
        return sheet


def _still(traversal: Traversal, side: int) -> UInt8[np.ndarray, "row side side 3"] | None:
    if traversal.starts is None:
        return None
    alike = same_images(traversal.starts) and len(traversal.starts) > 1
    return np.asarray(fitted(traversal.starts[:1] if alike else traversal.starts, side)[..., :3])


def _frame(
    base: Image.Image,
    grid: _Grid,
    images: UInt8[np.ndarray, "row side side 3"],
    traversal: Traversal,
    step: int,
) -> Image.Image:
    frame = base.copy()
    for cell, image in enumerate(images):
        left, top = grid.corner(cell)
        frame.paste(Image.fromarray(image), (left + grid.inset, top))
    _ruler(ImageDraw.Draw(frame), grid, traversal, step)
    return frame


def _ruler(draw: ImageDraw.ImageDraw, grid: _Grid, traversal: Traversal, step: int) -> None:
    values = traversal.values
    low, high = float(torch.min(values)), float(torch.max(values))
    type_ = _type(12)
    left, right = _GAP + 26, min(grid.width - _GAP - 26, _GAP + 26 + 260)
    middle = grid.height - _LINE
    share = (float(values[step]) - low) / (high - low) if high > low else 0.5
    dot = left + share * (right - left)
    draw.line([(left, middle), (right, middle)], LIGHT.faint, 3)
    draw.ellipse([dot - 6, middle - 6, dot + 6, middle + 6], LIGHT.strong)
    draw.text((left - 10, middle), signed(low), LIGHT.muted, font=type_, anchor="rm")
    draw.text((right + 10, middle), signed(high), LIGHT.muted, font=type_, anchor="lm")


def _type(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"), size)


def _cut(text: str, type_: ImageFont.FreeTypeFont, width: float) -> str:
    if type_.getlength(text) <= width:
        return text
    while text and type_.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"
