"""`pellucid demo`: the whole story on built-in data."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.cli.describing import describe
from pellucid.cli.detector import detector as fit_detector
from pellucid.cli.opening import MEASURED
from pellucid.errors import ConfigError
from pellucid.terminal import say, spinner, training_bar

if TYPE_CHECKING:
    from pellucid.data.dataset import Dataset
    from pellucid.model.predictor import Model

_MARK = ".made-by-demo"
_TRAINED_ON = 900_000  # of the simulated people; the others are new to the model
_NORMAL, _STRANGE = 1_000, 1_000


def demo(*, out: Path = Path("demo"), minutes: float = 4.0) -> None:
    """The whole story on built-in data: train on simulated people, name the latents, judge, compare.

    Args:
        out: Where the run and the figures go; an earlier demo there is replaced.
        minutes: Minutes of training.
    """
    from pellucid.storage.writing import locked_folder

    with locked_folder(out):
        _demo(out, minutes)


def _demo(out: Path, minutes: float) -> None:
    import shutil

    from pellucid.data.store import open_dataset
    from pellucid.latents.traverse import traverse_latents, traverse_seeds
    from pellucid.model.inside import inside
    from pellucid.report.figures import save_traversal
    from pellucid.storage.writing import locked_folder
    from pellucid.training.defaults import settings_for
    from pellucid.training.loop import train as run_training

    run = inside(out, "people")
    mark = run / _MARK
    if run.exists() and not mark.exists():
        raise ConfigError(f"{run}: expected an earlier demo to replace, got something else. Choose --out.")
    dataset = open_dataset("people", limit=_TRAINED_ON)
    config, architecture = settings_for(dataset, objective="beta-tcvae", minutes=minutes)
    if run.exists():
        with locked_folder(run):  # nobody is training into it
            shutil.rmtree(run)
    run.mkdir(parents=True)
    mark.touch()
    say(f"Training a beta-TCVAE on {dataset.description} for {minutes:g} minutes.")
    with training_bar() as watch:
        trained = run_training(dataset, architecture, config, run, on_progress=watch)
    if not trained.finished:
        say("Stopped. Run the demo again to start over.")
        sys.exit(130)
    model, rows = trained.model, dataset.rows("held-out", at_most=MEASURED)
    _, table = describe(model, dataset, rows, suggest=True)
    strongest = table.order()[0]
    photos = dataset.batch(rows[:: len(rows) // 6][:6])
    save_traversal(traverse_latents(model, table, photo=photos[:1]), out / "latents.png")
    save_traversal(traverse_seeds(model, table, photos=photos, latent=strongest), out / "seeds.png")
    say("\nIs it like the people it knows? People against scenes without any:")
    fit_detector(
        run, normal="people", skip=_TRAINED_ON, limit=_NORMAL, anomalous="scenes", anomalous_limit=_STRANGE
    )
    with spinner("explaining and comparing"):
        _explain(model, run, out)
        sentence = _compare(model, run, out, dataset)
    print(f"One person without and with a hat. {sentence}")
    say(
        f"\nLook at:\n  {run / 'report.html'}    the report: start here"
        f"\n  {out / 'latents.png'}    every active latent of one person, swept"
        f"\n  {out / 'seeds.png'}    the strongest latent, swept on six people"
        f"\n  {out / 'not-a-person.png'}    why a scene is not taken for a person"
        f"\n  {out / 'person.png'}    why a person is"
        f"\n  {out / 'hat.png'}    what differs between two pictures of one person"
        f"\nThen: pellucid live {run}    move its latents, and see a camera's picture through them"
        f'\n      pellucid name {run} z{strongest} "my own name"'
    )


def _explain(model: "Model", run: Path, out: Path) -> None:
    """One verdict of each kind, on pictures that the detector has not seen."""
    from pellucid.anomaly.storage import load_detector
    from pellucid.data.store import open_dataset
    from pellucid.report.explanation import explanation_figure
    from pellucid.report.figures import save_figure

    judge = load_detector(model, run)
    for source, file in (("scenes", "not-a-person.png"), ("people", "person.png")):
        unseen = open_dataset(source, skip=950_000, limit=1)
        (explanation,) = judge.explain(unseen.batch(unseen.rows("all")), names=[f"{source}, number 950,000"])
        save_figure(explanation_figure(explanation), out / file)


def _compare(model: "Model", run: Path, out: Path, dataset: "Dataset") -> str:
    """One simulated person with and without a hat; what does not follow identity is nuisance."""
    from pellucid.comparison.compare import compare
    from pellucid.data.people import IDENTITY, person, render
    from pellucid.latents.names import LatentTable, change_latents, mark
    from pellucid.report.comparison import save_comparison

    identity = {name.replace("_", " ") for name in IDENTITY}

    def marked(table: LatentTable) -> LatentTable:
        for record in table.records:
            table = mark(table, record.index, nuisance=record.name not in identity)
        return table

    table = change_latents(run, model.latents, marked)
    size = dataset.preprocessing.size
    comparison = compare(
        model,
        render(person(3, azimuth=-10), size),
        render(person(3, azimuth=-10, hat=1), size),
        table=table,
    )
    save_comparison(comparison, out / "hat.png")
    return comparison.sentence
