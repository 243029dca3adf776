"""Make the model of simulated people that comes with the package, from the training to its measured card.

python benchmarks/people_model.py --out FOLDER [--trained RUN] [--steps 23500] [--install]

Everything is written into FOLDER: `model`, the training (gone on with if it was stopped; with --trained that
of another folder, which is only read), and `people`, the run as it is shipped: weights of float16, latents
named and turned so that right means more of the name, detector, verification, card.json. Images of the
first 900,000 are trained on. Of the others each part serves one thing: 900,000 to 909,999 the names and the
factors' table, 920,000 to 921,999 the detector, 940,000 and on the figures, 950,000 and on the tests.
--install copies `people` into src/pellucid/pretrained, and writes docs/people-model.md with its figures.

On two cores the training takes an hour and a half, what follows some minutes.
"""

import argparse
import json
import platform
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jinja2 import Environment, StrictUndefined
from same_people import LIGHT, POSE, draw_pairs, first
from scipy.stats import binomtest

from pellucid.anomaly.storage import DETECTOR
from pellucid.cli.describing import describe
from pellucid.cli.detector import detector as fit_detector
from pellucid.cli.same import same as fit_same
from pellucid.comparison.compare import population_deviation
from pellucid.comparison.known import SAME, read_known
from pellucid.comparison.same import error_rates
from pellucid.data.people import IDENTITY, NUISANCE
from pellucid.data.store import open_dataset
from pellucid.doctor.machine import processor
from pellucid.latents.activity import encode_dataset, measure_activity
from pellucid.latents.names import (
    LATENTS,
    LatentTable,
    change_latents,
    mark,
    read_latents,
    readable,
    suggest,
    with_activity,
)
from pellucid.latents.orientation import backwards, turn_around
from pellucid.latents.tracking import Tracking, best_of_each, track
from pellucid.latents.traverse import traverse_latents, traverse_seeds
from pellucid.latents.typical import TYPICAL
from pellucid.model.directory import CONFIG, WEIGHTS, read_model, save_model
from pellucid.model.predictor import Model, load
from pellucid.model.sealed import read_sealed, write_file, write_sealed
from pellucid.report.figures import save_traversal
from pellucid.training.card import CARD, write_card
from pellucid.training.metrics_log import METRICS, read_metrics

ROOT = Path(__file__).parent.parent
SHIPPED = ROOT / "src" / "pellucid" / "pretrained" / "people"
FORMAT, VERSION = "pellucid-people-card", 1
OPTIONS = "people --limit 900000 --objective beta-tcvae --latents 32 --seed 0"
STEPS = 23_500
NAMING, DETECTING = (900_000, 10_000), (920_000, 2_000)
REMEMBERED = 24
CORRELATION, AUC = 0.7, 0.9  # from which on a factor counts as followed by one latent
PEOPLE, DRAWS = 200, 5
MOST_BYTES = 8_000_000
LOGGED = 10  # of the training log every tenth row is shipped


def trained(out: Path, steps: int) -> Path:
    """Train, or go on, or find that it has been done."""
    run = out / "model"
    if (run / CONFIG).exists() and read_sealed(run / CONFIG)["training"]["steps_taken"] == steps:
        return run
    command = [sys.executable, "-m", "pellucid", "train", *OPTIONS.split(), "--steps", str(steps)]
    command += ["--out", str(run), *(["--resume"] if (run / CONFIG).exists() else [])]
    subprocess.run(command, check=True)
    return run


def halved(run: Path, people: Path, steps: int) -> Path:
    """Store the model of a training as float16, without what only a training needs."""
    vae, config, _ = read_model(run)
    taken = config.training["steps_taken"]
    if taken != steps:
        raise SystemExit(f"{run}: expected a training of {steps:,} steps, got {taken:,}. Wait for its end.")
    told = {**config.training, "command": f"pellucid train {OPTIONS} --steps {steps} --out FOLDER/model"}
    shutil.rmtree(people, ignore_errors=True)
    people.mkdir(parents=True)
    config = replace(config, training=told)
    save_model(people, {name: weight.half() for name, weight in vae.state_dict().items()}, config)
    write_card(people, config)
    rows = (run / METRICS).read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [row for at, row in enumerate(rows) if "validation_kl" in row or at % LOGGED == 0]
    write_file(people / METRICS, "".join(kept).encode())
    return people


def named(people: Path) -> tuple[Tracking, ...]:
    """Name the latents, turn them the right way round, mark nuisances; gives what was measured."""
    start, count = NAMING
    dataset = open_dataset("people", skip=start, limit=count)
    rows, known = dataset.rows("all"), dataset.attributes
    assert known is not None
    model = load(people)
    codes = encode_dataset(model, dataset, rows)
    values = known.lookup(rows)

    def measured(means: np.ndarray) -> tuple[LatentTable, tuple[Tracking, ...]]:
        found = track(means, values, known.names, known.kinds)
        table = with_activity(
            read_latents(people, model.latents), measure_activity(replace(codes, mean=means))
        )
        return suggest(table, found), found

    turned = backwards(*measured(codes.mean))
    turn_around(model.vae, turned)
    weights = {name: weight.half() for name, weight in model.vae.state_dict().items()}
    save_model(people, weights, model.config)
    sign = np.ones(model.latents, np.float32)
    sign[turned] = -1
    table, found = measured(codes.mean * sign)
    assert not backwards(table, found)
    describe(load(people), dataset, rows, suggest=True)  # once more from the files that are shipped
    strongest = {one.latent: one for one in sorted(found, key=lambda one: one.strength)}

    def marked(table: LatentTable) -> LatentTable:
        for latent in table.active():
            factor = strongest[latent].attribute if latent in strongest else ""
            table = mark(table, latent, nuisance=factor not in IDENTITY)
        return table

    change_latents(people, model.latents, marked)
    return found


def factors_of(found: Sequence[Tracking], table: LatentTable) -> list[dict[str, Any]]:
    """For each factor the latent that follows it best, chosen on one half and measured on the other."""
    active = [one for one in found if table.records[one.latent].active]
    return [
        {
            "factor": one.attribute,
            "latent": one.latent,
            "named": table.records[one.latent].name == readable(one.attribute),
            "statistic": one.statistic,
            "value": one.value,
            "low": one.low,
            "high": one.high,
            "images": one.images,
            "above_chance": one.above_chance,
            "followed": one.value >= (AUC if one.statistic == "AUC" else CORRELATION),
        }
        for one in best_of_each(active)
    ]


def detection_of(people: Path) -> dict[str, Any]:
    """Average precision of telling people from scenes, and what needs no network."""
    study = read_sealed(people / DETECTOR)["about"]["study"]
    return {
        evaluation["name"]: {
            positive: {key: evaluation[positive][key] for key in ("average_precision", "low", "high")}
            for positive in ("normal", "anomalous")
        }
        for evaluation in study["evaluations"]
    }


def sunglasses_of(model: Model, table: LatentTable, latent: int) -> list[dict[str, Any]]:
    """How often the latent of sunglasses differs most between one person without and with them."""
    deviation, people, found = population_deviation(table), 2 * PEOPLE, []
    for changed, changing in (("nothing else", ()), ("pose and light", POSE + LIGHT)):
        generator = torch.Generator().manual_seed(1)
        pairs = draw_pairs(
            model, np.arange(people), changing, generator, others=True, sunglasses=(0.0, 1.0)
        ).codes
        difference = (pairs[1].mean.astype(np.float64) - pairs[0].mean) / deviation
        share = first(difference, table.active(), latent)
        low, high = binomtest(round(share * people), people).proportion_ci(method="wilson")
        found.append({"also_changed": changed, "share": share, "low": low, "high": high, "pairs": people})
    return found


def gallery_of(model: Model) -> dict[str, Any]:
    """One image of a person is wanted among one other image of each, all nuisances by chance."""
    known = read_known(model)
    assert known is not None
    scores = []
    for draw in range(DRAWS):
        generator = torch.Generator().manual_seed(500 + draw)
        a, b = draw_pairs(model, np.arange(PEOPLE), NUISANCE, generator, others=False, sunglasses=None).codes
        scores.append(np.stack([known.identity.log_odds(one[None], b.mean) for one in a.mean]))
    ranks = np.stack([(one > np.diag(one)[:, None]).sum(axis=1) for one in scores])  # [draw person]
    same = np.tile(np.eye(PEOPLE, dtype=bool).ravel(), DRAWS)
    who = np.tile(np.stack(np.indices((PEOPLE, PEOPLE)), axis=-1).reshape(-1, 2), (DRAWS, 1))
    rates = error_rates(np.concatenate([one.ravel() for one in scores]), same, who)
    return {
        "people": PEOPLE,
        "draws": DRAWS,
        "rank_1": float((ranks < 1).mean()),
        "rank_10": float((ranks < 10).mean()),
        "auc": rates.auc,
        "auc_low": rates.auc_low,
        "auc_high": rates.auc_high,
    }


def measured(people: Path, found: Sequence[Tracking]) -> dict[str, Any]:
    """The card: all that is claimed of the model, measured on what is shipped."""
    model = load(people)
    table = read_latents(people, model.latents)
    factors = factors_of(found, table)
    glasses = next(one["latent"] for one in factors if one["factor"] == "sunglasses")
    return {
        "format": FORMAT,
        "version": VERSION,
        "model": model.fingerprint,
        "training": {
            key: model.config.training[key]
            for key in ("command", "seed", "steps_taken", "images_seen", "minutes_taken", "precision")
        },
        "made_with": {
            "pellucid": model.config.training["pellucid"],
            "commit": commit(),
            "torch": torch.__version__,
            "python": platform.python_version(),
            "processor": processor().value,
        },
        "latents": {"active": len(table.active()), "named": sum(r.name is not None for r in table.records)},
        "factors": factors,
        "detection": detection_of(people),
        "sunglasses": sunglasses_of(model, table, glasses),
        "gallery": gallery_of(model),
        "bytes": sizes(people),
    }


def commit() -> str:
    """The version of the code that measured."""
    asked = ["git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


def shipped_files(people: Path) -> list[Path]:
    """What is shipped: no report and no figures."""
    whole = (CONFIG, WEIGHTS, LATENTS, TYPICAL, DETECTOR, SAME, METRICS, CARD)
    return sorted(
        [
            *(people / name for name in whole),
            *people.glob("typical-*"),
            *people.glob("detector-*.safetensors"),
        ]
    )


def sizes(people: Path) -> dict[str, int]:
    """Bytes of all that is shipped but the card itself, as files and as a wheel holds them."""
    buffer, files = BytesIO(), shipped_files(people)
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, file.name)
    return {"files": sum(file.stat().st_size for file in files), "wheel": len(buffer.getvalue())}


def page(card: Mapping[str, Any], log: Sequence[Mapping[str, float]]) -> str:
    """docs/people-model.md."""
    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters |= {
        "readable": readable,
        "below_one": below_one,
        "comma": lambda number: f"{number:,}",
    }
    template = environment.from_string(Path(__file__).with_suffix(".md.jinja").read_text(encoding="utf-8"))
    rows = [row for row in log if "validation_kl" in row]
    return template.render(
        card=card,
        log=[rows[at] for at in sorted({*range(0, len(rows), max(1, len(rows) // 6)), len(rows) - 1})],
        followed=sum(one["followed"] for one in card["factors"]),
        naming=NAMING,
        detecting=DETECTING,
        least={"correlation": CORRELATION, "AUC": AUC},
    )


def below_one(value: float, digits: int) -> str:
    """So many digits, never rounded up to 1."""
    most = 1 - 10**-digits
    return f"{min(value, most) if value < 1 else 1:.{digits}f}"


def draw(people: Path, card: Mapping[str, Any], images: Path) -> None:
    """The figures of the page."""
    model = load(people)
    table = read_latents(people, model.latents)
    shown = open_dataset("people", skip=940_000, limit=24)
    photos = shown.batch(np.array([8, 1, 3, 6, 9, 11]))  # without hat and sunglasses, as the demo has them
    latents = [latent for latent in table.active() if table.records[latent].name]
    save_traversal(
        traverse_latents(model, table, photo=photos[:1], latents=latents), images / "people-model-latents.png"
    )
    glasses = next(one["latent"] for one in card["factors"] if one["factor"] == "sunglasses")
    save_traversal(
        traverse_seeds(model, table, photos=photos, latent=glasses),
        images / "people-model-sunglasses.png",
    )


def install(people: Path, card: Mapping[str, Any]) -> None:
    """Copy the run into the package, and write its page."""
    shutil.rmtree(SHIPPED, ignore_errors=True)
    SHIPPED.mkdir(parents=True)
    for file in [*shipped_files(people), people / "card.json"]:
        shutil.copyfile(file, SHIPPED / file.name)
    draw(people, card, ROOT / "docs" / "images")
    text = page(card, read_metrics(people))
    write_file(ROOT / "docs" / "people-model.md", text.encode())


def main() -> None:
    """Make it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--trained", type=Path)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--install", action="store_true")
    chosen = parser.parse_args()
    run = chosen.trained or trained(chosen.out, chosen.steps)
    people = halved(run, chosen.out / "people", chosen.steps)
    found = named(people)
    start, count = DETECTING
    fit_detector(
        people,
        normal="people",
        skip=start,
        limit=count,
        anomalous="scenes",
        anomalous_limit=count,
        remember=REMEMBERED,
        out=chosen.out / "detector",
    )
    fit_same(people)
    card = measured(people, found)
    write_sealed(people / "card.json", card)
    print(json.dumps(card, indent=2))
    if card["bytes"]["wheel"] > MOST_BYTES:
        raise SystemExit(
            f"expected at most {MOST_BYTES:,} bytes in the wheel, got {card['bytes']['wheel']:,}."
        )
    if chosen.install:
        install(people, card)


if __name__ == "__main__":
    main()
