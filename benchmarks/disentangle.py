"""Minutes until sprites come apart: recipes side by side, several seeds each.

python benchmarks/disentangle.py OUT --pace  # images a second of each recipe, on a quiet machine
python benchmarks/disentangle.py OUT [--minutes 20] [--seeds 5] [--recipes plain,pellucid] [--parallel 2]
python benchmarks/disentangle.py OUT --figure time.png --table

Trains what is missing in OUT and keeps the weights of some moments. A minute is as many images as the recipe
sees in one with all processors to itself (`PACE`), so that runs may share the machine with each other. Each
moment is measured on 10,000 held-out sprites: 4-factor MIG (posterior means, 20 bins; shape left out),
reconstruction with a sampled z (BCE, nats), KL, active latents, and how far one latent follows rotation up to
each shape's symmetry.

`peers` and `plain` are the plain loop beside this file (lr 5e-4, β=6.4; and lr 1e-3 to 0 by half a cosine,
β=6; PyTorch's own first weights), `pellucid` is what `pellucid train sprites` does by itself.
"""

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from plain_loop import PlainVAE, loss_of
from safetensors.torch import load_file, save_file
from torch.nn import functional

from pellucid import open_dataset
from pellucid.data.dataset import Dataset
from pellucid.metrics.mig import mig
from pellucid.model.architecture import Architecture
from pellucid.model.directory import WEIGHTS, read_config
from pellucid.model.posterior import Posterior
from pellucid.model.vae import VAE
from pellucid.objective.kl import ACTIVE_KL, kl
from pellucid.training.defaults import settings_for
from pellucid.training.loop import Progress
from pellucid.training.loop import train as train_ours

IMAGES = 10_000
MOMENTS = 16
SYMMETRIES = (4, 2, 1)  # of square, ellipse and heart
PACE = {"peers": 1_290, "plain": 1_290, "pellucid": 2_170}
"""Images a second on two processors, start, data and checkpoints included: `pellucid` by `--pace` while other
programs took some of the machine, the plain loop as in docs/performance.md on a quiet one."""
BATCH = 64
COLORS = {"peers": "tab:gray", "plain": "tab:orange", "pellucid": "tab:blue"}


def moments(minutes: float) -> list[float]:
    """Minutes at which weights are kept: closer at the start."""
    return [minutes * (i / MOMENTS) ** 1.5 for i in range(1, MOMENTS + 1)]


def steps_of(recipe: str, minutes: float) -> int:
    """As many steps as the recipe takes in so many minutes."""
    return round(minutes * 60 * PACE[recipe] / BATCH)


def train_plain(run: Path, data: Dataset, recipe: str, seed: int, minutes: float) -> None:
    """Train by the plain loop, drawing each batch like Pellucid (a DataLoader would need 12 GB)."""
    torch.manual_seed(seed)
    network = PlainVAE(1, 10)
    peers = recipe == "peers"
    rate, beta = (5e-4, 6.4) if peers else (1e-3, 6.0)
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    rows, chance = data.rows("train"), np.random.Generator(np.random.PCG64(seed))
    waiting, steps = moments(minutes), steps_of(recipe, minutes)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate if peers else rate * 0.5 * (1 + math.cos(math.pi * step / steps))
        loss = loss_of(network, data.batch(chance.choice(rows, BATCH)), beta)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if (step + 1) / steps >= waiting[0] / minutes - 1e-9:
            save_file(network.state_dict(), run / f"minute-{waiting.pop(0):.2f}.safetensors")


def train_pellucid(run: Path, data: Dataset, seed: int, minutes: float) -> None:
    """Train as `pellucid train sprites --steps N --seed S` does, saving more often."""
    steps = steps_of("pellucid", minutes)
    config, architecture = settings_for(
        data, objective="beta-tcvae", steps=steps, seed=seed, checkpoint_minutes=0.1
    )
    waiting = moments(minutes)

    def keep(progress: Progress) -> None:
        if waiting and progress.fraction >= waiting[0] / minutes:
            shutil.copy(run / "run" / WEIGHTS, run / f"minute-{waiting.pop(0):.2f}.safetensors")

    train_ours(data, architecture, config, run / "run", on_progress=keep)
    for moment in waiting:
        shutil.copy(run / "run" / WEIGHTS, run / f"minute-{moment:.2f}.safetensors")


def follows_rotation(means: np.ndarray, factors: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """Share of variance, [shape latent], that rotation up to the shape's symmetry explains."""
    shapes, angles = factors[:, names.index("shape")], factors[:, names.index("orientation")]
    shares = []
    for shape, symmetry in zip(np.unique(shapes), SYMMETRIES, strict=True):
        codes = means[shapes == shape]
        turns = np.mod(angles[shapes == shape] * symmetry, 2 * np.pi) / (2 * np.pi)
        bins = np.minimum((turns * 20).astype(int), 19)
        between = np.zeros(codes.shape[1])
        for number in np.unique(bins):
            inside = codes[bins == number]
            between += len(inside) * np.square(inside.mean(0) - codes.mean(0))
        shares.append(between / len(codes) / codes.var(0).clip(1e-9))
    return np.stack(shares)


@torch.no_grad()
def measure(vae: VAE, data: Dataset) -> dict[str, Any]:
    """What a moment's weights are worth."""
    rows = data.rows("held-out", at_most=IMAGES)
    posteriors, errors = [], 0.0
    for part in np.array_split(rows, 40):
        images = data.batch(part)
        posterior = vae.encode(images)
        logits = vae.decode(posterior.sample(torch.Generator().manual_seed(int(part[0]))))
        errors += float(functional.binary_cross_entropy_with_logits(logits, images, reduction="sum"))
        posteriors.append(posterior)
    means = torch.cat([p.mean for p in posteriors])
    rate = kl(Posterior(means, torch.cat([p.log_variance for p in posteriors]))).mean(0)
    assert data.attributes is not None
    names, factors = data.attributes.names, data.attributes.lookup(rows)
    four = [i for i, name in enumerate(names) if name != "shape"]
    gap = mig(means.numpy(), factors[:, four])
    active = (rate > ACTIVE_KL).numpy()
    rotation = follows_rotation(means.numpy(), factors, names)[:, active]
    return {
        "MIG": gap.score,
        **{names[i]: float(value) for i, value in zip(four, gap.gaps, strict=True)},
        "BCE": errors / len(rows),
        "KL": float(rate.sum()),
        "active": int(active.sum()),
        "rotation": [float(share) for share in rotation.max(1)] if active.any() else [0.0] * 3,
    }


def results_of(run: Path, data: Dataset) -> dict[str, dict[str, Any]]:
    """minute -> measurements, each measured once."""
    file = run / "results.json"
    found: dict[str, dict[str, Any]] = json.loads(file.read_text()) if file.exists() else {}
    config = run / "run"
    architecture = (
        read_config(config)[0].architecture if config.exists() else Architecture("burgess", 64, 1, 10)
    )
    for weights in sorted(run.glob("minute-*.safetensors")):
        minute = weights.stem.removeprefix("minute-")
        if minute not in found:
            vae = VAE(architecture)
            vae.load_state_dict(load_file(weights))
            found[minute] = measure(vae.eval(), data)
            file.write_text(json.dumps(found))
    return dict(sorted(found.items(), key=lambda pair: float(pair[0])))


def runs_of(out: Path) -> Iterator[tuple[str, int, Path]]:
    """Recipe, seed and folder of each run that is there."""
    for run in sorted(out.glob("*-seed-*")):
        recipe, _, seed = run.name.partition("-seed-")
        yield recipe, int(seed), run


def draw(picture: Path, found: dict[str, list[dict[str, dict[str, Any]]]]) -> None:
    """MIG and reconstruction against minutes, a thin line a seed and a thick one for the median."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for recipe, runs in found.items():
        for panel, key in zip(panels, ("MIG", "BCE"), strict=True):
            minutes = [float(minute) for minute in runs[0]]
            lines = np.array([[row[key] for row in run.values()] for run in runs])
            panel.plot(minutes, lines.T, color=COLORS[recipe], lw=0.7, alpha=0.5)
            panel.plot(
                minutes, np.median(lines, 0), color=COLORS[recipe], lw=2.2, label=f"{recipe} ({len(runs)})"
            )
    panels[0].axhline(0.5, color="black", lw=0.7, ls=":")
    panels[0].set(xlabel="minutes", ylabel="4-factor MIG", ylim=(0, None))
    panels[1].axhline(60, color="black", lw=0.7, ls=":")
    panels[1].set(xlabel="minutes", ylabel="reconstruction, nats an image (BCE)", yscale="log")
    panels[0].legend(title="recipe (seeds); thick: median", frameon=False)
    figure.savefig(picture, dpi=150)


def table(found: dict[str, list[dict[str, dict[str, Any]]]]) -> str:
    """The last moment of each recipe as Markdown: median, lowest and highest seed."""
    keys = ("MIG", "scale", "orientation", "position x", "position y", "BCE", "KL", "active")
    lines = [f"| recipe | seeds | minutes | {' | '.join(keys)} | rotation: square, ellipse, heart |"]
    lines.append("|---" * (len(keys) + 4) + "|")
    for recipe, runs in found.items():
        last = [list(run.values())[-1] for run in runs]
        cells = []
        for key in keys:
            values = [row[key] for row in last]
            form = ".2f" if key not in ("BCE", "KL", "active") else ".1f"
            middle, low, high = (f"{f(values):{form}}" for f in (statistics.median, min, max))
            cells.append(f"{middle} ({low}-{high})")
        turned = [f"{statistics.median(row['rotation'][i] for row in last):.2f}" for i in range(3)]
        minutes = list(runs[0])[-1]
        lines.append(f"| {recipe} | {len(runs)} | {minutes} | {' | '.join(cells)} | {', '.join(turned)} |")
    return "\n".join(lines)


def pace(recipe: str, minutes: float = 0.75) -> float:
    """Images a second of a recipe with this process alone on the machine, starting included."""
    data, start = open_dataset("sprites"), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder)
        train = train_pellucid if recipe == "pellucid" else partial(train_plain, recipe=recipe)
        train(run=run, data=data, seed=0, minutes=minutes)
    return steps_of(recipe, minutes) * BATCH / (time.monotonic() - start)


def train_one(out: Path, recipe: str, seed: int, minutes: float) -> None:
    """In a process of its own."""
    run, data = out / f"{recipe}-seed-{seed}", open_dataset("sprites")
    run.mkdir(parents=True)
    if recipe == "pellucid":
        train_pellucid(run, data, seed, minutes)
    else:
        train_plain(run, data, recipe, seed, minutes)


def train_missing(chosen: argparse.Namespace) -> None:
    """Each run in a process of its own, one after the other or some at a time."""
    threads = max(1, (os.cpu_count() or 1) // chosen.parallel)

    def start(job: tuple[int, str]) -> str:
        seed, recipe = job
        command = [sys.executable, __file__, str(chosen.out), "--one", recipe, str(seed)]
        command += ["--minutes", str(chosen.minutes)]
        env = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        done = subprocess.run(command, env=env, capture_output=True, text=True)
        return f"{recipe} {seed}: {'trained' if done.returncode == 0 else done.stderr[-2000:]}"

    jobs = [(seed, recipe) for seed in range(chosen.seeds) for recipe in chosen.recipes.split(",")]
    missing = [(s, r) for s, r in jobs if not (chosen.out / f"{r}-seed-{s}").exists()]
    with ThreadPoolExecutor(chosen.parallel) as pool:
        run: Callable[[tuple[int, str]], str] = start
        for line in pool.map(run, missing):
            print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Train, measure, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--recipes", default="peers,plain,pellucid")
    parser.add_argument("--parallel", type=int, default=1)
    parser.add_argument("--pace", action="store_true")
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        train_one(chosen.out, chosen.one[0], int(chosen.one[1]), chosen.minutes)
        return
    if chosen.pace:
        for recipe in chosen.recipes.split(","):
            print(f"{recipe}: {pace(recipe):,.0f} images/s")
        return
    if not chosen.figure and not chosen.table:
        train_missing(chosen)
    data = open_dataset("sprites")
    found: dict[str, list[dict[str, dict[str, Any]]]] = {}
    for recipe, _, run in runs_of(chosen.out):
        found.setdefault(recipe, []).append(results_of(run, data))
    print(table(found))
    if chosen.figure:
        draw(chosen.figure, found)


if __name__ == "__main__":
    main()
