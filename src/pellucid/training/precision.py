"""Choose the numeric precision of the networks by a race: what a processor says of itself is no speed."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from pellucid.model.architecture import Architecture
from pellucid.model.vae import VAE
from pellucid.objective.objectives import Objective
from pellucid.training.distributed import ALONE
from pellucid.training.gradient import SLICE, Gradient
from pellucid.training.sampler import generator_for
from pellucid.training.threads import WorkerThreads

FORMATS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_SECONDS = 0.8
_ROUNDS = 8
_WORTH = 1.05  # times as fast as float32 has bfloat16 to be: it also costs digits


@dataclass(frozen=True)
class Race:
    """What a race of both formats found.

    Attributes:
        images_per_second: Format -> images a second of a training step on one thread; empty where there was
            no race, because the device does not compute in bfloat16.
    """

    images_per_second: Mapping[torch.dtype, float]

    @property
    def winner(self) -> torch.dtype:
        """The format to train in."""
        rates = self.images_per_second
        if rates and rates[torch.bfloat16] > _WORTH * rates[torch.float32]:
            return torch.bfloat16
        return torch.float32


def race_precision(architecture: Architecture, objective: Objective, device: torch.device) -> Race:
    """Take the training step of a small batch in both formats in turn, for a second or less.

    The best time of each counts: beside other programs, most others are too long. FactorVAE's second network
    is left out.
    """
    if not _has_bfloat16(device):
        return Race({})
    vae = VAE(architecture)
    vae.initialise(generator_for(0, "race", 0))
    vae.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    shape = (SLICE, architecture.channels, architecture.size, architecture.size)
    images = torch.rand(shape, generator=generator_for(0, "race", 1)).to(device)
    if objective.name == "factor-vae":
        objective = Objective("vae", beta=1.0, losses=objective.losses)
    best: dict[torch.dtype, float] = {}
    with WorkerThreads(1) as threads:
        steps = {
            precision: Gradient(vae, objective, precision, threads=threads, processes=ALONE)
            for precision in FORMATS.values()
        }
        end = time.monotonic() + _SECONDS
        for round_ in range(_ROUNDS):
            for precision, step in steps.items():
                start = time.perf_counter()
                terms, *_ = step.backward(
                    images, generator_for(0, "race", 2), dataset_size=SLICE, progress=0.5
                )
                terms["loss"].item()  # waits for a GPU
                seconds = time.perf_counter() - start
                if round_:  # the first prepares
                    best[precision] = min(seconds, best.get(precision, seconds))
            if round_ and time.monotonic() > end:
                break
    return Race({precision: SLICE / seconds for precision, seconds in best.items()})


def settled_precision(wanted: str, recorded: object) -> str:
    """The precision of a run that goes on: what it began with, unless another one is asked for by name."""
    return wanted if wanted != "auto" or recorded not in FORMATS else str(recorded)


def _has_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies in bfloat16 at all; emulated, it is many times slower."""
    if device.type == "cpu":
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return device.type == "cuda" and torch.cuda.is_bf16_supported(False)
