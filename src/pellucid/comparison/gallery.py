"""Find one wanted identity among many pictures, whatever it wears and from wherever the light falls."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64
from scipy.special import expit, logit

from pellucid.comparison.compare import population_deviation
from pellucid.comparison.same import SameModel
from pellucid.errors import ConfigError, DataError
from pellucid.latents.activity import Codes
from pellucid.latents.names import LatentTable
from pellucid.model.predictor import Images, Model


@dataclass(frozen=True)
class Reason:
    """What one latent says for or against a candidate.

    Attributes:
        latent: Its number.
        label: `z3 face width`, or `z3` without a name.
        difference: Candidate minus wanted, in population standard deviations.
        evidence: Above 0 it speaks for the candidate, below against. With known pairs what it adds to the
            log-odds beyond what two strangers get; without, how much nearer the candidate is than the
            candidates are on average, in squared population standard deviations.
    """

    latent: int
    label: str
    difference: float
    evidence: float


@dataclass(frozen=True)
class Match:
    """One candidate.

    Attributes:
        name: Of the picture.
        row: Its place among the candidates, from 0.
        distance: Root mean square difference in population standard deviations over the latents that count;
            with known pairs the weighed and corrected distance. 0 for the same code.
        probability: That it is the wanted identity, where before looking one candidate was expected to be;
            None without known pairs, and where several pictures of the wanted identity were averaged.
        reasons: Of the latents that count, the largest evidence first, whichever side it is on.
    """

    name: str
    row: int
    distance: float
    probability: float | None
    reasons: tuple[Reason, ...]

    def record(self) -> dict[str, Any]:
        """In JSON's types."""
        return {
            "name": self.name,
            "distance": self.distance,
            "probability": self.probability,
            "reasons": [
                {
                    "latent": f"z{reason.latent}",
                    "label": reason.label,
                    "difference": reason.difference,
                    "evidence": reason.evidence,
                }
                for reason in self.reasons
            ],
        }


def rank(
    model: Model,
    table: LatentTable,
    wanted: Images,
    candidates: Codes,
    names: Sequence[str],
    *,
    ignore_nuisance: bool = True,
    same: SameModel | None = None,
    top: int | None = None,
) -> tuple[Match, ...]:
    """Rank candidates by how near they are to the wanted identity, the nearest first.

    Probabilities are calibrated on pairs of single pictures, whose difference has covariance 2 W within one
    identity. With n averaged pictures it is W (1 + 1/n), so there are none then; distances and evidence keep
    their order and their signs.

    Args:
        model: The model.
        table: Its latents, measured, with their marks of nuisance.
        wanted: One picture of the wanted identity, or several, whose codes are averaged; several give no
            probabilities.
        candidates: The candidates' codes.
        names: Their names, in the same order.
        ignore_nuisance: Whether latents marked as nuisance are left out.
        same: What known pairs have told, fitted with the same marks and the same `ignore_nuisance`; None
            weighs all latents alike.
        top: How many of the nearest to give; None gives all.

    Raises:
        DataError: If there are no candidates, or names and codes are not equally many.
        LatentError: If the latents have not been measured.
        ConfigError: If no latent is left, `same` was fitted with other marks, or `top` is below 1.
    """
    if len(names) != len(candidates.mean) or not names:
        raise DataError(
            f"expected one candidate or more, each with a name, got {len(candidates.mean)} codes and "
            f"{len(names)} names."
        )
    if top is not None and top < 1:
        raise ConfigError(f"top: expected 1 or more, got {top}. None gives all.")
    deviation = population_deviation(table)
    latents = sorted(table.identity() if ignore_nuisance else table.active())
    if not latents:
        raise ConfigError(
            "expected an active latent that is not marked as nuisance, got none. Compare by all of them "
            "(--all-latents), or mark fewer: pellucid name RUN z3 --no-nuisance."
        )
    if same is not None and not same.fits(table, ignore_nuisance=ignore_nuisance):
        raise ConfigError(
            "expected sameness learned with the present marks of nuisance. Learn it again: pellucid same RUN."
        )
    pictures = model.encode(wanted).mean.double().numpy()
    code = pictures.mean(axis=0, keepdims=True)
    difference = ((candidates.mean - code) / deviation)[:, latents]
    distance, evidence = _judged(code, candidates, difference, same)
    probability = None
    if same is not None and len(pictures) == 1:
        odds = logit(1 / len(names)) if len(names) > 1 else 0.0
        probability = expit(same.log_odds(code, candidates.mean) + odds)
    return tuple(
        Match(
            name=names[row],
            row=int(row),
            distance=float(distance[row]),
            probability=None if probability is None else float(probability[row]),
            reasons=_reasons(table, latents, difference[row], evidence[row]),
        )
        for row in np.argsort(distance, kind="stable")[:top]
    )


def _judged(
    code: Float64[np.ndarray, "1 latent"],
    candidates: Codes,
    difference: Float64[np.ndarray, "candidate used"],
    same: SameModel | None,
) -> tuple[Float64[np.ndarray, " candidate"], Float64[np.ndarray, "candidate used"]]:
    """Distance and evidence of each candidate."""
    if same is not None:
        order = np.argsort(same.latents)
        return same.distance(code, candidates.mean), same.evidence(code, candidates.mean)[:, order]
    squares = difference**2
    return np.sqrt(squares.mean(axis=1)), squares.mean(axis=0) - squares


def _reasons(
    table: LatentTable,
    latents: Sequence[int],
    difference: Float64[np.ndarray, " used"],
    evidence: Float64[np.ndarray, " used"],
) -> tuple[Reason, ...]:
    return tuple(
        Reason(latents[i], table.label(latents[i]), float(difference[i]), float(evidence[i]))
        for i in np.argsort(-np.abs(evidence), kind="stable")
    )
