from pathlib import Path

import pytest
import torch

from pellucid.data.images import Preprocessing
from pellucid.errors import ConfigError
from pellucid.model.architecture import PRESETS, Architecture
from pellucid.model.decoder import Place
from pellucid.model.directory import ModelConfig, save_model
from pellucid.model.posterior import Posterior
from pellucid.model.predictor import load
from pellucid.model.strided import Double, Halve
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


def test_broadcast_has_burgess_s_encoder_and_a_small_decoder() -> None:
    vae, burgess = VAE(Architecture("broadcast", 64, 1, 10)), VAE(Architecture("burgess", 64, 1, 10))
    assert parameters(vae.encoder) == parameters(burgess.encoder)
    cells = (10 * 64 + 64) + 2 * 64 + (64 * 64 + 64) + (64 * 32 + 32)
    assert parameters(vae.decoder) == cells + 2 * (16 * 32 * 32 + 32) + (16 * 32 + 1)


def test_a_place_adds_a_linear_map_of_the_cell_s_x_and_y() -> None:
    place = Place(3, 2)
    with torch.no_grad():
        place.map.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 10.0]]))
    cells = place(torch.tensor([[0.5, 0.5]]))[0] - 0.5
    x_of_cells = torch.tensor([-1.0, 0.0, 1.0, -1.0, 0.0, 1.0, -1.0, 0.0, 1.0])
    y_of_cells = torch.tensor([-1.0, -1.0, -1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0])
    torch.testing.assert_close(cells, torch.stack([x_of_cells, 10 * y_of_cells], 1))


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_signals_keep_their_size_from_layer_to_layer(preset: str) -> None:
    vae = VAE(Architecture(preset, 64, 3, 10))
    vae.initialise(torch.Generator().manual_seed(0))
    growth = []

    def measure(layer: torch.nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        growth.append(float(output.square().mean() / inputs[0].square().mean()))

    layers = [m for m in vae.modules() if isinstance(m, Halve | Double | torch.nn.Linear)]
    for layer in layers:
        layer.register_forward_hook(measure)
    with torch.no_grad():
        vae.encode(torch.randn((64, 3, 64, 64), generator=torch.Generator().manual_seed(1)))
        vae.decode(torch.randn((64, 10), generator=torch.Generator().manual_seed(2)))
    # ReLU halves the square, so He's layers double it; the last layers have a quarter of the variance
    last = {sum(1 for m in vae.encoder.modules() if m in layers) - 1, len(layers) - 1}
    for i, ratio in enumerate(growth):
        assert 0.2 < ratio < 0.8 if i in last else 1 < ratio < 3.5, (i, ratio)


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


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_saved_model_of_every_preset_computes_the_same(preset: str, tmp_path: Path) -> None:
    architecture = Architecture(preset, 32, 1, 3)
    vae = VAE(architecture)
    vae.initialise(torch.Generator().manual_seed(1))
    config = ModelConfig(architecture, Preprocessing(size=32, channels=1), {}, {})
    save_model(tmp_path, vae.state_dict(), config)
    z = torch.randn((2, 3), generator=torch.Generator().manual_seed(2))
    assert torch.equal(load(tmp_path, device="cpu").decode(z), torch.sigmoid(vae.decode(z)))


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
