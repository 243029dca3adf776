"""What is known of an image without a label: how well it is reconstructed, how busy it is, its latents."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64, Int
from torch import Tensor

from pellucid.anomaly.texture import TEXTURE, texture
from pellucid.data.dataset import Dataset
from pellucid.data.images import printable, read_image, to_float
from pellucid.errors import ConfigError, DataError, ImageError, MissingExtraError, RunError
from pellucid.latents.activity import check_prepared
from pellucid.model.predictor import Images, Model
from pellucid.model.sealed import write_file
from pellucid.objective.reconstruction import LOSSES, reconstruction_losses

LOSS_COLUMNS: tuple[str, ...] = tuple(LOSSES)
PICTURE_COLUMNS: tuple[str, ...] = (*LOSS_COLUMNS, *TEXTURE)
"""What every model gives; the latents follow."""
FORMATS = (".csv", ".npz", ".parquet")

Progress = Callable[[int, int], None]

_BATCH = 256
_FORMULA = ("=", "+", "-", "@")  # a spreadsheet would compute a cell that begins so


@dataclass(frozen=True)
class Features:
    """The features of many images, one row each.

    Attributes:
        columns: `mse` and the other five losses, the measures of `TEXTURE`, then `z0`, `z1`, ...
        values: float64 [image column]: losses in their natural units, measures of texture, posterior means;
            nan in the rows of images that could not be read.
        names: One for each image.
        problems: For each image "", or why it could not be read.
    """

    columns: tuple[str, ...]
    values: Float64[np.ndarray, "image column"]
    names: tuple[str, ...]
    problems: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def readable(self) -> Bool[np.ndarray, " image"]:
        """Which images could be read."""
        return np.array([not problem for problem in self.problems], bool)

    def of(self, rows: Int[np.ndarray, " row"] | Bool[np.ndarray, " image"]) -> "Features":
        """Some of the images, by their rows or by a mark for each."""
        chosen = np.arange(len(self))[rows]
        return Features(
            self.columns,
            self.values[chosen],
            tuple(self.names[row] for row in chosen.tolist()),
            tuple(self.problems[row] for row in chosen.tolist()),
        )

    def select(self, columns: Sequence[str]) -> Float64[np.ndarray, "image chosen"]:
        """Some of the columns, in the order that is asked for.

        Raises:
            ConfigError: If one is not there.
        """
        for column in columns:
            if column not in self.columns:
                raise ConfigError(_unknown(column, self.columns))
        return self.values[:, [self.columns.index(column) for column in columns]]


def joined(parts: Sequence[Features]) -> Features:
    """The features of several sets of images as one, in their order.

    Raises:
        ConfigError: If there are none, or they have different columns.
    """
    if len({part.columns for part in parts}) != 1:
        raise ConfigError("expected features of one model, one set or more. Measure all with the same model.")
    return Features(
        parts[0].columns,
        np.concatenate([part.values for part in parts]),
        tuple(name for part in parts for name in part.names),
        tuple(problem for part in parts for problem in part.problems),
    )


def columns_of(choice: str | Sequence[str], latents: int) -> tuple[str, ...]:
    """The columns that a choice means.

    Args:
        choice: `losses`, `texture`, `latents`, a loss, a measure of texture, a latent such as `z3`, several
            of them joined by `,` or `+`, or a list of them. What stands twice is taken once.
        latents: How many latents the model has.

    Raises:
        ConfigError: If there is no such column, or none is chosen.
    """
    sets = {
        "losses": LOSS_COLUMNS,
        "texture": TEXTURE,
        "latents": tuple(f"z{latent}" for latent in range(latents)),
    }
    every = PICTURE_COLUMNS + sets["latents"]
    parts = re.split("[,+]", choice) if isinstance(choice, str) else choice
    chosen: dict[str, None] = {}
    for part in (part.strip() for part in parts):
        if part not in sets and part not in every:
            raise ConfigError(_unknown(part, every))
        chosen |= dict.fromkeys(sets.get(part, (part,)))
    if not chosen:
        raise ConfigError("columns: expected one or more, got an empty list. Choose losses+latents.")
    return tuple(chosen)


def _unknown(column: str, known: Sequence[str]) -> str:
    latents = [name for name in known if name not in PICTURE_COLUMNS]
    allowed = [name for name in known if name in PICTURE_COLUMNS]
    allowed += [f"{latents[0]} to {latents[-1]}"] if len(latents) > 1 else latents
    return (
        f"columns: expected losses, texture, latents, or some of {', '.join(allowed)}, got {column[:60]!r}. "
        "List them with commas between."
    )


def measure(
    model: Model,
    dataset: Dataset,
    rows: Int[np.ndarray, " row"] | None = None,
    *,
    progress: Progress | None = None,
) -> Features:
    """Measure the images of a data set in one pass; only a batch of them is in memory at a time.

    Args:
        model: The model.
        dataset: Opened with the model's own preprocessing.
        rows: Rows of the data set, measured in this order. None measures every image of it, and gives those
            that could not be read a row with the reason, all in the order of their names.
        progress: Called with the number of images done and of all after each batch.

    Raises:
        DataError: If there are no rows, or the images are not prepared as the model's were.
        RunError: If the model's answers are not numbers.
    """
    check_prepared(model, dataset)
    chosen = np.arange(len(dataset)) if rows is None else rows
    if not len(chosen):
        raise DataError("expected at least 1 image to measure, got 0 rows. Choose another part of the data.")
    names = [dataset.names[int(row)] for row in chosen]
    batches = (dataset.batch(chosen[part]) for part in _parts(len(chosen)))
    features = _measured(model, batches, names, progress)
    return features if rows is not None or not dataset.skipped else _with_skipped(features, dataset.skipped)


def measure_files(model: Model, paths: Sequence[Path], *, progress: Progress | None = None) -> Features:
    """Measure one picture file after another, in this order.

    A file that is no picture, or is damaged, has a row with the reason and stops nothing.

    Args:
        model: The model; pictures are prepared as its own were.
        paths: The files; their names are the paths as given.
        progress: Called with the number of files done and of all after each batch.

    Raises:
        DataError: If there are no files.
        RunError: If the model's answers are not numbers.
    """
    if not paths:
        raise DataError("expected at least 1 picture to measure, got none. Name files or a folder.")
    problems = [""] * len(paths)
    built = model.config.architecture
    blank = np.zeros((built.size, built.size, built.channels), np.uint8)

    def read(at: int) -> np.ndarray:
        try:
            return read_image(Path(paths[at]), model.config.preprocessing)
        except ImageError as error:
            problems[at] = str(error)
            return blank  # keeps its place in the batch; what is measured on it is taken out below

    batches = (
        to_float(np.stack([read(at) for at in range(part.start, part.stop)])) for part in _parts(len(paths))
    )
    features = _measured(model, batches, [str(path) for path in paths], progress)
    features.values[[bool(problem) for problem in problems]] = np.nan
    return replace(features, problems=tuple(problems))


def measure_images(model: Model, images: Images, names: Sequence[str] | None = None) -> Features:
    """Measure images that are in memory, or anything else that `Model.to_tensor` takes.

    Args:
        model: The model.
        images: One or many.
        names: One for each; None numbers them with eight digits.

    Raises:
        ImageError: If one of them is not an image, or not one that the model takes; `measure_files` goes on.
        DataError: If there is not one name for each.
        RunError: If the model's answers are not numbers.
    """
    tensor = model.to_tensor(images)
    given = [f"{row:08d}" for row in range(len(tensor))] if names is None else list(names)
    if len(given) != len(tensor) or not given:
        raise DataError(f"expected one name for each of {len(tensor)} images, got {len(given)}.")
    return _measured(model, (tensor[part] for part in _parts(len(tensor))), given, None)


def _parts(count: int) -> Iterator[slice]:
    return (slice(start, min(start + _BATCH, count)) for start in range(0, count, _BATCH))


def _measured(
    model: Model,
    batches: Iterator[Float32[Tensor, "batch channel height width"]],
    names: Sequence[str],
    progress: Progress | None,
) -> Features:
    columns = columns_of("losses+texture+latents", model.latents)
    values = np.empty((len(names), len(columns)))
    done = 0
    for images in batches:
        mean = model.encode(images).mean
        values[done : done + len(images)] = values_of(images, mean, model.decode(mean))
        done += len(images)
        if progress:
            progress(done, len(names))
    if not np.isfinite(values).all():
        raise RunError(
            "expected finite losses and latents from the model, got nan or inf. Its training diverged: train "
            "again."
        )
    return Features(columns, values, tuple(names), ("",) * len(names))


def values_of(
    images: Float32[Tensor, "image channel height width"],
    mean: Float32[Tensor, "image latent"],
    reconstructions: Float32[Tensor, "image channel height width"],
) -> Float64[np.ndarray, "image column"]:
    """The values of all features, where the model has encoded and decoded the images already.

    Args:
        images: As the encoder has seen them.
        mean: Of their posteriors.
        reconstructions: Decoded from these.
    """
    losses = reconstruction_losses(images, reconstructions)
    parts = (torch.stack(list(losses.values()), 1), texture(images), mean)
    values: Float64[np.ndarray, "image column"] = torch.cat([part.double() for part in parts], dim=1).numpy()
    return values


def _with_skipped(features: Features, skipped: Sequence[tuple[str, str]]) -> Features:
    unread = Features(
        features.columns,
        np.full((len(skipped), len(features.columns)), np.nan),
        tuple(name for name, _ in skipped),
        tuple(reason for _, reason in skipped),
    )
    together = joined([features, unread])
    return together.of(np.array(sorted(range(len(together)), key=together.names.__getitem__)))


def write_features(features: Features, path: Path) -> None:
    """Write the features as a table; a kill at any moment leaves the old file or the new one.

    Columns are `name`, `problem` and the features. Numbers lose no digit. Characters of a name that cannot be
    printed are escaped, and in CSV a name that a spreadsheet would take for a formula gets `./` in front. An
    .npz holds the arrays `names`, `problems`, `columns` and `values`.

    Args:
        features: What was measured.
        path: Ends in .csv, .npz or .parquet.

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
    write_file(path, writer(features))


def _csv(features: Features) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("name", "problem", *features.columns))
    rows = zip(features.names, features.problems, features.values.tolist(), strict=True)
    for name, problem, numbers in rows:
        cells = ("" if problem else repr(number) for number in numbers)
        writer.writerow((_plain(name), _plain(problem), *cells))
    return text.getvalue().encode()


def _plain(text: str) -> str:
    return f"./{printable(text)}" if text.startswith(_FORMULA) else printable(text)


def _npz(features: Features) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(
        file,
        names=np.array([printable(name) for name in features.names], np.str_),
        problems=np.array([printable(problem) for problem in features.problems], np.str_),
        columns=np.array(features.columns, np.str_),
        values=features.values,
    )
    return file.getvalue()


def _parquet(features: Features) -> bytes:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtraError(
            "writing Parquet needs pyarrow. Run: pip install 'pellucid[parquet]', or write .csv or .npz."
        ) from error
    content = {
        "name": [printable(name) for name in features.names],
        "problem": [printable(problem) for problem in features.problems],
    }
    numbers = dict(zip(features.columns, features.values.T, strict=True))
    file = io.BytesIO()
    pq.write_table(pa.table({**content, **numbers}), file)
    return file.getvalue()
