"""The paper's figures of images in rows: traversals in both layouts, and reconstructions."""

import re

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from pellucid.errors import ImageError
from pellucid.latents.traverse import Traversal
from pellucid.report.ink import Sheet, signed, text_width, wrap
from pellucid.report.mosaic import cell_factor, column_starts, mosaic, opaque

CELL_INCHES = 0.64
_LABEL_CHARACTERS = 22
_MARGIN = 7.0  # points


def split_label(label: str) -> tuple[list[str], str]:
    """A row's label as its name, in one line or two, and the KL that may end it."""
    name, comma, note = label.rpartition(", KL ")
    return (
        (wrap(name, _LABEL_CHARACTERS, 2), f"KL {note}") if comma else (wrap(label, _LABEL_CHARACTERS, 2), "")
    )


def middle_step(values: Float[Tensor, " step"]) -> int | None:
    """The column where the latent is 0, if there is one between the others."""
    nearest = int(values.abs().argmin())
    return nearest if 0 < nearest < len(values) - 1 and abs(float(values[nearest])) < 1e-6 else None


def traversal_figure(traversal: Traversal) -> Figure:
    """Rows of images with one latent moved from left to right, labelled; the photo or the middle set apart.

    Every image pixel is a whole number of device pixels, at least 128 of them to an image.
    """
    _, steps, _, size, _ = traversal.images.shape
    factor = cell_factor(size)
    cell, thin, wide = size * factor, max(2, size * factor // 32), size * factor // 7
    middle = None if traversal.starts is not None else middle_step(traversal.values)
    gaps = [wide if middle is not None and i in (middle - 1, middle) else thin for i in range(steps - 1)]
    heads = [signed(float(value)) for value in traversal.values]
    images = traversal.images
    if traversal.starts is not None:
        images = torch.cat([traversal.starts[:, None], images], dim=1)
        gaps, heads = [wide, *gaps], ["start", *heads]
    apart = 0 if traversal.starts is not None else middle
    cells = opaque(images.flatten(0, 1), factor).reshape(*images.shape[:2], cell, cell, 4)
    return _labelled_grid(
        mosaic(cells, thin, gaps), column_starts(cell, gaps), cell, thin, heads, apart, traversal
    )


def _labelled_grid(
    picture: np.ndarray,
    lefts: list[int],
    cell: int,
    gap: int,
    heads: list[str],
    apart: int | None,
    traversal: Traversal,
) -> Figure:
    dpi = cell / CELL_INCHES
    labels = [split_label(label) for label in traversal.labels]
    point = dpi / 72
    left = round((_label_width(labels) * 72 + 2 * _MARGIN) * point)
    title = (
        wrap(
            re.sub(r"(?<!\S)-(?=\d)", "−", traversal.title),
            max(24, round((picture.shape[1] + left) / point / 5.4)),
            3,
        )
        if traversal.title
        else []
    )
    head = round((_MARGIN + 13 * len(title) + 4) * point)
    top = head + round(14 * point)
    margin = round(_MARGIN * point)
    sheet = Sheet(left + picture.shape[1] + margin, top + picture.shape[0] + margin, dpi)
    for line, text in enumerate(title):
        sheet.text(text, margin, (_MARGIN + 13 * line) * point, 10, bold=True, va="top")
    sheet.text("value", left - margin, head + 5 * point, 7, color=sheet.ink.muted, ha="right", va="center")
    for column, (start, text) in enumerate(zip(lefts, heads, strict=True)):
        bold = column == apart
        sheet.text(text, left + start + cell / 2, head + 5 * point, 8, bold=bold, ha="center", va="center")
    for row, (name, note) in enumerate(labels):
        _write_label(sheet, name, note, left - margin, top + row * (cell + gap) + cell / 2)
    sheet.picture(picture, left, top)
    return sheet.figure


def _label_width(labels: list[tuple[list[str], str]]) -> float:
    names = [text_width(line, 8, bold=True) for name, _ in labels for line in name]
    notes = [text_width(note, 7) for _, note in labels]
    return max([*names, *notes, text_width("value", 7)])


def _write_label(sheet: Sheet, name: list[str], note: str, right: float, middle: float) -> None:
    lines = [(line, 8.0, True) for line in name] + ([(note, 7.0, False)] if note else [])
    step = sheet.pixels(10.5)
    for i, (text, points, bold) in enumerate(lines):
        offset = (i - (len(lines) - 1) / 2) * step
        color = None if bold else sheet.ink.muted
        sheet.text(text, right, middle + offset, points, color=color, bold=bold, ha="right", va="center")


def images_figure(images: Float[Tensor, "image channel height width"], *, columns: int = 8) -> Figure:
    """Images as they come, `columns` to a row."""
    size = images.shape[2]
    cell, columns = size * cell_factor(size), min(columns, len(images))
    dpi, thin = cell / CELL_INCHES, max(2, cell // 32)
    margin, rows = round(_MARGIN * dpi / 72), -(-len(images) // columns)
    cells = opaque(images, cell_factor(size))
    sheet = Sheet(2 * margin + columns * (cell + thin) - thin, 2 * margin + rows * (cell + thin) - thin, dpi)
    for row in range(rows):
        part = cells[None, row * columns : (row + 1) * columns]
        gaps = [thin] * (part.shape[1] - 1)
        sheet.picture(mosaic(part, thin, gaps), margin, margin + row * (cell + thin))
    return sheet.figure


def reconstructions_figure(
    originals: Float[Tensor, "image channel height width"],
    reconstructions: Float[Tensor, "image channel height width"],
    *,
    columns: int = 8,
) -> Figure:
    """Originals above their reconstructions, `columns` to a band, labelled on the left."""
    if not len(originals):
        raise ImageError("expected one image or more to reconstruct, got none.")
    size = originals.shape[2]
    cell, factor, columns = size * cell_factor(size), cell_factor(size), min(columns, len(originals))
    dpi, thin = cell / CELL_INCHES, max(2, cell // 32)
    margin, left = (
        round(_MARGIN * dpi / 72),
        round((text_width("reconstruction", 8) * 72 + 2 * _MARGIN) * dpi / 72),
    )
    bands = -(-len(originals) // columns)
    band = 2 * cell + thin + 2 * margin
    sheet = Sheet(left + columns * (cell + thin) - thin + margin, margin + bands * band, dpi)
    for i in range(bands):
        part = slice(i * columns, (i + 1) * columns)
        pair = torch.stack([originals[part], reconstructions[part]])  # [2 image channel height width]
        cells = opaque(pair.flatten(0, 1), factor).reshape(2, -1, cell, cell, 4)
        top = margin + i * band
        sheet.picture(mosaic(cells, thin, [thin] * (cells.shape[1] - 1)), left, top)
        for line, text in enumerate(("original", "reconstruction")):
            sheet.text(text, left - margin, top + line * (cell + thin) + cell / 2, ha="right", va="center")
    return sheet.figure
