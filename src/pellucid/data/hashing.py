"""Numbers drawn by counting: the randomness of an image is a function of its row and nothing else.

A picture that is drawn on the fly must be the same whenever and beside whichever others it is drawn, so it
cannot take its numbers from a generator that moves on.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Float64, Int, UInt64


def uniform(rows: Int[np.ndarray, " row"], stream: int) -> Float64[np.ndarray, " row"]:
    """One number in [0, 1) for each row, the same on every machine; other streams give independent ones.

    SplitMix64 (Steele et al. 2014, doi:10.1145/2660193.2660195) of the row, plus a key of the stream, and
    mixed again. A multiple of 2**-53.

    Args:
        rows: Any whole numbers.
        stream: Which of the row's numbers: 0, 1, 2, ... as many as are needed.
    """
    return uniforms(rows, stream, 1)[:, 0]


def uniforms(rows: Int[np.ndarray, " row"], first: int, count: int) -> Float64[np.ndarray, "row stream"]:
    """The numbers of `uniform` for the streams from `first` to `first + count - 1`, at once."""
    mixed = _split_mix(_split_mix(rows.astype(np.uint64))[:, None] + _keys(first, count))
    values: Float64[np.ndarray, "row stream"] = (mixed >> np.uint64(11)) * 2.0**-53
    return values


@lru_cache(maxsize=4096)
def _keys(first: int, count: int) -> UInt64[np.ndarray, " stream"]:
    # Mixed twice where rows are mixed once, lest row a of stream b be row b of stream a.
    return _split_mix(_split_mix(np.arange(first, first + count).astype(np.uint64)))


def _split_mix(counter: UInt64[np.ndarray, "*shape"]) -> UInt64[np.ndarray, "*shape"]:
    mixed = (counter + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed
