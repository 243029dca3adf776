import pytest
import torch
from torch import Tensor, nn

from pellucid.model.strided import Double, Halve

CHANNELS = (1, 3, 8)


def pairs_of_layers(channels: int, dtype: torch.dtype) -> list[tuple[nn.Module, nn.Module, Tensor]]:
    """Our layer, PyTorch's with the same weights, and maps for both."""
    halve, double = Halve(channels, 8), Double(8, channels)
    plain = (
        nn.Conv2d(channels, 8, 4, stride=2, padding=1),
        nn.ConvTranspose2d(8, channels, 4, stride=2, padding=1),
    )
    maps = (torch.randn(3, channels, 16, 8), torch.randn(3, 8, 4, 8))
    found: list[tuple[nn.Module, nn.Module, Tensor]] = []
    for ours, theirs, map_ in zip((halve, double), plain, maps, strict=True):
        theirs.load_state_dict(ours.state_dict())
        found.append((ours.to(dtype), theirs.to(dtype), map_.to(dtype)))
    return found


def results(layer: nn.Module, maps: Tensor, *, needs_gradient: bool) -> list[Tensor]:
    """The output, and the gradients of a random combination of it."""
    maps = maps.clone().requires_grad_(needs_gradient)
    output = layer(maps)
    direction = torch.randn(output.shape, generator=torch.Generator().manual_seed(7)).to(maps.dtype)
    (output * direction).sum().backward()
    gradients = [parameter.grad for parameter in layer.parameters()] + [maps.grad] * needs_gradient
    return [output.detach(), *gradients]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("needs_gradient", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("innermost", [False, True])
def test_outputs_and_gradients_are_those_of_pytorch(
    channels: int, needs_gradient: bool, dtype: torch.dtype, tolerance: float, innermost: bool
) -> None:
    for ours, theirs, maps in pairs_of_layers(channels, dtype):
        if innermost:  # as weights and maps lie in training
            ours.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            maps = maps.contiguous(memory_format=torch.channels_last)
        expected = results(theirs, maps, needs_gradient=needs_gradient)
        for found, known in zip(results(ours, maps, needs_gradient=needs_gradient), expected, strict=True):
            torch.testing.assert_close(found, known, rtol=tolerance, atol=10 * tolerance)


@pytest.mark.parametrize("channels", CHANNELS)
def test_under_autocast_rounding_is_no_worse_than_pytorchs(channels: int) -> None:
    for ours, theirs, maps in pairs_of_layers(channels, torch.float32):
        exact = results(theirs, maps, needs_gradient=True)
        errors = []
        for layer in (ours, theirs):
            layer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16):
                rounded = results(layer, maps, needs_gradient=True)
            assert rounded[0].dtype == torch.bfloat16
            assert all(gradient.dtype == torch.float32 for gradient in rounded[1:])
            errors.append(
                [float((r.float() - e).norm() / e.norm()) for r, e in zip(rounded, exact, strict=True)]
            )
        for mine, pytorchs in zip(*errors, strict=True):
            assert mine < 1.1 * pytorchs + 1e-4 < 0.02


def test_gradients_are_those_of_finite_differences() -> None:
    layer = Double(2, 1).double()
    maps = torch.randn(1, 2, 2, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (maps,))


def test_an_exported_layer_is_pytorchs_own() -> None:
    for layer, maps in ((Halve(1, 2), torch.zeros(1, 1, 4, 4)), (Double(2, 1), torch.zeros(1, 2, 4, 4))):
        nodes = [
            node for node in torch.export.export(layer, (maps,)).graph.nodes if node.op == "call_function"
        ]
        assert len(nodes) == 1
        assert "conv" in nodes[0].name
