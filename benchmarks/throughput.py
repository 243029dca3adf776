"""Training speed against the plain loop, in turn within one run.

python benchmarks/throughput.py [--faces FOLDER] [--rounds 3] [--threads 2] [--json FILE] [--curves PICTURE]

Sprites with the `burgess` networks and photographs (or simulated people) with the `photo` networks, β-TCVAE,
batches of 64, 256 and 1024. Each measurement is a process of its own: two stretches of 1,024 images to warm
up, then 12 that count (photographs: 6). Printed are the median images a second over all rounds, the lowest
and highest median of a round, peak memory, and the share of the machine's largest matrix product in
bfloat16. The plain loop computes in float32, Pellucid as it does by itself (bfloat16 where the processor
has it) and without validations, alignments and checkpoints on the way. `--curves` draws the losses of both
loops, which then have the same recipe, each of three seeds from the same first weights.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from plain_loop import PlainVAE, train
from torch.utils.flop_counter import FlopCounterMode

from pellucid import open_dataset
from pellucid.data.dataset import Dataset
from pellucid.model.architecture import Architecture
from pellucid.model.vae import VAE
from pellucid.objective.objectives import Objective
from pellucid.training.config import TrainingConfig
from pellucid.training.defaults import defaults_for
from pellucid.training.loop import Progress
from pellucid.training.loop import train as train_ours
from pellucid.training.sampler import generator_for

BATCHES = (64, 256, 1024)
LOOPS = ("plain", "pellucid")
STRETCH = 1024
STRETCHES = {1: 12, 3: 6}  # by channels, after two that do not count
IN_MEMORY = 8192  # images of the plain loop; not counted as its memory
BETA = {1: 6.0, 3: 4.0}


def architecture_of(data: Dataset) -> Architecture:
    """`burgess` with 10 latents for one channel, `photo` with 32 for three."""
    channels = data.preprocessing.channels
    return Architecture("burgess" if channels == 1 else "photo", 64, channels, 10 if channels == 1 else 32)


def plain_network(architecture: Architecture, seed: int = 0) -> PlainVAE:
    """The plain loop's networks with the weights that Pellucid starts from."""
    ours = VAE(architecture)
    ours.initialise(generator_for(seed, "weights", 0))
    network = PlainVAE(architecture.channels, architecture.latents)
    network.load_state_dict(ours.state_dict())
    return network


def plain_steps(
    data: Dataset,
    batch: int,
    *,
    in_memory: int = IN_MEMORY,
    seed: int = 0,
    as_pellucid_for: int | None = None,
) -> Iterator[float]:
    """The plain loop's losses; its images are drawn or decoded before it starts."""
    images = data.batch(data.rows("train", at_most=in_memory))
    network = plain_network(architecture_of(data), seed)
    beta = BETA[data.preprocessing.channels]
    return train(network, images, batch_size=batch, beta=beta, as_pellucid_for=as_pellucid_for)


def rates_of_plain(data: Dataset, batch: int) -> list[float]:
    """Images a second of the plain loop, over stretches."""
    steps = plain_steps(data, batch)
    each = max(1, STRETCH // batch)
    rates = []
    for _ in range(STRETCHES[data.preprocessing.channels] + 2):
        start = time.perf_counter()
        for _ in range(each):
            next(steps)
        rates.append(each * batch / (time.perf_counter() - start))
    return rates[2:]


def run_ours(data: Dataset, batch: int, steps: int, log_every: int, seed: int = 0) -> list[Progress]:
    """Pellucid's own training from the data's usual source; what the module's docstring names is left out."""
    defaults = defaults_for(data.kind, data.preprocessing.channels)
    config = TrainingConfig(
        objective=Objective("beta-tcvae", beta=BETA[data.preprocessing.channels], losses=defaults.losses),
        steps=steps,
        batch_size=batch,
        warm_up=0,
        learning_rate=1e-3,
        seed=seed,
        log_every=log_every,
        checkpoint_minutes=1e6,
        validations=0,
    )
    seen: list[Progress] = []
    with tempfile.TemporaryDirectory() as folder:
        train_ours(data, architecture_of(data), config, Path(folder) / "run", on_progress=seen.append)
    return seen


def rates_of_ours(data: Dataset, batch: int) -> list[float]:
    """Images a second of Pellucid, over stretches."""
    each = max(1, STRETCH // batch)
    seen = run_ours(data, batch, each * (STRETCHES[data.preprocessing.channels] + 2), each)
    return [progress.images_per_second for progress in seen[2:]]


def gigaflops_an_image(data: Dataset) -> float:
    """Of a training step of the networks, forwards and backwards, counted by PyTorch on the plain ones."""
    network = plain_network(architecture_of(data))
    with FlopCounterMode(display=False) as counter:
        logits, *_ = network(data.batch(data.rows("train", at_most=8)))
        logits.sum().backward()
    return counter.get_total_flops() / 8 / 1e9


def matrix_peak(dtype: torch.dtype) -> float:
    """Gigaflops a second of the fastest square matrix product."""
    best = 0.0
    for side in (512, 1024, 2048):
        first, second = torch.randn(2, side, side).to(dtype).unbind(0)
        for _ in range(20):
            start = time.perf_counter()
            first @ second
            best = max(best, 2 * side**3 / (time.perf_counter() - start) / 1e9)
    return best


def measure_one(loop: str, source: str, batch: int) -> dict[str, Any]:
    """In a process of its own: rates, and the peak of its memory."""
    data = open_dataset(source)
    rates = (rates_of_plain if loop == "plain" else rates_of_ours)(data, batch)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if loop == "plain":
        peak -= min(IN_MEMORY, len(data.rows("train"))) * data.batch(np.array([0])).nbytes / 2**20
    return {"rate": statistics.median(rates), "megabytes": peak}


def measure_all(sources: list[str], rounds: int, threads: int) -> list[dict[str, Any]]:
    """Every loop, source and batch in turn, round after round."""
    found = []
    jobs = [(source, batch, loop) for source in sources for batch in BATCHES for loop in LOOPS]
    for number in range(rounds):
        for source, batch, loop in jobs:
            command = [sys.executable, __file__, "--one", loop, source, str(batch), "--threads", str(threads)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            result = json.loads(done.stdout.splitlines()[-1])
            found.append({"round": number, "source": source, "batch": batch, "loop": loop, **result})
            print(
                f"{len(found):3}/{rounds * len(jobs)} {loop} {batch}: {result['rate']:.0f}", file=sys.stderr
            )
    return found


def table(found: list[dict[str, Any]], flops: dict[str, float], peak: float) -> str:
    """The results as Markdown."""
    head = (
        "data",
        "batch",
        "plain, images/s",
        "Pellucid, images/s",
        "times",
        "of peak",
        "plain, MB",
        "ours, MB",
    )
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for source in dict.fromkeys(row["source"] for row in found):
        for batch in BATCHES:
            cells, medians = [], {}
            for loop in LOOPS:
                rows = [r for r in found if (r["source"], r["batch"], r["loop"]) == (source, batch, loop)]
                rates = [row["rate"] for row in rows]
                medians[loop] = statistics.median(rates)
                cells.append(f"{medians[loop]:,.0f} ({min(rates):,.0f} to {max(rates):,.0f})")
                cells.append(f"{statistics.median(row['megabytes'] for row in rows):,.0f}")
            plain, plain_memory, ours, our_memory = cells
            times = medians["pellucid"] / medians["plain"]
            share = medians["pellucid"] * flops[source] / peak
            lines.append(
                f"| {Path(source).name} | {batch} | {plain} | {ours} | **{times:.1f}** | {share:.0%} "
                f"| {plain_memory} | {our_memory} |"
            )
    return "\n".join(lines)


def draw_curves(picture: Path, source: str, steps: int = 1000, batch: int = 64) -> None:
    """Losses of both loops with one recipe, three seeds each: one seed, the same first weights in both."""
    import matplotlib.pyplot as plt

    data = open_dataset(source)
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    window, colors = 50, {"plain": "tab:gray", "pellucid": "tab:blue"}
    for loop, color in colors.items():
        for seed in range(3):
            torch.manual_seed(seed)
            if loop == "plain":
                stream = plain_steps(data, batch, in_memory=steps * batch, seed=seed, as_pellucid_for=steps)
                losses = np.array([next(stream) for _ in range(steps)])
            else:
                losses = np.array([p.terms["loss"] for p in run_ours(data, batch, steps, 1, seed)])
            means = losses.reshape(-1, window).mean(1)
            shown = np.arange(1, len(means) + 1) * window * batch / 1000
            axes.plot(shown, means, color=color, alpha=0.8, lw=1.2, label=loop if seed == 0 else None)
    axes.set(xlabel="thousand images", ylabel="loss, nats an image", yscale="log")
    axes.yaxis.set_minor_formatter("{x:.0f}")
    axes.yaxis.set_major_formatter("{x:.0f}")
    axes.legend(title="three seeds each", frameon=False)
    figure.savefig(picture, dpi=150)


def main() -> None:
    """Measure, or draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", default="people", help="a CelebA folder; else simulated people")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", type=Path)
    parser.add_argument("--curves", type=Path)
    parser.add_argument("--one", nargs=3, metavar=("LOOP", "SOURCE", "BATCH"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    if chosen.one:
        loop, source, batch = chosen.one
        print(json.dumps(measure_one(loop, source, int(batch))))
        return
    if chosen.curves:
        draw_curves(chosen.curves, "sprites")
        return
    sources = ["sprites", chosen.faces]
    peak = matrix_peak(torch.bfloat16)
    print(
        f"torch {torch.__version__}, {chosen.threads} threads; largest matrix product: "
        f"{matrix_peak(torch.float32):.0f} GFLOP/s in float32, {peak:.0f} in bfloat16\n"
    )
    flops = {source: gigaflops_an_image(open_dataset(source)) for source in sources}
    found = measure_all(sources, chosen.rounds, chosen.threads)
    print(table(found, flops, peak))
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
