"""`pellucid train`: from images to a run directory."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pellucid.cli.describing import describe
from pellucid.cli.opening import compute_with, open_training_data, rows_to_measure
from pellucid.data.paths import refuse_inside
from pellucid.terminal import mute, say, training_bar

if TYPE_CHECKING:
    from pellucid.training.distributed import Processes


def train(
    data: str,
    /,
    *,
    out: Path,
    objective: Literal[
        "vae", "beta-vae", "annealed-beta-vae", "beta-tcvae", "factor-vae", "dip-vae-i", "dip-vae-ii"
    ] = "beta-tcvae",
    beta: float | None = None,
    alpha: float = 1.0,
    gamma: float = 1.0,
    capacity: float = 25.0,
    estimator: Literal["weighted", "stratified"] = "weighted",
    tc_weight: float = 10.0,
    off_diagonal: float = 10.0,
    diagonal: float | None = None,
    loss: str | None = None,
    latents: int | None = None,
    preset: Literal["burgess", "broadcast", "photo"] | None = None,
    size: int = 64,
    channels: int | None = None,
    crop: Literal["whole", "center", "celeba"] | None = None,
    window: str | None = None,
    axes: Literal["HW", "HWC", "CHW", "NHW", "NHWC", "NCHW"] | None = None,
    steps: int | None = None,
    epochs: float | None = None,
    minutes: float | None = None,
    most_epochs: float | None = None,
    batch_size: int = 64,
    learning_rate: float | None = None,
    flip: bool | None = None,
    align: bool | None = None,
    precision: Literal["auto", "float32", "bfloat16"] = "auto",
    seed: int = 0,
    skip: int = 0,
    limit: int | None = None,
    workers: int | None = None,
    threads: int | None = None,
    device: str = "auto",
    resume: bool = False,
) -> None:
    """Train a model into a run directory. Ctrl-C saves; --resume goes on exactly.

    On several GPUs or machines: torchrun --nproc-per-node N -m pellucid train ..., see docs/distributed.md.

    Args:
        data: A folder of images, a CelebA root, a .npy, .npz or .parquet file, or what is built in:
            `sprites`, `people` or `scenes`.
        out: The run directory to write.
        objective: What is minimised beside the reconstruction.
        beta: Weight of the KL (beta-vae) or of the total correlation (beta-tcvae). Default: 4,
            people and scenes 2, sprites and grey arrays 6.
        alpha: Weight of the mutual information (beta-tcvae).
        gamma: Weight of the dimension-wise KL (beta-tcvae).
        capacity: Nats that the KL grows to (annealed-beta-vae).
        estimator: How total correlation is estimated from a batch (beta-tcvae).
        tc_weight: Weight of the total correlation on top of the KL (factor-vae).
        off_diagonal: Price of a squared covariance of two latents (dip-vae-i, dip-vae-ii).
        diagonal: Price of a variance's squared distance from 1 (dip-vae-i, dip-vae-ii). Default: 10 times
            --off-diagonal for dip-vae-i, as much as --off-diagonal for dip-vae-ii.
        loss: Reconstruction losses to add up: mse, mae, cosine, ssim, cross_entropy, color_cross_entropy,
            with weights if wanted, e.g. `mse=1,ssim=0.5`. Default: mse,ssim; sprites cross_entropy.
        latents: How many latents, 1 to 512. Default: 32, sprites 10.
        preset: The networks. Default: photo, sprites broadcast.
        size: Pixels a side: 32, 64, 128 or 256.
        channels: 1 (grey) or 3 (RGB). Default: what the data have.
        crop: celeba (the face in an aligned photograph), center, or whole. Default: what fits the data.
        window: The values that become black and white, as 0,4095 for 12 bits in files of 16. Default: the
            ends of the data type. What begins with a minus is written --window=-1000,400.
        axes: What the axes of a .npy or .npz are, where their lengths do not tell: N images, H height, W
            width, C channels.
        steps: Budget in steps of the optimiser.
        epochs: Budget in passes over the data.
        minutes: Budget in minutes. Default: 20 minutes, if no other budget is given.
        most_epochs: With --minutes: end after so many passes even so. Default: 60 for photographs, of which
            held-out ones get no better after that.
        batch_size: Images a step, of all processes together.
        learning_rate: Its peak. Default: 0.001.
        flip: Mirror images at random. Default: only for CelebA.
        align: Turn the latents onto independent axes now and then. Default: for beta-tcvae.
        precision: `auto` races both formats for a second and takes the faster one; --resume keeps it.
        seed: Decides weights, order and noise.
        skip: Leave out the first images by name.
        limit: Use no more than this many images.
        workers: Processes that decode images. Default: one a processor.
        threads: Threads that compute. Default: one a processor.
        device: auto, cpu, cuda, cuda:1 or mps.
        resume: Go on with the run in --out.
    """
    from pellucid.objective.reconstruction import trains_grey
    from pellucid.training.defaults import parse_losses, settings_for
    from pellucid.training.distributed import joined
    from pellucid.training.loop import train as run_training
    from pellucid.training.loop import writing_run

    refuse_inside(out, [data])
    compute_with(threads)
    if steps is None and epochs is None and minutes is None:
        minutes = 20.0
    with joined(device) as processes, _one_speaks(processes), ExitStack() as held:
        with processes.together():
            if processes.leads:
                held.enter_context(writing_run(out, resume=resume))
            losses = parse_losses(loss) if loss is not None else None
        dataset = processes.in_turn(
            lambda: open_training_data(
                data,
                out if processes.leads else None,
                size=size,
                channels=channels,
                crop=crop,
                window=window,
                axes=axes,
                skip=skip,
                limit=limit,
                workers=workers,
            )
        )
        with processes.together():
            config, architecture = settings_for(
                dataset,
                objective=objective,
                weights={
                    "alpha": alpha,
                    "gamma": gamma,
                    "capacity": capacity,
                    "estimator": estimator,
                    "tc_weight": tc_weight,
                    "off_diagonal": off_diagonal,
                    "diagonal": diagonal,
                },
                beta=beta,
                losses=losses,
                latents=latents,
                preset=preset,
                learning_rate=learning_rate,
                flip=flip,
                align=align,
                most_epochs=most_epochs,
                steps=steps,
                epochs=epochs,
                minutes=minutes,
                batch_size=batch_size,
                precision=precision,
                seed=seed,
            )
        if trains_grey(dict(config.objective.losses), channels=architecture.channels):
            say("Note: cross_entropy alone compares all channels with all: pictures will be grey. Add one.")
        most = config.most_steps(len(dataset.rows("train"))) if minutes is not None else None
        ends = f", at most {config.most_epochs:g} passes over them" if most is not None else ""
        crew = "" if processes.alone else f", in {processes.count} processes"
        say(f"{dataset.description}: {len(dataset.rows('train')):,} images to train on{ends}{crew}")
        command = shlex.join(["pellucid", *(token for token in sys.argv[1:] if token != "--resume")])
        with training_bar() as watch:
            trained = run_training(
                dataset,
                architecture,
                config,
                out,
                resume=resume,
                device=device,
                command=command,
                on_progress=watch,
                processes=processes,
            )
    if not trained.finished:
        say(f"Stopped at step {trained.steps:,}; everything is saved. Go on with:\n  {command} --resume")
        sys.exit(130)
    if not processes.leads:
        return
    if trained.steps == most:
        say(f"Ended after {config.most_epochs:g} passes; --most-epochs allows more.")
    describe(trained.model, dataset, rows_to_measure(dataset), suggest=False)
    say(f"\nNext: pellucid latents {out}     pellucid traverse {out} --out traversal.png")


@contextmanager
def _one_speaks(processes: "Processes") -> Iterator[None]:
    """Of several processes only the first reports progress; the others tell no more than their own errors."""
    from pellucid.training.distributed import PeerError

    if not processes.leads:
        mute()
    try:
        yield
    except PeerError:
        if processes.leads:
            raise
        sys.exit(2)
