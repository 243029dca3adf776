"""Groups of images that belong together: crops of one image, frames of one video, images of one identity.

Images of one group resemble each other more than those of two, so they count as one wherever a promise is
made, and a split never divides them.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int, Int64

from pellucid.data.dataset import Dataset
from pellucid.errors import ConfigError, DataError

FOLDER, NAME, IDENTITY = "folder", "name", "identity"

Labels = Sequence[str] | Sequence[int] | Int[np.ndarray, " _"]
"""One for each image; images with one label belong together."""


def numbered(groups: Any, images: int) -> Int64[np.ndarray, " image"]:
    """Number the groups of images from 0 on.

    Args:
        groups: One label for each image: texts or numbers. None makes each image a group of its own.
        images: How many there are.

    Raises:
        DataError: If there is not one label for each image.
    """
    if groups is None:
        return np.arange(images)
    labels = np.asarray(groups)
    if labels.shape != (images,):
        raise DataError(
            f"groups: expected one label for each of {images:,} images, got the shape {list(labels.shape)}. "
            "Give one for each."
        )
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def joined_groups(
    *parts: tuple[Labels | None, int],
) -> Int64[np.ndarray, " image"]:
    """Number the groups of several sets of images as one; a label that stands in two sets is one group.

    Args:
        parts: Of each set its labels, or None if each image is on its own; and how many images it has.
    """
    keys: dict[tuple[str, Any], int] = {}
    found: list[int] = []
    for at, (labels, images) in enumerate(parts):
        for row in range(images):
            key = (f"{at}", row) if labels is None else ("", str(labels[row]))
            found.append(keys.setdefault(key, len(keys)))
    return np.array(found, np.int64)


def strata(
    classes: Int[np.ndarray, " image"], groups: Int[np.ndarray, " image"]
) -> dict[tuple[int, ...], list[Int64[np.ndarray, " ..."]]]:
    """Sort groups by the classes that they hold, so that a split can take its share of every kind of group.

    Args:
        classes: The class of each image, by number.
        groups: The group of each image, by number.

    Returns:
        For each set of classes, ascending, the rows of every group that has images of just those classes.
    """
    number = np.unique(groups, return_inverse=True)[1]
    order = np.argsort(number, kind="stable")
    holds = np.zeros((number.max(initial=-1) + 1, classes.max(initial=0) + 1), bool)
    holds[number, classes] = True
    found: dict[tuple[int, ...], list[Int64[np.ndarray, " ..."]]] = {}
    for held, rows in zip(
        holds.tolist(), np.split(order, np.flatnonzero(np.diff(number[order])) + 1), strict=True
    ):
        found.setdefault(tuple(at for at, there in enumerate(held) if there), []).append(rows)
    return dict(sorted(found.items()))


def groups_of(names: Sequence[str]) -> Int64[np.ndarray, " image"]:
    """Number the images that crops were cut from: the name before the last `_`, as in `street_0.jpg`.

    For images that are such crops only: `IMG_0001.jpg` and `IMG_0002.jpg` would be taken for one image. A
    name without `_` is an image of its own.
    """
    return numbered([_original(name) for name in names], len(names))


def group_labels(dataset: Dataset, rows: Int[np.ndarray, " row"], rule: str | None) -> tuple[str, ...] | None:
    """Label the group of each image by a rule; copies, the same pixel for pixel, are in one group as well.

    Args:
        dataset: The images.
        rows: Rows of the data set.
        rule: `folder`, the folder that an image lies in; `name`, the name before its last `_`; `identity`,
            who is on it where a table says so; else an attribute of the data set. None or `none` tells
            copies only.

    Returns:
        One label for each row, or None if each image is on its own. Labels of different rules differ.

    Raises:
        ConfigError: If there is no such attribute, or no identity is known.
        DataError: If an image has no value of it, or all images are one group.
    """
    first = [dataset.copies.get(row, row) for row in rows.tolist()]
    if rule is None or rule == "none":
        return (
            None if len(set(first)) == len(first) else tuple(f"{dataset.fingerprint}:{row}" for row in first)
        )
    names = [dataset.names[int(row)] for row in rows]
    if rule == FOLDER:
        labels = [name.rpartition("/")[0] for name in names]
    elif rule == NAME:
        labels = [_original(name) for name in names]
    else:
        labels = _values(dataset, rows, rule)
    if len(set(labels)) == 1 and len(labels) > 1:
        raise DataError(
            f"groups: by {rule!r} all {len(labels):,} images of {dataset.description} are one group, "
            f"{labels[0][:60]!r}. Choose another rule, or none."
        )
    return tuple(f"{rule}:{label}" for label in _merged(labels, first))


def _merged(labels: Sequence[str], first: Sequence[int]) -> list[str]:
    """Labels that are equal wherever two images have one label, or are copies of one image, or by a chain."""
    known: dict[str, str] = {}  # a label to another one that means the same group
    of_first: dict[int, str] = {}

    def found(label: str) -> str:
        while known.get(label, label) != label:
            label = known[label]
        return label

    for label, row in zip(labels, first, strict=True):
        known[found(label)] = found(of_first.setdefault(row, label))
    return [found(label) for label in labels]


def _original(name: str) -> str:
    folder, slash, file = name.rpartition("/")
    return folder + slash + (file.rpartition("_")[0] or file)


def _values(dataset: Dataset, rows: Int[np.ndarray, " row"], rule: str) -> list[str]:
    known = dataset.attributes.names if dataset.attributes is not None else ()
    if rule == IDENTITY and dataset.identity is not None:
        values, unknown = dataset.identity[rows].astype(np.float64), dataset.identity[rows] < 0
    elif dataset.attributes is not None and rule in known:
        values = dataset.attributes.lookup(rows)[:, known.index(rule)].astype(np.float64)
        unknown = np.isnan(values)
    else:
        told = [FOLDER, NAME, *([] if dataset.identity is None else [IDENTITY]), *known[:20]]
        raise ConfigError(
            f"groups: expected one of {', '.join(told)}, got {rule[:60]!r}. Choose one of them."
        )
    if unknown.any():
        raise DataError(
            f"groups: {int(unknown.sum()):,} of {len(values):,} images have no value of {rule!r}. Leave them "
            "out, or choose another rule."
        )
    return [f"{value:.15g}" for value in values.tolist()]
