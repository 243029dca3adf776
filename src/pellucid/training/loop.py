"""The training loop: everything between a dataset and a run directory that holds a model."""

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import pellucid
from pellucid.data.dataset import Dataset
from pellucid.data.trained_here import remember_training
from pellucid.errors import ConfigError, TrainingError
from pellucid.model.architecture import Architecture
from pellucid.model.directory import CONFIG, WEIGHTS, ModelConfig, save_model
from pellucid.model.inside import inside
from pellucid.model.posterior import Posterior
from pellucid.model.predictor import Model, load, resolve_device
from pellucid.model.vae import VAE
from pellucid.objective.factor_vae import Adversary
from pellucid.objective.kl import ACTIVE_KL, kl
from pellucid.objective.objectives import loss_terms
from pellucid.objective.reconstruction import training_loss
from pellucid.storage.writing import locked_folder, remove_abandoned
from pellucid.training.alignment import ALIGN_IMAGES, align
from pellucid.training.card import CARD, write_card
from pellucid.training.checkpoint import (
    CHECKPOINT,
    Learners,
    Position,
    load_tensors,
    read_checkpoint,
    read_settings,
    tensors_of,
    write_checkpoint,
)
from pellucid.training.config import (
    TrainingConfig,
    check_same_everywhere,
    check_same_settings,
    settings_of,
)
from pellucid.training.distributed import ALONE, Processes
from pellucid.training.interrupt import Interruptible
from pellucid.training.memory import keep_freed_memory
from pellucid.training.metrics_log import METRICS, append_metrics, cut_metrics
from pellucid.training.pace import Clock, Meter, passes
from pellucid.training.precision import resolve_precision
from pellucid.training.preview import PREVIEW, write_preview
from pellucid.training.sampler import Sampler, generator_for

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
        model: The model as it stands. Of several processes, only the first has it from its directory; the
            others have the same weights from memory, and no directory.
        finished: Whether the budget was used up; false after Ctrl-C.
        steps: Optimiser steps taken.
    """

    model: Model
    finished: bool
    steps: int


def learning_rate_at(config: TrainingConfig, fraction: float) -> float:
    """Linear warm-up to the peak, then half a cosine to zero, over the budget."""
    if fraction < config.warm_up:
        return config.learning_rate * (0.01 + 0.99 * fraction / config.warm_up)
    return (
        config.learning_rate
        * 0.5
        * (1 + math.cos(math.pi * (fraction - config.warm_up) / (1 - config.warm_up)))
    )


class _Pass(nn.Module):
    """Encode the images of this process, sample z for those of all, decode its own.

    One module, because DistributedDataParallel takes one forward pass.
    """

    def __init__(self, vae: VAE, processes: Processes) -> None:
        super().__init__()
        self.vae, self.processes = vae, processes

    def forward(self, images: Tensor, noise: torch.Generator) -> tuple[Tensor, Tensor, Posterior]:
        """Logits of the images; z and posterior of the global batch."""
        posterior = self.processes.gather(self.vae.encode(images))
        z = posterior.sample(noise)
        return self.vae.decode(z[self.processes.part(len(z))]), z, posterior


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
        processes: Processes,
    ) -> None:
        self.dataset, self.architecture, self.config, self.run = dataset, architecture, config, run
        self.command, self.processes = command, processes
        self.device = resolve_device(device if processes.alone else processes.device)
        self.precision = resolve_precision(config.precision, self.device)
        self.rows = dataset.rows("train")
        if len(self.rows) < config.batch_size:
            raise ConfigError(
                f"expected at least {config.batch_size} training images, one batch, got {len(self.rows)}. "
                "Add images, or lower --batch-size."
            )
        self.part = processes.part(config.batch_size)
        self.sampler = Sampler(self.rows, batch_size=config.batch_size, seed=config.seed)
        with torch.random.fork_rng(devices=[]):
            self.vae = VAE(architecture)
        self.vae.initialise(generator_for(config.seed, "weights", 0))
        self.vae.to(self.device)
        self.vae.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # as the maps lie
        self.optimizer = torch.optim.Adam(
            self.vae.parameters(), lr=config.learning_rate, betas=(0.9, 0.99), fused=True
        )
        self.adversary = self._adversary() if config.objective.name == "factor-vae" else None
        self.settings = settings_of(config, architecture, dataset, self.precision)
        self.network: nn.Module  # once all processes have begun, in `start`

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

    def start(self, resume: bool) -> Position:
        """Where all processes begin: anew, or where the checkpoint is, which only the first must have."""
        position = Position(0, 0.0, self.settings)
        with self.processes.together():
            if resume and self.processes.leads:
                position = self._resume()
        here = json.loads(
            json.dumps({**self.settings, **asdict(self.config), "training images": self._rows()})
        )
        message = self.processes.text_of_first(json.dumps({"position": asdict(position), "settings": here}))
        first = json.loads(message)
        position = Position(**first["position"])
        with self.processes.together():
            check_same_everywhere(here, first["settings"])
        if resume and not self.processes.alone:
            self._share(position.step)
        self.network = self.processes.averaged(_Pass(self.vae, self.processes))
        return position

    def _rows(self) -> str:
        """Which images are trained on: a folder's split may come from a file that one machine lacks."""
        return hashlib.sha256(self.rows.astype("<i8").tobytes()).hexdigest()

    def _resume(self) -> Position:
        check_same_settings(self.settings, read_settings(self.run))
        position = read_checkpoint(self.run, self.learners)
        cut_metrics(self.run, position.step)
        return position

    def _share(self, step: int) -> None:
        """Give all processes the weights and moments of the first."""
        if not self.processes.leads:
            load_tensors(self.learners, tensors_of(self.learners), step)  # moments to be overwritten
        self.processes.share(tensors_of(self.learners).values())

    def _forward(
        self, network: nn.Module, images: Tensor, purpose: str, position: int
    ) -> tuple[Tensor, Tensor, Posterior]:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == torch.bfloat16):
            forward: tuple[Tensor, Tensor, Posterior] = network(
                images, generator_for(self.config.seed, purpose, position)
            )
            return forward

    def _batch(self, step: int) -> Tensor:
        """This process's images of a step, out of the global batch."""
        images = self.dataset.batch(self.sampler.batch(step)[self.part]).to(self.device)
        if self.config.flip:
            chance = generator_for(self.config.seed, "flip", step)
            mirrored = (torch.rand(self.config.batch_size, generator=chance) < 0.5)[self.part]
            images = torch.where(mirrored[:, None, None, None].to(self.device), images.flip(3), images)
        return images

    def step(self, step: int, fraction: float) -> tuple[dict[str, Tensor], Posterior]:
        """One step of every network; returns the objective's terms, still on the device.

        The reconstruction is that of this process's images; z and posterior are those of all.
        """
        images = self._batch(step)
        logits, z, posterior = self._forward(self.network, images, "noise", step)
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

    def align(self, step: int) -> None:
        """Turn the latents onto independent axes; the first process does, the others take its weights."""
        self.processes.first(self._align)
        if not self.processes.alone:
            self._share(step)

    @torch.no_grad()
    def _align(self) -> None:
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
            logits, _, posterior = self._forward(_Pass(self.vae, ALONE), images, "validation", int(part[0]))
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
        config = self._model_config(step, seconds)
        try:
            save_model(self.run, self.vae.state_dict(), config)
            write_card(self.run, config)
        except OSError as error:
            raise TrainingError(
                f"{self.run}: the model cannot be written ({error.strerror or error}). "
                "Free some space, then go on with --resume."
            ) from error

    def _model_config(self, step: int, seconds: float) -> ModelConfig:
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
        return ModelConfig(self.architecture, self.dataset.preprocessing, data, {**decided, **spent})

    def model(self, step: int, seconds: float) -> Model:
        """What was saved, from its directory; in the other processes from memory."""
        if self.processes.leads:
            return load(self.run, device=str(self.device))
        return Model(self.vae, self._model_config(step, seconds), device=self.device)


def refuse_existing_run(run: Path) -> None:
    """Keep a run from being overwritten by a new one, and files from being taken for folders.

    Raises:
        ConfigError: If `run` holds one, or is or lies below a file.
        RunError: If something in it is a link.
    """
    if any(os.path.lexists(inside(run, name)) for name in (CONFIG, CHECKPOINT, METRICS)):
        raise ConfigError(f"{run}: holds a run already. Go on with it by --resume, or choose another --out.")
    there = next(place for place in (run, *run.absolute().parents) if place.exists())
    if not there.is_dir():
        raise ConfigError(f"{run}: expected a folder to write, but {there} is a file. Choose another --out.")


@contextmanager
def writing_run(run: Path, *, resume: bool) -> Iterator[None]:
    """Be the only one who trains into a run directory; a new one is made, and removed if it stays empty.

    Raises:
        ConfigError: If a new one is wanted, but `run` holds one; if it cannot be written.
        BusyError: If another program trains into it.
    """
    if not resume:
        refuse_existing_run(run)  # before anything is made
    with ExitStack() as held:
        try:
            held.enter_context(locked_folder(run))
        except OSError as error:
            raise ConfigError(
                f"{run}: cannot be written ({error.strerror or error}). Choose another --out."
            ) from error
        if not resume:
            refuse_existing_run(run)  # another program may have been quicker
        for name in (CONFIG, WEIGHTS, CARD, METRICS, CHECKPOINT, PREVIEW):
            remove_abandoned(inside(run, name))
        yield


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
    processes: Processes = ALONE,
) -> Trained:
    """Train a model into a run directory.

    Ctrl-C and SIGTERM end it between two steps with everything saved. A resumed run takes the same steps
    that an undisturbed one would have taken: bit for bit on one CPU thread, for budgets in steps or epochs.

    Args:
        dataset: Its training images are learned, its validation images are measured now and then.
        architecture: The networks; their size and channels are those of the dataset.
        config: Objective, budget and the rest.
        run: The directory to write. Of several processes, only the first writes, and needs it to resume.
        resume: Go on from the run's checkpoint.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`. Several processes compute where `processes` says.
        command: The command line that asked for it, to be recorded with the model.
        on_progress: Called after every stretch of `config.log_every` steps, in the first process.
        processes: Those that compute this run, from `pellucid.training.distributed.joined`; all call this
            with the same data and settings. A resumed run may have another number of them.

    Raises:
        ConfigError: If settings contradict each other, the data, or the run to resume.
        RunError: If there is nothing to resume from, or it is damaged.
        TrainingError: If training diverges, or a checkpoint cannot be written, or another process fails.
        BusyError: If another program trains into `run`.
    """
    run = Path(run)
    with ExitStack() as held:
        with processes.together():
            if processes.leads:
                held.enter_context(writing_run(run, resume=resume))
            trainer = _Trainer(dataset, architecture, config, run, device, command, processes)
        return _train(trainer, resume, on_progress)


def _train(trainer: _Trainer, resume: bool, on_progress: Callable[[Progress], None] | None) -> Trained:
    config, processes = trainer.config, trainer.processes
    if trainer.device.type == "cpu":
        keep_freed_memory()
    position = trainer.start(resume)
    processes.first(remember_training, trainer.dataset)
    clock = Clock(config.most_steps(len(trainer.rows)), config.minutes, position.seconds)
    meter, step, seconds, saved = Meter(), position.step, position.seconds, position.seconds
    fraction, stop = clock.fraction(step, seconds), False
    with Interruptible(patient=not processes.alone) as interrupt:
        if not resume:
            processes.first(trainer.save, 0, 0.0)  # from here on there is always something to resume from
        # Several processes stop where all have heard of the wish; one alone at once.
        while fraction < 1 and not (interrupt.requested if processes.alone else stop):
            terms, posterior = trainer.step(step, fraction)
            meter.add(terms)
            seconds, stop = processes.agree(clock.seconds(), interrupt.requested)
            step, before, fraction = step + 1, fraction, clock.fraction(step + 1, seconds)
            if step % config.log_every == 0 or fraction >= 1:
                progress = _measure(trainer, meter, step, fraction, seconds, posterior)
                with processes.together():
                    meter.check(progress.terms["loss"])  # the same in all
                    if processes.leads:
                        _log(trainer, progress)
                        if on_progress is not None:
                            on_progress(progress)
            if fraction < 1 and passes(config.alignments + 1, before, fraction):
                trainer.align(step)
            if passes(config.validations, before, fraction):
                processes.first(trainer.validate, step, seconds)
            if seconds - saved > 60 * config.checkpoint_minutes:
                processes.first(trainer.save, step, seconds)
                saved = seconds
        processes.first(trainer.save, step, clock.seconds())
    return Trained(trainer.model(step, seconds), fraction >= 1, step)


def _measure(
    trainer: _Trainer, meter: Meter, step: int, fraction: float, seconds: float, posterior: Posterior
) -> Progress:
    terms, rate = meter.read(trainer.config.batch_size)
    active = int((kl(posterior).mean(0) > ACTIVE_KL).sum())
    left = seconds * (1 - fraction) / max(fraction, 1e-9)
    return Progress(step, fraction, seconds, left, rate, trainer.processes.mean(terms), active)


def _log(trainer: _Trainer, now: Progress) -> None:
    row = {
        "step": now.step,
        "images": now.step * trainer.config.batch_size,
        "seconds": round(now.seconds, 3),
        "learning_rate": learning_rate_at(trainer.config, now.fraction),
        **now.terms,
        "images_per_second": round(now.images_per_second, 1),
        "active_latents": now.active_latents,
    }
    append_metrics(trainer.run, row)
