"""What every metric gives codes whose quality is known: the table of docs/metrics.md.

python benchmarks/metric_examples.py
python benchmarks/metric_examples.py --time     how long 10,000 images take, intervals included
python benchmarks/metric_examples.py --sizes    what fewer images do to the scores
"""

import argparse
import math
import time

import numpy as np

from pellucid.metrics.table import METRICS, Sample, evaluate
from pellucid.metrics.udr import udr

NAMES = ("shape", "scale", "orientation", "position x", "position y")
SIZES = (3, 6, 40, 32, 32)
CATEGORICAL = (True, False, False, False, False)
SAMPLES = {200: 12, 500: 8, 1_000: 5, 2_000: 4, 5_000: 2, 10_000: 2}
"""How many samples of each number of images are scored, to see what the number does."""
NARROW = math.log(0.05**2)
"""Log-variance of the posteriors, for MIG (Chen): a standard deviation of a twentieth of the latent's."""


def examples(images: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """dSprites' factors at random, and codes for them."""
    rng = np.random.default_rng(0)
    factors = rng.integers(0, SIZES, (images, len(SIZES))).astype(np.float64)
    identity = (factors - factors.mean(axis=0)) / factors.std(axis=0)
    pair = np.array([[1, -1], [1, 1]]) * math.sqrt(0.5)
    turn = np.kron(np.eye(3), pair)[1:, 1:]  # scale with orientation, x with y; shape stays
    turn[0, 0] = 1
    mixing, _ = np.linalg.qr(rng.standard_normal((5, 5)))
    unrelated = rng.standard_normal((images, 5))
    return factors, {
        "the factors": identity,
        "the factors and 5 of noise": np.concatenate([identity, unrelated], axis=1),
        "each factor twice": np.concatenate([identity, identity], axis=1),
        "two pairs turned by 45°": identity @ turn,
        "all turned at random": identity @ mixing,
        "5 of noise": unrelated,
    }


def measure(codes: np.ndarray, factors: np.ndarray) -> list[float]:
    """Every score of one code."""
    logs = np.full(codes.shape, NARROW)
    return [
        value
        for metric in METRICS.values()
        for value, _ in metric.measure(Sample(codes, factors, CATEGORICAL, logs, np.random.default_rng(0)))
    ]


def by_size(deviation: float) -> None:
    """Print the mean of every score of noisy codes for several numbers of images."""
    found = []
    for images, samples in SAMPLES.items():
        drawn = []
        for sample in range(samples):
            rng = np.random.default_rng([images, sample])
            factors = rng.integers(0, SIZES, (images, len(SIZES))).astype(np.float64)
            scaled = (factors - factors.mean(axis=0)) / factors.std(axis=0)
            noise, unrelated = rng.standard_normal((2, *factors.shape))
            drawn.append(measure(np.concatenate([scaled + deviation * noise, unrelated], axis=1), factors))
        found.append(np.mean(drawn, axis=0))
    print("| images | " + " | ".join(f"{images:,}" for images in SAMPLES) + " |")
    print("|---" * (len(SAMPLES) + 1) + "|")
    names = [name for metric in METRICS.values() for name in metric.names]
    for name, values in zip(names, np.transpose(found), strict=True):
        print(f"| {name} | " + " | ".join(f"{value:.2f}" for value in values) + " |")


def main() -> None:
    """Print the table, the time, or what fewer images do."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--time", action="store_true")
    parser.add_argument("--sizes", action="store_true")
    parser.add_argument("--noise", type=float, default=0.3, help="with --sizes: its standard deviation")
    arguments = parser.parse_args()
    if arguments.sizes:
        by_size(arguments.noise)
        return
    factors, codes = examples(arguments.images)
    if arguments.time:
        started = time.perf_counter()
        noisy = codes["the factors and 5 of noise"]
        evaluate(noisy, factors, NAMES, log_variances=np.full(noisy.shape, NARROW), categorical=CATEGORICAL)
        seconds = time.perf_counter() - started
        print(f"{arguments.images:,} images, 10 latents, 5 factors, with intervals: {seconds:.1f} s")
        return
    columns = [measure(code, factors) for code in codes.values()]
    print("| | " + " | ".join(codes) + " |")
    print("|---" * (len(codes) + 1) + "|")
    names = [name for metric in METRICS.values() for name in metric.names]
    for name, values in zip(names, zip(*columns, strict=True), strict=True):
        print(f"| {name} | " + " | ".join(f"{value:.2f}" for value in values) + " |")
    reference = codes["the factors"]
    for method in ("lasso", "spearman"):
        values = [
            udr([reference, code], [np.ones(5), np.ones(code.shape[1])], method=method)[0]
            for code in codes.values()
        ]
        print(f"| UDR with the factors, {method} | " + " | ".join(f"{value:.2f}" for value in values) + " |")


if __name__ == "__main__":
    main()
