"""metrics.jsonl: one JSON object a line, appended while training, cut back when a run resumes."""

import json
import math
from pathlib import Path
from typing import Any

from pellucid.errors import RunError
from pellucid.model.inside import inside
from pellucid.model.sealed import read_file, write_file

METRICS = "metrics.jsonl"
_MAX_BYTES = 256 << 20


def append_metrics(run: Path, row: dict[str, Any]) -> None:
    """Add one row; numbers that are not finite become null, because JSON has no others."""
    finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
    with inside(run, METRICS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(finite) + "\n")


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """All rows in order; an unfinished last line, left by a kill, is dropped.

    Raises:
        RunError: If another line is not a JSON object, or the file is too large.
    """
    path = run / METRICS
    if not path.exists():
        return []
    # What follows the last newline is cut.
    lines = read_file(path, _MAX_BYTES).decode("utf-8", "replace").split("\n")[:-1]
    try:
        rows = [json.loads(line) for line in lines]
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path}: expected one JSON object a line, but {error}.") from error
    if not all(isinstance(row, dict) and isinstance(row.get("step"), int) for row in rows):
        raise RunError(f"{path}: expected one JSON object with a step a line.")
    return rows


def cut_metrics(run: Path, step: int) -> None:
    """Drop the rows after `step`, which a resumed run will write again."""
    rows = [row for row in read_metrics(run) if row["step"] <= step]
    write_file(run / METRICS, "".join(json.dumps(row) + "\n" for row in rows).encode())
