"""What known pairs have told of sameness, kept in the run as same.json: read and checked, never executed."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Float64, Int, Shaped

from pellucid.comparison.same import ErrorRates, SameModel, fit_same
from pellucid.errors import RunError
from pellucid.latents.names import LatentTable
from pellucid.model.directory import SAME
from pellucid.model.predictor import Model
from pellucid.model.sealed import read_sealed, write_sealed

FORMAT = "pellucid-same"
VERSION = 3
_PICTURES = 300


@dataclass(frozen=True)
class Known:
    """Sameness by the identity latents, and by all.

    Attributes:
        pictures: What it was learned from, in one line.
        identity: By the latents that are not marked as nuisance, corrected by those that are.
        everything: By all active latents.
    """

    pictures: str
    identity: SameModel
    everything: SameModel

    def fits(self, table: LatentTable) -> bool:
        """Whether the marks of nuisance are still those that it was learned with."""
        return self.identity.fits(table) and self.everything.fits(table, ignore_nuisance=False)


def learn(
    codes: Shaped[np.ndarray, "image latent"],
    identity: Int[np.ndarray, " image"],
    table: LatentTable,
    pictures: str,
    *,
    seed: int = 0,
) -> Known:
    """Fit both models, see `fit_same`."""
    by_identity, by_all = (
        fit_same(codes, identity, table, ignore_nuisance=ignore, seed=seed) for ignore in (True, False)
    )
    line = "".join(character if character.isprintable() else " " for character in pictures)
    return Known(line[:_PICTURES], by_identity, by_all)


def write_known(model: Model, known: Known) -> None:
    """Write same.json in the model's run; it holds for this model only."""
    assert model.directory is not None
    content = {
        "format": FORMAT,
        "version": VERSION,
        "model": model.fingerprint,
        "pictures": known.pictures,
        "identity": _to_record(known.identity),
        "everything": _to_record(known.everything),
    }
    write_sealed(model.directory / SAME, content)


def read_known(model: Model) -> Known | None:
    """Read and check same.json of the model's run; None where there is none.

    Raises:
        RunError: If it is damaged, from a newer version, or of another model.
    """
    assert model.directory is not None
    path = model.directory / SAME
    if not path.exists():
        return None
    content = read_sealed(path)
    if (content.pop("format", None), content.pop("version", None)) != (FORMAT, VERSION):
        raise RunError(f"{path}: expected {FORMAT} of version {VERSION}. Update Pellucid to read it.")
    again = "Delete it, and learn it again: pellucid same RUN DATA."
    if content.pop("model", None) != model.fingerprint:
        raise RunError(
            f"{path}: was learned with other weights or another preprocessing than the run's. {again}"
        )
    pictures = content.pop("pictures", None)
    if not isinstance(pictures, str) or len(pictures) > _PICTURES or not pictures.isprintable():
        raise RunError(f"{path}: expected a line on the pictures. {again}")
    records = [content.pop(key, None) for key in ("identity", "everything")]
    if content:
        raise RunError(
            f"{path}: unknown keys {', '.join(sorted(content))[:200]!r}. Update Pellucid to read it."
        )
    try:
        by_identity, by_all = (_from_record(record, model.latents) for record in records)
    except ValueError as error:
        raise RunError(f"{path}: {error}. {again}") from error
    return Known(pictures, by_identity, by_all)


def _to_record(same: SameModel) -> dict[str, Any]:
    return {
        "latents": list(same.latents),
        "corrected_by": list(same.corrected_by),
        "correction": same.correction.tolist(),
        "weights": same.weights.tolist(),
        "usual": same.usual.tolist(),
        "base": same.base,
        "rates": asdict(same.rates),
    }


def _from_record(record: Any, latents: int) -> SameModel:
    expected = {field.name for field in fields(SameModel)}
    if not isinstance(record, Mapping) or set(record) != expected:
        raise ValueError(f"expected exactly the keys {', '.join(sorted(expected))}")
    used, corrected_by = (_numbers(record[key], latents) for key in ("latents", "corrected_by"))
    if not used or set(used) & set(corrected_by):
        raise ValueError("expected latents as evidence that do not correct themselves")
    n = len(used)
    weights = _array(record["weights"], (n, n))
    # A weight matrix that is not of a square sum would let a difference speak for sameness.
    slack = 1e-9 * float(np.abs(weights).max(initial=0.0))
    if not np.allclose(weights, weights.T, rtol=1e-9, atol=slack) or np.linalg.eigvalsh(weights)[0] < -slack:
        raise ValueError("expected symmetric weights without a negative eigenvalue")
    return SameModel(
        latents=used,
        corrected_by=corrected_by,
        correction=_array(record["correction"], (n, len(corrected_by))),
        weights=weights,
        usual=_array(record["usual"], (n,)),
        base=_number(record["base"], -math.inf, math.inf),
        rates=_rates(record["rates"]),
    )


def _numbers(value: Any, latents: int) -> tuple[int, ...]:
    if not isinstance(value, list) or len(value) > latents:
        raise ValueError(f"expected a list of at most {latents} latents")
    if any(type(latent) is not int or not 0 <= latent < latents for latent in value):
        raise ValueError(f"expected latents from 0 to {latents - 1}")
    if len(set(value)) != len(value):
        raise ValueError("expected each latent once")
    return tuple(value)


def _array(value: Any, shape: tuple[int, ...]) -> Float64[np.ndarray, "..."]:
    """Nested lists of floats of exactly this shape."""
    rows = [value] if len(shape) == 1 else value
    fits = isinstance(rows, list) and (len(shape) == 1 or len(rows) == shape[0])
    if not fits or any(not isinstance(row, list) or len(row) != shape[-1] for row in rows):
        raise ValueError(f"expected numbers of shape {list(shape)}")
    if any(type(number) is not float or abs(number) > 1e100 for row in rows for number in row):
        raise ValueError("expected floating-point numbers of a sensible size")
    return np.array(value, dtype=np.float64).reshape(shape)


def _number(value: Any, low: float, high: float) -> float:
    if type(value) is not float or not low <= value <= high:
        raise ValueError(f"expected a floating-point number from {low} to {high}")
    return value


def _rates(record: Any) -> ErrorRates:
    names = [field.name for field in fields(ErrorRates)]
    if not isinstance(record, Mapping) or set(record) != set(names):
        raise ValueError(f"expected exactly the error rates {', '.join(names)}")
    for name in names[:9]:
        _number(record[name], 0.0, 1.0)
    if any(type(record[name]) is not int or not 0 <= record[name] < 2**53 for name in names[9:]):
        raise ValueError("expected counts of identities and pairs")
    for rate in ("auc", "equal_error", "accepted"):
        if not record[f"{rate}_low"] <= record[rate] <= record[f"{rate}_high"]:
            raise ValueError(f"expected {rate} within its interval")
    return ErrorRates(**record)
