"""What the report says in words: the training in plain language, and what a name does not prove."""

import platform
import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import matplotlib
import numpy
import torch

import pellucid
from pellucid.data.dataset import Dataset
from pellucid.model.directory import ModelConfig
from pellucid.model.predictor import Model
from pellucid.objective.reconstruction import LOSSES
from pellucid.runtime.fingerprint import run_fingerprint

_CROPS = {
    "whole": "the whole picture, squeezed to a square",
    "center": "the largest square in the middle",
    "celeba": "the face, cut from the aligned photograph",
}


@dataclass(frozen=True)
class Fact:
    """A row of a table: what it is, its value, and what that means to somebody new to it."""

    what: str
    value: str
    meaning: str = ""


def training_facts(model: Model, dataset: Dataset) -> list[Fact]:
    """What was trained on what, as a table."""
    config, data, training = model.config, model.config.data, model.config.training
    built, crop = config.architecture, config.preprocessing.crop
    weights = sum(parameter.numel() for parameter in model.vae.parameters())
    facts = [
        Fact("Images", str(data.get("description", dataset.description))),
        Fact(
            "Split",
            " / ".join(_count(data.get(part)) for part in ("train", "validation", "test")),
            "trained on / checked during training / never used in training",
        ),
        Fact(
            "Size",
            f"{built.size} × {built.size} pixels, {'grey' if built.channels == 1 else 'colour'}",
            _CROPS.get(crop, crop),
        ),
        Fact("Network", built.preset, f"{weights:,} weights, {built.latents} latents"),
        *_objective_facts(training.get("objective")),
        Fact("Training", _amount(training), _pace(training)),
    ]
    if _count(data.get("skipped")) not in ("0", "?"):
        facts.insert(1, Fact("Left out", _count(data.get("skipped")), "files that could not be read"))
    return facts


def _objective_facts(objective: Any) -> list[Fact]:
    if not isinstance(objective, Mapping):
        return []
    beta, capacity = (_short(objective.get(key)) for key in ("beta", "capacity"))
    words = {
        "vae": "redraw well, and say no more about an image than is worth it",
        "beta-vae": f"each nat that the latents say costs {beta} times the ordinary price",
        "annealed-beta-vae": f"the latents may say more as training goes on, {capacity} nats in the end",
        "beta-tcvae": f"latents that repeat one another pay {beta} times the ordinary price, "
        "so that each comes to say something of its own",
        "factor-vae": "a second network tells how far the latents repeat one another, which costs "
        f"{_short(objective.get('tc_weight'))} times the ordinary price on top",
        "dip-vae-i": "latents whose means move together pay for it",
        "dip-vae-ii": "latents that vary together pay for it",
    }
    name = str(objective.get("name", "?"))
    return [Fact("Objective", name, words.get(name, "")), *_loss_facts(objective.get("losses"))]


def _loss_facts(losses: Any) -> list[Fact]:
    pairs = (
        losses.items() if isinstance(losses, Mapping) else losses if isinstance(losses, list | tuple) else ()
    )
    found = [(str(pair[0]), pair[1]) for pair in pairs if isinstance(pair, list | tuple) and len(pair) == 2]
    value = ", ".join(name if weight == 1 else f"{_short(weight)} × {name}" for name, weight in found)
    meaning = " ".join(LOSSES[name].description for name, _ in found if name in LOSSES)
    return [Fact("Measure of likeness", value, meaning)] if found else []


def _amount(training: Mapping[str, Any]) -> str:
    steps = training.get("steps_taken", training.get("steps"))
    minutes = training.get("minutes_taken", training.get("minutes"))
    parts = [f"{_count(steps)} steps of {_count(training.get('batch_size'))} images"]
    return ", ".join(parts + ([f"{minutes:.3g} minutes"] if _is_number(minutes) else []))


def _pace(training: Mapping[str, Any]) -> str:
    rate, seed = training.get("learning_rate"), training.get("seed")
    flip = ", images mirrored at random" if training.get("flip") else ""
    return f"learning rate {rate}, seed {seed}, {training.get('precision')}{flip}"


def story(model: Model, dataset: Dataset, active: int) -> str:
    """What happened, in a paragraph for anybody."""
    data, size = model.config.data, model.config.architecture.size
    kept = sum(n for n in (data.get("validation"), data.get("test")) if isinstance(n, int))
    carried = f"{active} of the {model.latents} numbers" if active else "None of the numbers"
    return (
        f"The model was shown {_shown(model.config)}, and had to learn to describe each by only "
        f"{model.latents} numbers, well enough to redraw all {size} × {size} pixels from them. "
        f"Nobody told it what is in the images. {carried} turned out to carry something. "
        f"{_count(kept)} more images were kept back: what is called “held-out” below was never trained on."
    )


def _shown(config: ModelConfig) -> str:
    seen, train = config.training.get("images_seen"), config.data.get("train")
    if not (isinstance(seen, int) and isinstance(train, int) and _is_number(seen) and 0 < train < 1 << 53):
        return f"{_count(train)} images"
    if seen < train:
        return f"{seen:,} of {train:,} images"
    times = round(seen / train)
    return f"{train:,} images, each about {'once' if times < 2 else f'{times:,} times'}"


def provenance(model: Model, dataset: Dataset) -> list[Fact]:
    """What is needed to say exactly which model and data this is."""
    data, training = model.config.data, model.config.training
    same = dataset.fingerprint == data.get("fingerprint")
    trained_with = [f"{name} {training[name]}" for name in ("pellucid", "torch") if name in training]
    return [
        Fact("Run", run_fingerprint(model), "sha256 of model, latents, detector and all else that decides"),
        Fact("Model", model.fingerprint, "sha256 of weights, architecture and preprocessing"),
        Fact(
            "Data of this report",
            dataset.fingerprint,
            "sha256 of pixels and names; "
            + ("the data it was trained on" if same else "not the data it was trained on"),
        ),
        *([] if same else [Fact("Data of the training", str(data.get("fingerprint", "?")))]),
        *([Fact("Trained with", ", ".join(trained_with))] if trained_with else []),
        Fact(
            "Report made with",
            f"pellucid {pellucid.__version__}, torch {torch.__version__}, numpy {numpy.__version__}, "
            f"matplotlib {matplotlib.__version__}, Python {platform.python_version()}",
        ),
    ]


def command(config: ModelConfig, out: str) -> str:
    """The command that trains this model: the recorded one, else one with the same settings."""
    recorded = config.training.get("command")
    with suppress(ValueError):  # quotes without an end
        words = shlex.split(recorded) if isinstance(recorded, str) else []
        if words[:1] == ["pellucid"]:
            return shlex.join(words)  # quoted anew: people copy it into a shell
    settings = {
        **{key: getattr(config.preprocessing, key) for key in ("size", "channels", "crop")},
        **{key: config.data.get(key) for key in ("skip", "limit")},
        **{key: getattr(config.architecture, key) for key in ("preset", "latents")},
        **_objective_options(config.training.get("objective")),
        **{key: config.training.get(key) for key in _TRAINING_OPTIONS},
        "out": out,
    }
    source = str(without_folders(config.data.get("source")) or "DATA")
    options = [part for key, value in settings.items() for part in _option(key, value)]
    return shlex.join(["pellucid", "train", source, *options])


_TRAINING_OPTIONS = (
    "steps",
    "epochs",
    "minutes",
    "most_epochs",
    "batch_size",
    "learning_rate",
    "flip",
    "precision",
    "seed",
)
_WEIGHTS = {
    "beta-vae": ("beta",),
    "annealed-beta-vae": ("capacity",),
    "beta-tcvae": ("alpha", "beta", "gamma", "estimator"),
    "factor-vae": ("tc_weight",),
    "dip-vae-i": ("off_diagonal", "diagonal"),
    "dip-vae-ii": ("off_diagonal", "diagonal"),
}


def _objective_options(objective: Any) -> dict[str, Any]:
    if not isinstance(objective, Mapping):
        return {}
    name, losses = objective.get("name"), objective.get("losses")
    weights = {key: objective.get(key) for key in _WEIGHTS.get(str(name), ())}
    loss = (
        ",".join(f"{key}={_short(weight)}" for key, weight in losses.items())
        if isinstance(losses, Mapping)
        else None
    )
    return {"objective": name, **weights, "loss": loss}


def _option(key: str, value: Any) -> list[str]:
    name = key.replace("_", "-")
    if value is None or (key == "skip" and not value):
        return []
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    return [f"--{name}", f"{value:g}" if isinstance(value, float) else str(value)]


def without_folders(source: Any) -> Any:
    """A path's last part: where the data lie on somebody's disk is nobody else's business."""
    return PurePath(source).name or source if isinstance(source, str) else source


def _short(value: Any) -> str:
    return f"{value:g}" if _is_number(value) else "?"


def _is_number(value: Any) -> bool:
    """Whether it can be written as one: config.json may say anything, and 10**400 is no float."""
    return isinstance(value, float) or (isinstance(value, int) and abs(value) < 1 << 53)


def _count(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else "?"


LIMITS = (
    "A name is a label for what changes together in these images. It is not a cause, and the model does "
    "not know the word: it was never told any attribute.",
    "The evidence for a name is a correlation, measured on the number of images (n) that stands beside "
    "it. Attributes that go together in the data, such as a beard and a short haircut, cannot be told "
    "apart by it.",
    "An AUC of 0.80 still puts one pair in five in the wrong order. A single latent is no detector of its "
    "attribute.",
    "Of many attributes, the card shows those that fit best. One half of the images chose them, after "
    "counting every test. Values, intervals and n are of the other half, so that the choice does not "
    "flatter them.",
    "A suggested name was proposed by a program from that evidence, and nobody has confirmed it.",
    "What is missing in the reconstructions (fine detail, rare objects, most of a background) is in no "
    "latent, and no latent can say anything about it.",
    "Strips show values up to their ends even where few images lie: beyond the range given on a card, a "
    "picture is the model’s guess.",
    "Another training, with another seed or other images, gives other latents in another order. Nothing "
    "here holds for images of another kind than those of the data.",
)
