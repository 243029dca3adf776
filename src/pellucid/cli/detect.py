"""`pellucid detect`: verdict, probability and reasons for each image."""

import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pellucid.cli.opening import Run, only_with
from pellucid.cli.printing import print_json_list
from pellucid.cli.scoring import refuse_among_images, scoring_of, to_go_on_with
from pellucid.errors import ConfigError, DataError
from pellucid.terminal import counting_bar

if TYPE_CHECKING:
    from rich.console import Console

    from pellucid.anomaly.detector import Detector
    from pellucid.anomaly.features import Features
    from pellucid.scoring.part import Part

_MOST_EXPLAINED = 1_000
_COLORS = {"normal": "green", "anomalous": "red", "unreadable": "yellow"}


def detect(
    run: Run,
    images: list[str],
    /,
    *,
    axes: Literal["HW", "HWC", "CHW", "NHW", "NHWC", "NCHW"] | None = None,
    limit: int | None = None,
    explain: Path | None = None,
    table: Path | None = None,
    quiet: bool = False,
    fail_on_anomaly: bool = False,
    allow_unreadable: bool = False,
    engine: Literal["local", "ray"] = "local",
    workers: int | None = None,
    runtime: Literal["torch", "onnx"] = "torch",
    json: bool = False,
    device: str = "auto",
) -> None:
    """Say of each image whether it is like the normal ones, how sure that is, and why. Exits with 0.

    Args:
        run: A run directory with a detector (pellucid detector RUN --normal A --anomalous B), or `people`,
            the model that comes with Pellucid.
        images: Pictures, folders, tar shards, arrays, Parquet tables or built-in sets; URLs such as
            s3://bucket/photos/, where fsspec has the package for it. Those that cannot be read have a reason.
        axes: What the axes of a .npy or .npz are, where their lengths do not tell: N images, H height, W
            width, C channels.
        limit: Use no more than this many images in all, the first ones.
        explain: A folder for one figure an image: contributions, where the reconstruction fails, the nearest
            normal images, what would turn the verdict.
        table: A file for verdicts, scores and what was measured for them: .csv, .npz or .parquet. With it,
            Ctrl-C loses nothing: the same command goes on.
        quiet: Print no more than how many there are of each verdict, and what cannot be read.
        fail_on_anomaly: Exit with 1 if an image is anomalous or cannot be judged.
        allow_unreadable: With --fail-on-anomaly: what cannot be read is no failure.
        engine: `ray` scores on the cluster that Ray finds, with the same result.
        workers: Processes. Default: one a processor, if that pays.
        runtime: `onnx` computes by ONNX Runtime, on the CPU.
        json: Print everything as JSON.
        device: auto, cpu, cuda, cuda:1 or mps.
    """
    from contextlib import nullcontext

    import numpy as np

    from pellucid.anomaly.storage import load_detector
    from pellucid.model.predictor import load
    from pellucid.scoring.table import judged, writing_table
    from pellucid.storage.writing import locked_folder

    if json and quiet:
        raise ConfigError("--json prints everything, --quiet hardly anything. Leave one of them out.")
    only_with("--fail-on-anomaly", fail_on_anomaly, allow_unreadable=allow_unreadable)
    model = load(run, device=device)
    refuse_among_images(run, model, images, table, explain)
    detector = load_detector(model, run)
    scoring, scorer = scoring_of(
        run, images, axes, limit, engine, workers, runtime, device, table, columns=detector.measures
    )
    at_most = scoring.inputs.at_most
    if explain is not None and (at_most is None or at_most > _MOST_EXPLAINED):
        raise DataError(
            f"--explain: expected at most {_MOST_EXPLAINED:,} images. Choose some, or take the first ones by "
            f"--limit {_MOST_EXPLAINED}."
        )
    counts, seen = Counter[str](), 0

    def records() -> Iterator[dict[str, Any]]:
        nonlocal seen
        writing = nullcontext() if table is None else writing_table(table, scorer.columns, judged=True)
        drawing = nullcontext() if explain is None else locked_folder(explain)
        with drawing, to_go_on_with(scoring, table), counting_bar("measuring") as advance, writing as add:
            # Not strict: --limit may end before the last part
            for features, part in zip(scoring.run(advance), scoring.inputs.parts, strict=False):
                verdicts = judged(detector, features)
                counts.update(verdicts.verdicts)
                if add is not None:
                    add(features, verdicts)
                if explain is not None:
                    yield from _explained(detector, part, _records(detector, features), explain, seen)
                elif json or not quiet:
                    yield from _records(detector, features)
                else:
                    yield from _records(detector, features.of(np.flatnonzero(~features.readable)))
                seen += len(features)

    if json:
        print_json_list(records())
    else:
        _print(records(), counts, table, quiet=quiet)
    if fail_on_anomaly and (counts["anomalous"] or (counts["unreadable"] and not allow_unreadable)):
        sys.exit(1)


def _records(detector: "Detector", features: "Features") -> list[dict[str, Any]]:
    judged = iter(detector.judge(features.of(features.readable)))
    return [
        {"image": name, "verdict": "unreadable", "reason": problem} if problem else next(judged).record()
        for name, problem in zip(features.names, features.problems, strict=True)
    ]


def _explained(
    detector: "Detector", part: "Part", records: list[dict[str, Any]], folder: Path, first: int
) -> Iterator[dict[str, Any]]:
    """The records with every reason, and a figure of each image that can be read."""
    from pellucid.data.images import to_float
    from pellucid.report.explanation import explanation_figure
    from pellucid.report.figures import save_figure
    from pellucid.scoring.part import prepared

    with counting_bar("explaining") as advance:
        pictures = prepared(part, detector.model.config.preprocessing)
        for number, (record, (name, pixels)) in enumerate(zip(records, pictures, strict=False), first):
            if not isinstance(pixels, str):
                (explanation,) = detector.explain(to_float(pixels[None]), names=[name])
                stem = re.sub(r"[^\w.-]+", "_", Path(name).stem)[:80]
                figure = folder / f"{number:04d}-{explanation.verdict}-{stem}.png"
                save_figure(explanation_figure(explanation), figure)
                record = explanation.record() | {"figure": str(figure)}
            yield record
            advance(number - first + 1, len(records))


def _print(
    records: Iterator[dict[str, Any]], counts: Mapping[str, int], table: Path | None, *, quiet: bool
) -> None:
    from rich.console import Console

    console = Console(soft_wrap=True)
    for record in records:
        if not quiet or record["verdict"] == "unreadable":
            _print_one(console, record)
    if quiet or sum(counts.values()) > 1:
        console.print(", ".join(f"{counts[kind]:,} {kind}" for kind in _COLORS if counts[kind]) + ".")
    if table is not None:
        print(table)


def _print_one(console: "Console", record: Mapping[str, Any]) -> None:
    from pellucid.data.images import printable

    console.print(printable(record["image"]), style="bold", markup=False, highlight=False)
    text = record.get("sentence") or f"Unreadable: {printable(record['reason'])}"
    console.print(f"  {text}", style=_COLORS[record["verdict"]], markup=False, highlight=False)
    if "figure" in record:
        console.print(f"  {record['figure']}", markup=False, highlight=False)
