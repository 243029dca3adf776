"""Write what was measured of each image as a table, a part at a time; a kill leaves the old file or none."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from jaxtyping import Float64

from pellucid.anomaly.detector import Detector
from pellucid.anomaly.features import Features
from pellucid.data.images import printable
from pellucid.errors import ConfigError, MissingExtraError
from pellucid.storage.writing import replacing

FORMATS = (".csv", ".npz", ".parquet")
SCORES = ("score", "probability", "p_value")
_FORMULA = re.compile(r"(^|;)([\s\"']*)(?=[=+\-@＝＋－＠])")
"""Where a spreadsheet would compute: at the start of a cell, which in some countries follows a semicolon."""


@dataclass(frozen=True)
class Judged:
    """What a detector says of the images of a part.

    Attributes:
        verdicts: `normal`, `anomalous` or `unreadable` for each image.
        scores: float64 [image 3], the columns of `SCORES`; nan where there is none.
    """

    verdicts: tuple[str, ...]
    scores: Float64[np.ndarray, "image 3"]


def judged(detector: Detector, features: Features) -> Judged:
    """The verdicts on all images of a part, without reasons: fast."""
    readable = features.readable
    known = features.of(readable)
    scores = np.full((len(features), len(SCORES)), np.nan)
    verdicts = np.full(len(features), "unreadable", object)
    if len(known):
        scores[readable, 0] = detector.score_samples(known)
        if detector.gives_probabilities:
            scores[readable, 1] = detector.predict_proba(known)[:, 1]
        scores[readable, 2] = detector.p_values(known)
        verdicts[readable] = np.where(detector.predict(known) == 1, "normal", "anomalous")
    return Judged(tuple(verdicts.tolist()), scores)


Add = Callable[[Features, Judged | None], None]


@contextmanager
def writing_table(path: Path, columns: Sequence[str], *, judged: bool = False) -> Iterator[Add]:
    """A table that is there under its name when all of it is written.

    Columns are `name`, `problem`, with verdicts also `verdict`, `score`, `probability` and `p_value`, then
    the features. Numbers lose no digit; what is not known is an empty cell in CSV and nan elsewhere.
    Characters of a name that cannot be printed are escaped, and in CSV what a spreadsheet would take for a
    formula gets `./` in front. An .npz holds the arrays `names`, `problems`, `columns` and `values`,
    with verdicts also `verdicts` and `scores`; all of it is in memory until it is written.

    Args:
        path: Ends in .csv, .npz or .parquet.
        columns: Of the features.
        judged: Whether there are verdicts.

    Yields:
        A function that adds the images of a part.

    Raises:
        ConfigError: If it ends otherwise.
        MissingExtraError: If it ends in .parquet and pyarrow is not installed.
        OSError: If it cannot be written.
    """
    writers = {".csv": _csv, ".npz": _npz, ".parquet": _parquet}
    writer = writers.get(path.suffix.lower())
    if writer is None:
        raise ConfigError(
            f"{printable(path)}: expected a name that ends in {', '.join(FORMATS)}. Choose one of them."
        )
    with replacing(path) as file, writer(file, columns, judged) as add:
        yield add


@contextmanager
def _csv(file: IO[bytes], columns: Sequence[str], judged: bool) -> Iterator[Add]:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("name", "problem", *(("verdict", *SCORES) if judged else ()), *columns))

    def add(features: Features, found: Judged | None) -> None:
        for row, (name, problem) in enumerate(zip(features.names, features.problems, strict=True)):
            cells = [_plain(name), _plain(problem)]
            if found is not None:
                cells += [found.verdicts[row], *map(_digits, found.scores[row].tolist())]
            writer.writerow(cells + [_digits(number) for number in features.values[row].tolist()])

    yield add
    text.flush()
    text.detach()


def _digits(number: float) -> str:
    return "" if number != number else repr(number)


def _plain(text: str) -> str:
    return _FORMULA.sub(r"\1\2./", printable(text))


@contextmanager
def _npz(file: IO[bytes], columns: Sequence[str], judged: bool) -> Iterator[Add]:
    parts, found = list[Features](), list[Judged]()

    def add(features: Features, verdicts: Judged | None) -> None:
        parts.append(features)
        found.extend([verdicts] if verdicts is not None else [])

    yield add
    arrays = {
        "names": np.array([printable(name) for part in parts for name in part.names], np.str_),
        "problems": np.array([printable(problem) for part in parts for problem in part.problems], np.str_),
        "columns": np.array(columns, np.str_),
        "values": np.concatenate([np.zeros((0, len(columns))), *(part.values for part in parts)]),
    }
    if judged:
        arrays["verdicts"] = np.array([verdict for part in found for verdict in part.verdicts], np.str_)
        arrays["scores"] = np.concatenate([np.zeros((0, len(SCORES))), *(part.scores for part in found)])
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


@contextmanager
def _parquet(file: IO[bytes], columns: Sequence[str], judged: bool) -> Iterator[Add]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtraError(
            "writing Parquet needs pyarrow. Run: pip install 'pellucid[parquet]', or write .csv or .npz."
        ) from error
    texts = ("name", "problem", *(("verdict",) if judged else ()))
    numbers = (*(SCORES if judged else ()), *columns)
    schema = pa.schema([(name, pa.string()) for name in texts] + [(name, pa.float64()) for name in numbers])
    with pq.ParquetWriter(file, schema) as writer:

        def add(features: Features, found: Judged | None) -> None:
            content: dict[str, Any] = {
                "name": [printable(name) for name in features.names],
                "problem": [printable(problem) for problem in features.problems],
            }
            values = features.values
            if found is not None:
                content["verdict"] = list(found.verdicts)
                values = np.concatenate([found.scores, values], axis=1)
            content |= dict(zip(numbers, values.T, strict=True))
            writer.write_table(pa.table(content, schema=schema))

        yield add
