"""The training loop: everything between a dataset and a run directory that holds a model."""

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

import pellucid
from pellucid.data.dataset import Dataset, Split
from pellucid.data.images import to_float
from pellucid.data.trained_here import remember_training
from pellucid.errors import ConfigError, TrainingError
from pellucid.model.architecture import Architecture
from pellucid.model.directory import CONFIG, WEIGHTS, ModelConfig, save_model
from pellucid.model.inside import inside
from pellucid.model.posterior import Posterior
from pellucid.model.predictor import Model, load, resolve_device
from pellucid.model.vae import VAE
from pellucid.objective.factor_vae import Adversary
from pellucid.objective.kl import active_latents, kl
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
from pellucid.training.gradient import Gradient
from pellucid.training.interrupt import Interruptible
from pellucid.training.memory import keep_freed_memory
from pellucid.training.metrics_log import METRICS, append_metrics, cut_metrics
from pellucid.training.pace import Aside, Clock, Meter, Work
from pellucid.training.precision import FORMATS, race_precision, settled_precision
from pellucid.training.preview import PREVIEW, write_preview
from pellucid.training.sampler import Sampler, generator_for
from pellucid.training.threads import WorkerThreads

_VALIDATION_IMAGES = 1000
_PREVIEW_IMAGES = 10
_CHUNK = 100  # images that a thread encodes at a time


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
        active_latents: Latents that are active in the last batch, see `active_latents`.
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


class _Trainer:
    """Networks, optimisers and data of one run; the loop is `train`."""

    def __init__(
        self,
        dataset: Dataset,
        architecture: Architecture,
        config: TrainingConfig,
        run: Path,
        command: str | None,
        processes: Processes,
        threads: WorkerThreads,
        *,
        device: torch.device,
        precision: torch.dtype,
    ) -> None:
        self.dataset, self.architecture, self.config, self.run = dataset, architecture, config, run
        self.command, self.processes, self.threads = command, processes, threads
        self.device, self.precision = device, precision
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
        self.gradient = Gradient(
            self.vae, config.objective, self.precision, threads=threads, processes=processes
        )
        self._next: tuple[int, Callable[[], Tensor]] | None = None
        self._kept: dict[str, UInt8[np.ndarray, "image height width channel"]] = {}

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
        self.processes.share(self.vae.state_dict().values())
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

    def _batch(self, step: int) -> Tensor:
        """This process's images of a step, out of the global batch."""
        images = self.dataset.batch(self.sampler.batch(step)[self.part]).to(self.device)
        if self.config.flip:
            chance = generator_for(self.config.seed, "flip", step)
            mirrored = (torch.rand(self.config.batch_size, generator=chance) < 0.5)[self.part]
            images = torch.where(mirrored[:, None, None, None].to(self.device), images.flip(3), images)
        return images

    def _images(self, step: int) -> Tensor:
        """The images of a step; those of the next are drawn or read meanwhile."""
        begun, wait = self._next if self._next is not None else (step, partial(self._batch, step))
        images = wait() if begun == step else self._batch(step)
        self._next = step + 1, self.threads.start(self._batch, step + 1)
        return images

    def step(self, step: int, fraction: float) -> tuple[dict[str, Tensor], Posterior]:
        """One step of every network; returns the objective's terms, still on the device.

        The reconstruction is that of this process's images; the posterior is that of all.
        """
        terms, z, posterior = self.gradient.backward(
            self._images(step),
            generator_for(self.config.seed, "noise", step),
            dataset_size=len(self.rows),
            progress=fraction,
            log_density_ratio=None if self.adversary is None else self.adversary.log_density_ratio,
        )
        nn.utils.clip_grad_norm_(self.vae.parameters(), self.config.gradient_clip)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate_at(self.config, fraction)
        self.optimizer.step()
        if self.adversary is not None:
            permutation = generator_for(self.config.seed, "permutation", step)
            terms["discriminator_loss"] = self.adversary.learn(z, permutation)
        return terms, posterior

    def _measured(self, split: Split, at_most: int) -> list[Tensor]:
        """Some images of a part of the data in chunks, read or drawn once and kept as bytes."""
        if split not in self._kept:
            rows = self.dataset.rows(split, at_most=at_most)
            parts = np.array_split(rows, max(1, math.ceil(len(rows) / _CHUNK)))
            self._kept[split] = np.concatenate(self.threads.map(self.dataset.fetch, parts))
        images = self._kept[split]
        return [to_float(images[at : at + _CHUNK]) for at in range(0, len(images), _CHUNK)]

    def align(self, step: int) -> None:
        """Turn the latents onto independent axes; the first process does, the others take its weights."""
        self.processes.first(self._align)
        if not self.processes.alone:
            self._share(step)

    def _align(self) -> None:
        self.vae.eval()
        parts = self.threads.map(self._encode, self._measured("train", ALIGN_IMAGES))
        means, log_variances = zip(*((part.mean, part.log_variance) for part in parts), strict=True)
        align(self.vae, self.optimizer, Posterior(torch.cat(means), torch.cat(log_variances)))
        self.vae.train()

    @torch.no_grad()
    def _encode(self, images: Tensor) -> Posterior:
        return self.vae.encode(images.to(self.device))

    @torch.no_grad()
    def _loss_and_rate(
        self, number: int, images: Tensor
    ) -> tuple[float, Float[Tensor, " latent"], Posterior]:
        """Of a chunk of held-out images: sum of losses and of each latent's KL; the same noise every time."""
        images = images.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == torch.bfloat16):
            posterior = self.vae.encode(images)
            logits = self.vae.decode(posterior.sample(generator_for(self.config.seed, "validation", number)))
        losses = training_loss(dict(self.config.objective.losses), images, logits)
        return losses.sum().item(), kl(posterior).sum(0), posterior

    @torch.no_grad()
    def validate(self, step: int, seconds: float) -> None:
        """Measure the held-out images, with the same noise every time, and draw some of them."""
        if not len(self.dataset.rows("validation")):
            return
        self.vae.eval()
        chunks = self._measured("validation", _VALIDATION_IMAGES)
        count = sum(map(len, chunks))
        found = self.threads.map(self._loss_and_rate, range(len(chunks)), chunks)
        shown = torch.cat(chunks)[:: max(1, count // _PREVIEW_IMAGES)][:_PREVIEW_IMAGES]
        means = self.vae.encode(shown.to(self.device)).mean
        write_preview(self.run, shown, torch.sigmoid(self.vae.decode(means)).cpu())
        self.vae.train()
        reconstruction = sum(loss for loss, _, _ in found) / count
        rate = torch.stack([rate for _, rate, _ in found]).sum(0) / count  # [latent]
        variance = torch.cat([posterior.mean for *_, posterior in found]).var(0, correction=0)
        row = {
            "validation_negative_objective": -(reconstruction + float(rate.sum())),
            "validation_reconstruction": reconstruction,
            "validation_kl": float(rate.sum()),
            "validation_active_latents": int(active_latents(rate, variance).sum()),
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
    that an undisturbed one would have taken: bit for bit on a CPU, for budgets in steps or epochs.

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
    where = resolve_device(device if processes.alone else processes.device)
    with ExitStack() as held:
        with processes.together():
            precision = "float32"  # of the others, until they hear that of the first
            if processes.leads:
                held.enter_context(writing_run(run, resume=resume))
                precision = _precision(architecture, config, where, run if resume else None)
        precision = processes.text_of_first(precision)
        if where.type == "cpu":
            keep_freed_memory()
        threads = held.enter_context(WorkerThreads(torch.get_num_threads() if where.type == "cpu" else 1))
        with processes.together():
            trainer = _Trainer(
                dataset,
                architecture,
                config,
                run,
                command,
                processes,
                threads,
                device=where,
                precision=FORMATS[precision],
            )
        interrupt = held.enter_context(Interruptible(patient=not processes.alone))
        return _run(trainer, resume, interrupt, on_progress)


def _precision(
    architecture: Architecture, config: TrainingConfig, device: torch.device, resumed: Path | None
) -> str:
    """The name of the precision: as asked for, as before, or by a race."""
    wanted: str = config.precision
    if resumed is not None:
        wanted = settled_precision(wanted, read_settings(resumed).get("precision"))
    if wanted == "auto":
        winner = race_precision(architecture, config.objective, device).winner
        wanted = str(winner).removeprefix("torch.")
    return wanted


def _run(
    trainer: _Trainer,
    resume: bool,
    interrupt: Interruptible,
    on_progress: Callable[[Progress], None] | None,
) -> Trained:
    """The loop over steps, and what is due between them."""
    config, processes = trainer.config, trainer.processes
    position = trainer.start(resume)
    processes.first(remember_training, trainer.dataset)
    clock = Clock(config.most_steps(len(trainer.rows)), config.minutes, position.seconds)
    meter, aside = Meter(), Aside(config, position.seconds)
    step, seconds = position.step, position.seconds
    fraction, stop = clock.fraction(step, seconds), False
    if not resume:
        processes.first(trainer.save, 0, 0.0)  # from here on there is always something to resume from
    # Several processes stop where all have heard of the request; one alone at once.
    while fraction < 1 and not (interrupt.requested if processes.alone else stop):
        terms, posterior = trainer.step(step, fraction)
        meter.add(terms)
        step, before, seconds = step + 1, fraction, clock.seconds()
        due = aside.due(before, clock.fraction(step, seconds), seconds)
        seconds, due, stop = processes.agree(seconds, due, interrupt.requested)
        fraction = clock.fraction(step, seconds)
        if step % config.log_every == 0 or fraction >= 1:
            progress = _measure(trainer, meter, step, fraction, seconds, posterior)
            with processes.together():
                meter.check(progress.terms["loss"])  # the same in all
                if processes.leads:
                    _log(trainer, progress)
                    if on_progress is not None:
                        on_progress(progress)
        for work in due:
            with aside.timed(work), meter.paused():
                if work is Work.ALIGN:
                    trainer.align(step)
                else:
                    does = trainer.validate if work is Work.VALIDATE else trainer.save
                    processes.first(does, step, seconds)
    processes.first(trainer.save, step, clock.seconds())
    return Trained(trainer.model(step, seconds), fraction >= 1, step)


def _measure(
    trainer: _Trainer, meter: Meter, step: int, fraction: float, seconds: float, posterior: Posterior
) -> Progress:
    terms, rate = meter.read(trainer.config.batch_size)
    active = int(active_latents(kl(posterior).mean(0), posterior.mean.var(0, correction=0)).sum())
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
