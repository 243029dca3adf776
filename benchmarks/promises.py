"""Do thresholds and p-values of detectors keep their promises? Simulations whose truth is known.

python benchmarks/promises.py [--repeats 200]

Rows are crops of images, with 40 features that differ between images (deviation 1) far more than between the
crops of one (deviation 0.2). Rates are those of crops of 300 new images, which count alike, over so many
repetitions of drawing, fitting and scoring; ± is twice the standard error.
"""

import argparse
from collections.abc import Callable
from itertools import product

import numpy as np

from pellucid.anomaly.gaussian import GaussianDetector
from pellucid.anomaly.logistic import LogisticDetector
from pellucid.errors import DataError

COLUMNS, SPREAD, SHIFT, NEW = 40, 0.2, 0.7, 300

Draw = Callable[[np.random.Generator, int, float], tuple[np.ndarray, np.ndarray]]


def ten(random: np.random.Generator, images: int, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """Ten crops of each image: their features [crop column], and the number of each one's image."""
    return crops(random, np.full(images, 10), shift)


def some(random: np.random.Generator, images: int, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """One to twenty crops of each image."""
    return crops(random, random.integers(1, 21, images), shift)


def one(random: np.random.Generator, images: int, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """Each image by itself."""
    return crops(random, np.ones(images, int), shift)


def crops(random: np.random.Generator, counts: np.ndarray, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """Crops of images that differ, the first column's mean moved by `shift`."""
    groups = np.repeat(np.arange(len(counts)), counts)
    images = random.normal(size=(len(counts), COLUMNS)) + shift * (np.arange(COLUMNS) == 0)
    return images[groups] + SPREAD * random.normal(size=(len(groups), COLUMNS)), groups


def mean_over(groups: np.ndarray, marked: np.ndarray) -> float:
    """The share of marked crops of an image, on average over images."""
    return float((np.bincount(groups, marked) / np.bincount(groups)).mean())


def one_class(draw: Draw, images: int, rule: str, seed: int, told: bool) -> float:
    """Of new normal crops the share that is flagged: that has a p-value of at most the rate."""
    random = np.random.default_rng(seed)
    (known, groups), (new, of) = draw(random, images, 0), draw(random, NEW, 0)
    detector = GaussianDetector(threshold=rule, random_state=seed).fit(known, groups=groups if told else None)
    flagged = detector.p_values(new) <= float(rule.partition("=")[2])
    assert (flagged == (detector.predict(new) == -1)).all()
    return mean_over(of, flagged)


def two_class(draw: Draw, images: int, rule: str, seed: int, told: bool) -> float:
    """The share flagged of new crops: anomalous ones if the promise is a recall, else normal ones."""
    random = np.random.default_rng(seed)
    (known, groups), (new, of) = draw(random, images, SHIFT), draw(random, NEW, SHIFT)
    (strange, others), (unseen, among) = draw(random, images, -SHIFT), draw(random, NEW, -SHIFT)
    detector = LogisticDetector(threshold=rule, random_state=seed).fit(
        np.concatenate([known, strange]),
        np.repeat([1, -1], [len(known), len(strange)]),
        np.concatenate([groups, others + images]) if told else None,
    )
    asked, number = (unseen, among) if rule.startswith("recall") else (new, of)
    return mean_over(number, detector.predict(asked) == -1)


def report(name: str, draw: Draw, images: int, rule: str, repeats: int, told: bool) -> str:
    """A row of the table."""
    judge = two_class if name == "both kinds" else one_class
    row = f"| {name} | {images} images, {draw.__name__} | {rule} | {'yes' if told else 'no'} |"
    try:
        rates = np.array([judge(draw, images, rule, seed, told) for seed in range(repeats)])
    except DataError as error:
        return f"{row} refused: {str(error).partition(': ')[2]} |"
    return f"{row} {rates.mean():.3f} ± {2 * rates.std() / np.sqrt(repeats):.3f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeats", type=int, default=200)
    repeats = parser.parse_args().repeats
    print("| detector | fitted on | promise | groups told | kept |\n|---|---|---|---|---|")
    for draw, told in product((ten, some), (False, True)):
        print(report("normal alone", draw, 100, "false-alarm=0.05", repeats, told), flush=True)
        print(report("both kinds", draw, 100, "false-alarm=0.05", repeats, told), flush=True)
        print(report("both kinds", draw, 100, "recall=0.95", repeats, told), flush=True)
    for images, rule in ((40, "false-alarm=0.01"), (396, "false-alarm=0.01"), (76, "false-alarm=0.05")):
        print(report("normal alone", one, images, rule, repeats, False), flush=True)
    for images, rule in ((40, "recall=0.95"), (76, "recall=0.95"), (396, "recall=0.99")):
        print(report("both kinds", one, images, rule, repeats, False), flush=True)


if __name__ == "__main__":
    main()
