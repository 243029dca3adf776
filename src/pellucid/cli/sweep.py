"""`pellucid sweep`: train a grid, see what each setting costs and gives, and say which run to use."""

import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pellucid.cli.opening import compute_with, open_training_data, skipped_record
from pellucid.cli.printing import print_json, print_table
from pellucid.data.paths import refuse_inside
from pellucid.terminal import counting_bar, say, spinner, training_bar

if TYPE_CHECKING:
    from pellucid.sweep.grid import GridRun, Plan
    from pellucid.sweep.results import Sweep
    from pellucid.training.loop import Progress


def sweep(
    data: str,
    /,
    *,
    out: Path,
    betas: str | None = None,
    seeds: int = 3,
    objective: Literal[
        "beta-vae", "annealed-beta-vae", "beta-tcvae", "factor-vae", "dip-vae-i", "dip-vae-ii"
    ] = "beta-tcvae",
    steps: int | None = None,
    epochs: float | None = None,
    minutes: float | None = None,
    most_epochs: float | None = None,
    loss: str | None = None,
    latents: int | None = None,
    preset: Literal["burgess", "broadcast", "photo"] | None = None,
    size: int = 64,
    channels: int | None = None,
    crop: Literal["whole", "center", "celeba"] | None = None,
    window: str | None = None,
    axes: Literal["HW", "HWC", "CHW", "NHW", "NHWC", "NCHW"] | None = None,
    batch_size: int = 64,
    learning_rate: float | None = None,
    flip: bool | None = None,
    align: bool | None = None,
    precision: Literal["auto", "float32", "bfloat16"] = "auto",
    skip: int = 0,
    limit: int | None = None,
    workers: int | None = None,
    threads: int | None = None,
    device: str = "auto",
    json: bool = False,
) -> None:
    """Train every beta with every seed, compare them in one picture, and say which run to use and why.

    Ctrl-C saves; the same command again goes on exactly, and skips what is finished. Held-out images are
    scored against their factors where these are known (MIG decides), else by UDR: whether other seeds find
    the same latents. Of betas that the seeds cannot tell apart, the one with the better pictures is taken.

    Args:
        data: A folder of images, a CelebA root, a .npy, .npz or .parquet file, or what is built in:
            `sprites`, `people` or `scenes`.
        out: The folder for the runs (beta-4-seed-0 ...), sweep.json and sweep.png.
        betas: The objective's price on latents, between commas: beta, by default 1,2,4,8; for factor-vae its
            tc-weight (5,10,20,40), for dip-vae its off-diagonal (2,5,10,20), for annealed-beta-vae its
            capacity in nats (5,10,15,25).
        seeds: How many seeds for each beta.
        objective: What is minimised beside the reconstruction.
        steps: Budget of each run in steps of the optimiser.
        epochs: Budget of each run in passes over the data.
        minutes: Budget of each run in minutes. Default: 20 minutes, if no other budget is given.
        most_epochs: As for train.
        loss: As for train.
        latents: How many latents, 1 to 512. Default: 32, sprites 10.
        preset: The networks. Default: photo, sprites broadcast.
        size: Pixels a side: 32, 64, 128 or 256.
        channels: 1 (grey) or 3 (RGB). Default: what the data have.
        crop: celeba (the face in an aligned photograph), center, or whole. Default: what fits the data.
        window: The values that become black and white, as 0,4095 for 12 bits in files of 16. Default: the
            ends of the data type. What begins with a minus is written --window=-1000,400.
        axes: What the axes of a .npy or .npz are, where their lengths do not tell: N images, H height, W
            width, C channels.
        batch_size: Images a step.
        learning_rate: Its peak. Default: 0.001.
        flip: Mirror images at random. Default: only for CelebA.
        align: Turn the latents onto independent axes now and then. Default: for beta-tcvae.
        precision: `auto` races both formats for a second and takes the faster one.
        skip: Leave out the first images by name.
        limit: Use no more than this many images.
        workers: Processes that decode images. Default: one a processor.
        threads: Threads that compute. Default: one a processor.
        device: auto, cpu, cuda, cuda:1 or mps.
        json: Print the results as JSON.
    """
    from pellucid.objective.reconstruction import trains_grey
    from pellucid.report.rate_distortion import save_sweep
    from pellucid.storage.writing import locked_folder
    from pellucid.sweep.grid import Plan, check_plan, grid, parse_values, train_grid
    from pellucid.sweep.measuring import deciding_score, measure_grid
    from pellucid.sweep.results import RESULTS, sweep_record, write_sweep
    from pellucid.training.defaults import parse_losses, settings_for

    refuse_inside(out, [data])
    runs = grid(objective, parse_values(betas) if betas is not None else None, seeds)
    losses = parse_losses(loss) if loss is not None else None
    compute_with(threads)
    with locked_folder(out):
        dataset = open_training_data(
            data,
            out,
            size=size,
            channels=channels,
            crop=crop,
            window=window,
            axes=axes,
            skip=skip,
            limit=limit,
            workers=workers,
        )
        if steps is None and epochs is None and minutes is None:
            minutes = 20.0
        config, architecture = settings_for(
            dataset,
            objective=objective,
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
        )
        plan = Plan(dataset, architecture, config, runs, out, device)
        if trains_grey(dict(config.objective.losses), channels=architecture.channels):
            say("Note: cross_entropy alone compares all channels with all: pictures will be grey. Add one.")
        deciding_score(plan)
        check_plan(plan)
        command = shlex.join(["pellucid", *sys.argv[1:]])
        say(f"{dataset.description}: {len(dataset.rows('train')):,} images to train on")
        say(_how_long(plan))
        trained = train_grid(plan, command=command, watch=_Watch(plan))
        if not trained.finished:
            say(f"Stopped; everything is saved. Go on with the same command:\n  {command}")
            sys.exit(130)
        with counting_bar("measuring runs") as advance:
            found = measure_grid(plan, failures=trained.failures, progress=advance)
        write_sweep(out, found)
        with spinner("drawing"):
            picture = save_sweep(found, out)
    if json:
        print_json(sweep_record(found) | {"skipped": skipped_record(dataset)})
        return
    _print_sweep(found)
    print(f"Picture: {picture}     Numbers: {out / RESULTS}")
    if found.choice.run is not None:
        say(f"\nNext: pellucid latents {plan.path(found.choice.run)}")


class _Watch:
    """Says which run of how many is being trained and how long the rest will take, above a bar."""

    def __init__(self, plan: "Plan") -> None:
        self._plan = plan
        self._seconds = self._runs = 0.0  # of training so far, and how many runs that were

    @contextmanager
    def __call__(self, run: "GridRun", number: int, of: int) -> "Iterator[Callable[[Progress], None]]":
        from pellucid.sweep.grid import share_done

        left = _minutes_left(self._plan, self._seconds / 60 / self._runs if self._runs else None)
        to_go = "" if left is None else f", about {_duration(left)} to go in all"
        say(f"Run {number} of {of}: {run.name}{to_go}")
        start, share = time.monotonic(), share_done(self._plan, run)
        with training_bar() as bar:
            yield bar
        self._seconds += time.monotonic() - start
        self._runs += 1 - share


def _minutes_left(plan: "Plan", measured: float | None = None) -> float | None:
    """Minutes of training to go: by what a run took, else by its budget; None if that is not in minutes."""
    from pellucid.sweep.grid import runs_left

    minutes = plan.config.minutes if measured is None else measured
    return None if minutes is None else minutes * runs_left(plan)


def _how_long(plan: "Plan") -> str:
    """What a sweep will take, before it starts."""
    from pellucid.sweep.grid import done

    finished = sum(done(plan, run) for run in plan.runs)
    config, count = plan.config, len(plan.runs)
    already = f", {finished} of them finished already" if finished else ""
    if finished == count:
        return f"{count} runs, all finished already"
    left = _minutes_left(plan)
    if left is not None:
        budget = f"{config.minutes:g} minutes"
        return f"{count} runs of {budget}{already}: at most {_duration(left)} of training in all"
    steps = config.steps
    budget = f"{steps:,} steps" if steps is not None else f"{config.epochs:g} passes over the images"
    return f"{count} runs of {budget}{already}: how long they take in all is said after the first"


def _duration(minutes: float) -> str:
    """`2 h 05 min`, `12 min` or `40 s`."""
    if minutes < 1:
        return f"{60 * minutes:.0f} s"
    hours, rest = divmod(round(minutes), 60)
    return f"{hours} h {rest:02d} min" if hours else f"{rest} min"


def _print_sweep(sweep: "Sweep") -> None:
    from rich.table import Table

    from pellucid.metrics.table import STANDARD_IMAGES
    from pellucid.sweep.scoring import LABELS

    names = list(dict.fromkeys(name for result in sweep.runs for name in result.scores))
    printed = Table(title=f"{len(sweep.runs)} runs, on {sweep.images:,} held-out images, KL and loss in nats")
    printed.add_column("run", no_wrap=True)
    for column in ("KL", "loss", "active", *(LABELS.get(name, name) for name in names)):
        printed.add_column(column, justify="right")
    for value in sweep.values:
        for result in sweep.at(value):
            chosen = result.run == sweep.choice.run
            printed.add_row(
                result.run.name + (" *" if chosen else ""),
                f"{result.kl:.2f}",
                f"{result.reconstruction:.1f}",
                f"{result.active_latents}",
                *(f"{result.scores[name]:.2f}" for name in names),
                style="bold" if chosen else None,
                end_section=result is sweep.at(value)[-1],
            )
    print_table(printed)
    for name, why in sweep.failures.items():
        print(f"{name} is left out: {why}")
    print(f"* {sweep.choice.reason}" if sweep.choice.run else sweep.choice.reason)
    if sweep.images < STANDARD_IMAGES:
        print(f"Compare scores only with those of as many images: fewer than {STANDARD_IMAGES:,} move them.")
