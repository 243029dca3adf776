"""A really trained model of simulated people, with all that a run can have beside its weights."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from pellucid.anomaly.detector import Detector
from pellucid.anomaly.storage import save_detector
from pellucid.data.images import to_float, to_pixels
from pellucid.data.people import NAMES, neutral, render, sample
from pellucid.data.store import open_dataset
from pellucid.latents.activity import encode_dataset, measure_activity
from pellucid.latents.names import mark, read_latents, rename, with_activity, write_latents
from pellucid.latents.typical import measure_typical, write_typical
from pellucid.model.predictor import load
from pellucid.training.defaults import settings_for
from pellucid.training.loop import train

WORN = ("sunglasses", "hat")


def people(count: int, varied: Sequence[str], seed: int = 0) -> torch.Tensor:
    """Factors of people who differ in these things only; what can be worn half of them wear."""
    generator = torch.Generator().manual_seed(seed)
    drawn, factors = sample(count, generator), neutral().repeat(count, 1)
    for name in varied:
        chance = (torch.rand(count, generator=generator) < 0.5).float()
        factors[:, NAMES.index(name)] = chance if name in WORN else drawn[:, NAMES.index(name)]
    return factors


def make_people_run(
    folder: Path,
    varied: Sequence[str],
    *,
    images: int,
    size: int,
    latents: int,
    preset: str,
    beta: float,
    steps: int,
) -> Path:
    """Train a beta-TCVAE, name its latents, mark all but sunglasses as nuisance, fit a detector."""
    factors, run = people(images, varied), folder / "people"
    pixels = np.concatenate([to_pixels(render(part, size)) for part in torch.split(factors, 250)])
    np.save(folder / "people.npy", pixels)
    dataset = open_dataset(folder / "people.npy", size=size)
    config, architecture = settings_for(
        dataset, objective="beta-tcvae", latents=latents, preset=preset, beta=beta, steps=steps, seed=0
    )
    model = train(dataset, architecture, config, run, device="cpu").model
    rows = dataset.rows("held-out")
    codes = encode_dataset(model, dataset, rows)
    table = with_activity(read_latents(run, latents), measure_activity(codes))
    known = factors[torch.from_numpy(rows)].numpy()
    for name in varied:
        column = known[:, NAMES.index(name)]
        tells = [abs(np.corrcoef(codes.mean[:, j], column)[0, 1]) for j in range(latents)]
        assert max(tells) > 0.8, f"{name} has no latent of its own: {np.round(tells, 2)}"
        latent = int(np.argmax(tells))
        spread = float(codes.mean[:, latent].std())
        assert spread > 0.4, f"{name} has only begun to have a latent of its own: {spread:.2f}"
        table = rename(table, latent, name.replace("_", " "))
        table = mark(table, latent, nuisance=name != "sunglasses")
    write_latents(run, table)
    write_typical(run, measure_typical(model, dataset, rows), model)
    model = load(run, device="cpu")
    scenes = open_dataset("scenes", size=size, limit=400)
    strange = to_float(scenes.fetch(scenes.rows("all")))
    save_detector(Detector(model).fit(dataset.batch(rows), strange), run)
    return run
