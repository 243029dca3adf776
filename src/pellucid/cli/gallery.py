"""`pellucid gallery`: rank candidates by how near they are to a wanted identity, with the reasons."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.cli.compare import current_knowledge
from pellucid.cli.opening import Run, keep_apart, open_images, skipped_record
from pellucid.cli.printing import print_json, print_table
from pellucid.errors import ConfigError
from pellucid.terminal import counting_bar

if TYPE_CHECKING:
    from pellucid.comparison.gallery import Match, Reason

_NAMED = 2


def gallery(
    run: Run,
    wanted: Path,
    candidates: str,
    /,
    *,
    top: int = 10,
    all_latents: bool = False,
    out: Path | None = None,
    limit: int | None = None,
    json: bool = False,
    device: str = "auto",
) -> None:
    """Rank candidates by how near they are to the wanted identity, leaving latents marked as nuisance out.

    Mark nuisances (light, pose, sunglasses) by `pellucid name RUN z1 --nuisance`. With `pellucid same`,
    latents are weighed by how much they tell identities apart, and each candidate has a probability, unless
    several wanted pictures are averaged.

    Args:
        run: A run directory whose latents have been measured, or `people`, the model that comes with
            Pellucid.
        wanted: A picture of the wanted identity, or a folder of some.
        candidates: A folder of pictures, or another source of images.
        top: How many ranks to show.
        all_latents: Let nuisances count as well.
        out: A figure to write: .png or .pdf, with the pictures and the reasons.
        limit: Look at no more than this many candidates.
        json: Print everything as JSON.
        device: auto, cpu, cuda, cuda:1 or mps.
    """
    import numpy as np

    from pellucid.anomaly.storage import detector_of
    from pellucid.anomaly.strangers import strangers
    from pellucid.comparison.gallery import rank
    from pellucid.latents.activity import encode_dataset
    from pellucid.latents.caution import cautions, warned
    from pellucid.latents.names import read_latents
    from pellucid.model.predictor import load
    from pellucid.report.comparison import checked_kind, gallery_figure, save_gallery

    if top < 1:
        raise ConfigError(f"--top: expected 1 or more, got {top}. The first ten are usual.")
    if out is not None:
        checked_kind(out)
    model = load(run, device=device)
    table = read_latents(run, model.latents)
    keep_apart(model, out, wanted, candidates)
    looked_at = []
    if wanted.is_dir():
        folder = open_images(model, str(wanted))
        looked_at.append(folder)
        pictures = folder.batch(np.arange(len(folder)))
    else:
        pictures = model.to_tensor(wanted)
    dataset = open_images(model, candidates, limit=limit)
    looked_at.append(dataset)
    with counting_bar("encoding candidates") as advance:
        codes = encode_dataset(model, dataset, np.arange(len(dataset)), progress=advance)
    known = current_knowledge(model, table)
    same = None if known is None else (known.everything if all_latents else known.identity)
    shown = rank(
        model, table, pictures, codes, dataset.names, ignore_nuisance=not all_latents, same=same, top=top
    )
    used = len(table.active() if all_latents else table.identity())
    wanted_ones = [f"wanted picture {number}" for number in range(1, len(pictures) + 1)]
    doubts = cautions(model, table) + strangers(detector_of(model, table), pictures, wanted_ones)
    note = warned(_note(used, all_latents, None if known is None else known.pictures, len(pictures)), doubts)
    if out is not None:
        found = dataset.batch(np.array([match.row for match in shown]))
        save_gallery(gallery_figure(pictures, shown, found, candidates=len(dataset), note=note), out)
    if json:
        print_json(
            {
                "wanted": str(wanted),
                "candidates": len(dataset),
                "nuisance_ignored": not all_latents,
                "learned_from": None if known is None else known.pictures,
                "note": note,
                "cautions": list(doubts),
                "matches": [match.record() for match in shown],
                "skipped": skipped_record(*looked_at),
                "figure": None if out is None else str(out),
            }
        )
        return
    _print(shown, len(dataset), note)
    if out is not None:
        print(out)


def _note(used: int, all_latents: bool, learned_from: str | None, wanted: int) -> str:
    which = "all active latents" if all_latents else "latents that are not marked as nuisance"
    counted = f"By {used} {which}"
    if learned_from is None:
        return f"{counted}, each in population standard deviations and weighing the same."
    weighed = f"{counted}, weighed by what was learned from {learned_from}."
    if wanted > 1:
        return f"{weighed} No probabilities: {wanted} wanted pictures were averaged, they hold for one."
    return f"{weighed} Probabilities are for one of the candidates expected to be the wanted one."


def _print(shown: "Sequence[Match]", candidates: int, note: str) -> None:
    from rich.console import Console
    from rich.table import Table

    from pellucid.comparison.compare import in_words
    from pellucid.data.images import printable

    console = Console()
    known = shown[0].probability is not None
    printed = Table(title=f"Nearest among {candidates:,} candidates")
    columns: list[tuple[str, Any]] = [("rank", "right"), ("candidate", "left"), ("distance", "right")]
    columns += [("probability", "right")] if known else []
    for column, side in [*columns, ("speaks for it", "left"), ("against", "left")]:
        printed.add_column(column, justify=side)
    for place, match in enumerate(shown, start=1):
        probability = [] if match.probability is None else [in_words(match.probability)]
        printed.add_row(
            str(place),
            printable(match.name),
            f"{match.distance:.2f}",
            *probability,
            _sided(match.reasons, 1),
            _sided(match.reasons, -1),
        )
    print_table(printed)
    console.print(note, markup=False, highlight=False)


def _sided(reasons: "Sequence[Reason]", side: int) -> str:
    found = [reason for reason in reasons if reason.evidence * side > 0][:_NAMED]
    return ", ".join(f"{reason.label} {reason.evidence:+.1f}" for reason in found)
