"""The autoencoder as a drawing: the image, every layer's output at its size, the code, the reconstruction."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor, nn

from pellucid.model.predictor import Model
from pellucid.model.strided import Double, Halve
from pellucid.report.ink import LIGHT, Ink, Sheet
from pellucid.report.mosaic import fitted

_DPI = 240.0
_WIDTH, _HEIGHT, _PAD = 1800, 640, 48
_PICTURE = 256
_TALLEST = 330


@dataclass(frozen=True)
class Layer:
    """A layer with weights.

    Attributes:
        kind: What it does, in words.
        shape: Of its output for one image: channels, height, width, or one length.
        weights: How many numbers it has learned.
    """

    kind: str
    shape: tuple[int, ...]
    weights: int


_KINDS: dict[type[nn.Module], str] = {
    Halve: "4×4 convolution, halves each side",
    Double: "4×4 transposed convolution, doubles each side",
    nn.Linear: "fully connected",
}


@torch.no_grad()
def layers_of(network: nn.Sequential, given: Tensor) -> tuple[Layer, ...]:
    """The layers with weights of a network, with the shapes that they give for one input."""
    found = []
    for module in network:
        given = module(given)
        weights = sum(parameter.numel() for parameter in module.parameters())
        if weights:
            kind = _KINDS.get(type(module), type(module).__name__)
            found.append(Layer(kind, tuple(given.shape[1:]), weights))
    return tuple(found)


def model_layers(model: Model) -> tuple[tuple[Layer, ...], tuple[Layer, ...]]:
    """Of the encoder and of the decoder."""
    built = model.config.architecture
    image = torch.zeros(1, built.channels, built.size, built.size, device=model.device)
    z = torch.zeros(1, built.latents, device=model.device)
    return layers_of(model.vae.encoder, image), layers_of(model.vae.decoder, z)


def autoencoder_figure(
    model: Model, image: Float[Tensor, "1 channel height width"], *, ink: Ink = LIGHT
) -> Figure:
    """Draw how the model takes an image apart and redraws it, with the code that it has for it.

    Args:
        model: The model.
        image: The image.
        ink: The paper.
    """
    encoder, decoder = model_layers(model)
    posterior = model.encode(image)
    sheet = Sheet(_WIDTH, _HEIGHT, _DPI, ink)
    middle = 330
    for left, picture, label in (
        (_PAD, image, "image"),
        (_WIDTH - _PAD - _PICTURE, model.decode(posterior.mean), "reconstruction"),
    ):
        sheet.picture(fitted(picture, _PICTURE)[0], left, middle - _PICTURE // 2)
        sheet.text(
            label, left + _PICTURE / 2, middle - _PICTURE / 2 - 14, 8, bold=True, ha="center", va="bottom"
        )
    code = 200
    span = (_WIDTH - 2 * _PAD - 2 * _PICTURE - code) // 2 - 60
    starts = (_PAD + _PICTURE + 40, _WIDTH - _PAD - _PICTURE - 40 - span)
    size = model.config.architecture.size
    for left, layers, label in ((starts[0], encoder, "encoder"), (starts[1], decoder, "decoder")):
        axes = sheet.axes(left, middle - 200, span, 400)
        axes.set(xlim=(0, span), ylim=(400, 0))
        axes.set_axis_off()
        _draw_layers(axes, layers, span, size, ink)
        sheet.text(label, left + span / 2, 96, 8, bold=True, ha="center", va="bottom")
        parts = f"{len(layers)} layers, {sum(layer.weights for layer in layers):,} weights"
        sheet.text(parts, left + span / 2, 560, 7, color=ink.muted, ha="center", va="top")
    _draw_code(sheet, posterior.mean[0], posterior.log_variance[0], (_WIDTH - code) // 2, middle, code)
    return sheet.figure


def _draw_layers(axes: Axes, layers: Sequence[Layer], span: int, size: int, ink: Ink) -> None:
    step = span / len(layers)
    for place, layer in enumerate(layers):
        centre = step * (place + 0.5)
        if len(layer.shape) == 3:
            tall = max(14.0, _TALLEST * layer.shape[1] / size)
            wide = min(0.82 * step, 12 + 0.2 * layer.shape[0])
            color = ink.strong
        else:
            tall, wide, color = 40 + 0.1 * min(layer.shape[-1], 2048), min(12, 0.6 * step), ink.second
        axes.add_patch(
            Rectangle((centre - wide / 2, 200 - tall / 2), wide, tall, color=color, alpha=0.85, lw=0)
        )


def _draw_code(
    sheet: Sheet,
    mean: Float[Tensor, " latent"],
    log_variance: Float[Tensor, " latent"],
    left: int,
    middle: int,
    width: int,
) -> None:
    """Each latent's posterior: a dot at its mean, a line of one standard deviation to either side."""
    ink = sheet.ink
    axes = sheet.axes(left, middle - 200, width, 400)
    deviation = (0.5 * log_variance).exp()
    rows = range(len(mean))
    axes.hlines(rows, (mean - deviation).numpy(), (mean + deviation).numpy(), color=ink.strong, lw=1)
    axes.plot(mean.numpy(), list(rows), ".", color=ink.second, ms=4)
    axes.axvline(0, color=ink.muted, lw=0.6, zorder=0)
    reach = max(3.0, float((mean.abs() + deviation).max()))
    axes.set(xlim=(-1.05 * reach, 1.05 * reach), ylim=(len(mean) - 0.5, -0.5))
    axes.set_axis_off()
    sheet.text(f"{len(mean)} latents", left + width / 2, 96, 8, bold=True, ha="center", va="bottom")
    text = "dot: mean\nline: ± 1 deviation"
    sheet.text(text, left + width / 2, 560, 7, color=ink.muted, ha="center", va="top", linespacing=1.4)
