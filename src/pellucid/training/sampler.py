"""What every step sees: a function of the seed and the step alone, so that a resumed run sees the same."""

import hashlib

import numpy as np
import torch
from jaxtyping import Int64
from numpy import ndarray


def seed_for(seed: int, purpose: str, position: int) -> int:
    """An independent 63-bit seed for each purpose and position of a run."""
    digest = hashlib.sha256(f"{seed}:{purpose}:{position}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator_for(seed: int, purpose: str, position: int) -> torch.Generator:
    """A CPU generator for one purpose at one position of a run."""
    return torch.Generator().manual_seed(seed_for(seed, purpose, position))


class Sampler:
    """Endless batches of rows: each epoch is a fresh permutation, and batches run on across epochs."""

    def __init__(self, rows: Int64[ndarray, " image"], *, batch_size: int, seed: int) -> None:
        self._rows = rows
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = -1
        self._order = rows

    def _permutation(self, epoch: int) -> Int64[ndarray, " image"]:
        if epoch != self._epoch:
            order = np.random.Generator(np.random.PCG64(seed_for(self._seed, "order", epoch))).permutation(
                self._rows
            )
            self._epoch, self._order = epoch, order
        return self._order

    def batch(self, step: int) -> Int64[ndarray, " batch"]:
        """The rows of step `step`, counted from 0."""
        parts, position, missing = [], step * self._batch_size, self._batch_size
        while missing:
            epoch, offset = divmod(position, len(self._rows))
            part = self._permutation(epoch)[offset : offset + missing]
            parts.append(part)
            position, missing = position + len(part), missing - len(part)
        return np.concatenate(parts)
