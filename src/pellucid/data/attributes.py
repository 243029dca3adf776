"""Named values of images: attributes that a table tells, or the factors that they were drawn from."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from jaxtyping import Float32, Int

Kind = Literal["binary", "ordinal", "categorical", "periodic"]


@dataclass(frozen=True)
class Attributes:
    """Named values of the images of a data set.

    Attributes:
        names: One for each attribute.
        kinds: `binary` 0 or 1; `ordinal` the number; `categorical` the class's index; `periodic` radians.
        lookup: Values of any rows of the data set: int [row] to float32 [row attribute], nan = unknown.
    """

    names: tuple[str, ...]
    kinds: tuple[Kind, ...]
    lookup: Callable[[Int[np.ndarray, " row"]], Float32[np.ndarray, "row attribute"]]

    def of(self, kept: Int[np.ndarray, " row"]) -> "Attributes":
        """The same attributes for a data set that has only the rows `kept` of this one."""
        return Attributes(self.names, self.kinds, partial(_of_kept, self.lookup, kept))


def from_table(
    names: tuple[str, ...], kinds: tuple[Kind, ...], values: Float32[np.ndarray, "row attribute"]
) -> Attributes:
    """Attributes whose values are all in memory."""
    return Attributes(names, kinds, partial(np.take, values, axis=0))


def _of_kept(
    lookup: Callable[[Int[np.ndarray, " row"]], Float32[np.ndarray, "row attribute"]],
    kept: Int[np.ndarray, " kept"],
    rows: Int[np.ndarray, " row"],
) -> Float32[np.ndarray, "row attribute"]:
    return lookup(kept[rows])
