"""`pellucid demo`: the whole story on built-in data."""

import sys
from pathlib import Path

from pellucid.cli.describing import describe
from pellucid.cli.opening import MEASURED
from pellucid.terminal import say, training_bar


def demo(*, out: Path = Path("demo"), minutes: float = 4.0) -> None:
    """The whole story on built-in data: train on simulated people, name the latents, write the report.

    Args:
        out: Where the run goes; an earlier demo there is replaced.
        minutes: Minutes of training.
    """
    import shutil

    from pellucid.data.store import open_dataset
    from pellucid.latents.traverse import traverse_latents, traverse_seeds
    from pellucid.report.figures import save_traversal
    from pellucid.training.defaults import settings_for
    from pellucid.training.loop import train as run_training

    run = out / "people"
    if (run / "config.json").exists():
        shutil.rmtree(run)
    dataset = open_dataset("people")
    config, architecture = settings_for(dataset, objective="beta-tcvae", minutes=minutes)
    say(f"Training a beta-TCVAE on {dataset.description} for {minutes:g} minutes.")
    with training_bar() as watch:
        trained = run_training(dataset, architecture, config, run, on_progress=watch)
    if not trained.finished:
        say("Stopped. Run the demo again to start over.")
        sys.exit(130)
    rows = dataset.rows("held-out", at_most=MEASURED)
    _, table = describe(trained.model, dataset, rows, suggest=True)
    strongest = table.order()[0]
    photos = dataset.batch(rows[:: len(rows) // 6][:6])
    save_traversal(traverse_latents(trained.model, table, photo=photos[:1]), out / "latents.png")
    save_traversal(traverse_seeds(trained.model, table, photos=photos, latent=strongest), out / "seeds.png")
    say(
        f"\nLook at:\n  {run / 'report.html'}    the report: start here"
        f"\n  {out / 'latents.png'}    every active latent of one person, swept"
        f"\n  {out / 'seeds.png'}    the strongest latent, swept on six people"
        f'\nThen: pellucid name {run} z{strongest} "my own name"'
    )
