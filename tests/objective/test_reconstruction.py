import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cosine as scipy_cosine
from torch.nn import functional

from pellucid.errors import ConfigError, ImageError
from pellucid.objective.reconstruction import (
    LOSSES,
    color_cross_entropy,
    cosine,
    cross_entropy,
    entropy_floor,
    mae,
    mse,
    reconstruction_losses,
    training_loss,
    trains_grey,
)

NAMES = ("mse", "mae", "cosine", "ssim", "cross_entropy", "color_cross_entropy")


@pytest.fixture(params=[3, 1], ids=["color", "grey"])
def pair(request: pytest.FixtureRequest, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    shape = (4, request.param, 16, 12)
    image = torch.rand(shape, generator=generator)
    return image, (0.6 * image + 0.4 * torch.rand(shape, generator=generator)).clamp(0.01, 0.99)


def test_the_six_losses_are_in_their_order(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    assert tuple(LOSSES) == NAMES
    assert tuple(reconstruction_losses(*pair)) == NAMES
    assert all(loss.name == name for name, loss in LOSSES.items())


def test_mse_and_mae_are_numpys(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    difference = (pair[0] - pair[1]).double().numpy()
    assert mse(*pair).numpy() == pytest.approx((difference**2).mean((1, 2, 3)), rel=1e-5)
    assert mae(*pair).numpy() == pytest.approx(np.abs(difference).mean((1, 2, 3)), rel=1e-5)


def test_cosine_is_scipys(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    expected = [
        scipy_cosine(x, y) for x, y in zip(*(t.double().flatten(1).numpy() for t in pair), strict=True)
    ]
    assert cosine(*pair).numpy() == pytest.approx(expected, abs=5e-7)


def test_cosine_of_black_images_is_0_among_them_and_1_to_others() -> None:
    black, grey = torch.zeros(1, 3, 8, 8), torch.full((1, 3, 8, 8), 0.5)
    assert cosine(black, black).item() == 0
    assert cosine(black, grey).item() == pytest.approx(1, abs=1e-3)
    assert cosine(grey, black).item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("level", [0.0, 1.0])
def test_black_and_white_images_give_finite_scores_and_gradients(name: str, level: float) -> None:
    image = torch.tensor([0.0, 1.0])[:, None, None, None].expand(2, 3, 12, 12).clone()
    reconstruction = torch.full_like(image, level).requires_grad_()
    scores = LOSSES[name].function(image, reconstruction)
    (gradient,) = torch.autograd.grad(scores.sum(), reconstruction)
    assert torch.isfinite(scores).all()
    assert torch.isfinite(gradient).all()


def test_cross_entropy_is_the_loop_over_all_channel_pairs(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    image, reconstruction = pair
    expected = torch.zeros(4)
    for x in image.unbind(1):
        for y in reconstruction.unbind(1):
            expected += functional.binary_cross_entropy(y, x, reduction="none").mean((1, 2))
    assert torch.allclose(cross_entropy(*pair), expected, rtol=1e-5)


def test_color_cross_entropy_is_the_sum_over_matched_channels(
    pair: tuple[torch.Tensor, torch.Tensor],
) -> None:
    expected = functional.binary_cross_entropy(pair[1], pair[0], reduction="none").sum(1).mean((1, 2))
    assert torch.allclose(color_cross_entropy(*pair), expected, rtol=1e-5)


def test_cross_entropies_of_grey_images_are_one(generator: torch.Generator) -> None:
    image, reconstruction = torch.rand(2, 3, 1, 8, 8, generator=generator)
    assert torch.allclose(cross_entropy(image, reconstruction), color_cross_entropy(image, reconstruction))


def test_cross_entropy_of_a_fair_coin_is_log_2_for_each_pair(generator: torch.Generator) -> None:
    image = torch.rand(1, 3, 8, 8, generator=generator)
    half = torch.full_like(image, 0.5)
    assert cross_entropy(image, half).item() == pytest.approx(9 * math.log(2), rel=1e-6)
    assert color_cross_entropy(image, half).item() == pytest.approx(3 * math.log(2), rel=1e-6)


def test_a_wrong_certainty_costs_24_bits() -> None:
    black, white = torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8)
    assert color_cross_entropy(black, white).item() == pytest.approx(24 * math.log(2), rel=1e-6)
    assert color_cross_entropy(white, black).item() == pytest.approx(24 * math.log(2), rel=1e-6)


def test_cross_entropy_is_least_at_the_channel_mean(generator: torch.Generator) -> None:
    image = 0.1 + 0.8 * torch.rand(2, 3, 8, 8, generator=generator, dtype=torch.float64)
    grey = image.mean(1, keepdim=True).expand_as(image).clone().requires_grad_()
    (gradient,) = torch.autograd.grad(cross_entropy(image, grey).sum(), grey)
    assert gradient.abs().max().item() < 1e-12
    assert (cross_entropy(image, image) > cross_entropy(image, grey)).all()


def test_color_cross_entropy_is_least_at_the_image(generator: torch.Generator) -> None:
    image = 0.1 + 0.8 * torch.rand(2, 3, 8, 8, generator=generator, dtype=torch.float64)
    reconstruction = image.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(color_cross_entropy(image, reconstruction).sum(), reconstruction)
    assert gradient.abs().max().item() < 1e-12


def test_entropy_floor_is_the_entropy(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    image = pair[0].double()
    channels = image.shape[1]

    def entropy(p: torch.Tensor) -> torch.Tensor:
        return torch.special.entr(p) + torch.special.entr(1 - p)

    floor = entropy_floor(image)
    assert torch.allclose(floor["color_cross_entropy"], entropy(image).sum(1).mean((1, 2)))
    assert torch.allclose(floor["cross_entropy"], channels**2 * entropy(image.mean(1)).mean((1, 2)))


def test_entropy_floor_of_black_and_white_is_zero() -> None:
    image = torch.eye(8).expand(1, 3, 8, 8)
    assert all(floor.item() == pytest.approx(0, abs=1e-5) for floor in entropy_floor(image).values())


@pytest.mark.parametrize("name", ["mse", "mae", "cosine", "ssim"])
def test_an_image_is_at_distance_0_from_itself(name: str, generator: torch.Generator) -> None:
    image = torch.rand(3, 3, 16, 16, generator=generator)
    assert torch.equal(LOSSES[name].function(image, image), torch.zeros(3))


def test_all_six_at_once_are_each_alone(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    together = reconstruction_losses(*pair)
    for name, loss in LOSSES.items():
        assert torch.equal(together[name], loss.function(*pair))


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_finite_differences(name: str, generator: torch.Generator) -> None:
    image, reconstruction = 0.1 + 0.8 * torch.rand(2, 1, 2, 11, 11, generator=generator, dtype=torch.float64)
    reconstruction.requires_grad_()
    assert torch.autograd.gradcheck(lambda y: LOSSES[name].function(image, y), (reconstruction,))


@pytest.mark.parametrize("name", NAMES)
def test_training_loss_is_the_scaled_loss_of_the_sigmoid(name: str, generator: torch.Generator) -> None:
    image = torch.rand(2, 3, 16, 16, generator=generator, dtype=torch.float64)
    logits = 2 * torch.randn(2, 3, 16, 16, generator=generator, dtype=torch.float64)
    loss = LOSSES[name]
    expected = loss.scale(3, 16, 16) * loss.function(image, torch.sigmoid(logits))
    assert torch.allclose(training_loss({name: 1.0}, image, logits), expected, rtol=1e-9)


def test_training_loss_is_the_weighted_sum(generator: torch.Generator) -> None:
    image, logits = torch.rand(2, 2, 3, 16, 16, generator=generator, dtype=torch.float64)
    expected = 0.5 * training_loss({"mse": 1.0}, image, logits) + 2 * training_loss(
        {"ssim": 1.0}, image, logits
    )
    assert torch.allclose(training_loss({"mse": 0.5, "ssim": 2.0}, image, logits), expected)


def test_squared_errors_are_a_gaussians_log_likelihood_but_for_the_constant_of_the_docs(
    generator: torch.Generator,
) -> None:
    image, logits = (
        torch.rand(2, 3, 16, 16, generator=generator),
        torch.randn(2, 3, 16, 16, generator=generator),
    )
    decoder = torch.distributions.Normal(torch.sigmoid(logits), 0.5**0.5)
    likelihood = decoder.log_prob(image).sum((1, 2, 3))
    constant = -3 * 16 * 16 / 2 * math.log(math.pi)
    assert torch.allclose(likelihood, -training_loss({"mse": 1.0}, image, logits) + constant, rtol=1e-5)


def test_training_with_mse_is_the_sum_of_squared_errors(generator: torch.Generator) -> None:
    image, logits = torch.rand(2, 2, 3, 8, 8, generator=generator)
    expected = (image - torch.sigmoid(logits)).square().sum((1, 2, 3))
    assert torch.allclose(training_loss({"mse": 1.0}, image, logits), expected)


@pytest.mark.parametrize("name", ["cross_entropy", "color_cross_entropy"])
@pytest.mark.parametrize(("channels", "scale"), [(1, 1.0), (3, 0.4)])
def test_training_with_cross_entropy_is_the_exact_sum_in_nats_in_grey(
    generator: torch.Generator, name: str, channels: int, scale: float
) -> None:
    image = torch.rand(2, 1, 8, 8, generator=generator).round().repeat(1, channels, 1, 1)
    logits = 4 * torch.randn(2, 1, 8, 8, generator=generator).repeat(1, channels, 1, 1)
    expected = -torch.distributions.Bernoulli(logits=logits).log_prob(image).sum((1, 2, 3)) * scale
    assert torch.allclose(training_loss({name: 1.0}, image, logits), expected)


def test_cross_entropy_from_logits_does_not_saturate() -> None:
    image, logits = torch.zeros(1, 1, 8, 8), torch.full((1, 1, 8, 8), 200.0).requires_grad_()
    loss = training_loss({"color_cross_entropy": 1.0}, image, logits)
    (gradient,) = torch.autograd.grad(loss.sum(), logits)
    assert loss.item() == 64 * 200
    assert torch.equal(gradient, torch.ones_like(gradient))


def test_training_loss_inside_autocast_is_computed_in_float32(generator: torch.Generator) -> None:
    image, logits = torch.rand(2, 2, 3, 16, 16, generator=generator)
    weights = dict.fromkeys(NAMES, 1.0)
    expected = training_loss(weights, image, logits.bfloat16().float())
    with torch.autocast("cpu", torch.bfloat16):
        got = training_loss(weights, image, logits.bfloat16())
    assert got.dtype == torch.float32
    assert torch.equal(got, expected)


@pytest.mark.parametrize("name", NAMES)
def test_scales_keep_the_price_of_a_picture_shown_twice(name: str) -> None:
    """The same picture side by side holds twice the loss, so twice the area is twice the scale."""
    scale = LOSSES[name].scale
    assert scale(3, 64, 128) == pytest.approx(2 * scale(3, 64, 64))


@pytest.mark.parametrize("function", [mse, cross_entropy, reconstruction_losses, LOSSES["ssim"].function])
def test_images_of_two_shapes_are_refused(function: Callable[..., object]) -> None:
    with pytest.raises((ImageError, TypeError)):
        function(torch.zeros(1, 3, 16, 16), torch.zeros(1, 1, 16, 16))


def test_unknown_losses_are_refused(generator: torch.Generator) -> None:
    image, logits = torch.rand(2, 1, 3, 16, 16, generator=generator)
    with pytest.raises(ConfigError, match="got mape"):
        training_loss({"mape": 1.0}, image, logits)
    with pytest.raises(ConfigError, match="got none"):
        training_loss({}, image, logits)


def test_cross_entropy_alone_trains_grey_in_colour() -> None:
    assert trains_grey({"cross_entropy": 1.0}, channels=3)
    assert trains_grey({"cross_entropy": 1.0, "mse": 0.0}, channels=3)
    assert not trains_grey({"cross_entropy": 1.0, "mse": 1.0}, channels=3)
    assert not trains_grey({"cross_entropy": 1.0}, channels=1)
