"""How sure a score is: by scores of parts of the images, which share none."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from scipy.stats import t as student


@dataclass(frozen=True)
class Splitting:
    """How often the images are split at random, and in how many parts of equal size.

    Attributes:
        splits: At least 1.
        parts: At least 2.
    """

    splits: int
    parts: int


def part_scores(
    measure: Callable[[Int64[np.ndarray, " row"]], list[float]],
    images: int,
    splitting: Splitting,
    generator: np.random.Generator,
) -> Float64[np.ndarray, "split part score"]:
    """Scores of every part of every split.

    Args:
        measure: Gives the scores of some rows; the same number of them each time.
        images: How many rows there are; at least as many as parts.
        splitting: How they are split.
        generator: Draws the splits.
    """
    size = images // splitting.parts
    scores = []
    for _ in range(splitting.splits):
        order = generator.permutation(images)
        parts = order[: size * splitting.parts].reshape(splitting.parts, size)
        scores.append([measure(np.sort(part)) for part in parts])
    return np.array(scores)


def half_widths(scores: Float64[np.ndarray, "split part score"]) -> Float64[np.ndarray, " score"]:
    """Half the width of each score's 95 % interval, from `part_scores`.

    Parts of a random split are independent samples, so the variance between them, divided by their number,
    is that of their mean, which is the variance of the score of all images if it falls as 1 / images (the
    method of random groups; Wolter 2007, Introduction to Variance Estimation, ch. 2). Splits are averaged;
    the width is Student's. By as much as a score of fewer images is too high or too low, it is so in all
    parts, so that drops out. And no image is there twice, as it is in a bootstrap, where copies pass for
    information, and for foresight where one is learnt from and the other tested.
    """
    splits, parts, _ = scores.shape
    error = np.sqrt(scores.var(axis=1, ddof=1).mean(axis=0) / parts)
    widths: Float64[np.ndarray, " score"] = error * float(student.ppf(0.975, splits * (parts - 1)))
    return widths
