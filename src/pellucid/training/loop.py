"""The training loop: everything between a dataset and a run directory that holds a model."""

import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import pellucid
from pellucid.data.dataset import Dataset
from pellucid.errors import ConfigError, TrainingError
from pellucid.model.architecture import Architecture
from pellucid.model.directory import CONFIG, ModelConfig, save_model
from pellucid.model.posterior import Posterior
from pellucid.model.predictor import Model, load, resolve_device
from pellucid.model.vae import VAE
from pellucid.objective.factor_vae import Adversary
from pellucid.objective.kl import ACTIVE_KL, kl
from pellucid.objective.objectives import loss_terms
from pellucid.objective.reconstruction import training_loss
from pellucid.training.alignment import ALIGN_IMAGES, align
from pellucid.training.card import write_card
from pellucid.training.checkpoint import (
    CHECKPOINT,
    Learners,
    Position,
    read_checkpoint,
    read_settings,
    write_checkpoint,
)
from pellucid.training.config import TrainingConfig, check_same_settings, settings_of
from pellucid.training.interrupt import Interruptible
from pellucid.training.metrics_log import METRICS, append_metrics, cut_metrics
from pellucid.training.preview import write_preview
from pellucid.training.sampler import Sampler, generator_for

_DIVERGED = 100.0  # times the loss of the first stretch
_VALIDATION_IMAGES = 1000
_PREVIEW_IMAGES = 10


@dataclass(frozen=True)
class Progress:
    """Where a run stands, for whoever watches it.

    Attributes:
        step: Steps taken.
        fraction: Share of the budget used, 0 to 1.
        seconds: Seconds of training so far, over all resumed parts.
        seconds_left: Estimate of the seconds to go.
        images_per_second: Over the last stretch.
        terms: The objective's terms, nats an image, mean over the last stretch.
        active_latents: Latents with more than 0.1 nat of KL in the last batch.
    """

    step: int
    fraction: float
    seconds: float
    seconds_left: float
    images_per_second: float
    terms: Mapping[str, float]
    active_latents: int


@dataclass(frozen=True)
class Trained:
    """How a run ended.

    Attributes:
        model: The model as it stands.
        finished: Whether the budget was used up; false after Ctrl-C.
        steps: Optimiser steps taken.
    """

    model: Model
    finished: bool
    steps: int


def resolve_precision(precision: str, device: torch.device) -> torch.dtype:
    """`auto` is bfloat16 where the processor multiplies it natively: a fixed property, so runs repeat."""
    if precision == "auto":
        on_cpu = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        fast = {"cpu": on_cpu, "cuda": torch.cuda.is_available() and torch.cuda.is_bf16_supported(False)}
        return torch.bfloat16 if fast.get(device.type, False) else torch.float32
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


def learning_rate_at(config: TrainingConfig, fraction: float) -> float:
    """Linear warm-up to the peak, then half a cosine to zero, over the budget."""
    if fraction < config.warm_up:
        return config.learning_rate * (0.01 + 0.99 * fraction / config.warm_up)
    return (
        config.learning_rate
        * 0.5
        * (1 + math.cos(math.pi * (fraction - config.warm_up) / (1 - config.warm_up)))
    )


class _Trainer:
    """Networks, optimisers and data of one run; the loop is `train`."""

    def __init__(
        self,
        dataset: Dataset,
        architecture: Architecture,
        config: TrainingConfig,
        run: Path,
        device: str,
        command: str | None,
    ) -> None:
        self.dataset, self.architecture, self.config, self.run = dataset, architecture, config, run
        self.command = command
        self.device = resolve_device(device)
        self.precision = resolve_precision(config.precision, self.device)
        self.rows = dataset.rows("train")
        if len(self.rows) < config.batch_size:
            raise ConfigError(
                f"expected at least {config.batch_size} training images, one batch, got {len(self.rows)}. "
                "Add images, or lower --batch-size."
            )
        self.sampler = Sampler(self.rows, batch_size=config.batch_size, seed=config.seed)
        with torch.random.fork_rng(devices=[]):
            self.vae = VAE(architecture)
        self.vae.initialise(generator_for(config.seed, "weights", 0))
        self.vae.to(self.device)
        self.optimizer = torch.optim.Adam(self.vae.parameters(), lr=config.learning_rate, betas=(0.9, 0.99))
        self.adversary = self._adversary() if config.objective.name == "factor-vae" else None
        self.settings = settings_of(config, architecture, dataset, self.precision)

    def _adversary(self) -> Adversary:
        return Adversary(
            self.architecture.latents,
            generator=generator_for(self.config.seed, "discriminator", 0),
            width=self.config.objective.discriminator_width,
            learning_rate=self.config.objective.discriminator_learning_rate,
            device=self.device,
            precision=self.precision,
        )

    @property
    def learners(self) -> Learners:
        """Every network with its optimiser, for the checkpoint."""
        learners: Learners = {"vae": (self.vae, self.optimizer)}
        if self.adversary is not None:
            learners["discriminator"] = (self.adversary.network, self.adversary.optimizer)
        return learners

    def resume(self) -> Position:
        check_same_settings(self.settings, read_settings(self.run))
        position = read_checkpoint(self.run, self.learners)
        cut_metrics(self.run, position.step)
        return position

    def _forward(self, images: Tensor, seed_purpose: str, step: int) -> tuple[Tensor, Tensor, Posterior]:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == torch.bfloat16):
            posterior = self.vae.encode(images)
            z = posterior.sample(generator_for(self.config.seed, seed_purpose, step))
            return self.vae.decode(z), z, posterior

    def _batch(self, step: int) -> Tensor:
        images = self.dataset.batch(self.sampler.batch(step)).to(self.device)
        if self.config.flip:
            mirrored = torch.rand(len(images), generator=generator_for(self.config.seed, "flip", step)) < 0.5
            images = torch.where(mirrored[:, None, None, None].to(self.device), images.flip(3), images)
        return images

    def step(self, step: int, fraction: float) -> tuple[dict[str, Tensor], Posterior]:
        """One step of every network; returns the objective's terms, still on the device."""
        images = self._batch(step)
        logits, z, posterior = self._forward(images, "noise", step)
        terms = loss_terms(
            self.config.objective,
            images,
            logits,
            z,
            posterior,
            dataset_size=len(self.rows),
            progress=fraction,
            log_density_ratio=None if self.adversary is None else self.adversary.log_density_ratio,
        )
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(terms["loss"], inputs=list(self.vae.parameters()))
        nn.utils.clip_grad_norm_(self.vae.parameters(), self.config.gradient_clip)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate_at(self.config, fraction)
        self.optimizer.step()
        if self.adversary is not None:
            permutation = generator_for(self.config.seed, "permutation", step)
            terms["discriminator_loss"] = self.adversary.learn(z, permutation)
        return {name: term.detach() for name, term in terms.items()}, posterior

    @torch.no_grad()
    def align(self) -> None:
        """Turn the latents onto independent axes, found on the training images."""
        self.vae.eval()
        rows = self.dataset.rows("train", at_most=ALIGN_IMAGES)
        parts = [
            self.vae.encode(self.dataset.batch(part).to(self.device))
            for part in np.array_split(rows, math.ceil(len(rows) / 250))
        ]
        means, log_variances = zip(*((part.mean, part.log_variance) for part in parts), strict=True)
        align(self.vae, self.optimizer, Posterior(torch.cat(means), torch.cat(log_variances)))
        self.vae.train()

    @torch.no_grad()
    def validate(self, step: int, seconds: float) -> None:
        """Measure the held-out images, with the same noise every time, and draw some of them."""
        rows = self.dataset.rows("validation", at_most=_VALIDATION_IMAGES)
        if not len(rows):
            return
        self.vae.eval()
        reconstruction, rates = [], []
        for part in np.array_split(rows, math.ceil(len(rows) / 250)):
            images = self.dataset.batch(part).to(self.device)
            logits, _, posterior = self._forward(images, "validation", int(part[0]))
            losses = training_loss(dict(self.config.objective.losses), images, logits)
            reconstruction.append(losses.sum().item())
            rates.append(kl(posterior).sum(0))
        shown = self.dataset.batch(rows[:: max(1, len(rows) // _PREVIEW_IMAGES)][:_PREVIEW_IMAGES])
        means = self.vae.encode(shown.to(self.device)).mean
        write_preview(self.run, shown, torch.sigmoid(self.vae.decode(means)).cpu())
        self.vae.train()
        rate = torch.stack(rates).sum(0) / len(rows)  # [latent]
        row = {
            "validation_elbo": -(sum(reconstruction) / len(rows) + float(rate.sum())),
            "validation_reconstruction": sum(reconstruction) / len(rows),
            "validation_kl": float(rate.sum()),
            "validation_active_latents": int((rate > ACTIVE_KL).sum()),
        }
        append_metrics(self.run, {"step": step, "seconds": round(seconds, 3), **row})

    def save(self, step: int, seconds: float) -> None:
        """Replace the checkpoint, then publish the model with its card."""
        write_checkpoint(self.run, self.learners, Position(step, seconds, self.settings))
        data = {
            "description": self.dataset.description,
            "kind": self.dataset.kind,
            **self.dataset.origin,
            "images": len(self.dataset),
            **{split: len(self.dataset.rows(split)) for split in ("train", "validation", "test")},
            "skipped": len(self.dataset.skipped),
            "fingerprint": self.dataset.fingerprint,
        }
        decided = {
            k: v for k, v in self.settings.items() if k not in ("architecture", "preprocessing", "data")
        }
        spent = {
            "steps_taken": step,
            "images_seen": step * self.config.batch_size,
            "minutes_taken": round(seconds / 60, 2),
            "pellucid": pellucid.__version__,
            "torch": torch.__version__,
            "command": self.command,
        }
        config = ModelConfig(self.architecture, self.dataset.preprocessing, data, {**decided, **spent})
        try:
            save_model(self.run, self.vae.state_dict(), config)
            write_card(self.run, config)
        except OSError as error:
            raise TrainingError(
                f"{self.run}: the model cannot be written ({error.strerror or error}). "
                "Free some space, then go on with --resume."
            ) from error


class _Clock:
    """Share of the budget used: by steps or by seconds of training, whichever is further."""

    def __init__(self, most_steps: int | None, minutes: float | None, spent: float) -> None:
        self._most_steps, self._minutes, self._spent = most_steps, minutes, spent
        self._start = time.monotonic()

    def seconds(self) -> float:
        return self._spent + time.monotonic() - self._start

    def fraction(self, step: int) -> float:
        by_steps = step / self._most_steps if self._most_steps is not None else 0.0
        by_seconds = self.seconds() / (60 * self._minutes) if self._minutes is not None else 0.0
        return min(1.0, max(by_steps, by_seconds))


class _Meter:
    """Means of the terms over a stretch of steps, summed on the device."""

    def __init__(self) -> None:
        self._first_loss: float | None = None
        self._start_stretch()

    def _start_stretch(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._steps = 0
        self._start = time.monotonic()

    def add(self, terms: Mapping[str, Tensor]) -> None:
        for name, term in terms.items():
            self._sums[name] = self._sums[name] + term if name in self._sums else term
        self._steps += 1

    def read(self, batch_size: int) -> tuple[dict[str, float], float]:
        """Means since the last reading and images a second; starts a new stretch.

        Raises:
            TrainingError: If the loss is no longer a number, or far above where it started.
        """
        means = {name: float(total) / self._steps for name, total in self._sums.items()}
        rate = self._steps * batch_size / max(time.monotonic() - self._start, 1e-9)
        if self._first_loss is None:
            self._first_loss = means["loss"]
        if not math.isfinite(means["loss"]) or means["loss"] > _DIVERGED * abs(self._first_loss):
            raise TrainingError(
                f"training diverged: the loss is {means['loss']:.4g}, it started at {self._first_loss:.4g}. "
                "The last good checkpoint is kept. Lower --learning-rate, or use --precision float32."
            )
        self._start_stretch()
        return means, rate


def refuse_existing_run(run: Path) -> None:
    """Keep a run from being overwritten by a new one.

    Raises:
        ConfigError: If `run` holds one.
    """
    if any((run / name).exists() for name in (CONFIG, CHECKPOINT, METRICS)):
        raise ConfigError(f"{run}: holds a run already. Go on with it by --resume, or choose another --out.")


def _create(run: Path) -> None:
    refuse_existing_run(run)
    try:
        (run / "training").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{run}: cannot be created ({error.strerror or error}). Choose another --out."
        ) from error


def train(
    dataset: Dataset,
    architecture: Architecture,
    config: TrainingConfig,
    run: str | os.PathLike[str],
    *,
    resume: bool = False,
    device: str = "auto",
    command: str | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Trained:
    """Train a model into a run directory.

    Ctrl-C and SIGTERM end it between two steps with everything saved. A resumed run takes the same steps
    that an undisturbed one would have taken: bit for bit on one CPU thread, for budgets in steps or epochs.

    Args:
        dataset: Its training images are learned, its validation images are measured now and then.
        architecture: The networks; their size and channels are those of the dataset.
        config: Objective, budget and the rest.
        run: The directory to write.
        resume: Go on from the run's checkpoint.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        command: The command line that asked for it, to be recorded with the model.
        on_progress: Called after every stretch of `config.log_every` steps.

    Raises:
        ConfigError: If settings contradict each other, the data, or the run to resume.
        RunError: If there is nothing to resume from, or it is damaged.
        TrainingError: If training diverges, or a checkpoint cannot be written.
    """
    run = Path(run)
    if not resume:
        _create(run)
    trainer = _Trainer(dataset, architecture, config, run, device, command)
    position = trainer.resume() if resume else Position(0, 0.0, trainer.settings)
    clock = _Clock(config.most_steps(len(trainer.rows)), config.minutes, position.seconds)
    meter, step, saved = _Meter(), position.step, clock.seconds()
    fraction = clock.fraction(step)
    with Interruptible() as interrupt:
        if not resume:
            trainer.save(0, 0.0)  # from here on there is always something to resume from
        while fraction < 1 and not interrupt.requested:
            terms, posterior = trainer.step(step, fraction)
            meter.add(terms)
            step, before, fraction = step + 1, fraction, clock.fraction(step + 1)
            if step % config.log_every == 0 or fraction >= 1:
                progress = _log(trainer, meter, clock, step, fraction, posterior)
                if on_progress is not None:
                    on_progress(progress)
            if fraction < 1 and _passes(config.alignments + 1, before, fraction):
                trainer.align()
            if _passes(config.validations, before, fraction):
                trainer.validate(step, clock.seconds())
            if clock.seconds() - saved > 60 * config.checkpoint_minutes:
                trainer.save(step, clock.seconds())
                saved = clock.seconds()
        trainer.save(step, clock.seconds())
    return Trained(load(run, device=device), fraction >= 1, step)


def _passes(times: int, before: float, now: float) -> bool:
    """Whether one of so many even parts of the budget has just ended."""
    return int(before * times) < int(now * times)


def _log(
    trainer: _Trainer, meter: _Meter, clock: _Clock, step: int, fraction: float, posterior: Posterior
) -> Progress:
    terms, rate = meter.read(trainer.config.batch_size)
    active = int((kl(posterior).mean(0) > ACTIVE_KL).sum())
    seconds = clock.seconds()
    row = {
        "step": step,
        "images": step * trainer.config.batch_size,
        "seconds": round(seconds, 3),
        "learning_rate": learning_rate_at(trainer.config, fraction),
        **terms,
        "images_per_second": round(rate, 1),
        "active_latents": active,
    }
    append_metrics(trainer.run, row)
    left = seconds * (1 - fraction) / max(fraction, 1e-9)
    return Progress(step, fraction, seconds, left, rate, terms, active)
