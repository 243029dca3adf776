"""Draw docs/images/scenes.png: python benchmarks/scenes_pictures.py docs/images/scenes.png [--table]"""

import io
import sys
import time
from pathlib import Path

import numpy as np
import torch
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont
from scipy.stats import spearmanr
from torch import Tensor

from pellucid.data import scenes

SIDE, GAP, LEFT, TOP, COLUMNS = 128, 4, 92, 26, 5


def sheet() -> Image.Image:
    """One row a kind, from texture level 0 to 1: the scenes below 40,000 whose levels are nearest."""
    numbers = np.arange(40_000)
    kinds, levels = scenes.kind_of(numbers), scenes.texture_of(numbers)
    font = ImageFont.truetype(font_manager.findfont("DejaVu Sans"), 14)
    step = SIDE + GAP
    page = Image.new("RGB", (LEFT + COLUMNS * step, TOP + len(scenes.KINDS) * step), "white")
    pen = ImageDraw.Draw(page)
    for row, name in enumerate(scenes.KINDS):
        of_kind = numbers[kinds == row]
        wanted = np.linspace(0, 1, COLUMNS)
        chosen = of_kind[np.abs(levels[of_kind][None] - wanted[:, None]).argmin(axis=1)]
        pixels = (scenes.render(chosen, SIDE) * 255).round().byte().permute(0, 2, 3, 1).numpy()
        pen.text((LEFT - 8, TOP + row * step + SIDE // 2), name, "black", font, anchor="rm")
        for column, picture in enumerate(pixels):
            page.paste(Image.fromarray(picture), (LEFT + column * step, TOP + row * step))
            if row == 0:
                place = (LEFT + column * step + SIDE // 2, TOP - 6)
                pen.text(place, f"{wanted[column]:.2f}", "black", font, anchor="mb")
    return page


def local_deviation(images: Tensor) -> np.ndarray:
    """The mean standard deviation of luminance in windows of 5x5: another measure of texture."""
    light = torch.einsum("ichw,c->ihw", images, torch.tensor([0.2126, 0.7152, 0.0722]))[:, None]
    mean = torch.nn.functional.avg_pool2d(light, 5, 1)
    square = torch.nn.functional.avg_pool2d(light.square(), 5, 1)
    return (square - mean.square()).clamp(min=0).sqrt().mean((1, 2, 3)).numpy()


def file_size(images: Tensor) -> np.ndarray:
    """Bytes of a JPEG of quality 75: a third, which knows nothing of gradients."""
    sizes = []
    for picture in (images * 255).round().byte().permute(0, 2, 3, 1).numpy():
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=75)
        sizes.append(file.tell())
    return np.array(sizes)


def table(count: int) -> None:
    """Print how well the level orders the pictures, by three measures, and the time a picture takes."""
    numbers = scenes.sample(count, torch.Generator().manual_seed(1))
    kinds, levels, images = scenes.kind_of(numbers), scenes.texture_of(numbers), scenes.render(numbers)
    measures = (scenes.busyness(images), local_deviation(images), file_size(images))
    for kind in (*range(len(scenes.KINDS)), None):
        rows = np.ones(count, bool) if kind is None else kinds == kind
        scores = [spearmanr(levels[rows], measure[rows]).statistic for measure in measures]
        busy = measures[0][rows]
        ends = np.mean(busy[levels[rows] < 0.1]), np.mean(busy[levels[rows] > 0.9])
        start = time.process_time()
        scenes.render(numbers[rows][:512])
        cost = (time.process_time() - start) / len(numbers[rows][:512])
        name = "all" if kind is None else scenes.KINDS[kind]
        print(
            "| "
            + " | ".join(
                [
                    name,
                    *(f"{score:.2f}" for score in scores),
                    *(f"{end:.3f}" for end in ends),
                    f"{cost * 1e3:.2f}",
                ]
            )
            + " |"
        )


if __name__ == "__main__":
    page = sheet()
    page.save(Path(sys.argv[1]), optimize=True)
    if len(sys.argv) > 2:
        table(5000)
