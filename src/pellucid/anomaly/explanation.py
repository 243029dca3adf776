"""Why an image got its verdict: where the reconstruction fails, what is near, what would turn it."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from pellucid.anomaly.verdict import Verdict
from pellucid.drawn import Drawn
from pellucid.objective.ssim import WINDOW, ssim_map


@dataclass(frozen=True)
class Neighbour:
    """A normal image that the detector knows, near to the explained one.

    Attributes:
        name: Of the image.
        distance: Between the latents, in standard deviations over normal images.
        image: float32 [channel height width] in [0, 1].
    """

    name: str
    distance: float
    image: Float32[Tensor, "channel height width"]


@dataclass(frozen=True)
class Move:
    """One latent's part in a counterfactual.

    Attributes:
        column: `z0` ...
        label: How people call it.
        before: The image's value.
        after: The value that it is moved to, within what normal images have.
        deviations: The way between them, in standard deviations over normal images.
    """

    column: str
    label: str
    before: float
    after: float
    deviations: float


@dataclass(frozen=True)
class Counterfactual:
    """A change of latents that turns the verdict, small in the sum of their standard deviations.

    Attributes:
        moves: The latents that move, the furthest first.
        image: float32 [1 channel height width]: the moved code, decoded.
        score: After the moves, with the losses left as they are: just past the threshold.
        rescored: Of the decoded picture itself, measured anew: its own losses, its own latents.
        smallest: Whether no smaller change turns it. False where a detector that knows normal images only is
            to call a normal image anomalous: there the way is found one latent after another.
    """

    moves: tuple[Move, ...]
    image: Float32[Tensor, "1 channel height width"]
    score: float
    rescored: float
    smallest: bool


@dataclass(frozen=True)
class Explanation(Verdict, Drawn):
    """A verdict on one image with every reason for it.

    Attributes:
        image: float32 [1 channel height width] in [0, 1].
        reconstruction: float32 [1 channel height width] in [0, 1].
        residual: float32 [height width], absolute difference, mean over the channels, 0 to 1.
        similarity: float32 [height width], SSIM around each pixel, mean over the channels, at most 1; nan
            where the window does not fit, 5 pixels from the border.
        neighbours: The nearest normal images, the nearest first; empty if the detector remembers none.
        counterfactual: What would turn the verdict; None if no change of latents within the range of normal
            images does, or none was found where it is not `smallest`.
    """

    image: Float32[Tensor, "1 channel height width"]
    reconstruction: Float32[Tensor, "1 channel height width"]
    residual: Float32[np.ndarray, "height width"]
    similarity: Float32[np.ndarray, "height width"]
    neighbours: tuple[Neighbour, ...]
    counterfactual: Counterfactual | None

    def record(self) -> dict[str, Any]:
        """Everything but the pictures, for JSON."""
        change = self.counterfactual
        return super().record() | {
            "nearest": [{"name": near.name, "distance": near.distance} for near in self.neighbours],
            "counterfactual": None
            if change is None
            else {
                "score": change.score,
                "rescored": change.rescored,
                "smallest": change.smallest,
                "moves": [asdict(move) for move in change.moves],
            },
        }


def residual_map(
    image: Float[Tensor, "1 channel height width"], reconstruction: Float[Tensor, "1 channel height width"]
) -> Float32[np.ndarray, "height width"]:
    """Where the reconstruction is off: the absolute difference, mean over the channels."""
    difference: Float32[np.ndarray, "height width"] = (image - reconstruction).abs().mean((0, 1)).numpy()
    return difference


def similarity_map(
    image: Float[Tensor, "1 channel height width"], reconstruction: Float[Tensor, "1 channel height width"]
) -> Float32[np.ndarray, "height width"]:
    """Where the structure is missing: SSIM around each pixel, nan where its window leaves the picture."""
    inside = ssim_map(image, reconstruction).mean((0, 1))
    margin = WINDOW // 2
    padded: Tensor = torch.nn.functional.pad(inside, [margin] * 4, value=float("nan"))
    similarity: Float32[np.ndarray, "height width"] = padded.numpy()
    return similarity
