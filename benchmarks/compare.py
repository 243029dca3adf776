"""Train the same faces in several ways and compare: python benchmarks/compare.py losses|presets DATA

`losses`: is beta = 4 the same trade-off for all six? The same steps, the number of active latents beside.
`presets`: which network is better for photographs in the same time? The same minutes.
`axes`: what does turning the latents onto independent axes do? The same steps.
Each variant trains on one thread, two at a time. Measured on faces that no variant has seen.
"""

import argparse
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch

import pellucid
from pellucid import Architecture, Objective, TrainingConfig
from pellucid.latents.activity import encode_dataset, measure_activity
from pellucid.latents.tracking import best_of_each, track
from pellucid.objective.reconstruction import LOSSES, reconstruction_losses

BOTH = (("mse", 1.0), ("ssim", 1.0))
VARIANTS = {
    "losses": {name: ("photo", 4.0, ((name, 1.0),), 0) for name in LOSSES},
    "presets": {name: (name, 5.0, BOTH, 0) for name in ("burgess", "photo")},
    "axes": {"as trained": ("photo", 5.0, BOTH, 0), "turned": ("photo", 5.0, BOTH, 9)},
}


def measured(name: str, what: str, data: str, steps: int | None, minutes: float | None) -> str:
    """Train one variant on the first 7,000 images; a table row of what it does on the others."""
    torch.set_num_threads(1)
    preset, beta, losses, alignments = VARIANTS[what][name]
    dataset = pellucid.open_dataset(data, limit=7000)
    config = TrainingConfig(
        Objective(beta=beta, losses=losses), steps=steps, minutes=minutes, flip=True, alignments=alignments
    )
    with tempfile.TemporaryDirectory() as folder:
        trained = pellucid.train(dataset, Architecture(preset, 64, 3, 32), config, Path(folder) / "run")
    unseen = pellucid.open_dataset(data, skip=7000)
    rows = unseen.rows("all")
    codes = encode_dataset(trained.model, unseen, rows)
    activity = measure_activity(codes)
    images = unseen.batch(rows)
    scores = {
        k: v.mean().item()
        for k, v in reconstruction_losses(images, trained.model.reconstruct(images)).items()
    }
    known = unseen.attributes
    assert known is not None
    found = track(codes.mean, known.lookup(rows), known.names, known.kinds)
    tracked = [tracking for tracking in best_of_each(found) if tracking.value >= 0.75]
    return (
        f"| {name} | {trained.steps * config.batch_size:,} | {int(activity.active.sum())} "
        f"| {activity.kl.sum():.1f} | {scores['mse'] * 3 * 64**2:.1f} | {1 - scores['ssim']:.3f} "
        f"| {len(tracked)} |"
    )


def main() -> None:
    """Train every variant, print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=sorted(VARIANTS))
    parser.add_argument("data")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--minutes", type=float)
    arguments = parser.parse_args()
    pellucid.open_dataset(arguments.data, limit=7000), pellucid.open_dataset(arguments.data, skip=7000)
    print(
        "| | images seen | active | KL | SSE | SSIM | attributes at AUC >= .75 |\n"
        "|---|---|---|---|---|---|---|"
    )
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        jobs = [
            pool.submit(measured, name, arguments.what, arguments.data, arguments.steps, arguments.minutes)
            for name in VARIANTS[arguments.what]
        ]
        for job in jobs:
            print(job.result(), flush=True)


if __name__ == "__main__":
    main()
