"""What MIG gives to perfect descriptions of a sprite, none of them learned.

python benchmarks/describers.py

A sprite's labels are not what one sees: the heart turns about a point that is not its middle, and a square of
scale .5 is larger than an ellipse of scale .5. A model that says where the middle is and how large the
sprite is, without any error, is told here what it would score.
"""

import numpy as np
from disentangle import IMAGES, SYMMETRIES

from pellucid import open_dataset
from pellucid.metrics.mig import mig

FACTORS = ("scale", "orientation", "position x", "position y")


def main() -> None:
    """Print a Markdown table."""
    data = open_dataset("sprites")
    assert data.attributes is not None
    rows = data.rows("held-out", at_most=IMAGES)
    names, known = list(data.attributes.names), data.attributes.lookup(rows)
    factor = {name: known[:, names.index(name)] for name in (*FACTORS, "shape")}
    images = np.concatenate([data.batch(part).numpy()[:, 0] for part in np.array_split(rows, 40)])
    down, right = np.mgrid[: images.shape[1], : images.shape[2]]
    area = images.sum((1, 2))
    middle = [(images * place).sum((1, 2)) / area for place in (right, down)]
    symmetry = np.array(SYMMETRIES)[np.unique(factor["shape"], return_inverse=True)[1]]
    turn = np.mod(factor["orientation"] * symmetry, 2 * np.pi)
    labels = [factor["position x"], factor["position y"]]
    describers = {
        "the labels of scale and position": [factor["scale"], *labels],
        "all four labels": [factor["scale"], factor["orientation"], *labels],
        "square root of the area, middle": [np.sqrt(area), *middle],
        "the same, rotation up to symmetry as cosine and sine": [
            np.sqrt(area),
            *middle,
            np.cos(turn),
            np.sin(turn),
        ],
        "the same, rotation up to symmetry as one number": [np.sqrt(area), *middle, turn / symmetry],
    }
    print(f"| described by | 4-factor MIG | {' | '.join(FACTORS)} |")
    print("|---" * (len(FACTORS) + 2) + "|")
    for description, codes in describers.items():
        found = mig(np.stack(codes, 1), np.stack([factor[name] for name in FACTORS], 1))
        print(f"| {description} | {found.score:.2f} | {' | '.join(f'{gap:.2f}' for gap in found.gaps)} |")


if __name__ == "__main__":
    main()
