"""Normal and anomalous images for a detector; where the two or the training overlap is found and said."""

from typing import TYPE_CHECKING, Any

from pellucid.cli.opening import MEASURED, held_out_split, open_own_images, own_source
from pellucid.errors import ConfigError, PellucidError
from pellucid.terminal import say, spinner

if TYPE_CHECKING:
    from pellucid.data.dataset import Dataset
    from pellucid.model.predictor import Model

_MAX_COMPARED = 200_000
"""Images of a set that are looked through for copies at most: some seconds."""


def normal_rows(model: "Model", usual: "Dataset") -> Any:
    """The normal images: where some lie in folders called good, only these."""
    where = _normal_among(usual)
    if where is not None and not where.all():
        say(
            f"Note: of the normal images only the {where.sum():,} in folders called good, normal or ok "
            "are used."
        )
    return usual.rows(held_out_split(model, usual), at_most=MEASURED, where=where)


def anomalous_rows(unusual: "Dataset", usual: "Dataset") -> Any:
    """The anomalous images: none that lies in a folder called good, and none that is a normal one as well.

    Raises:
        ConfigError: If that leaves none.
    """
    import numpy as np

    from pellucid.data.copies import among, digests
    from pellucid.data.images import printable

    left_out = _in_normal_folder(unusual)
    if left_out.any():
        say(
            f"Note: {left_out.sum():,} of the anomalous images lie in folders called good, normal or ok: "
            "they are left out."
        )
    if not (_drawn(usual) or _drawn(unusual)):
        with spinner("looking for images that are in both"):
            normal = usual.rows("all", at_most=_MAX_COMPARED, where=_normal_among(usual))
            known = set(digests(usual.fetch, normal))
            rows = np.flatnonzero(~left_out)
            both = rows[among(unusual.fetch, rows, known)]
        if len(both):
            some = ", ".join(printable(unusual.names[row]) for row in both[:3].tolist())
            say(
                f"Note: {len(both):,} of the anomalous images are also among the normal ones, pixel for "
                f"pixel ({some}{' ...' if len(both) > 3 else ''}): they are left out."
            )
            left_out[both] = True
    if left_out.all():
        raise ConfigError(
            f"--anomalous: expected images that are not normal, but all {len(unusual):,} lie in folders "
            "called good, normal or ok, or are among the normal ones. Name the folder of what is anomalous."
        )
    return unusual.rows("all", at_most=MEASURED, where=~left_out)


def warn_of_training_images(
    model: "Model", examples: "dict[str, tuple[Dataset, Any]]", *, trust_data: bool
) -> None:
    """Say so if a detector is to learn from images that the model was trained on: their losses are lower.

    Args:
        model: Which was trained.
        examples: What they are called, the data they are of, and their rows.
        trust_data: As for `open_own_images`.
    """
    from pellucid.data.builtin import BUILTIN
    from pellucid.data.copies import among, digests

    others = {
        name: (dataset, rows)
        for name, (dataset, rows) in examples.items()
        if held_out_split(model, dataset) == "all"  # of its own data, held-out images are taken
    }
    if not others:
        return
    try:
        source, skip, limit = own_source(model)
        if source in BUILTIN:
            found = {
                name: _rows_trained_on(source, skip, limit, dataset, rows)
                for name, (dataset, rows) in others.items()
            }
        else:
            others = {name: example for name, example in others.items() if not _drawn(example[0])}
            if not others:
                return
            own = open_own_images(model, trust_data=trust_data, quiet=True)
            with spinner("looking for images that the model was trained on"):
                known = set(digests(own.fetch, own.rows("train", at_most=_MAX_COMPARED)))
                found = {name: among(dataset.fetch, rows, known) for name, (dataset, rows) in others.items()}
    except PellucidError as error:
        say(f"Note: whether the model was trained on some of these images is not known. {error}")
        return
    for name, trained_on in found.items():
        if trained_on.any():
            say(
                f"Note: the model was trained on {trained_on.sum():,} of these {len(trained_on):,} {name} "
                "images. Losses of new ones are larger, so its promises do not hold for them."
            )


def _rows_trained_on(source: str, skip: int, limit: int | None, dataset: "Dataset", rows: Any) -> Any:
    """Of a set that is drawn: whether each row is among those that the model was trained on."""
    import numpy as np

    if dataset.origin["source"] != source:
        return np.zeros(len(rows), bool)
    numbers = np.array([int(dataset.names[row]) for row in rows.tolist()], np.int64)
    return (numbers >= skip) & (limit is None or numbers < skip + limit)


def _drawn(dataset: "Dataset") -> bool:
    from pellucid.data.builtin import BUILTIN

    return dataset.origin["source"] in BUILTIN


def _normal_among(dataset: "Dataset") -> Any:
    """Bool [image]: in folders called good; None where there are no such folders."""
    normal = _in_normal_folder(dataset)
    return normal if normal.any() else None


def _in_normal_folder(dataset: "Dataset") -> Any:
    import numpy as np

    from pellucid.data.roles import in_normal_folder

    if dataset.kind != "folder":
        return np.zeros(len(dataset), bool)
    return in_normal_folder(dataset.names)
