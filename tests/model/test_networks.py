import pytest
import torch

from pellucid.errors import ConfigError
from pellucid.model.architecture import PRESETS, Architecture
from pellucid.model.posterior import Posterior
from pellucid.model.vae import VAE


def parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_burgess_has_the_paper_s_layers() -> None:
    vae = VAE(Architecture("burgess", 64, 1, 10))
    convolutions = (16 * 1 * 32 + 32) + 3 * (16 * 32 * 32 + 32)
    assert parameters(vae.encoder) == convolutions + (512 * 256 + 256) + (256 * 256 + 256) + (256 * 20 + 20)
    assert parameters(vae.decoder) == (
        (10 * 256 + 256) + (256 * 256 + 256) + (256 * 512 + 512) + 3 * (16 * 32 * 32 + 32) + (16 * 32 + 1)
    )


@pytest.mark.parametrize("preset", sorted(PRESETS))
@pytest.mark.parametrize("size", [32, 64, 128, 256])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_latent_reaches_every_corner_and_every_pixel_every_latent(
    preset: str, size: int, channels: int
) -> None:
    vae = VAE(Architecture(preset, size, channels, 3))
    vae.initialise(torch.Generator().manual_seed(1))
    image = torch.rand((1, channels, size, size), generator=torch.Generator().manual_seed(2)).requires_grad_()
    posterior = vae.encode(image)
    (reach,) = torch.autograd.grad(posterior.mean.sum() + posterior.log_variance.sum(), image)
    assert (reach != 0).float().mean() > 0.9
    z = torch.ones(1, 3, requires_grad=True)
    logits = vae.decode(z)
    assert logits.shape == image.shape
    for corner in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        (reached,) = torch.autograd.grad(logits[0, 0, corner[0], corner[1]], z, retain_graph=True)
        assert (reached != 0).all()


def test_weights_depend_on_the_generator_alone() -> None:
    first, second = (VAE(Architecture("photo", 32, 3, 4)) for _ in range(2))
    first.initialise(torch.Generator().manual_seed(5))
    torch.manual_seed(99)
    second.initialise(torch.Generator().manual_seed(5))
    assert all(
        torch.equal(a, b)
        for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )


def test_samples_have_the_posterior_s_mean_and_variance(generator: torch.Generator) -> None:
    n = 200_000
    posterior = Posterior(torch.full((n, 1), 2.0), torch.full((n, 1), 0.25).log())
    z = posterior.sample(generator)
    assert z.mean().item() == pytest.approx(2.0, abs=0.01)
    assert z.var().item() == pytest.approx(0.25, abs=0.005)


@pytest.mark.parametrize(
    "wrong",
    [{"preset": "resnet"}, {"size": 48}, {"size": 512}, {"channels": 2}, {"latents": 0}, {"latents": 513}],
)
def test_an_architecture_out_of_range_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Architecture(**wrong)  # type: ignore[arg-type]
