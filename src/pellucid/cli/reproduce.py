"""`pellucid reproduce`: every figure and table of the paper, and whether its claims hold here."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.cli.printing import print_json, print_table
from pellucid.data.paths import refuse_inside
from pellucid.errors import DataError
from pellucid.terminal import counting_bar, say, spinner, training_bar

if TYPE_CHECKING:
    from pellucid.reproduction.reproduce import Reproduction


def reproduce(
    *,
    out: Path,
    data: Path | None = None,
    minutes: float = 120.0,
    parts: str | None = None,
    seed: int = 0,
    json: bool = False,
    device: str = "auto",
) -> None:
    """Every figure and table of the paper in one page, each with whether its claim held here.

    Trains up to eight models one after the other, each a run that the other commands open; that of simulated
    people comes with Pellucid. Ctrl-C keeps what is done; the same command again goes on.

    Args:
        out: The folder for report.html, results.json, the models and the finished parts.
        data: A folder with `celeba` (CelebA's layout, or a folder of faces) and `nonfaces` (a folder of other
            pictures). Default: simulated people and scenes.
        minutes: Of training in all, shared out among the models.
        parts: Only these, between commas: autoencoder, sprites, live, detection, extremes, texture, losses,
            many, sunglasses, traversals.
        seed: Decides weights, splits and all that is drawn.
        json: Print all numbers and claims as JSON.
        device: auto, cpu, cuda, cuda:1 or mps.
    """
    from pellucid.data.paths import expanded
    from pellucid.reproduction.catalogue import parts_named
    from pellucid.reproduction.material import names_sha256
    from pellucid.reproduction.reproduce import reproduce as run_reproduction
    from pellucid.reproduction.settings import Settings
    from pellucid.reproduction.watching import Watch

    chosen = None if parts is None else parts_named([name.strip() for name in parts.split(",")])
    refuse_inside(out, [] if data is None else [data])
    root = None if data is None else expanded(data).resolve()
    if root is not None and not root.is_dir():
        raise DataError(f"{data}: expected a folder with celeba and nonfaces. Check --data.")
    settings = Settings(
        data=None if root is None else str(root),
        images_sha256=None if root is None else names_sha256(root),
        minutes=minutes,
        seed=seed,
    )
    watch = Watch(say=say, training=training_bar, counting=counting_bar, working=spinner)
    try:
        done = run_reproduction(out, settings, parts=chosen, watch=watch, device=device)
    except KeyboardInterrupt:
        say("Stopped; what is finished is kept. The same command goes on.")
        sys.exit(130)
    if json:
        print_json(done.record())
        return
    _print(done)


def _print(done: "Reproduction") -> None:
    from rich.table import Table

    from pellucid.reproduction.exhibit import numbered
    from pellucid.reproduction.reproduce import PAGE, RESULTS

    printed = Table(title="What the paper claims, here")
    for column in ("figures", "claim", "here", "the numbers"):
        printed.add_column(column)
    for claim in done.claims:
        statement = claim.statement if claim.from_paper else f"{claim.statement} (ours)"
        printed.add_row(
            numbered(claim.figures) or "after Fig 10",
            statement,
            claim.verdict,
            claim.finding,
            end_section=True,
        )
    print_table(printed)
    if done.missing:
        print(f"Not computed yet: {', '.join(done.missing)}.")
    print(f"Report: {done.out / PAGE}     Numbers: {done.out / RESULTS}")
