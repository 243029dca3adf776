"""`pellucid detect`: verdict, probability and reasons for each image."""

import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.cli.opening import open_images
from pellucid.cli.printing import print_json
from pellucid.errors import ConfigError, DataError
from pellucid.terminal import counting_bar

if TYPE_CHECKING:
    from pellucid.anomaly.detector import Detector
    from pellucid.anomaly.features import Features
    from pellucid.model.predictor import Model

_MOST_EXPLAINED = 1_000


def detect(
    run: Path,
    images: list[str],
    /,
    *,
    limit: int | None = None,
    explain: Path | None = None,
    features: Path | None = None,
    fail_on_anomaly: bool = False,
    json: bool = False,
    device: str = "auto",
) -> None:
    """Say of each image whether it is like the normal ones, how sure that is, and why. Exits with 0.

    Args:
        run: A run directory with a detector: pellucid detector RUN --normal A --anomalous B.
        images: Pictures, folders, array files or built-in sets. Those that cannot be read have a reason.
        limit: Use no more than this many images of each folder.
        explain: A folder for one figure an image: contributions, where the reconstruction fails, the nearest
            normal images, what would turn the verdict.
        features: A file for what was measured of each image: .csv, .npz or .parquet.
        fail_on_anomaly: Exit with 1 if an image is anomalous or cannot be read.
        json: Print everything as JSON.
        device: auto, cpu, cuda, cuda:1 or mps.
    """
    from pellucid.anomaly.features import write_features
    from pellucid.anomaly.storage import load_detector
    from pellucid.model.predictor import load

    if limit is not None and limit < 1:
        raise ConfigError(f"--limit: expected 1 or more, got {limit}. Raise it.")
    model = load(run, device=device)
    detector = load_detector(model, run)
    measured, sources = _measure(model, images, limit)
    readable = measured.of(measured.readable)
    verdicts = {verdict.name: verdict for verdict in detector.judge(readable)} if len(readable) else {}
    unread = {name: why for name, why in zip(measured.names, measured.problems, strict=True) if why}
    records: list[dict[str, Any]] = [
        {"image": name, "verdict": "unreadable", "reason": unread[name]}
        if name in unread
        else verdicts[name].record()
        for name in measured.names
    ]
    if explain is not None:
        records = _explained(detector, records, sources, explain)
    if features is not None:
        write_features(measured, features)
    if json:
        print_json(records)
    else:
        _print(records, features)
    if fail_on_anomaly and any(record["verdict"] != "normal" for record in records):
        sys.exit(1)


def _measure(model: "Model", images: Sequence[str], limit: int | None) -> "tuple[Features, dict[str, Any]]":
    """What was measured of every image under a name of its own, and where each picture comes from."""
    import numpy as np

    from pellucid.anomaly.features import joined, measure, measure_files

    parts, sources = [], dict[str, Any]()
    files = [Path(image) for image in images if _is_picture(image)]
    if files:
        with counting_bar("measuring") as advance:
            parts.append(measure_files(model, files, progress=advance))
        sources |= {str(file): file for file in files}
    for image in images:
        if _is_picture(image):
            continue
        try:
            dataset = open_images(model, image, limit=limit)
        except DataError as error:
            parts.append(_unreadable(model, image, limit, error))
            continue
        with counting_bar("measuring") as advance:
            found = measure(model, dataset, progress=advance)
        place = {name: row for row, name in enumerate(dataset.names)}
        names = tuple(f"{image.rstrip('/')}/{name}" for name in found.names)
        sources |= {
            full: (dataset, place[name])
            for full, name in zip(names, found.names, strict=True)
            if name in place
        }
        parts.append(replace(found, names=names))
    everything = joined(parts)
    first = {name: row for row, name in reversed(list(enumerate(everything.names)))}
    return everything.of(np.array(sorted(first.values()))), sources  # an image that is given twice is one


def _unreadable(model: "Model", image: str, limit: int | None, error: DataError) -> "Features":
    """A row with its reason for each picture of a folder of which none can be read."""
    from pellucid.anomaly.features import measure_files
    from pellucid.data.sources import find_source

    source = find_source(Path(image), limit=limit) if Path(image).is_dir() else None
    if source is None or source.kind != "folder":
        raise error
    return measure_files(model, [Path(image) / name for name in source.names])


def _is_picture(image: str) -> bool:
    """Whether it is to be read as one picture: whatever is not a folder, an array, a table or built in."""
    from pellucid.data.builtin import BUILTIN

    return not (
        image in BUILTIN or Path(image).is_dir() or image.lower().endswith((".npy", ".npz", ".parquet"))
    )


def _explained(
    detector: "Detector", records: list[dict[str, Any]], sources: dict[str, Any], folder: Path
) -> list[dict[str, Any]]:
    """The records with every reason, and a figure of each image that can be read."""
    import numpy as np

    from pellucid.report.explanation import explanation_figure
    from pellucid.report.figures import save_figure

    readable = sum(record["verdict"] != "unreadable" for record in records)
    if readable > _MOST_EXPLAINED:
        raise DataError(
            f"--explain: expected at most {_MOST_EXPLAINED:,} images, got {readable:,}. "
            "Choose some, or --limit."
        )
    full = []
    with counting_bar("explaining") as advance:
        for number, record in enumerate(records):
            if record["verdict"] != "unreadable":
                source = sources[record["image"]]
                picture = source if isinstance(source, Path) else source[0].batch(np.array([source[1]]))
                (explanation,) = detector.explain(picture, names=[record["image"]])
                stem = re.sub(r"[^\w.-]+", "_", Path(record["image"]).stem)[:80]
                figure = folder / f"{number:04d}-{explanation.verdict}-{stem}.png"
                save_figure(explanation_figure(explanation), figure)
                record = explanation.record() | {"figure": str(figure)}
            full.append(record)
            advance(number + 1, len(records))
    return full


def _print(records: list[dict[str, Any]], features: Path | None) -> None:
    from rich.console import Console

    from pellucid.data.images import printable

    console = Console(soft_wrap=True)
    colors = {"normal": "green", "anomalous": "red", "unreadable": "yellow"}
    for record in records:
        console.print(printable(record["image"]), style="bold", markup=False, highlight=False)
        text = record.get("sentence") or f"Unreadable: {printable(record['reason'])}"
        console.print(f"  {text}", style=colors[record["verdict"]], markup=False, highlight=False)
        if "figure" in record:
            console.print(f"  {record['figure']}", markup=False, highlight=False)
    if len(records) > 1:
        counts = {kind: sum(record["verdict"] == kind for record in records) for kind in colors}
        console.print(", ".join(f"{count:,} {kind}" for kind, count in counts.items() if count) + ".")
    if features is not None:
        print(features)
