"""A picture of how well the model sees by now: held-out images above their reconstructions."""

from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from pellucid.data.images import to_pixels
from pellucid.model.inside import inside
from pellucid.model.sealed import write_file

PREVIEW = Path("training") / "reconstructions.png"
_SIDE = 96


def write_preview(
    run: Path,
    images: Float[Tensor, "batch channel height width"],
    reconstructions: Float[Tensor, "batch channel height width"],
) -> None:
    """Write training/reconstructions.png in the run: one column an image, original above reconstruction."""
    pixels = to_pixels(torch.stack([images, reconstructions]).flatten(0, 1))  # [2*batch height width channel]
    rows = np.split(pixels, 2)
    grid = np.concatenate(
        [np.concatenate(list(row), axis=1) for row in rows], axis=0
    )  # [2*height batch*width channel]
    picture = Image.fromarray(grid.squeeze(2) if grid.shape[2] == 1 else grid)
    factor = max(1, _SIDE // images.shape[2])
    picture = picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    write_file(inside(run, PREVIEW), buffer.getvalue())
