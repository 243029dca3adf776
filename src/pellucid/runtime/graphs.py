"""What is exported: networks that begin with an image's pixels and end in what is wanted of it.

A session finds each output by its name. The detector computes what `pellucid.anomaly` computes: by the same
functions up to the features, from there by the estimators' formulas written in tensors. A graph is a list of
steps, so that each can be checked on its own, from the answers of the steps before it. All types are those
of a model in float32; one in float64 computes what float32 rounds.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64, UInt8
from torch import Tensor, nn

from pellucid.anomaly.detector import Fitted
from pellucid.anomaly.features import columns_of
from pellucid.anomaly.gaussian import GaussianDetector
from pellucid.anomaly.texture import texture
from pellucid.model.vae import VAE
from pellucid.objective.reconstruction import reconstruction_losses

Pixels = UInt8[Tensor, "batch height width channel"]
Mean = Float[Tensor, "batch latent"]
Reconstruction = Float[Tensor, "batch channel height width"]
Values = Float64[Tensor, "batch column"]
Score = Float64[Tensor, " batch"]


@dataclass(frozen=True)
class Step:
    """One step of a graph.

    Attributes:
        gives: Names of what it computes.
        takes: What it is computed from: the graph's input, or what earlier steps give.
        compute: Gives one tensor for each name in `gives`.
    """

    gives: tuple[str, ...]
    takes: tuple[str, ...]
    compute: Callable[..., tuple[Tensor, ...]]


class Graph(nn.Module):
    """Steps that follow each other.

    Args:
        vae: What the steps encode and decode with.
        given: Name of the input.
        steps: In their order.
    """

    def __init__(self, vae: VAE, given: str, *steps: Step) -> None:
        super().__init__()
        self.vae = vae
        self.given = given
        self.steps = steps

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of what `forward` gives."""
        return tuple(name for step in self.steps for name in step.gives)

    def forward(self, given: Tensor) -> tuple[Tensor, ...]:
        """Compute all outputs from the input."""
        known = {self.given: given}
        for step in self.steps:
            found = step.compute(*(known[name] for name in step.takes))
            known |= dict(zip(step.gives, found, strict=True))
        return tuple(known[name] for name in self.outputs)


def encoder_graph(vae: VAE) -> Graph:
    """Build `pixels` -> `posterior_mean` and `posterior_log_variance`, float32 [batch latent]."""

    def encode(pixels: Pixels) -> tuple[Mean, Mean]:
        posterior = vae.encode(in_unit_range(pixels, vae))
        return posterior.mean, posterior.log_variance

    return Graph(vae, "pixels", Step(("posterior_mean", "posterior_log_variance"), ("pixels",), encode))


def decoder_graph(vae: VAE) -> Graph:
    """Build `latents`, float32 [batch latent] -> `reconstruction` in [0, 1]."""

    def decode(latents: Mean) -> tuple[Reconstruction]:
        return (torch.sigmoid(vae.decode(latents.to(_dtype(vae)))),)

    return Graph(vae, "latents", Step(("reconstruction",), ("latents",), decode))


def features_graph(vae: VAE) -> Graph:
    """Build `pixels` -> `posterior_mean`, `reconstruction`, then `losses` and `texture`.

    `losses` are float32 [batch 6], `texture` is float64 [batch 4].
    """
    return Graph(vae, "pixels", *_features(vae))


def detector_graph(vae: VAE, fitted: Fitted) -> Graph:
    """Build the features, then `contributions`, `score`, `normal`, `p_value`, and `probability` if known.

    All are float64 [batch], but `normal` is bool [batch] and `contributions` [batch column]: what each
    deciding column adds to the mean score of normal images.
    """
    every = columns_of("losses+texture+latents", vae.architecture.latents)
    chosen = [every.index(column) for column in fitted.columns]
    estimator = fitted.estimator
    one_class = isinstance(estimator, GaussianDetector)
    calibration = estimator.calibration_scores_
    center, scale, start = _float64(estimator.mean_, estimator.scale_, fitted.start)
    known, known_weights = _float64(calibration.scores, calibration.weights)
    (weights,) = _float64(
        estimator.whitening_ if isinstance(estimator, GaussianDetector) else estimator.coef_
    )
    base, threshold = _float64(fitted.base, fitted.threshold)

    def contribute(
        mean: Mean, losses: Float[Tensor, "batch loss"], busy: Float64[Tensor, "batch measure"]
    ) -> tuple[Values]:
        values = torch.cat([losses.double(), busy, mean.double()], 1)[:, chosen]
        standardized = (values - center) / scale
        shares = -0.5 * (standardized @ weights).square() if one_class else standardized * weights
        return (shares - start,)

    def add_up(contributions: Values) -> tuple[Score]:
        return (contributions.sum(1) + base,)

    def decide(score: Score) -> tuple[Bool[Tensor, " batch"], Score]:
        below = (known <= score[:, None]).double() @ known_weights
        return score - threshold >= 0, (1 + below) / (calibration.groups + 1)

    steps = [
        *_features(vae),
        Step(("contributions",), ("posterior_mean", "losses", "texture"), contribute),
        Step(("score",), ("contributions",), add_up),
        Step(("normal", "p_value"), ("score",), decide),
    ]
    if not isinstance(estimator, GaussianDetector):
        slope, offset = _float64(estimator.slope_, estimator.offset_)

        def calibrate(score: Score) -> tuple[Score]:
            return (torch.sigmoid(slope * score + offset),)

        steps.append(Step(("probability",), ("score",), calibrate))
    return Graph(vae, "pixels", *steps)


def _float64(*values: object) -> list[Tensor]:
    """Constants of a graph; the exporter would write a Python float as float32."""
    return [torch.as_tensor(value, dtype=torch.float64) for value in values]


def _features(vae: VAE) -> tuple[Step, Step]:
    def reconstruct(pixels: Pixels) -> tuple[Mean, Reconstruction]:
        mean = vae.encode(in_unit_range(pixels, vae)).mean
        return mean, torch.sigmoid(vae.decode(mean.to(_dtype(vae))))

    def measure(
        pixels: Pixels, reconstruction: Reconstruction
    ) -> tuple[Float[Tensor, "batch loss"], Float64[Tensor, "batch measure"]]:
        images = in_unit_range(pixels, vae)
        losses = reconstruction_losses(images, reconstruction.to(images.dtype))
        return torch.stack(list(losses.values()), 1), texture(images)

    return (
        Step(("posterior_mean", "reconstruction"), ("pixels",), reconstruct),
        Step(("losses", "texture"), ("pixels", "reconstruction"), measure),
    )


def in_unit_range(pixels: Pixels, vae: VAE) -> Reconstruction:
    """Pixels as the networks take them: rounded to float32, then in the precision of the weights."""
    return (pixels.permute(0, 3, 1, 2).to(torch.float32) / 255).to(_dtype(vae))


def _dtype(vae: VAE) -> torch.dtype:
    return next(vae.parameters()).dtype
