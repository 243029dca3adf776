"""How often a name is suggested for noise, and how often the interval of the best of many latents is right.

python benchmarks/false_names.py [--samples 1000]

Prints two Markdown tables. In the first the codes of 32 latents know nothing of the attributes, so every name
is false; 5 % of samples may have one. In the second one latent or all of them know something, the strongest
is chosen, and its interval should hold the true value in 95 % of samples.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy.stats import norm

from pellucid.data.attributes import Kind
from pellucid.latents.names import LatentRecord, LatentTable, suggest
from pellucid.latents.tracking import SIGNIFICANT, track

LATENTS = 32
UNNAMED = LatentTable(tuple(LatentRecord(index) for index in range(LATENTS)))
Values = Float64[np.ndarray, "image attribute"]


@dataclass(frozen=True)
class Noise:
    """Attributes that no latent knows of.

    Attributes:
        words: What they are.
        kind: Of all of them.
        images: How many.
        draw: Draws [image attribute].
        power: Of a normal variable, which the codes are: 3 gives them long tails.
        crops: Images of one group, which have its attributes and nearly its codes.
    """

    words: str
    kind: Kind
    images: int
    draw: Callable[[np.random.Generator, int], Values]
    power: int = 1
    crops: int = 1


def classes(count: int) -> Callable[[np.random.Generator, int], Values]:
    """One attribute of equally frequent classes."""
    return lambda rng, images: rng.integers(0, count, (images, 1)).astype(np.float64)


def angles(count: int) -> Callable[[np.random.Generator, int], Values]:
    """Angles, spread evenly."""
    return lambda rng, images: rng.uniform(0, 2 * np.pi, (images, count))


def ranks(count: int) -> Callable[[np.random.Generator, int], Values]:
    """Numbers without ties."""
    return lambda rng, images: rng.standard_normal((images, count))


def rare(count: int, least: int, most: int) -> Callable[[np.random.Generator, int], Values]:
    """Binary attributes with from `least` to `most` positives each."""

    def draw(rng: np.random.Generator, images: int) -> Values:
        positives = rng.integers(least, most + 1, count)
        return (rng.permuted(np.tile(np.arange(images), (count, 1)), axis=1) < positives[:, None]).T.astype(
            float
        )

    return draw


NOISE = (
    Noise("10 classes", "categorical", 200, classes(10)),
    Noise("50 classes", "categorical", 1_000, classes(50)),
    Noise("an angle", "periodic", 42, angles(1)),
    Noise("an angle", "periodic", 60, angles(1)),
    Noise("an angle; codes with long tails", "periodic", 60, angles(1), power=3),
    Noise("10 angles", "periodic", 1_000, angles(10)),
    Noise("40 binary, 10 to 24 positives", "binary", 1_000, rare(40, 10, 24)),
    Noise("40 binary, 20 to 60 positives", "binary", 1_000, rare(40, 20, 60)),
    Noise("40 binary, half positive", "binary", 200, rare(40, 80, 120)),
    Noise("20 numbers", "ordinal", 40, ranks(20)),
    Noise("20 numbers", "ordinal", 1_000, ranks(20)),
    Noise("40 binary, half positive; ten crops each", "binary", 1_000, rare(40, 40, 60), crops=10),
)


def false_names(noise: Noise, samples: int, *, told: bool = True) -> tuple[float, float]:
    """Share of samples in which any latent is significant on the half that chooses, and any is named."""
    significant = named = 0
    for sample in range(samples):
        rng = np.random.default_rng([sample, noise.images])
        groups = np.repeat(np.arange(noise.images // noise.crops), noise.crops)
        codes = rng.standard_normal((groups[-1] + 1, LATENTS))[groups] ** noise.power
        if noise.crops > 1:
            codes += 0.2 * rng.standard_normal(codes.shape)
        values = noise.draw(rng, groups[-1] + 1)[groups]
        names = [f"attribute {at}" for at in range(values.shape[1])]
        kinds = [noise.kind] * len(names)
        found = track(codes, values, names, kinds, groups=groups if told else None, seed=sample)
        significant += any(one.p_value <= SIGNIFICANT for one in found)
        named += suggest(UNNAMED, found) != UNNAMED
    return significant / samples, named / samples


@dataclass(frozen=True)
class Best:
    """Where the strongest of 32 latents is chosen.

    Attributes:
        words: What the latents know.
        positives: Images that have the attribute.
        aucs: The true AUC of the first latents; all others know nothing.
        images: How many.
    """

    words: str
    positives: int
    aucs: tuple[float, ...]
    images: int = 1_000


BEST = (
    Best("nothing", 24, ()),
    Best("nothing", 200, ()),
    Best("one of them AUC .70", 60, (0.70,)),
    Best("one of them AUC .85", 24, (0.85,)),
    Best("one of them AUC .85", 200, (0.85,)),
    Best("all of them AUC .65", 100, (0.65,) * LATENTS),
)


def best_of_many(best: Best, samples: int) -> tuple[float, float]:
    """Share of samples in which the interval of the strongest latent holds its truth, and its mean error."""
    held, error = 0, 0.0
    truth = np.full(LATENTS, 0.5)
    truth[: len(best.aucs)] = best.aucs
    shift = np.sqrt(2) * norm.ppf(truth)
    has = np.arange(best.images) < best.positives
    for sample in range(samples):
        rng = np.random.default_rng([sample, best.positives])
        codes = rng.standard_normal((best.images, LATENTS)) + np.outer(has, shift)
        found = track(codes, has[:, None].astype(np.float64), ["it"], ["binary"], seed=sample)
        chosen = max(found, key=lambda one: one.strength)
        true = truth[chosen.latent] if chosen.direction > 0 else 1 - truth[chosen.latent]
        held += chosen.low <= true <= chosen.high
        error += chosen.value - true
    return held / samples, error / samples


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=1_000)
    samples = parser.parse_args().samples
    print("| noise | images | significant | named |\n|---|---|---|---|")
    for noise in NOISE:
        for told in (True, False) if noise.crops > 1 else (True,):
            words = noise.words + ("" if told else ", groups not told")
            significant, named = false_names(noise, samples, told=told)
            print(f"| {words} | {noise.images:,} | {significant:.1%} | {named:.1%} |", flush=True)
    print("\n| what 32 latents know | positives | interval holds the truth | mean error |\n|---|---|---|---|")
    for best in BEST:
        held, error = best_of_many(best, samples)
        print(
            f"| {best.words} | {best.positives} of {best.images:,} | {held:.1%} | {error:+.3f} |", flush=True
        )


if __name__ == "__main__":
    main()
