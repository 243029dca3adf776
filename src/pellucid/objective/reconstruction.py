"""Six ways to say how far a reconstruction is from its image: to score with, and to train with.

**Scores** are in each loss's natural unit, one number per image, smaller is better.

**Training** needs one unit, so that one beta means one trade-off: nats-like per image, which is the sum of
squared errors (the negative log-likelihood of a Gaussian decoder of variance 1/2, but for a constant).
`Loss.scale` turns the other losses into it. Derivation: a latent becomes active when the loss that it saves
exceeds beta times its rate, so how many become active is settled by the latents that just pay. Two losses
are on a par when components of that rank save as much of the one as of the other:

    scale(L) = (E SSE(x, P16 x) - E SSE(x, P32 x)) / (E L(x, P16 x) - E L(x, P32 x)),

with P_k the projection on the first k principal components; 16 to 32 is where beta = 4 leaves off on
photographs of faces. Averaging over all of the first components instead would mislead: the first few are
illumination, which SSIM hardly sees, and would make SSIM four times as dear. On 64x64 faces the derivation
gives, per element (channels * height * width), 0.45 for cosine, 0.082 for SSIM and 0.30 for mae; in use are
0.45, 0.08 and 0.35 (0.30 left mae with fewer latents). Linear VAEs at beta = 4 then have 31 (mse), 32, 30 and
30 active latents. On white shapes on black, where most pixels say nothing, cosine and SSIM come out
differently.

**The cross entropies** have one scale in colour and another in grey. In colour they are no likelihood, and
the scale is the derived one, 0.4 of the sum over matched pairs; over all pairs a third of that, so that nine
pairs weigh as much as three (the derivation gives 0.2 for them, which kept too many latents). In grey they
are an exact likelihood where pixels are 0 or 1, their plain sum is the usual unit for sprites, and that is
the scale; for grey photographs, where the derivation gives 0.39, multiply beta by 2.5 to compare.

`benchmarks/loss_scales.py` measures all this.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from pellucid.errors import ConfigError, ImageError
from pellucid.objective.ssim import ssim

Images = Float[Tensor, "batch channel height width"]
Scores = Float[Tensor, " batch"]

_RESOLUTION = 2.0**-24
"""The distance from 1 of the largest float32 below 1: a probability is not taken to be nearer to 0 or 1."""

_COSINE_FLOOR = 1e-6
"""The square of one more coordinate, the same in both images: an all-zero image has a direction too."""


@dataclass(frozen=True)
class Loss:
    """One reconstruction loss.

    Attributes:
        name: As in `LOSSES`.
        function: (image, reconstruction), each float [batch channel height width] in [0, 1] -> float [batch],
            differentiable, smaller is better. Raises ImageError if the shapes differ.
        unit: Of one score.
        best: What the best possible reconstruction scores.
        scale: (channels, height, width) -> nats-like per image for one unit of the loss, for training.
        description: One sentence for people.
    """

    name: str
    function: Callable[[Tensor, Tensor], Tensor]
    unit: str
    best: str
    scale: Callable[[int, int, int], float]
    description: str


class _Pair:
    """Images beside their reconstructions; what several losses need is computed once, when asked for."""

    def __init__(
        self, image: Tensor, *, probability: Tensor | None = None, logit: Tensor | None = None
    ) -> None:
        reconstruction = probability if logit is None else logit
        assert reconstruction is not None
        _check(image, reconstruction)
        # In one memory order: where they differ, no operation on both is vectorized.
        self.image = _precise(image).contiguous()
        self._probability = None if probability is None else _precise(probability).contiguous()
        self._logit = None if logit is None else _precise(logit).contiguous()

    @cached_property
    def probability(self) -> Tensor:
        return torch.sigmoid(self.logit) if self._probability is None else self._probability

    @cached_property
    def logit(self) -> Tensor:
        if self._logit is not None:
            return self._logit
        return torch.log(self._inside) + self.softplus

    @cached_property
    def softplus(self) -> Tensor:
        """-log(1 - probability)."""
        return -torch.log1p(-self._inside) if self._logit is None else functional.softplus(self._logit)

    @cached_property
    def softplus_sum(self) -> Tensor:
        """The sum of `softplus` over the channels of each pixel."""
        return self.softplus.sum(1)

    @cached_property
    def error(self) -> Tensor:
        return self.image - self.probability

    @cached_property
    def _inside(self) -> Tensor:
        return self.probability.clamp(_RESOLUTION, 1 - _RESOLUTION)


def _mse(pair: _Pair) -> Tensor:
    return pair.error.square().mean((1, 2, 3))


def _mae(pair: _Pair) -> Tensor:
    return pair.error.abs().mean((1, 2, 3))


def _cosine(pair: _Pair) -> Tensor:
    x, y = pair.image, pair.probability
    product, x_square, y_square = (_total(a * b) + _COSINE_FLOOR for a, b in ((x, y), (x, x), (y, y)))
    return 1 - product / (x_square * y_square).sqrt()


def _total(values: Tensor) -> Tensor:
    """Sum axis by axis: whoever adds up one number after another in float32 still keeps six digits."""
    return values.sum(3).sum(2).sum(1)


def _ssim(pair: _Pair) -> Tensor:
    return 1 - ssim(pair.image, pair.probability)


def _cross_entropy(pair: _Pair) -> Tensor:
    # sum_ij -(x_i log y_j + (1 - x_i) log(1 - y_j)) = C sum_j softplus_j - (sum_i x_i) (sum_j logit_j)
    channels = pair.image.shape[1]
    pairs = channels * pair.softplus_sum - pair.image.sum(1) * pair.logit.sum(1)
    return pairs.mean((1, 2))


def _color_cross_entropy(pair: _Pair) -> Tensor:
    # -(x log y + (1 - x) log(1 - y)) = softplus(logit) - x * logit
    return (pair.softplus_sum - (pair.image * pair.logit).sum(1)).mean((1, 2))


_FUNCTIONS: dict[str, Callable[[_Pair], Tensor]] = {
    "mse": _mse,
    "mae": _mae,
    "cosine": _cosine,
    "ssim": _ssim,
    "cross_entropy": _cross_entropy,
    "color_cross_entropy": _color_cross_entropy,
}


def mse(image: Images, reconstruction: Images) -> Scores:
    """Mean squared error over channels and pixels."""
    return _mse(_Pair(image, probability=reconstruction))


def mae(image: Images, reconstruction: Images) -> Scores:
    """Mean absolute error over channels and pixels."""
    return _mae(_Pair(image, probability=reconstruction))


def cosine(image: Images, reconstruction: Images) -> Scores:
    """One minus the cosine of the angle between the flattened images.

    Both get one more coordinate, 0.001, which nothing else notices: an all-zero image is then at distance 0
    from another all-zero one and nearly 1 from any other image, and gradients stay finite.
    """
    return _cosine(_Pair(image, probability=reconstruction))


def ssim_distance(image: Images, reconstruction: Images) -> Scores:
    """One minus the structural similarity of `pellucid.objective.ssim`."""
    return _ssim(_Pair(image, probability=reconstruction))


def cross_entropy(image: Images, reconstruction: Images) -> Scores:
    """Sum the binary cross entropy over all channel pairs (image's i, reconstruction's j), in nats per pixel.

    Nine pairs in colour, one in grey. No probability is taken to be nearer to 0 or 1 than 2^-24, so a pair
    costs at most 16.6 nats. For colour the least is not at the image, but at its channel mean: grey.
    """
    return _cross_entropy(_Pair(image, probability=reconstruction))


def color_cross_entropy(image: Images, reconstruction: Images) -> Scores:
    """Sum the binary cross entropy over the matched channel pairs, in nats per pixel.

    Three pairs in colour, one in grey. No probability is taken to be nearer to 0 or 1 than 2^-24. The least
    is at the image, where it is the image's own entropy: see `entropy_floor`.
    """
    return _color_cross_entropy(_Pair(image, probability=reconstruction))


def _elements(factor: float) -> Callable[[int, int, int], float]:
    return lambda channels, height, width: factor * channels * height * width


LOSSES: dict[str, Loss] = {
    loss.name: loss
    for loss in (
        Loss(
            "mse",
            mse,
            "mean squared difference",
            "0",
            _elements(1.0),
            "Mean of the squared differences of pixel values; large errors weigh most.",
        ),
        Loss(
            "mae",
            mae,
            "mean absolute difference",
            "0",
            _elements(0.35),
            "Mean of the absolute differences of pixel values; every error weighs by its size.",
        ),
        Loss(
            "cosine",
            cosine,
            "1 - cosine similarity",
            "0",
            _elements(0.45),
            "One minus the cosine of the angle between the two images; blind to overall brightness.",
        ),
        Loss(
            "ssim",
            ssim_distance,
            "1 - SSIM",
            "0",
            _elements(0.08),
            "One minus the structural similarity: local brightness, contrast and structure in 11x11 windows.",
        ),
        Loss(
            "cross_entropy",
            cross_entropy,
            "nats per pixel",
            "the entropy of the channel mean, once for each pair, by a grey image",
            lambda channels, height, width: height * width * (1.0 if channels == 1 else 0.4 / 3),
            "Binary cross entropy of every channel against every channel; least for a grey reconstruction.",
        ),
        Loss(
            "color_cross_entropy",
            color_cross_entropy,
            "nats per pixel",
            "the entropy of the image",
            lambda channels, height, width: height * width * (1.0 if channels == 1 else 0.4),
            "Binary cross entropy of each channel against itself; a likelihood where pixels are 0 or 1.",
        ),
    )
}
"""The six losses, in the order in which they are shown."""


def reconstruction_losses(
    image: Images, reconstruction: Images, names: Sequence[str] | None = None
) -> dict[str, Scores]:
    """Compute losses of each image in their natural units, sharing work.

    Args:
        image: Values in [0, 1], at least 11 pixels a side.
        reconstruction: The same shape, values in [0, 1].
        names: Some of `LOSSES`; None for all six.

    Returns:
        name -> float [batch], in the order of `names`.

    Raises:
        ImageError: If the shapes differ, or SSIM is wanted of images smaller than 11 pixels a side.
    """
    pair = _Pair(image, probability=reconstruction)
    with torch.autocast(image.device.type, enabled=False):
        return {name: _FUNCTIONS[name](pair) for name in (LOSSES if names is None else names)}


def training_loss(weights: Mapping[str, float], image: Images, logits: Images) -> Scores:
    """Compute the weighted sum of scaled losses of each image, nats-like per image.

    Args:
        weights: name in `LOSSES` -> weight; {"mse": 1.0} is the sum of squared errors.
        image: Values in [0, 1].
        logits: The decoder's output, of which the reconstruction is the sigmoid.

    Raises:
        ConfigError: If no loss is given, or an unknown one.
        ImageError: If the shapes differ, or SSIM is asked of images smaller than 11 pixels a side.
    """
    unknown = [name for name in weights if name not in LOSSES]
    if unknown or not weights:
        raise ConfigError(f"Expected losses among {', '.join(LOSSES)}, got {', '.join(unknown) or 'none'}.")
    pair = _Pair(image, logit=logits)
    channels, height, width = image.shape[1:]
    with torch.autocast(image.device.type, enabled=False):
        terms = [
            weight * LOSSES[name].scale(channels, height, width) * _FUNCTIONS[name](pair)
            for name, weight in weights.items()
        ]
        return torch.stack(terms).sum(0)


def entropy_floor(image: Images) -> dict[str, Scores]:
    """Compute the least that any reconstruction scores in each cross entropy, to subtract in a report.

    For `color_cross_entropy` it is the image's own entropy; for `cross_entropy` that of the channel mean,
    once for each pair. Zero for black and white pixels.

    Args:
        image: Values in [0, 1].

    Returns:
        "cross_entropy" and "color_cross_entropy" -> float [batch], nats per pixel.
    """
    grey = image.mean(1, keepdim=True).expand_as(image)
    return {
        "cross_entropy": cross_entropy(image, grey),
        "color_cross_entropy": color_cross_entropy(image, image),
    }


def trains_grey(weights: Mapping[str, float], *, channels: int) -> bool:
    """Tell whether training with these weights has nothing to gain from colour.

    True when `cross_entropy`, whose least value is at the channel mean, is the only loss with a weight and
    the images are in colour.
    """
    return channels > 1 and {name for name, weight in weights.items() if weight > 0} == {"cross_entropy"}


def _check(image: Tensor, reconstruction: Tensor) -> None:
    if image.shape != reconstruction.shape or image.ndim != 4:
        raise ImageError(
            "Expected an image and a reconstruction of one shape [batch channel height width], "
            f"got {tuple(image.shape)} and {tuple(reconstruction.shape)}. Preprocess both as for training."
        )
    for pixels in (image, reconstruction):
        if not pixels.is_floating_point():
            raise ImageError(
                f"Expected float values in [0, 1], got {pixels.dtype}. Divide 8-bit pixels by 255."
            )


def _precise(images: Tensor) -> Tensor:
    return images.to(torch.promote_types(images.dtype, torch.float32))
