"""The page on file formats names every key and every tensor that a run really has."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pages import ROOT
from safetensors import safe_open

from pellucid.anomaly.gaussian import GaussianDetector
from pellucid.comparison.known import learn, write_known
from pellucid.data.store import open_dataset
from pellucid.latents.names import LatentRecord, LatentTable
from pellucid.latents.typical import measure_typical, write_typical
from pellucid.model.predictor import load

PAGE = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
NAMED = set(re.findall(r"\w+", " ".join(re.findall("`[^`\n]+`", PAGE))))
LISTED_ELSEWHERE = {"mse", "ssim"}  # keys of `objective.losses` are names of losses


def keys(content: Any) -> Iterator[str]:
    """All keys of nested objects but those of `about`, which are kept as they are."""
    if isinstance(content, dict):
        for key, value in content.items():
            yield key
            if key != "about":
                yield from keys(value)
    if isinstance(content, list):
        for value in content:
            yield from keys(value)


def test_every_key_of_a_run_is_named(home: Path) -> None:
    run = home / "demo" / "people"
    model = load(run, device="cpu")
    chance = np.random.default_rng(0)
    table = LatentTable(
        tuple(
            LatentRecord(j, kl=1.0, variance=1.0, active=j < 2, low=0.0, high=1.0, nuisance=j == 1)
            for j in range(model.latents)
        )
    )
    identity = np.repeat(np.arange(60), 2)
    codes = chance.normal(size=(60, model.latents))[identity] + 0.1 * chance.normal(size=(120, model.latents))
    write_known(model, learn(codes, identity, table, "random numbers"))
    held_out = open_dataset(home / "people.npy")
    write_typical(run, measure_typical(model, held_out, held_out.rows("held-out")), model)
    for name in ("config", "latents", "detector", "typical", "same"):
        content = json.loads((run / f"{name}.json").read_text(encoding="utf-8"))
        assert set(keys(content)) - NAMED - LISTED_ELSEWHERE == set(), name
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert {key for row in rows for key in row} - NAMED == set()
    gaussian = GaussianDetector(threshold="false-alarm=0.1").fit(chance.normal(size=(40, 3)))
    assert set(keys(gaussian.to_record())) - NAMED == set()


def test_the_tensors_of_a_run_are_named(home: Path) -> None:
    run = home / "demo" / "people"
    (beside,) = run.glob("detector-*.safetensors")
    with safe_open(beside, "np") as file:
        shapes = {name: list(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        dtypes = {name: file.get_slice(name).get_dtype() for name in shapes}
    assert dtypes == {"values": "F64", "pixels": "U8"}
    assert shapes["values"][1] == 10 + 32
    with safe_open(run / "model.safetensors", "np") as file:
        found = {name: list(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    (row,) = re.findall(r"^\| `burgess` \|(.*)\|(.*)\|$", PAGE, re.MULTILINE)
    for network, cell in zip(("encoder", "decoder"), row, strict=True):
        documented = {}
        for part in cell.split(";"):
            numbers, shape = re.fullmatch(r" ?([\d, ]+) `\[(.*)\]` ?", part).groups()  # type: ignore[union-attr]
            filled = shape.replace("2·latents", "64").replace("latents", "32").replace("channels", "3")
            documented |= {int(n): [int(side) for side in filled.split()] for n in numbers.split(",")}
        weights = {k: v for k, v in found.items() if k.startswith(network) and k.endswith(".weight")}
        assert weights == {f"{network}.{n}.weight": shape for n, shape in documented.items()}
    with safe_open(run / "training" / "checkpoint.safetensors", "np") as file:
        names = set(file.keys())
        assert set(file.metadata()) == {"position", "sha256"}
    assert names == {f"vae.{part}.{name}" for part in ("weights", "exp_avg", "exp_avg_sq") for name in found}
