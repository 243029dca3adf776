"""Images a second of the training step while other programs use the processor.

For each network and each number of busy programs: PyTorch's own threads with every fixed setting of threads
and precision, and Pellucid's slices, in turn, round after round. No images are drawn and nothing is written.

    python benchmarks/contention.py --rounds 3
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import torch

from pellucid.model.architecture import Architecture
from pellucid.model.vae import VAE
from pellucid.objective.objectives import Objective
from pellucid.training import gradient
from pellucid.training.distributed import ALONE
from pellucid.training.memory import keep_freed_memory
from pellucid.training.precision import FORMATS, race_precision
from pellucid.training.threads import WorkerThreads

BATCH, SECONDS = 64, 5.0
NETWORKS = {
    "photo": (Architecture("photo", 64, 3, 32), Objective(losses=(("mse", 1.0), ("ssim", 1.0)))),
    "burgess": (Architecture("burgess", 64, 1, 10), Objective(losses=(("cross_entropy", 1.0),))),
}
BUSY = "while True: pass"


def fixed_settings() -> list[str]:
    """Threads of PyTorch's own, and a precision."""
    cores = len(os.sched_getaffinity(0))
    return [f"{threads} {precision}" for threads in range(1, cores + 1) for precision in FORMATS]


def rate(network: str, setting: str) -> float:
    """Images a second in this process; `ours` for Pellucid's slices and its own choice of precision."""
    architecture, objective = NETWORKS[network]
    keep_freed_memory()
    if setting == "ours":
        precision = race_precision(architecture, objective, torch.device("cpu")).winner
        return _measured(architecture, objective, precision, gradient.SLICE, torch.get_num_threads())
    threads, name = setting.split()
    torch.set_num_threads(int(threads))
    return _measured(architecture, objective, FORMATS[name], BATCH, 1)


def _measured(
    architecture: Architecture, objective: Objective, precision: torch.dtype, size: int, threads: int
) -> float:
    vae = VAE(architecture)
    vae.initialise(torch.Generator().manual_seed(0))
    vae.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(vae.parameters(), lr=1e-4, fused=True)
    images = torch.rand(BATCH, architecture.channels, 64, 64)
    with WorkerThreads(threads) as pool, mock.patch.object(gradient, "SLICE", size):
        step = gradient.Gradient(vae, objective, precision, threads=pool, processes=ALONE)
        done, start = 0, 0.0
        while not start or time.perf_counter() - start < SECONDS:
            step.backward(images, torch.Generator(), dataset_size=10_000, progress=0.5)
            optimizer.step()
            done += 1
            if done == 2 and not start:  # what comes before prepares
                done, start = 0, time.perf_counter()
        return done * BATCH / (time.perf_counter() - start)


@contextmanager
def busy(count: int) -> Iterator[None]:
    """So many programs that compute without end."""
    programs = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()


def main() -> None:
    """Measure everything and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", nargs=2, metavar=("NETWORK", "SETTING"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps(rate(*chosen.one)))
        return
    settings = [*fixed_settings(), "ours"]
    print("| network | busy programs | " + " | ".join(settings) + " | ours / best fixed |")
    print("|---" * (len(settings) + 3) + "|")
    for network in NETWORKS:
        for programs in range(3):
            rates: dict[str, list[float]] = {setting: [] for setting in settings}
            with busy(programs):
                for _ in range(chosen.rounds):
                    for setting in settings:
                        command = [sys.executable, __file__, "--one", network, setting]
                        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                        rates[setting].append(float(done.stdout))
            medians = {setting: statistics.median(found) for setting, found in rates.items()}
            best = max(medians[setting] for setting in settings[:-1])
            cells = " | ".join(f"{medians[setting]:,.0f}" for setting in settings)
            print(f"| {network} | {programs} | {cells} | **{medians['ours'] / best:.2f}** |", flush=True)


if __name__ == "__main__":
    main()
