"""`pellucid demo`: the whole story on simulated people, by the model that comes with the package."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.cli.describing import describe
from pellucid.cli.opening import only_with
from pellucid.cli.printing import print_table
from pellucid.errors import ConfigError
from pellucid.terminal import counting_bar, say, spinner, training_bar

if TYPE_CHECKING:
    from pellucid.data.dataset import Dataset
    from pellucid.latents.names import LatentTable
    from pellucid.model.predictor import Model

_MARK = ".made-by-demo"
_MODEL = "people"
_NEW = 940_000  # people and scenes from this number on are new to the model and to its detector
_MEASURED, _MEASURED_OWN = 600, 2_000  # images that the reports are drawn from
_SHOWN = "sunglasses"
_PEOPLE = (8, 1, 3, 6, 9, 11)  # of the new ones: without hat and sunglasses
_PERSON, _SCENE = _NEW + 26, _NEW + 35  # a landscape
_TRAINED_ON = 900_000
_IMAGES, _BATCH = 64_000, 64


def demo(*, out: Path = Path("demo"), train: bool = False, images: int | None = None) -> None:
    """The whole story on simulated people, by the model that comes with Pellucid: in less than a minute.

    What its latents do, what they are called and why, two verdicts with reasons, two pictures compared, a
    report. Leaves a copy of the model whose latents can be renamed.

    Args:
        out: Where the copy and the figures go; an earlier demo there is replaced.
        train: Then also train a small model of one's own, for some minutes: what comes out depends on the
            number of images, not on the machine.
        images: With --train: how many it is shown. Default: 64000.
    """
    from pellucid.data.threads import one_thread
    from pellucid.storage.writing import locked_folder

    only_with("--train", train, images=images)
    images = _IMAGES if images is None else images
    if images < _BATCH:
        raise ConfigError(f"--images: expected {_BATCH} or more, got {images}. Leave it out for {_IMAGES:,}.")
    with locked_folder(out):
        with one_thread():  # so little to compute that more only wait for one another, beside other programs
            seen = _tell(out)
        if train:
            _train(out, images, seen)
        else:
            say(f"      pellucid demo --out {out} --train    train a small one, with the time left shown")


def _tell(out: Path) -> int:
    """The story; gives how many images its model was trained on."""
    from pellucid.data.store import open_dataset
    from pellucid.latents.names import read_latents
    from pellucid.model.predictor import load

    run = _copied(out)
    model = load(run)
    table = read_latents(run, model.latents)
    people = open_dataset("people", size=model.config.preprocessing.size, skip=_NEW, limit=_MEASURED)
    seen: int = model.config.training["images_seen"]
    say(
        f"A model of simulated people that was shown {seen:,} images. It describes each by {model.latents} "
        "numbers, its latents; nobody told it what to look for."
    )
    _print_names(table)
    with spinner("drawing what latents do"):
        shown = _draw_latents(model, table, people, out)
    say("\nIs it a person, and why? A person and a scene that it has never seen:")
    with spinner("explaining two verdicts"):
        verdicts = _explain(model, run, out)
    for verdict in verdicts:
        print(verdict)
    say(f"\nOne person twice, without and with {_SHOWN}: what differs?")
    with spinner("comparing"):
        sentence = _compare(model, table, out)
    print(sentence)
    report = _report(model, table, people)
    say(
        f"\nOpen:\n  {report}    every latent, in words and pictures: start here"
        f"\n  {out / 'latents.png'}    every named latent of one person, moved"
        f"\n  {out / 'seeds.png'}    {shown}, moved on six people"
        f"\n  {out / 'not-a-person.png'}    why a scene is not taken for a person"
        f"\n  {out / 'person.png'}    why a person is"
        f"\n  {out / 'difference.png'}    what differs between two pictures of one person"
        f"\nTry:  pellucid live {run}    a page with a slider for every latent, and your camera"
        f'\n      pellucid name {run} z{table.order()[0]} "my own name"'
        f"\n      pellucid train FOLDER --out runs/mine    the same with your own photographs"
    )
    return seen


def _copied(out: Path) -> Path:
    """A copy of the model that comes with the package, in place of that of an earlier demo."""
    from pellucid.model.pretrained import copy_pretrained

    run = _emptied(out, _MODEL)
    copy_pretrained(_MODEL, run)
    return run


def _emptied(out: Path, name: str) -> Path:
    """A folder for a run, where nothing but an earlier demo's may be lost."""
    import shutil

    from pellucid.model.inside import inside
    from pellucid.storage.writing import locked_folder

    run = inside(out, name)
    if run.exists():
        if not (run / _MARK).exists():
            raise ConfigError(
                f"{run}: expected an earlier demo to replace, got something else. Choose --out."
            )
        with locked_folder(run):  # nobody is at work in it
            shutil.rmtree(run)
    run.mkdir(parents=True)
    (run / _MARK).touch()
    return run


def _print_names(table: "LatentTable") -> None:
    from rich.table import Table

    named = [record for record in (table.records[i] for i in table.active()) if record.name]
    printed = Table(
        title=f"{len(named)} of {len(table.active())} active latents follow something with a name"
    )
    for column in ("latent", "evidence, on people who are new to it"):
        printed.add_column(column)
    for record in named:
        evidence, _, _ = (record.evidence or "").partition(";")
        printed.add_row(table.label(record.index), evidence)
    print_table(printed)
    print("With 95 % intervals; each latent was chosen on as many other images. Right is more of the name.")


def _latent_shown(table: "LatentTable") -> int:
    """The latent of sunglasses, if one has that name; else the one that says most."""
    of_that_name = [record.index for record in table.records if record.name == _SHOWN]
    return (of_that_name or table.order())[0]


def _draw_latents(model: "Model", table: "LatentTable", people: "Dataset", out: Path) -> str:
    """Figures of the named latents of one person, and of one latent of six people; gives that one's label."""
    from pellucid.latents.traverse import traverse_latents, traverse_seeds
    from pellucid.report.figures import save_traversal

    photos, latent = people.batch(people.rows("all")[[*_PEOPLE]]), _latent_shown(table)
    named = [latent for latent in table.active() if table.records[latent].name]
    save_traversal(
        traverse_latents(model, table, photo=photos[:1], latents=named or None), out / "latents.png"
    )
    save_traversal(traverse_seeds(model, table, photos=photos, latent=latent), out / "seeds.png")
    return table.label(latent)


def _explain(model: "Model", run: Path, out: Path) -> list[str]:
    """One verdict of each kind, on pictures that the detector has not seen."""
    from pellucid.anomaly.storage import load_detector
    from pellucid.data.store import open_dataset
    from pellucid.report.explanation import explanation_figure
    from pellucid.report.figures import save_figure

    judge, said = load_detector(model, run), []
    for source, number, file in (("people", _PERSON, "person.png"), ("scenes", _SCENE, "not-a-person.png")):
        unseen = open_dataset(source, size=model.config.preprocessing.size, skip=number, limit=1)
        (explanation,) = judge.explain(
            unseen.batch(unseen.rows("all")), names=[f"{source}, number {number:,}"]
        )
        save_figure(explanation_figure(explanation), out / file)
        said.append(explanation.sentence)
    return said


def _compare(model: "Model", table: "LatentTable", out: Path) -> str:
    """One simulated person without and with sunglasses."""
    from pellucid.cli.compare import current_knowledge
    from pellucid.comparison.compare import compare
    from pellucid.data.people import person, render
    from pellucid.report.comparison import save_comparison

    known, size = current_knowledge(model, table), model.config.preprocessing.size
    without, with_them = (render(person(3, azimuth=-10, **worn), size) for worn in ({}, {_SHOWN: 1.0}))
    comparison = compare(
        model, without, with_them, table=table, same=None if known is None else known.identity
    )
    save_comparison(comparison, out / "difference.png")
    return comparison.sentence


def _report(model: "Model", table: "LatentTable", people: "Dataset") -> Path:
    """The report of the latents, with the names and the evidence that come with the model."""
    from pellucid.latents.activity import encode_dataset
    from pellucid.latents.cards import build_cards
    from pellucid.latents.tracking import track
    from pellucid.report.html import write_report
    from pellucid.training.metrics_log import read_metrics

    rows, known = people.rows("all"), people.attributes
    assert known is not None
    assert model.directory is not None
    with counting_bar("encoding images") as advance:
        codes = encode_dataset(model, people, rows, progress=advance)
    with spinner("drawing the report"):
        tracked = track(codes.mean, known.lookup(rows), known.names, known.kinds)
        cards = build_cards(model, table, codes, trackings=tracked)
        return write_report(model.directory, model, table, cards, people, read_metrics(model.directory))


def _train(out: Path, images: int, seen: int) -> None:
    """A small model of one's own, with a budget in images."""
    from pellucid.data.store import open_dataset
    from pellucid.training.defaults import settings_for
    from pellucid.training.loop import train as run_training

    run = _emptied(out, "own")
    dataset = open_dataset("people", limit=_TRAINED_ON)
    config, architecture = settings_for(
        dataset, objective="beta-tcvae", steps=images // _BATCH, batch_size=_BATCH, validations=4
    )
    say(
        f"\nNow a model of your own: {images:,} images, where the one above has seen "
        f"{seen:,}. Expect heads that are hardly faces. Ctrl-C ends it."
    )
    with training_bar() as watch:
        trained = run_training(dataset, architecture, config, run, on_progress=watch)
    if not trained.finished:
        say("Stopped. The same command starts over.")
        sys.exit(130)
    rows = dataset.rows("held-out", at_most=_MEASURED_OWN)
    describe(trained.model, dataset, rows, suggest=True)
