"""A film of simulated people that Chromium's fake camera plays."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from pellucid.data.images import to_pixels
from pellucid.data.people import NAMES, neutral, render

WIDTH, HEIGHT, RATE = 320, 240, 30


def turning(frames: int, *, sunglasses: float = 0.0) -> torch.Tensor:
    """Factors of one person who looks from one side to the other and back."""
    factors = neutral().repeat(frames, 1)
    swing = torch.sin(torch.linspace(0, 2 * torch.pi, frames + 1)[:-1])
    factors[:, NAMES.index("azimuth")] = 40 * swing
    factors[:, NAMES.index("sunglasses")] = sunglasses
    return factors


def write_film(path: Path, factors: torch.Tensor, *, width: int = WIDTH, height: int = HEIGHT) -> None:
    """Play each person for one frame, in the middle of a wide grey picture (YUV4MPEG2, 4:2:0)."""
    with path.open("wb") as film:
        film.write(f"YUV4MPEG2 W{width} H{height} F{RATE}:1 Ip A1:1 C420mpeg2\n".encode())
        for part in torch.split(factors, 20):
            for pixels in to_pixels(render(part, 256)):
                picture = Image.new("RGB", (width, height), (120, 120, 120))
                picture.paste(Image.fromarray(pixels).resize((height, height)), ((width - height) // 2, 0))
                film.write(b"FRAME\n")
                for plane, halve in zip(picture.convert("YCbCr").split(), (False, True, True), strict=True):
                    values = np.asarray(plane, np.float32)
                    if halve:
                        values = values.reshape(height // 2, 2, width // 2, 2).mean((1, 3))
                    low, span = (16, 224) if halve else (16, 219)
                    film.write(np.rint(low + values / 255 * span).astype(np.uint8).tobytes())
