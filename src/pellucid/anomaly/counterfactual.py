"""What would have to be different: the shortest way of a code across a detector's threshold."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float64
from scipy.optimize import lsq_linear, minimize

_STEPS = 33
_HALVINGS = 60

Scores = Callable[[Float64[np.ndarray, "code latent"]], Float64[np.ndarray, " code"]]


def move_across(
    score: Scores,
    code: Float64[np.ndarray, " latent"],
    *,
    threshold: float,
    low: Float64[np.ndarray, " latent"],
    high: Float64[np.ndarray, " latent"],
    deviation: Float64[np.ndarray, " latent"],
) -> Float64[np.ndarray, " latent"] | None:
    """Move few standard deviations in all to get to the other side of the threshold.

    One latent after the other, the one that gains most for its way first, each within its range and the last
    only as far as needed. For a score that is linear in the code no shorter way exists, and none at all where
    this finds none (a fractional knapsack). For others a shorter one may exist.

    Args:
        score: Of codes; at or above the threshold is one side, below it the other.
        code: Where to start.
        threshold: What to cross.
        low: Where each latent's range begins; a code outside stays free to stay there.
        high: Where it ends.
        deviation: Of each latent, above 0: the unit of ways.

    Returns:
        The new code, or None if there is no gain left within the range.
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


def move_inside(
    axes: Float64[np.ndarray, "axis latent"],
    offset: Float64[np.ndarray, " axis"],
    radius: float,
    code: Float64[np.ndarray, " latent"],
    *,
    low: Float64[np.ndarray, " latent"],
    high: Float64[np.ndarray, " latent"],
    deviation: Float64[np.ndarray, " latent"],
) -> Float64[np.ndarray, " latent"] | None:
    """Move as few standard deviations in all as it takes to get into an ellipsoid.

    The least sum of |move| / deviation with |axes code + offset| at most the radius, and each latent in its
    range: a convex problem, so what sequential quadratic programming finds is the least there is.

    Args:
        axes: Of independent columns: maps codes to a space where the ellipsoid is a ball around 0.
        offset: Of that map.
        radius: Of the ball.
        code: Where to start, outside.
        low: Where each latent's range begins; a code outside stays free to stay there.
        high: Where it ends.
        deviation: Of each latent, above 0: the unit of ways.

    Returns:
        The new code, or None if the range does not reach into the ellipsoid.
    """
    below, above = (code - np.minimum(low, code)) / deviation, (np.maximum(high, code) - code) / deviation
    free = np.flatnonzero(below + above > 0)
    slopes, start = axes[:, free] * deviation[free], axes @ code + offset

    def inside(codes: Float64[np.ndarray, "code latent"]) -> np.ndarray:
        return np.asarray(np.linalg.norm(codes @ axes.T + offset, axis=1) <= radius)

    def moved(ways: Float64[np.ndarray, " way"]) -> Float64[np.ndarray, " latent"]:
        there = code.copy()
        there[free] += deviation[free] * ways
        return there

    if not len(free) or radius <= 0:
        return None
    middle = moved(lsq_linear(slopes, -start, (-below[free], above[free]), tol=1e-14).x)
    if not inside(middle[None])[0]:
        return None
    first = _just_across(inside, code, middle)
    ways = (first - code)[free] / deviation[free]
    count = len(free)

    def depth(both: Float64[np.ndarray, " side"]) -> float:
        at = start + slopes @ (both[:count] - both[count:])
        return float(1 - at @ at / radius**2)

    def steepness(both: Float64[np.ndarray, " side"]) -> Float64[np.ndarray, " side"]:
        gradient = -2 * slopes.T @ (start + slopes @ (both[:count] - both[count:])) / radius**2
        return np.concatenate([gradient, -gradient])

    limits = np.concatenate([above[free], below[free]])
    found = minimize(  # ways up and ways down, so that the sum of their sizes is linear
        lambda both: both.sum(),
        np.clip(np.concatenate([ways, -ways]), 0, limits),
        jac=lambda both: np.ones(2 * count),
        method="SLSQP",
        bounds=np.stack([np.zeros(2 * count), limits], axis=1),
        constraints={"type": "ineq", "fun": depth, "jac": steepness},
        options={"maxiter": 1000, "ftol": 1e-12},
    ).x.clip(0, limits)
    best = moved(found[:count] - found[count:])
    if not inside(best[None])[0]:
        best = _just_across(inside, best, middle)
    best = _just_across(inside, code, best)
    return min(best, first, key=lambda there: float((np.abs(there - code) / deviation).sum()))


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
