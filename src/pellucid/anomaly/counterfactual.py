"""What would have to be different: the shortest way of a code across a detector's threshold."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float64

_STEPS = 33
_HALVINGS = 60

Scores = Callable[[Float64[np.ndarray, "code latent"]], Float64[np.ndarray, " code"]]


def smallest_move(
    score: Scores,
    code: Float64[np.ndarray, " latent"],
    *,
    threshold: float,
    low: Float64[np.ndarray, " latent"],
    high: Float64[np.ndarray, " latent"],
    deviation: Float64[np.ndarray, " latent"],
) -> Float64[np.ndarray, " latent"] | None:
    """Move as few standard deviations in all as it takes to get to the other side of the threshold.

    One latent after the other, the one that gains most for its way first, each within its range and the last
    only as far as needed. For a score that is linear in the code no shorter way exists (a fractional
    knapsack); for others it is a good one.

    Args:
        score: Of codes; at or above the threshold is one side, below it the other.
        code: Where to start.
        threshold: What to cross.
        low: Where each latent's range begins; a code outside stays free to stay there.
        high: Where it ends.
        deviation: Of each latent, above 0: the unit of ways.

    Returns:
        The new code, or None if the range does not reach across.
    """
    upwards = score(code[None])[0] < threshold
    moved, waiting = code.copy(), set(range(len(code)))

    def crossed(codes: Float64[np.ndarray, "code latent"]) -> np.ndarray:
        scores = score(codes)
        return scores >= threshold if upwards else scores < threshold

    while waiting:
        latent, value = _best_step(score, moved, sorted(waiting), low, high, deviation, 1 if upwards else -1)
        if latent is None:
            return None
        there = moved.copy()
        there[latent] = value
        if crossed(there[None])[0]:
            return _just_across(crossed, moved, there)
        moved = there
        waiting.remove(latent)
    return None


def _best_step(
    score: Scores,
    code: Float64[np.ndarray, " latent"],
    latents: list[int],
    low: Float64[np.ndarray, " latent"],
    high: Float64[np.ndarray, " latent"],
    deviation: Float64[np.ndarray, " latent"],
    sign: int,
) -> tuple[int | None, float]:
    """The latent, taken to the best value of its range, whose gain is largest for its way."""
    now = score(code[None])[0]
    best: tuple[float, int | None, float] = (0.0, None, 0.0)
    for latent in latents:
        values = np.linspace(min(low[latent], code[latent]), max(high[latent], code[latent]), _STEPS)
        codes = np.repeat(code[None], _STEPS, axis=0)
        codes[:, latent] = values
        gains = sign * (score(codes) - now)
        top = int(gains.argmax())
        way = abs(values[top] - code[latent]) / deviation[latent]
        if gains[top] > 0 and way > 0 and gains[top] / way > best[0]:
            best = (gains[top] / way, latent, float(values[top]))
    return best[1], best[2]


def _just_across(
    crossed: Callable[[np.ndarray], np.ndarray],
    before: Float64[np.ndarray, " latent"],
    after: Float64[np.ndarray, " latent"],
) -> Float64[np.ndarray, " latent"]:
    """The first point across, by halving the way between two codes."""
    near, far = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (near + far) / 2
        if crossed((before + middle * (after - before))[None])[0]:
            far = middle
        else:
            near = middle
    across: Float64[np.ndarray, " latent"] = before + far * (after - before)
    return across
