import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from pellucid.errors import ImageError
from pellucid.objective.ssim import ssim, ssim_map


def reference(image: torch.Tensor, reconstruction: torch.Tensor) -> np.ndarray:
    return np.array(
        [
            structural_similarity(
                x,
                y,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
                data_range=1,
                channel_axis=0,
            )
            for x, y in zip(image.double().numpy(), reconstruction.double().numpy(), strict=True)
        ]
    )


def smooth_images(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    batch, channel, height, width = shape
    coarse = torch.rand(batch, channel, 4, 4, generator=generator)
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")


@pytest.mark.parametrize("shape", [(3, 3, 64, 64), (2, 1, 32, 32), (2, 3, 11, 11), (1, 3, 17, 40)])
@pytest.mark.parametrize("noise", [0.01, 0.3])
def test_ssim_is_scikit_images(shape: tuple[int, ...], noise: float, generator: torch.Generator) -> None:
    image = smooth_images(shape, generator)
    reconstruction = (image + noise * torch.randn(shape, generator=generator)).clamp(0, 1)
    assert ssim(image, reconstruction).numpy() == pytest.approx(reference(image, reconstruction), abs=1e-6)


@pytest.mark.parametrize(("dark", "bright"), [(0.7, 1.0), (0.0, 1.0), (0.95, 1.0), (0.0, 0.02)])
def test_ssim_of_flat_images_is_scikit_images(dark: float, bright: float) -> None:
    image, reconstruction = torch.full((1, 3, 64, 64), bright), torch.full((1, 3, 64, 64), dark)
    assert ssim(image, reconstruction).numpy() == pytest.approx(reference(image, reconstruction), abs=1e-6)


def test_ssim_of_flat_images_is_the_luminance_term() -> None:
    image, reconstruction = torch.full((1, 1, 12, 12), 0.5), torch.full((1, 1, 12, 12), 0.3)
    assert ssim(image, reconstruction).item() == pytest.approx((0.3 + 1e-4) / (0.34 + 1e-4), abs=1e-6)


def test_ssim_map_is_the_inside_of_scikit_images_map(generator: torch.Generator) -> None:
    image, reconstruction = torch.rand(2, 1, 20, 24, generator=generator, dtype=torch.float64).float()
    _, expected = structural_similarity(
        image[0].double().numpy(),
        reconstruction[0].double().numpy(),
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1,
        full=True,
    )
    got = ssim_map(image[None], reconstruction[None])[0, 0]
    assert got.numpy() == pytest.approx(expected[5:-5, 5:-5], abs=1e-5)


def test_ssim_of_an_image_with_itself_is_1(generator: torch.Generator) -> None:
    image = torch.rand(2, 3, 32, 32, generator=generator)
    assert torch.equal(ssim(image, image), torch.ones(2))


def test_ssim_does_not_depend_on_memory_format_or_autocast(generator: torch.Generator) -> None:
    image, reconstruction = torch.rand(2, 2, 3, 24, 24, generator=generator)
    expected = ssim(image, reconstruction)
    strided = ssim(image.to(memory_format=torch.channels_last), reconstruction)
    with torch.autocast("cpu", torch.bfloat16):
        inside = ssim(image, reconstruction)
    assert torch.allclose(strided, expected, atol=1e-6)
    assert torch.equal(inside, expected)


def test_ssim_of_half_precision_is_computed_in_float32(generator: torch.Generator) -> None:
    image, reconstruction = torch.rand(2, 1, 3, 16, 16, generator=generator).bfloat16()
    assert torch.equal(ssim(image, reconstruction), ssim(image.float(), reconstruction.float()))


def test_gradient_of_ssim_is_the_finite_difference(generator: torch.Generator) -> None:
    image, reconstruction = torch.rand(2, 1, 2, 12, 12, generator=generator, dtype=torch.float64)
    reconstruction.requires_grad_()
    assert torch.autograd.gradcheck(lambda y: ssim(image, y), (reconstruction,))


def test_images_smaller_than_the_window_are_refused() -> None:
    with pytest.raises(ImageError, match="at least 11 pixels a side, got 10x12"):
        ssim(torch.zeros(1, 3, 10, 12), torch.zeros(1, 3, 10, 12))
