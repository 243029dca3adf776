"""Every objective on sprites with the same number of images and several seeds, scored by every metric.

python benchmarks/objectives.py OUT [--steps 4000] [--seeds 3] [--parallel 2] [--table]

Trains what is missing in OUT, one thread a run, and prints the table of docs/results.md: mean over seeds and
the lowest and highest. A stopped run is gone on with. `--table` only reads what is there.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from pellucid import load, open_dataset
from pellucid.latents.activity import encode_dataset, measure_activity
from pellucid.metrics.table import evaluate
from pellucid.training.alignment import independent_axes

IMAGES = 10_000
RECIPES = {
    "VAE": "--objective vae",
    "β-VAE, β=4": "--objective beta-vae --beta 4",
    "annealed, C=25": "--objective annealed-beta-vae --capacity 25",
    "β-TCVAE, β=6": "--objective beta-tcvae --beta 6 --no-align",
    "FactorVAE, γ=35": "--objective factor-vae --tc-weight 35",
    "DIP-VAE II, λ=5": "--objective dip-vae-ii --off-diagonal 5",
    "β-TCVAE, β=6, rotated once": "--objective beta-tcvae --beta 6",
}


def run_name(recipe: str, seed: int) -> str:
    """The folder of a run."""
    letters = "".join(c if c.isalnum() else "-" for c in recipe.lower().replace("β", "beta"))
    return f"{letters}-seed-{seed}".replace("--", "-")


def train(out: Path, recipe: str, seed: int, steps: int) -> str:
    """Train or go on with a run, unless it is finished."""
    run = out / run_name(recipe, seed)
    config = run / "config.json"
    if config.exists() and json.loads(config.read_text())["training"]["steps_taken"] == steps:
        return f"{run.name}: was there"
    resume = ["--resume"] if config.exists() else []
    command = [str(Path(sys.executable).with_name("pellucid")), "train", "sprites", *RECIPES[recipe].split()]
    command += ["--steps", str(steps), "--seed", str(seed), "--threads", "1", "--out", str(run), *resume]
    done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{run.name}: {done.stderr[-2000:]}")
    minutes = json.loads(config.read_text())["training"]["minutes_taken"]
    return f"{run.name}: {minutes} minutes"


def scores(run: Path, *, rotated: bool = False) -> dict[str, float]:
    """Rate, distortion and all metrics of a run on held-out sprites; `rotated`: afterwards."""
    model, data = load(run), open_dataset("sprites")
    rows = data.rows("held-out", at_most=IMAGES)
    codes = encode_dataset(model, data, rows)
    activity = measure_activity(codes)
    means, log_variances = codes.mean, codes.log_variance
    if rotated:
        axes = independent_axes(means, activity.active)
        means = (means @ axes.T).astype(np.float32)
        log_variances = np.log(np.exp(log_variances) @ (axes**2).T).astype(np.float32)
    assert data.attributes is not None
    found = evaluate(
        means,
        data.attributes.lookup(rows),
        data.attributes.names,
        log_variances=log_variances,
        categorical=[kind == "categorical" for kind in data.attributes.kinds],
        resamples=4,
    )
    last = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    return {
        "BCE": last["validation_reconstruction"],
        "KL": float(activity.kl.sum()),
        "active": float(activity.active.sum()),
        **{score.name: score.value for score in found},
    }


def kept(run: Path, *, rotated: bool = False) -> dict[str, float]:
    """The scores of a run, computed once."""
    file = run / ("scores-rotated.json" if rotated else "scores.json")
    if not file.exists():
        file.write_text(json.dumps(scores(run, rotated=rotated)))
    found: dict[str, float] = json.loads(file.read_text())
    return found


def rows_of(out: Path, seeds: int) -> Iterator[tuple[str, list[dict[str, float]]]]:
    """Each row of the table with the scores of its seeds."""
    for recipe in RECIPES:
        runs = [out / run_name(recipe, seed) for seed in range(seeds)]
        runs = [run for run in runs if (run / "config.json").exists()]
        if runs:
            yield recipe, [kept(run) for run in runs]
        if runs and recipe == "VAE":
            yield "VAE, rotated afterwards", [kept(run, rotated=True) for run in runs]


def main() -> None:
    """Train, then print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--parallel", type=int, default=2)
    parser.add_argument("--table", action="store_true")
    chosen = parser.parse_args()
    if not chosen.table:
        jobs = [(recipe, seed) for seed in range(chosen.seeds) for recipe in RECIPES]
        with ThreadPoolExecutor(chosen.parallel) as pool:
            for line in pool.map(lambda job: train(chosen.out, *job, chosen.steps), jobs):
                print(line, file=sys.stderr, flush=True)
    torch.set_num_threads(1)
    table = list(rows_of(chosen.out, chosen.seeds))
    columns = list(table[0][1][0])
    print("| | " + " | ".join(columns) + " |\n|" + "---|" * (len(columns) + 1))
    for name, found in table:
        cells = []
        for column in columns:
            values = [row[column] for row in found]
            digits = 1 if column in ("BCE", "KL", "active") else 2
            cells.append(f"{np.mean(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})")
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
