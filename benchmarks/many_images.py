"""Score many small JPEGs: speed beside decoding alone, memory, and the tables of Ray and of a killed worker.

python benchmarks/many_images.py RUN --images 100000 --folder FOLDER
Draws simulated people into the folder (once), then scores them by `pellucid features`: with one process a
processor, with one of them killed midway, and with Ray. Decoding alone and scoring take turns on some of the
images, so that what else runs on the machine hits both alike.
"""

import argparse
import hashlib
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from pellucid.anomaly.texture import TEXTURE
from pellucid.data.store import open_dataset
from pellucid.model.predictor import load
from pellucid.scoring.inputs import find_inputs
from pellucid.scoring.part import Part, prepared
from pellucid.scoring.scorer import Recipe, Scorer, recipe_of, scorer_of

ROUNDS = 5
TURN = 4_096  # images of each turn


def draw(folder: Path, count: int) -> None:
    people = open_dataset("people", size=64, limit=count)
    for start in range(0, count, 500):
        below = folder / f"{start // 10_000:03d}"
        below.mkdir(parents=True, exist_ok=True)
        last = min(start + 500, count)
        if (below / f"{last - 1:06d}.jpg").exists():
            continue
        for row, pixels in enumerate(people.fetch(np.arange(start, last)), start):
            Image.fromarray(pixels).save(below / f"{row:06d}.jpg", quality=90)


def decode(recipe: Recipe, parts: list[Part]) -> int:
    preprocessing = scorer_of(recipe).model.config.preprocessing
    return sum(not isinstance(pixels, str) for part in parts for _, pixels in prepared(part, preprocessing))


def score(recipe: Recipe, parts: list[Part]) -> int:
    return sum(len(scorer_of(recipe).score(part)) for part in parts)


def rates(recipe: Recipe, parts: list[Part], processes: int) -> None:
    with ProcessPoolExecutor(processes) as pool:
        shares = [parts[at::processes] for at in range(processes)]
        found: dict[str, list[float]] = {"decoding alone": [], "scoring": []}
        for turn in range(ROUNDS + 1):  # the first one loads the model and the files
            for name, function in (("decoding alone", decode), ("scoring", score)):
                began = time.perf_counter()
                images = sum(pool.map(function, [recipe] * processes, shares))
                if turn:
                    found[name].append(images / (time.perf_counter() - began))
    for name, values in found.items():
        print(f"{name}: median {median(values):,.0f} images/s ({min(values):,.0f} to {max(values):,.0f})")
    ratios = [s / d for s, d in zip(found["scoring"], found["decoding alone"], strict=True)]
    print(f"scoring at {median(ratios):.0%} of the decoding rate ({min(ratios):.0%} to {max(ratios):.0%})")


def steps(run: str, parts: list[Part]) -> None:
    """Print how much processor time an image takes, by what is measured of it; in turn, one process."""
    every = recipe_of(run, "cpu")
    latents = tuple(column for column in every.columns if column.startswith("z"))
    columns = {
        "texture": TEXTURE,
        "latents": latents,
        "latents and texture": (*TEXTURE, *latents),
        "latents and mse": ("mse", *latents),
        "all": every.columns,
    }
    scorers = {name: Scorer(replace(every, columns=chosen)) for name, chosen in columns.items()}
    spent: dict[str, list[float]] = {}
    for turn in range(ROUNDS + 1):  # the first one loads the model and the files
        for name in ("decoding alone", *scorers):
            began = time.process_time()
            if name in scorers:
                images = sum(len(scorers[name].score(part)) for part in parts)
            else:
                images = decode(every, parts)
            if turn:
                spent.setdefault(name, []).append(1000 * (time.process_time() - began) / images)
    for name, values in spent.items():
        print(f"{name}: {median(values):.2f} ms of a core an image ({min(values):.2f} to {max(values):.2f})")


def command(run: str, folder: Path, out: Path, *options: str) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-m", "pellucid", "features", run, str(folder), "--out", str(out), *options]
    return subprocess.Popen([*arguments, "--device", "cpu"], stdout=subprocess.PIPE, text=True)


def children(pid: int) -> list[int]:
    listed = subprocess.run(
        ["ps", "-ww", "--ppid", str(pid), "-o", "pid=,args="], capture_output=True, text=True
    )
    return [int(line.split()[0]) for line in listed.stdout.splitlines() if "spawn_main" in line]


def resident(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    used = text.partition("VmRSS:")[2].split()  # nothing, where it has ended and nobody has asked how
    return int(used[0]) / 1000 if used else 0.0


def whole(run: str, folder: Path, out: Path, *options: str, kill: bool = False) -> str:
    """Score everything, watch the memory, kill a worker at a third if wanted, and give the table's sha256."""
    began = time.monotonic()
    process = command(run, folder, out, *options)
    parts = out.with_name(f"{out.name}.parts")
    peaks: dict[int, float] = {}
    at_parts: dict[int, float] = {}
    while process.poll() is None:
        time.sleep(0.5)
        ids = [process.pid, *children(process.pid)]
        for pid in ids:
            peaks[pid] = max(peaks.get(pid, 0.0), resident(pid))
        done = len(list(parts.glob("*.safetensors"))) if parts.exists() else 0
        at_parts[done] = sum(resident(pid) for pid in ids)
        if kill and done > 40 and len(ids) > 1:
            os.kill(ids[1], signal.SIGKILL)
            print(f"killed a worker after {done} parts")
            kill = False
    seconds = time.monotonic() - began
    assert process.stdout is not None
    print(process.stdout.read().strip())
    early, late = (
        at_parts[min(at_parts, key=lambda done: abs(done - wanted))] for wanted in (20, max(at_parts) - 20)
    )
    print(
        f"  {seconds:,.0f} s; memory of all processes: peak {sum(sorted(peaks.values())[-3:]):,.0f} MB, "
        f"after 20 parts {early:,.0f}, 20 before the end {late:,.0f}"
    )
    return hashlib.sha256(out.read_bytes()).hexdigest()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("run")
    options.add_argument("--images", type=int, default=100_000)
    options.add_argument("--folder", type=Path, required=True)
    options.add_argument("--only", choices=["draw", "steps", "rates", "whole"])
    chosen = options.parse_args()
    pictures = chosen.folder / "pictures"
    draw(pictures, chosen.images)
    if chosen.only == "draw":
        return
    preprocessing = load(chosen.run, device="cpu").config.preprocessing
    parts = list(find_inputs([str(pictures)], preprocessing, limit=TURN).parts)
    processes = os.cpu_count() or 1
    if chosen.only == "steps":
        steps(chosen.run, parts[:1])
        return
    if chosen.only != "whole":
        rates(recipe_of(chosen.run, "cpu"), parts, processes)
    if chosen.only == "rates":
        return
    found = {
        "plain": whole(chosen.run, pictures, chosen.folder / "plain.csv"),
        "a worker killed": whole(chosen.run, pictures, chosen.folder / "killed.csv", kill=True),
        "Ray, two workers": whole(
            chosen.run, pictures, chosen.folder / "ray.csv", "--engine", "ray", "--workers", "2"
        ),
    }
    for name, digest in found.items():
        print(f"{name}: {digest[:16]} {'identical' if digest == found['plain'] else 'DIFFERENT'}")


if __name__ == "__main__":
    main()
