"""Opening what a command works on: images to train on, or a run with images to look at."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from pellucid.data.paths import refuse_inside
from pellucid.errors import ConfigError, RunError
from pellucid.terminal import counting_bar, say

if TYPE_CHECKING:
    from cyclopts import Token

    from pellucid.data.axes import Axes
    from pellucid.data.dataset import Dataset
    from pellucid.data.images import Crop
    from pellucid.model.predictor import Model


def _found(_: object, tokens: "Sequence[Token]") -> Path:
    from pellucid.model.pretrained import find_run

    return find_run(tokens[0].value)


Run = Annotated[Path, Parameter(converter=_found)]
"""A run directory as every command takes it: a folder, or the name of a model that comes with the package."""

MEASURED = 10_000
"""Images that latents are measured on at most: plenty for every number shown, and seconds to encode."""

FEWEST = 10
"""Images below which activity and correlations say nothing."""


def open_training_data(
    data: str,
    out: Path | None,
    *,
    size: int,
    channels: int | None,
    crop: "Crop | None",
    window: str | None,
    axes: "Axes | None",
    skip: int,
    limit: int | None,
    workers: int | None,
) -> "Dataset":
    """Images to train on; what could not be read is listed in `out`/skipped.txt, if `out` is given."""
    from pellucid.data.images import parse_window
    from pellucid.data.store import open_dataset

    with counting_bar("reading images") as advance:
        dataset = open_dataset(
            data,
            size=size,
            channels=channels,
            crop=crop,
            window=None if window is None else parse_window(window),
            axes=axes,
            skip=skip,
            limit=limit,
            workers=workers,
            progress=advance,
        )
    if out is not None:
        _list_skipped(dataset, out)
        _tell(dataset)
    return dataset


def compute_with(threads: int | None) -> None:
    """Let PyTorch compute with so many threads; None leaves it as it is.

    Raises:
        ConfigError: If it is none.
    """
    import torch

    if threads is None:
        return
    if threads < 1:
        raise ConfigError(f"--threads: expected 1 or more, got {threads}. Leave it out.")
    torch.set_num_threads(threads)


def open_images(
    model: "Model",
    source: str,
    skip: int = 0,
    limit: int | None = None,
    *,
    axes: "Axes | None" = None,
    quiet: bool = False,
) -> "Dataset":
    """Images from anywhere, prepared as those that the model was trained on.

    Args:
        model: Of a run.
        source: Where the images are.
        skip: Leave out so many images at the start.
        limit: Take so many at the most.
        quiet: Leave unsaid what is to be noted, and what cannot be read.

    Raises:
        ConfigError: If the run lies among the images, where its figures would be taken for some.
    """
    from pellucid.data.store import open_prepared

    refuse_inside(model.directory, [source])
    with counting_bar("reading images") as advance:
        dataset = open_prepared(
            source, model.config.preprocessing, axes=axes, skip=skip, limit=limit, progress=advance
        )
    if not quiet:
        _tell(dataset)
        if dataset.left_out is not None:
            say(dataset.left_out)
    return dataset


def keep_apart(model: "Model", place: Path | None, *sources: str | Path) -> None:
    """Refuse to write among images that are read, or that the model was trained on.

    Raises:
        ConfigError: If `place` lies in one of the sources or in the images of the training.
    """
    from pellucid.data.builtin import BUILTIN
    from pellucid.data.trained_here import trained_here

    source = model.config.data.get("source")
    own = source not in BUILTIN and trained_here(model.config.data, model.config.preprocessing)
    refuse_inside(place, [*sources, *([str(source)] if own else [])])


def only_with(other: str, given: bool, **options: object) -> None:
    """Refuse options that do nothing without another one.

    Args:
        other: How to give the other one.
        given: Whether it is given.
        options: Their values by name; None and False stand for options that are not given.

    Raises:
        ConfigError: If one is given without the other.
    """
    idle = [f"--{name.replace('_', '-')}" for name, value in options.items() if value not in (None, False)]
    if idle and not given:
        raise ConfigError(f"{' and '.join(idle)}: does nothing without {other}. Give both, or neither.")


def open_own_images(
    model: "Model", option: str = "--data", *, trust_data: bool = False, quiet: bool = False
) -> "Dataset":
    """Open the images that the model was trained on, as they were then.

    Args:
        model: Of a run, whose config says where they are.
        option: How to name others.
        trust_data: Open them even if the config is all that speaks for it. Without, a folder or file is not
            touched unless this user has trained on it here: a run may be a stranger's.
        quiet: Leave unsaid what there is to say of them.
    """
    from pellucid.data.axes import check_axes
    from pellucid.data.builtin import BUILTIN, open_builtin
    from pellucid.data.trained_here import trained_here

    origin = model.config.data
    source, skip, limit = own_source(model, option)
    if not (trust_data or source in BUILTIN or trained_here(origin, model.config.preprocessing)):
        raise ConfigError(
            f"{source}: not opened, because only the run says that it was trained on that, and you have not "
            f"trained on it here. Name images with {option}, or allow it with --trust-data."
        )
    if source in BUILTIN:  # whatever folder here has that name
        pre = model.config.preprocessing
        dataset = open_builtin(
            source, size=pre.size, channels=pre.channels, crop=None, skip=skip, limit=limit
        )
    else:
        dataset = open_images(model, source, skip, limit, axes=check_axes(origin.get("axes")), quiet=quiet)
    if dataset.fingerprint != origin["fingerprint"]:
        raise ConfigError(
            f"{source}: expected the images of the training, but they have changed, so "
            f"which were held out is unknown. Name images with {option}."
        )
    return dataset


def own_source(model: "Model", option: str = "--data") -> tuple[str, int, int | None]:
    """Read what a run's config says of the images that the model was trained on, whatever may stand there.

    Returns:
        Where they are, how many were left out at the start, and how many were taken at most.

    Raises:
        RunError: If it does not say so.
    """
    origin = model.config.data
    source, skip, limit = origin.get("source"), origin.get("skip"), origin.get("limit")
    told = {"limit", "fingerprint"} <= origin.keys()
    if not (told and isinstance(source, str) and type(skip) is int and (limit is None or type(limit) is int)):
        raise RunError(
            f"{model.directory}: its config does not say what it was trained on. Name images with {option}."
        )
    return source, skip, limit


def open_run(
    run: Path, data: str | None, skip: int, limit: int | None, device: str, *, trust_data: bool
) -> "tuple[Model, Dataset, Any]":
    """The run's model and images to look at: held-out ones of its own data, or all of other `data`."""
    from pellucid.model.predictor import load

    model = load(run, device=device)
    dataset = (
        open_own_images(model, trust_data=trust_data)
        if data is None
        else open_images(model, data, skip, limit)
    )
    return model, dataset, dataset.rows(held_out_split(model, dataset), at_most=MEASURED)


def rows_to_measure(dataset: "Dataset") -> Any:
    """The held-out images; of a set so small that they say nothing, all images."""
    rows = dataset.rows("held-out", at_most=MEASURED)
    if len(rows) >= FEWEST:
        return rows
    say(f"Held out are only {len(rows)}: the latents are measured on all images, learned ones too.")
    return dataset.rows("all", at_most=MEASURED)


def held_out_split(model: "Model", dataset: "Dataset") -> Literal["held-out", "all"]:
    """Which images the model has not learned from: of its own data the held-out ones, of others all."""
    own = dataset.fingerprint == model.config.data.get("fingerprint")
    return "held-out" if own else "all"


def skipped_record(*datasets: "Dataset") -> list[dict[str, Any]]:
    """What could not be read of some images, as `--json` prints it: where it is, its name, and why."""
    return [
        {"source": dataset.origin["source"], "name": name, "reason": reason}
        for dataset in datasets
        for name, reason in dataset.skipped
    ]


def _tell(dataset: "Dataset") -> None:
    for note in dataset.notes:
        say(f"Note: {note}")


def _list_skipped(dataset: "Dataset", out: Path) -> None:
    from pellucid.data.images import printable
    from pellucid.model.sealed import write_file

    if dataset.left_out is None:
        return
    listing = out / "skipped.txt"
    rows = "".join(f"{printable(file)}\t{printable(reason)}\n" for file, reason in dataset.skipped)
    write_file(listing, rows.encode())
    say(f"{dataset.left_out} {listing} says why.")
