"""The 4x4 convolutions that halve a map, and their transposes that double it, made fast on a processor.

The same numbers as PyTorch's own layers, to rounding. On a processor those are slow in four places, which
are computed in another way here (docs/performance.md says what each brought):

- maps lie in memory with the channels innermost, in bfloat16 under autocast: the order that the vector
  units like, without turning maps over before every layer;
- the gradient of a doubling layer's weights is computed as that of the halving layer it is the transpose of;
- doubling onto one or three channels is a 2x2 convolution that gives 2x2 blocks of pixels as channels;
- a picture of one channel is laid out as patches, so that its convolution is one matrix product.

On other devices, and where PyTorch compiles or exports, they are PyTorch's own layers. Gradients cannot be
differentiated once more, and what comes out must not be changed in place where it has few channels.
"""

from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

_FEW = 3
"""Channels up to which a doubling layer is faster as a 2x2 convolution."""

_PAIR = {2: torch.int32, 4: torch.int64, 8: torch.complex128}
"""Bytes of a number -> a type of twice as many, to copy two neighbours as one."""


class Halve(nn.Conv2d):
    """[batch inputs height width] -> [batch outputs height/2 width/2]: kernel 4, stride 2, padding 1.

    Height and width are even.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 4, stride=2, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        """See the class."""
        if _is_for_pytorch(maps):
            return super().forward(maps)
        return cast(Tensor, _Halve.apply(maps, self.weight, self.bias))  # type: ignore[no-untyped-call]


class Double(nn.ConvTranspose2d):
    """[batch inputs height width] -> [batch outputs 2*height 2*width]: kernel 4, stride 2, padding 1."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 4, stride=2, padding=1)

    def forward(self, maps: Tensor, output_size: list[int] | None = None) -> Tensor:
        """See the class; `output_size` is there for PyTorch, and is always twice the size."""
        if _is_for_pytorch(maps):
            return super().forward(maps)
        return cast(Tensor, _Double.apply(maps, self.weight, self.bias))  # type: ignore[no-untyped-call]


class _Halve(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.weight_type = weight.dtype
        maps, low, bias = _prepared(maps, weight, bias)
        if maps.shape[1] == 1 and not ctx.needs_input_grad[0]:
            patches = _patches(maps)
            ctx.save_for_backward(patches, low)
            return _match(patches, low, maps.shape, bias)
        ctx.save_for_backward(maps, low)
        return torch.conv2d(maps, low, bias, stride=2, padding=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        seen, weight = ctx.saved_tensors
        gradient = _innermost(gradient)
        for_maps = None
        if ctx.needs_input_grad[0]:
            for_maps = torch.conv_transpose2d(gradient, weight, stride=2, padding=1)
        if seen.ndim == 2:  # patches
            for_weight = (_rows(gradient).T @ seen).view(weight.shape)
        else:
            for_weight = _weight_gradient(gradient, seen, weight)
        return for_maps, *_for_parameters(weight, for_weight, gradient, ctx.weight_type)


class _Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.weight_type = weight.dtype
        maps, low, bias = _prepared(maps, weight, bias)
        ctx.save_for_backward(maps, low)
        if weight.shape[1] <= _FEW:
            return _double_onto_few(maps, low, bias)
        return torch.conv_transpose2d(maps, low, bias, stride=2, padding=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        maps, weight = ctx.saved_tensors
        gradient = _innermost(gradient)
        if gradient.shape[1] == 1:
            patches = _patches(gradient)
            for_maps = _match(patches, weight, gradient.shape)
            for_weight = (_rows(maps).T @ patches).view(weight.shape)
        else:
            for_maps = torch.conv2d(gradient, weight, stride=2, padding=1)
            for_weight = _weight_gradient(maps, gradient, weight)
        return for_maps, *_for_parameters(weight, for_weight, gradient, ctx.weight_type)


def _is_for_pytorch(maps: Tensor) -> bool:
    return maps.device.type != "cpu" or torch.compiler.is_compiling()


def _computing_type(maps: Tensor) -> torch.dtype:
    if torch.is_autocast_enabled("cpu") and maps.dtype != torch.float64:
        return torch.get_autocast_dtype("cpu")
    return maps.dtype


def _prepared(maps: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """In the type to compute in, channels innermost."""
    dtype = _computing_type(maps)
    return _innermost(maps.to(dtype)), _innermost(weight.to(dtype)), bias.to(dtype)


def _innermost(maps: Tensor) -> Tensor:
    return maps.contiguous(memory_format=torch.channels_last)


def _rows(maps: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "pixel channel"]:
    return maps.permute(0, 2, 3, 1).flatten(0, 2)  # a view, because channels are innermost


def _weight_gradient(
    halved: Float[Tensor, "batch out height width"],
    maps: Float[Tensor, "batch in 2*height 2*width"],
    weight: Float[Tensor, "out in 4 4"],
) -> Float[Tensor, "out in 4 4"]:
    """Gradient of the weights that halve `maps`, for the gradient `halved` of what comes out."""
    only_weight = [False, True, False]
    gradients = torch.ops.aten.convolution_backward(
        halved, maps, weight, None, [2, 2], [1, 1], [1, 1], False, [0, 0], 1, only_weight
    )
    return cast(Tensor, gradients[1])


def _for_parameters(
    weight: Tensor, for_weight: Tensor, gradient: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Gradients of the weight, with its strides, and of the bias.

    By the strides, DistributedDataParallel and the optimiser find things in memory.
    """
    return torch.empty_like(weight, dtype=dtype).copy_(for_weight), gradient.sum((0, 2, 3)).to(dtype)


def _patches(maps: Float[Tensor, "batch 1 height width"]) -> Float[Tensor, "patch 16"]:
    """The 4x4 patches that a halving layer sees of one channel, each a row."""
    height, width = maps.shape[2:]
    padded = functional.pad(maps[:, 0], (1, 1, 1, 1))
    pairs = padded.view(_PAIR[maps.itemsize])  # [batch height+2 width/2+1]
    shifted = [
        pairs[:, row : row + height : 2, pair : pair + width // 2] for row in range(4) for pair in (0, 1)
    ]
    return torch.stack(shifted, -1).view(maps.dtype).view(-1, 16)


def _match(
    patches: Float[Tensor, "patch 16"],
    weight: Float[Tensor, "channel 1 4 4"],
    shape: torch.Size,
    bias: Float[Tensor, " channel"] | None = None,
) -> Float[Tensor, "batch channel height width"]:
    """Multiply each patch with each kernel; `shape` is that of the maps that the patches were made of."""
    batch, _, height, width = shape
    maps = torch.empty(
        (batch, len(weight), height // 2, width // 2),
        dtype=patches.dtype,
        memory_format=torch.channels_last,
    )
    kernels = weight.reshape(-1, 16).T
    if bias is None:
        torch.mm(patches, kernels, out=_rows(maps))
    else:
        torch.addmm(bias, patches, kernels, out=_rows(maps))
    return maps


def _double_onto_few(
    maps: Float[Tensor, "batch channel height width"],
    weight: Float[Tensor, "channel few 4 4"],
    bias: Float[Tensor, " few"],
) -> Float[Tensor, "batch few 2*height 2*width"]:
    """The doubling layer as a 2x2 convolution that gives four times as many channels.

    Along a row, the pixels 2p-1 and 2p, a = 0 and 1, both come from maps p-1 and p alone: by
    weight[2 + a] and weight[a]. Columns likewise.
    """
    batch, _, height, width = maps.shape
    few = weight.shape[1]
    # [channel few (row of the map, a) (column of the map, a)] -> [(a a few) channel row column]
    kernels = weight.reshape(-1, few, 2, 2, 2, 2).flip(2, 4)
    kernels = kernels.permute(3, 5, 1, 0, 2, 4).flatten(0, 2)
    blocks = torch.conv2d(maps, _innermost(kernels), bias.repeat(4), padding=1)
    # [batch (a a few) height+1 width+1] -> [batch few height+1 a width+1 a]
    pixels = blocks.reshape(batch, 2, 2, few, height + 1, width + 1).permute(0, 3, 4, 1, 5, 2)
    return pixels.reshape(batch, few, 2 * height + 2, 2 * width + 2)[:, :, 1:-1, 1:-1]
