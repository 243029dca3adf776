"""What every latent of a run does: measured, named if asked, stored, drawn and printed."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pellucid.cli.printing import print_table
from pellucid.errors import ConfigError
from pellucid.terminal import counting_bar, spinner

if TYPE_CHECKING:
    from pellucid.data.dataset import Dataset
    from pellucid.latents.cards import Card
    from pellucid.latents.names import LatentTable
    from pellucid.model.predictor import Model

_PATIENCE = 600.0  # seconds for another program that is measuring: a training that has ended can wait for it


def describe(
    model: "Model",
    dataset: "Dataset",
    rows: Any,
    *,
    suggest: bool,
    groups: str | None = None,
    quiet: bool = False,
) -> "tuple[tuple[Card, ...], LatentTable]":
    """Measure, name if asked, store, draw and print: what `latents` is, and what ends a training."""
    from pellucid.data.grouping import group_labels
    from pellucid.latents.activity import encode_dataset, measure_activity
    from pellucid.latents.cards import build_cards
    from pellucid.latents.caution import cautions
    from pellucid.latents.names import change_latents, with_activity
    from pellucid.latents.names import suggest as suggest_names
    from pellucid.latents.tracking import track
    from pellucid.latents.typical import measure_typical, write_typical
    from pellucid.report.html import REPORT, write_report
    from pellucid.storage.writing import locked
    from pellucid.training.metrics_log import read_metrics

    assert model.directory is not None
    run, known = model.directory, dataset.attributes
    if suggest and known is None:
        raise ConfigError("--suggest needs images with attributes or factors; these have none.")
    if groups is not None and known is None:
        raise ConfigError("--groups needs images with attributes or factors; these have none.")
    alike = group_labels(dataset, rows, groups)
    with locked(run / REPORT, patience=_PATIENCE):
        with counting_bar("encoding images") as advance:
            codes = encode_dataset(model, dataset, rows, progress=advance)
        activity = measure_activity(codes)
        tracked = (
            ()
            if known is None
            else track(codes.mean, known.lookup(rows), known.names, known.kinds, groups=alike)
        )

        def described(table: "LatentTable") -> "LatentTable":
            table = with_activity(table, activity)
            return suggest_names(table, tracked) if suggest else table

        table = change_latents(run, model.latents, described)
        with counting_bar("measuring losses") as advance:
            write_typical(run, measure_typical(model, dataset, rows, progress=advance), model)
        with spinner("drawing the report"):
            cards = build_cards(model, table, codes, trackings=tracked)
            report = write_report(run, model, table, cards, dataset, read_metrics(run))
    if not quiet:
        _print_latents(cards, table, len(rows))
        for caution in cautions(model, table):
            print(f"Caution: {caution}.")
        print(f"Report: {report}")
    return cards, table


def latents_record(
    model: "Model", cards: "Sequence[Card]", table: "LatentTable", images: int
) -> dict[str, Any]:
    """The table of latents as `--json` prints it."""
    from pellucid.latents.caution import cautions

    tracks = {card.latent: card.tracks for card in cards}
    return {
        "images": images,
        "active": len(table.active()),
        "cautions": list(cautions(model, table)),
        "latents": [
            {
                "latent": f"z{r.index}",
                "name": r.name,
                "suggested": r.suggested,
                "evidence": r.evidence,
                "nuisance": r.nuisance,
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
                        "p_value": t.p_value,
                    }
                    for t in tracks.get(r.index, ())
                ],
            }
            for r in (table.records[i] for i in table.order())
        ],
    }


def _print_latents(cards: "Sequence[Card]", table: "LatentTable", images: int) -> None:
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
        marks = [
            word
            for word, said in (
                ("suggested", card.suggested),
                ("nuisance", table.records[card.latent].nuisance),
            )
            if said
        ]
        label = card.label + (f" ({', '.join(marks)})" if marks else "")
        printed.add_row(label, f"{card.kl:.2f}", f"{card.variance:.2f}", tracked)
    print_table(printed)
