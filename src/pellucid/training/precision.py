"""In which numbers the networks compute."""

import torch


def resolve_precision(precision: str, device: torch.device) -> torch.dtype:
    """`auto` is bfloat16 where the processor multiplies it natively: a fixed property, so runs repeat."""
    if precision == "auto":
        on_cpu = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        fast = {"cpu": on_cpu, "cuda": torch.cuda.is_available() and torch.cuda.is_bf16_supported(False)}
        return torch.bfloat16 if fast.get(device.type, False) else torch.float32
    return torch.bfloat16 if precision == "bfloat16" else torch.float32
