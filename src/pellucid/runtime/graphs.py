"""What is exported: networks that begin with a picture's pixels and end in what is wanted of it.

A session finds each output by its name. The detector computes what `pellucid.anomaly` computes: by the same
functions up to the features, from there by the estimators' formulas written in tensors.
"""

from collections.abc import Sequence
from typing import cast

import torch
from jaxtyping import Float32, Float64, UInt8
from torch import Tensor, nn

from pellucid.anomaly.detector import Fitted
from pellucid.anomaly.features import columns_of
from pellucid.anomaly.gaussian import GaussianDetector
from pellucid.anomaly.texture import texture
from pellucid.model.vae import VAE
from pellucid.objective.reconstruction import reconstruction_losses

ENCODER = ("posterior_mean", "posterior_log_variance")
DECODER = ("reconstruction",)
MEASURED = ("posterior_mean", "reconstruction", "losses", "texture")
JUDGED = ("score", "normal", "p_value", "contributions")


class EncoderGraph(nn.Module):
    """uint8 [batch height width channel] -> mean and log-variance, float32 [batch latent]."""

    def __init__(self, vae: VAE) -> None:
        super().__init__()
        self.vae = vae

    def forward(
        self, pixels: UInt8[Tensor, "batch height width channel"]
    ) -> tuple[Float32[Tensor, "batch latent"], Float32[Tensor, "batch latent"]]:
        """See the class."""
        posterior = self.vae.encode(in_unit_range(pixels))
        return posterior.mean, posterior.log_variance


class DecoderGraph(nn.Module):
    """float32 [batch latent] -> the image in [0, 1], float32 [batch channel height width]."""

    def __init__(self, vae: VAE) -> None:
        super().__init__()
        self.vae = vae

    def forward(
        self, latents: Float32[Tensor, "batch latent"]
    ) -> tuple[Float32[Tensor, "batch channel height width"]]:
        """See the class."""
        return (torch.sigmoid(self.vae.decode(latents)),)


class DetectorGraph(nn.Module):
    """uint8 [batch height width channel] -> `MEASURED`, `JUDGED`, and `probability` where there is one.

    `losses` are float32 [batch 6] and `texture` float64 [batch 4]; what is judged is float64 [batch], but
    `normal` is bool [batch] and `contributions` [batch column]: what each deciding column adds to the mean
    score of normal images.
    """

    scale: Tensor
    center: Tensor
    start: Tensor
    known: Tensor
    known_weights: Tensor

    def __init__(self, vae: VAE, fitted: Fitted) -> None:
        super().__init__()
        self.vae = vae
        every = columns_of("losses+texture+latents", vae.architecture.latents)
        self.chosen = [every.index(column) for column in fitted.columns]
        estimator = fitted.estimator
        self.threshold = fitted.threshold
        self.one_class = isinstance(estimator, GaussianDetector)
        weights = estimator.whitening_ if isinstance(estimator, GaussianDetector) else estimator.coef_
        self._keep("weights", weights)
        self._keep("center", estimator.mean_)
        self._keep("scale", estimator.scale_)
        self._keep("start", fitted.start)
        self._keep("known", estimator.calibration_scores_.scores)
        self._keep("known_weights", estimator.calibration_scores_.weights)
        self.known_groups = estimator.calibration_scores_.groups
        if not isinstance(estimator, GaussianDetector):
            self.intercept, self.slope, self.offset = (
                estimator.intercept_,
                estimator.slope_,
                estimator.offset_,
            )

    def _keep(self, name: str, values: object) -> None:
        self.register_buffer(name, torch.as_tensor(values, dtype=torch.float64))

    @property
    def outputs(self) -> Sequence[str]:
        """The names of what `forward` gives."""
        return (*MEASURED, *JUDGED) if self.one_class else (*MEASURED, *JUDGED, "probability")

    def forward(self, pixels: UInt8[Tensor, "batch height width channel"]) -> tuple[Tensor, ...]:
        """See the class."""
        mean = self.vae.encode(in_unit_range(pixels)).mean
        return self.given(pixels, mean, torch.sigmoid(self.vae.decode(mean)))

    def given(
        self,
        pixels: UInt8[Tensor, "batch height width channel"],
        mean: Float32[Tensor, "batch latent"],
        reconstruction: Float32[Tensor, "batch channel height width"],
    ) -> tuple[Tensor, ...]:
        """All outputs, where the networks' are there already."""
        images = in_unit_range(pixels)
        losses = torch.stack(list(reconstruction_losses(images, reconstruction).values()), 1)
        busy = texture(images)
        values = torch.cat([losses.double(), busy, mean.double()], 1)[:, self.chosen]
        shares = self._shares((values - self.center) / self.scale)
        score = shares.sum(1) + (0.0 if self.one_class else self.intercept)
        below = (self.known <= score[:, None]).double() @ self.known_weights
        judged = (
            score,
            score - self.threshold >= 0,
            (1 + below) / (self.known_groups + 1),
            shares - self.start,
        )
        measured = (mean, reconstruction, losses, busy)
        if self.one_class:
            return (*measured, *judged)
        return (*measured, *judged, torch.sigmoid(self.slope * score + self.offset))

    def _shares(self, standardised: Float64[Tensor, "batch column"]) -> Float64[Tensor, "batch column"]:
        weights = cast(Tensor, self.weights)
        if self.one_class:
            return -0.5 * (standardised @ weights).square()
        return standardised * weights


def in_unit_range(
    pixels: UInt8[Tensor, "batch height width channel"],
) -> Float32[Tensor, "batch channel height width"]:
    """Pixels as the networks take them."""
    return pixels.permute(0, 3, 1, 2).to(torch.float32) / 255
