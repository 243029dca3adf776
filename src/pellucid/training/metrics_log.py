"""metrics.jsonl: one JSON object a line, appended while training, cut back when a run resumes."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pellucid.errors import RunError
from pellucid.model.inside import inside
from pellucid.model.sealed import write_file
from pellucid.storage.regular import open_regular
from pellucid.storage.strict_json import parse_json

METRICS = "metrics.jsonl"
MAX_BYTES = 256 << 20
MAX_LINE = 64 << 10
MAX_NUMBERS = 4_000_000
"""In all rows together: each takes some 64 bytes of memory."""


def append_metrics(run: Path, row: dict[str, Any]) -> None:
    """Add one row; numbers that are not finite become null, because JSON has no others."""
    finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
    with inside(run, METRICS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(finite) + "\n")


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """All rows in order; an unfinished last line, left by a kill, is dropped.

    Raises:
        RunError: If another line is not a JSON object of numbers with a step, or the file is too large or
            cannot be read.
    """
    rows, numbers = list[dict[str, Any]](), 0
    for _, row in _lines(run / METRICS):
        rows.append(row)
        numbers += len(row)
        if numbers > MAX_NUMBERS:
            raise RunError(f"{run / METRICS}: expected at most {MAX_NUMBERS:,} numbers, got more.")
    return rows


def cut_metrics(run: Path, step: int) -> None:
    """Drop the rows after `step`, which a resumed run will write again.

    Raises:
        RunError: As `read_metrics`, but for the number of rows.
    """
    path = inside(run, METRICS)
    write_file(path, b"".join(line for line, row in _lines(path) if row["step"] <= step))


def _lines(path: Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Each finished line, and the row that it says."""
    if not path.exists():
        return
    size = 0
    try:
        with open_regular(path) as file:
            while (line := file.readline(MAX_LINE + 1)).endswith(b"\n"):
                size += len(line)
                if size > MAX_BYTES:
                    raise RunError(f"{path}: expected at most {MAX_BYTES:,} bytes, got more.")
                yield line, _row(line)
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.strerror or error}). Remove it.") from error
    except ValueError as error:
        raise RunError(f"{path}: expected one JSON object of numbers a line, but {error}.") from error
    if len(line) > MAX_LINE:
        raise RunError(f"{path}: expected lines of at most {MAX_LINE:,} bytes, got more.")


def _row(line: bytes) -> dict[str, Any]:
    row = parse_json(line)
    if not isinstance(row, dict) or type(row.get("step")) is not int:
        raise ValueError("one has no step")
    if not all(value is None or type(value) in (int, float) for value in row.values()):
        raise ValueError("one holds something else")
    return row
