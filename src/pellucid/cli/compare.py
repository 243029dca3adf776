"""`pellucid compare`: what differs between two pictures, in names."""

from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.cli.opening import Run, keep_apart, only_with
from pellucid.cli.printing import print_json, print_table
from pellucid.terminal import say

if TYPE_CHECKING:
    from pellucid.comparison.compare import Comparison
    from pellucid.comparison.known import Known
    from pellucid.latents.names import LatentTable
    from pellucid.model.predictor import Model


def compare(
    run: Run,
    a: Path,
    b: Path,
    /,
    *,
    out: Path | None = None,
    swap: str | None = None,
    json: bool = False,
    device: str = "auto",
) -> None:
    """Say in which latents two pictures differ, and whether anything but nuisances does.

    Mark nuisances (light, pose, sunglasses) by `pellucid name RUN z1 --nuisance`. With `pellucid same`, there
    is also a probability that both show the same identity.

    Args:
        run: A run directory whose latents have been measured, or `people`, the model that comes with
            Pellucid.
        a: A picture.
        b: Another picture.
        out: A figure to write: .png or .pdf, with both codes, the differences and the counterfactual.
        swap: The latent that the counterfactual takes from B, by number or name. Default: the first that
            the verdict names, or else the one that differs most.
        json: Print everything as JSON.
        device: auto, cpu, cuda, cuda:1 or mps.
    """
    from pellucid.anomaly.storage import detector_of
    from pellucid.comparison.compare import compare as compare_pictures
    from pellucid.latents.names import read_latents
    from pellucid.model.predictor import load
    from pellucid.report.comparison import checked_kind, save_comparison
    from pellucid.runtime.fingerprint import run_fingerprint

    only_with("--out or --json", out is not None or json, swap=swap)
    if out is not None:
        checked_kind(out)
    model = load(run, device=device)
    keep_apart(model, out, a, b)
    table = read_latents(run, model.latents)
    known = current_knowledge(model, table)
    comparison = compare_pictures(
        model,
        a,
        b,
        table=table,
        same=None if known is None else known.identity,
        detector=detector_of(model, table),
        swap=None if swap is None else table.find(swap),
    )
    if out is not None:
        save_comparison(comparison, out)
    if json:
        figure = None if out is None else str(out)
        inputs = {"run": run_fingerprint(model), "a": str(a), "b": str(b)}
        print_json(comparison.record() | inputs | {"figure": figure})
        return
    _print(comparison)
    if out is not None:
        print(out)


def current_knowledge(model: "Model", table: "LatentTable") -> "Known | None":
    """What known pairs have told of sameness; if the marks of nuisance have changed since, say so instead."""
    from pellucid.comparison.known import read_known

    known = read_known(model)
    if known is not None and not known.fits(table):
        say(
            "The marks of nuisance have changed since `pellucid same`: no probability until it has run again."
        )
        return None
    return known


def _print(comparison: "Comparison") -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(comparison.sentence, markup=False, highlight=False)
    printed = Table()
    printed.add_column("latent")
    for column in ("A", "B", "raw", "posterior", "population"):
        printed.add_column(column, justify="right")
    for d in comparison.differences:
        label = d.label + (" (nuisance)" if d.nuisance else "")
        numbers = (f"{d.a:.2f}", f"{d.b:.2f}", f"{d.raw:+.2f}", f"{d.posterior:+.1f}", f"{d.population:+.2f}")
        printed.add_row(label, *numbers)
    print_table(printed)
    console.print(
        "raw: B - A. posterior: in standard deviations of the encoder's doubt about both pictures. "
        "population: in standard deviations of the latent over many pictures.",
        markup=False,
        highlight=False,
    )
    if comparison.share_nuisance is not None and any(d.nuisance for d in comparison.differences):
        print(f"{comparison.share_nuisance:.0%} of the squared difference lies in nuisance latents.")
