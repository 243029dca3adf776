"""What the parts of a reproduction share: trained models, the images that judge them, features."""

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from pellucid.anomaly.evaluation import subsample
from pellucid.anomaly.features import Features, measure_images
from pellucid.data.dataset import Dataset
from pellucid.data.grouping import group_labels
from pellucid.errors import ConfigError
from pellucid.latents.activity import encode_dataset, measure_activity
from pellucid.latents.names import (
    LATENTS,
    LatentTable,
    change_latents,
    read_latents,
    suggest,
    with_activity,
)
from pellucid.latents.tracking import track
from pellucid.latents.typical import measure_typical, write_typical
from pellucid.model.inside import inside
from pellucid.model.predictor import Model, load
from pellucid.model.pretrained import copy_pretrained
from pellucid.reproduction.material import Judged, judged_images, training_images
from pellucid.reproduction.plan import Recipe, Subject, minutes_of, recipes, subject_of
from pellucid.reproduction.settings import Settings
from pellucid.reproduction.watching import SILENT, Watch
from pellucid.training.checkpoint import CHECKPOINT
from pellucid.training.config import TrainingConfig
from pellucid.training.defaults import settings_for
from pellucid.training.loop import train

RUNS = "runs"


class Context:
    """Trains models when a part asks for them, one after the other, and keeps what several parts need.

    Attributes:
        out: The report's folder.
        settings: What it was told.
        watch: Told of progress.
        device: Where models compute.
    """

    def __init__(self, out: Path, settings: Settings, *, watch: Watch = SILENT, device: str = "auto") -> None:
        self.out = out
        self.settings = settings
        self.watch = watch
        self.device = device
        self._models: dict[str, tuple[Model, LatentTable]] = {}
        self._features: dict[str, Features] = {}
        self._training: dict[str, Dataset] = {}

    @property
    def subject(self) -> Subject:
        """What the normal images show; also the name of the model of them."""
        return subject_of(self.settings)

    @cached_property
    def recipes(self) -> tuple[Recipe, ...]:
        """All models of this reproduction."""
        return recipes(self.subject)

    def run(self, name: str) -> Path:
        """The folder of a model."""
        return inside(self.out, Path(RUNS) / name)

    def recipe(self, name: str) -> Recipe:
        """What a model is told."""
        return next(recipe for recipe in self.recipes if recipe.name == name)

    def model(self, name: str) -> tuple[Model, LatentTable]:
        """A model with its latents measured; trained first if it is not yet, or to its end if it was stopped.

        That of simulated people is a copy of the one that comes with Pellucid.

        Raises:
            KeyboardInterrupt: If the training is stopped; it is saved and goes on the next time.
            TrainingError: If it diverges.
        """
        if name not in self._models:
            recipe = self.recipe(name)
            if recipe.pretrained:
                copy_pretrained(name, self.run(name))
            elif not (self.run(name) / LATENTS).is_file():  # written last
                self._train(recipe)
            model = load(self.run(name), device=self.device)
            self._models[name] = (model, read_latents(self.run(name), model.latents))
        return self._models[name]

    def _train(self, recipe: Recipe) -> None:
        trained = [each for each in self.recipes if not each.pretrained]
        run, number = self.run(recipe.name), trained.index(recipe) + 1
        images = self.training(recipe.data)
        budget, said = self._budget(recipe)
        config, architecture = settings_for(
            images, **recipe.choices, seed=self.settings.seed, **budget, align=_aligned(recipe)
        )
        config = unhurried(config)
        self.watch.say(f"Model {number} of {len(trained)}: {recipe.name} ({recipe.about}), {said}")
        with self.watch.training() as progress:
            done = train(
                images,
                architecture,
                config,
                run,
                resume=(run / CHECKPOINT).is_file(),
                device=self.device,
                on_progress=progress,
            )
        if not done.finished:
            raise KeyboardInterrupt
        self._measure(load(run, device=self.device), images)

    def _budget(self, recipe: Recipe) -> tuple[dict[str, Any], str]:
        if self.settings.steps is not None:
            return {"steps": self.settings.steps, "validations": 0}, f"{self.settings.steps:,} steps"
        assert self.settings.minutes is not None
        minutes = minutes_of(recipe, self.recipes, self.settings.minutes)
        return {"minutes": minutes}, f"{minutes:.3g} minutes"

    def _measure(self, model: Model, images: Dataset) -> None:
        """Measure what each latent does on images that were not learned, name it, and store that."""
        assert model.directory is not None
        rows = images.rows("held-out", at_most=self.settings.measured)
        rows = rows if len(rows) else images.rows("all", at_most=self.settings.measured)
        with self.watch.counting("measuring latents") as advance:
            codes = encode_dataset(model, images, rows, progress=advance)
        activity, known = measure_activity(codes), images.attributes
        copies = group_labels(images, rows, None)
        tracked = (
            ()
            if known is None
            else track(codes.mean, known.lookup(rows), known.names, known.kinds, groups=copies)
        )

        def measured(table: LatentTable) -> LatentTable:
            return suggest(with_activity(table, activity), tracked)

        with self.watch.counting("measuring losses") as advance:
            write_typical(model.directory, measure_typical(model, images, rows, progress=advance), model)
        change_latents(model.directory, model.latents, measured)

    def training(self, kind: str) -> Dataset:
        """What models of `sprites`, `people` or `faces` learn from."""
        if kind not in self._training:
            self._training[kind] = training_images(self.settings, kind, self.watch)
        return self._training[kind]

    @cached_property
    def judged(self) -> Judged:
        """The images that no model was trained on."""
        return judged_images(self.settings, self.subject, self.watch)

    def features(self, name: str) -> Features:
        """What a model of faces says of the judged images, in their order."""
        if name not in self._features:
            model, _ = self.model(name)
            with self.watch.working(f"measuring images with {name}"):
                self._features[name] = measure_images(model, self.judged.images, self.judged.names)
        return self._features[name]

    @cached_property
    def few(self) -> Int64[np.ndarray, " row"]:
        """Rows of the judged images: all normal ones and a hundred of the anomalous ones."""
        wanted = min(self.settings.few, int((~self.judged.normal).sum()))
        if wanted < 2:
            raise ConfigError(f"few: expected 2 anomalous images or more, got {wanted}. Give more.")
        return subsample(self.judged.normal, wanted, self.settings.seed)


def unhurried(config: TrainingConfig) -> TrainingConfig:
    """The same training, looked at and aligned no oftener than twice a minute, at least once.

    Each takes seconds where thousands of people have to be drawn for it: nearly all of half a minute else.
    """
    if config.minutes is None:
        return config
    most = max(1, int(2 * config.minutes))
    return replace(config, alignments=min(config.alignments, most), validations=min(config.validations, most))


def _aligned(recipe: Recipe) -> bool | None:
    """Sprites compare two published objectives, so neither is helped; other models take their defaults."""
    return False if recipe.data == "sprites" else None
