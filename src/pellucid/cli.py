"""The command line: parses, calls the library, prints. Everything it does is a library call."""

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cyclopts import App

from pellucid import __version__
from pellucid.errors import ConfigError, PellucidError, RunError
from pellucid.terminal import counting_bar, say, spinner, training_bar

if TYPE_CHECKING:
    from pellucid.data.store import Dataset
    from pellucid.latents.cards import Card
    from pellucid.latents.names import LatentTable
    from pellucid.model.predictor import Model

MEASURED = 10_000
"""Images that latents are measured on at most: plenty for every number shown, and seconds to encode."""

app = App(
    name="pellucid",
    version=__version__,
    help="Train autoencoders whose latents a person can name, and justify decisions about images by them. "
    "--debug before or after any command shows the whole trace of an error.",
    default_parameter=None,
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; a `PellucidError` is one line on stderr and exit code 2."""
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in tokens
    try:
        app([token for token in tokens if token != "--debug"])
    except PellucidError as error:
        if debug:
            raise
        print(f"pellucid: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:  # a full disk, a folder that may not be written
        if debug:
            raise
        print(f"pellucid: {error.filename or 'a file'}: {error.strerror or error}.", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("\npellucid: stopped.", file=sys.stderr)
        sys.exit(130)


@app.command
def train(
    data: str,
    /,
    *,
    out: Path,
    objective: Literal["vae", "beta-vae", "annealed-beta-vae", "beta-tcvae"] = "beta-tcvae",
    beta: float | None = None,
    alpha: float = 1.0,
    gamma: float = 1.0,
    capacity: float = 25.0,
    estimator: Literal["weighted", "stratified"] = "weighted",
    loss: str | None = None,
    latents: int | None = None,
    preset: Literal["burgess", "photo"] | None = None,
    size: int = 64,
    channels: int | None = None,
    crop: Literal["whole", "center", "celeba"] | None = None,
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

    Args:
        data: A folder of images, a CelebA root, a .npy, .npz or .parquet file, or `sprites`.
        out: The run directory to write.
        objective: What is minimised beside the reconstruction.
        beta: Weight of the KL (beta-vae) or of the total correlation (beta-tcvae). Default: 4, sprites 6.
        alpha: Weight of the mutual information (beta-tcvae).
        gamma: Weight of the dimension-wise KL (beta-tcvae).
        capacity: Nats that the KL grows to (annealed-beta-vae).
        estimator: How total correlation is estimated from a batch (beta-tcvae).
        loss: Reconstruction losses to add up: mse, mae, cosine, ssim, cross_entropy, color_cross_entropy,
            with weights if wanted, e.g. `mse=1,ssim=0.5`. Default: mse,ssim; sprites cross_entropy.
        latents: How many latents, 1 to 512. Default: 32, sprites 10.
        preset: The networks. Default: photo, sprites burgess.
        size: Pixels a side: 32, 64, 128 or 256.
        channels: 1 (grey) or 3 (RGB). Default: what the data have.
        crop: celeba (the face in an aligned photograph), center, or whole. Default: what fits the data.
        steps: Budget in steps of the optimiser.
        epochs: Budget in passes over the data.
        minutes: Budget in minutes. Default: 20 minutes, if no other budget is given.
        most_epochs: With --minutes: end after so many passes even so. Default: 60 for photographs, of which
            held-out ones get no better after that.
        batch_size: Images a step.
        learning_rate: Its peak. Default: 0.001.
        flip: Mirror images at random. Default: only for CelebA.
        align: Turn the latents onto independent axes now and then. Default: for beta-tcvae.
        precision: bfloat16 is chosen by itself where the processor computes in it.
        seed: Decides weights, order and noise.
        skip: Leave out the first images by name.
        limit: Use no more than this many images.
        workers: Processes that decode images. Default: one a processor.
        threads: Threads that compute. Default: one a processor.
        device: auto, cpu, cuda, cuda:1 or mps.
        resume: Go on with the run in --out.
    """
    import torch

    from pellucid.data.store import open_dataset
    from pellucid.model.architecture import Architecture
    from pellucid.objective.objectives import Objective
    from pellucid.objective.reconstruction import trains_grey
    from pellucid.training.config import TrainingConfig
    from pellucid.training.defaults import defaults_for, parse_losses
    from pellucid.training.loop import refuse_existing_run
    from pellucid.training.loop import train as run_training

    if not resume:
        refuse_existing_run(out)
    losses = parse_losses(loss) if loss is not None else None
    if threads is not None:
        torch.set_num_threads(threads)
    with counting_bar("reading images") as advance:
        dataset = open_dataset(
            data,
            size=size,
            channels=channels,
            crop=crop,
            skip=skip,
            limit=limit,
            workers=workers,
            progress=advance,
        )
    _list_skipped(dataset, out)
    pre = dataset.preprocessing
    defaults = defaults_for(dataset.kind, pre.channels)
    losses = losses if losses is not None else defaults.losses
    if trains_grey(dict(losses), channels=pre.channels):
        say("Note: cross_entropy alone compares all channels with all: pictures will be grey. Add another.")
    beta = beta if beta is not None else 1.0 if objective == "vae" else defaults.beta
    if steps is None and epochs is None and minutes is None:
        minutes = 20.0
    config = TrainingConfig(
        objective=Objective(
            name=objective,
            alpha=alpha,
            beta=beta,
            gamma=gamma,
            estimator=estimator,
            capacity=capacity,
            losses=losses,
        ),
        steps=steps,
        epochs=epochs,
        minutes=minutes,
        most_epochs=most_epochs if most_epochs is not None else defaults.most_epochs,
        batch_size=batch_size,
        learning_rate=learning_rate if learning_rate is not None else defaults.learning_rate,
        flip=flip if flip is not None else defaults.flip,
        alignments=defaults.alignments if (align if align is not None else objective == "beta-tcvae") else 0,
        precision=precision,
        seed=seed,
    )
    latents = latents if latents is not None else defaults.latents
    architecture = Architecture(preset or defaults.preset, pre.size, pre.channels, latents)
    most = config.most_steps(len(dataset.rows("train"))) if minutes is not None else None
    ends = f", at most {config.most_epochs:g} passes over them" if most is not None else ""
    say(f"{dataset.description}: {len(dataset.rows('train')):,} images to train on{ends}")
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
        )
    if not trained.finished:
        say(f"Stopped at step {trained.steps:,}; everything is saved. Go on with:\n  {command} --resume")
        sys.exit(130)
    if trained.steps == most:
        say(f"Ended after {config.most_epochs:g} passes; --most-epochs allows more.")
    _describe(trained.model, dataset, dataset.rows("held-out", at_most=MEASURED), suggest=False)
    say(f"\nNext: pellucid latents {out}     pellucid traverse {out} --out traversal.png")


@app.command
def latents(
    run: Path,
    /,
    *,
    data: str | None = None,
    skip: int = 0,
    limit: int | None = None,
    suggest: bool = False,
    json: bool = False,
    device: str = "auto",
) -> None:
    """Measure what each latent does, print the table, write report.html with a card for each.

    Args:
        run: A run directory.
        data: Images to measure on. Default: those of the training data that were held out.
        skip: Leave out the first images of --data by name.
        limit: Use no more than this many images of --data.
        suggest: Also name unnamed latents from the attributes that they track.
        json: Print the table as JSON.
        device: auto, cpu, cuda, cuda:1 or mps.
    """
    model, dataset, rows = _open(run, data, skip, limit, device)
    cards, table = _describe(model, dataset, rows, suggest=suggest, quiet=json)
    if json:
        _print_json(_latents_record(cards, table, len(rows)))


@app.command
def name(
    run: Path,
    latent: str | None = None,
    new_name: str | None = None,
    /,
    *,
    suggest: bool = False,
    clear: bool = False,
    data: str | None = None,
    skip: int = 0,
    limit: int | None = None,
    json: bool = False,
) -> None:
    """Name a latent, have names suggested from the attributes that latents track, or list the names.

    Args:
        run: A run directory.
        latent: Which one: z17, 17, or its present name.
        new_name: What to call it from now on.
        suggest: Name the unnamed ones from attributes, with the evidence, marked as suggested.
        clear: Take the latent's name away.
        data: With --suggest: images with attributes. Default: the held-out images of the training data.
        skip: Leave out the first images of --data by name.
        limit: Use no more than this many images of --data.
        json: Print the names as JSON.
    """
    from pellucid.latents.names import read_latents, rename, write_latents
    from pellucid.model.directory import read_config

    if suggest:
        if latent is not None or clear:
            raise ConfigError("expected either a latent or --suggest, got both.")
        model, dataset, rows = _open(run, data, skip, limit, "auto")
        _, table = _describe(model, dataset, rows, suggest=True, quiet=True)
    else:
        config, _ = read_config(run)
        table = read_latents(run, config.architecture.latents)
        if latent is not None:
            if (new_name is None) != clear:
                raise ConfigError('expected a name or --clear: pellucid name RUN z17 "sunglasses".')
            index = table.find(latent)
            table = rename(table, index, None if clear else new_name)
            write_latents(run, table)
            if table.records[index].active is False:
                say(f"Note: z{index} is inactive: tables and traversals leave it out, unless you ask for it.")
    named = [record for record in table.records if record.name is not None]
    if json:
        _print_json(
            [
                {"latent": f"z{r.index}", "name": r.name, "suggested": r.suggested, "evidence": r.evidence}
                for r in named
            ]
        )
    else:
        for record in named:
            marked = f"  (suggested: {record.evidence})" if record.suggested else ""
            print(f"z{record.index:<3} {record.name}{marked}")
        if not named:
            print("No latent has a name yet.")


@app.command
def traverse(
    run: Path,
    /,
    *,
    out: Path,
    image: list[Path] | None = None,
    latent: list[str] | None = None,
    seeds: int = 8,
    low: float = -3.0,
    high: float = 3.0,
    steps: int = 9,
    data: str | None = None,
    device: str = "auto",
) -> None:
    """Draw what happens when a latent moves: the paper's two layouts.

    Without --latent, rows are the active latents of one image (--image, or the prior's mean).
    With one --latent, rows are seed images (each --image, or held-out images of the training data).

    Args:
        run: A run directory.
        out: The figure to write: .png, .pdf or .gif.
        image: A photograph to start from; may be given several times with one --latent.
        latent: A latent by number or name; given several times: the rows of the first layout.
        seeds: How many held-out images, where one --latent is given without --image.
        low: Where each sweep starts.
        high: Where each sweep ends.
        steps: Pictures in a row.
        data: Where held-out images come from. Default: the training data.
        device: auto, cpu, cuda, cuda:1 or mps.
    """
    from pellucid.latents.names import read_latents
    from pellucid.latents.traverse import traverse_latents, traverse_seeds
    from pellucid.model.predictor import load
    from pellucid.report.figures import save_traversal

    model = load(run, device=device)
    table = read_latents(run, model.latents)
    chosen = [table.find(text) for text in latent or []]
    if len(chosen) == 1:
        if image:
            photos = model.to_tensor([*image])
        else:
            model, dataset, rows = _open(run, data, 0, None, device)
            photos = dataset.batch(rows[:: max(1, len(rows) // seeds)][:seeds])
        traversal = traverse_seeds(
            model, table, photos=photos, latent=chosen[0], low=low, high=high, steps=steps
        )
    else:
        if image and len(image) > 1:
            raise ConfigError("expected one --image, whose latents are the rows, or exactly one --latent.")
        photo = model.to_tensor(image[0]) if image else None
        traversal = traverse_latents(
            model, table, photo=photo, latents=chosen or None, low=low, high=high, steps=steps
        )
    save_traversal(traversal, out)
    print(out)


@app.command
def demo(*, out: Path = Path("demo"), minutes: float = 3.0) -> None:
    """The whole story on built-in data: train on sprites, see what every latent does, write the report.

    Args:
        out: Where the run goes; an earlier demo there is replaced.
        minutes: Minutes of training.
    """
    import shutil

    from pellucid.data.store import open_dataset
    from pellucid.latents.traverse import traverse_latents, traverse_seeds
    from pellucid.model.architecture import Architecture
    from pellucid.objective.objectives import Objective
    from pellucid.report.figures import save_traversal
    from pellucid.training.config import TrainingConfig
    from pellucid.training.defaults import defaults_for
    from pellucid.training.loop import train as run_training

    run = out / "sprites"
    if (run / "config.json").exists():
        shutil.rmtree(run)
    dataset = open_dataset("sprites")
    defaults = defaults_for(dataset.kind, 1)
    config = TrainingConfig(
        Objective(beta=defaults.beta, losses=defaults.losses), minutes=minutes, alignments=defaults.alignments
    )
    say(f"Training a beta-TCVAE on {dataset.description} for {minutes:g} minutes.")
    with training_bar() as watch:
        trained = run_training(
            dataset, Architecture(defaults.preset, 64, 1, defaults.latents), config, run, on_progress=watch
        )
    if not trained.finished:
        say("Stopped. Run the demo again to start over.")
        sys.exit(130)
    rows = dataset.rows("held-out", at_most=MEASURED)
    _, table = _describe(trained.model, dataset, rows, suggest=True)
    strongest = table.order()[0]
    photos = dataset.batch(rows[:: len(rows) // 6][:6])
    save_traversal(traverse_latents(trained.model, table, photo=photos[:1]), out / "latents.png")
    save_traversal(traverse_seeds(trained.model, table, photos=photos, latent=strongest), out / "seeds.png")
    say(
        f"\nLook at:\n  {run / 'report.html'}    the report: start here"
        f"\n  {out / 'latents.png'}    every active latent of one sprite, swept"
        f"\n  {out / 'seeds.png'}    the strongest latent, swept on six images"
        f'\nThen: pellucid name {run} z{strongest} "my own name"'
    )


def _open(
    run: Path, data: str | None, skip: int, limit: int | None, device: str
) -> "tuple[Model, Dataset, Any]":
    """The run's model and images to look at: held-out ones of its own data, or all of `data`."""
    from pellucid.data.store import open_dataset
    from pellucid.model.predictor import load

    model = load(run, device=device)
    pre, origin = model.config.preprocessing, model.config.data
    own = data is None
    if own and not {"source", "skip", "limit", "fingerprint"} <= origin.keys():
        raise RunError(f"{run}: its config does not say what it was trained on. Name images with --data.")
    with counting_bar("reading images") as advance:
        dataset = open_dataset(
            str(origin["source"]) if data is None else data,
            size=pre.size,
            channels=pre.channels,
            crop=pre.crop,
            skip=int(origin["skip"]) if own else skip,
            limit=origin["limit"] if own else limit,
            progress=advance,
        )
    if own and dataset.fingerprint != origin["fingerprint"]:
        raise ConfigError(
            f"{origin['source']}: expected the images of the training, but they have changed, so "
            "which were held out is unknown. Name images with --data."
        )
    return model, dataset, dataset.rows("held-out" if own else "all", at_most=MEASURED)


def _describe(
    model: "Model", dataset: "Dataset", rows: Any, *, suggest: bool, quiet: bool = False
) -> "tuple[tuple[Card, ...], LatentTable]":
    """Measure, name if asked, store, draw and print: what `latents` is, and what ends a training."""
    from pellucid.latents.activity import encode_dataset, measure_activity
    from pellucid.latents.cards import build_cards
    from pellucid.latents.names import read_latents, with_activity, write_latents
    from pellucid.latents.names import suggest as suggest_names
    from pellucid.latents.tracking import track
    from pellucid.report.html import write_report
    from pellucid.training.metrics_log import read_metrics

    assert model.directory is not None
    with counting_bar("encoding images") as advance:
        codes = encode_dataset(model, dataset, rows, progress=advance)
    table = with_activity(read_latents(model.directory, model.latents), measure_activity(codes))
    known = dataset.attributes
    tracked = track(codes.mean, known.lookup(rows), known.names, known.kinds) if known is not None else ()
    if suggest:
        if known is None:
            raise ConfigError("--suggest needs images with attributes or factors; these have none.")
        table = suggest_names(table, tracked)
    write_latents(model.directory, table)
    with spinner("drawing the report"):
        cards = build_cards(model, table, codes, trackings=tracked)
        report = write_report(model.directory, model, table, cards, dataset, read_metrics(model.directory))
    if not quiet:
        _print_latents(cards, table, len(rows))
        print(f"Report: {report}")
    return cards, table


def _latents_record(cards: "Sequence[Card]", table: "LatentTable", images: int) -> dict[str, Any]:
    tracks = {card.latent: card.tracks for card in cards}
    return {
        "images": images,
        "active": len(table.active()),
        "latents": [
            {
                "latent": f"z{r.index}",
                "name": r.name,
                "suggested": r.suggested,
                "evidence": r.evidence,
                "active": r.active,
                "kl": r.kl,
                "variance": r.variance,
                "low": r.low,
                "high": r.high,
                "tracks": [
                    {
                        "attribute": t.attribute,
                        t.statistic: t.value,
                        "low": t.low,
                        "high": t.high,
                        "images": t.images,
                    }
                    for t in tracks.get(r.index, ())
                ],
            }
            for r in (table.records[i] for i in table.order())
        ],
    }


def _print_latents(cards: "Sequence[Card]", table: "LatentTable", images: int) -> None:
    from rich.console import Console
    from rich.table import Table

    printed = Table(
        title=f"{len(table.active())} of {len(table.records)} latents are active, on {images:,} images"
    )
    for column, side in (
        ("latent", "left"),
        ("KL, nats", "right"),
        ("variance", "right"),
        ("tracks", "left"),
    ):
        printed.add_column(column, justify=side)  # type: ignore[arg-type]
    for card in cards:
        tracked = ", ".join(f"{t.attribute} {t.statistic} {t.value:.2f}" for t in card.tracks[:3])
        label = card.label + (" (suggested)" if card.suggested else "")
        printed.add_row(label, f"{card.kl:.2f}", f"{card.variance:.2f}", tracked)
    Console().print(printed, markup=False)


def _list_skipped(dataset: "Dataset", out: Path) -> None:
    if not dataset.skipped:
        return
    listing = out / "skipped.txt"
    out.mkdir(parents=True, exist_ok=True)
    listing.write_text("".join(f"{file}\t{reason}\n" for file, reason in dataset.skipped), encoding="utf-8")
    count = len(dataset.skipped)
    files = "1 file" if count == 1 else f"{count:,} files"
    say(f"{files} could not be used; {listing} says which and why.")


def _print_json(content: Any) -> None:
    print(json.dumps(content, indent=2, ensure_ascii=False))
