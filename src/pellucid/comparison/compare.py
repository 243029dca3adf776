"""What differs between two pictures, in names: each latent's difference in three scales, and the verdict."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from pellucid.anomaly.detector import Detector
from pellucid.anomaly.strangers import strangers
from pellucid.comparison.same import SameModel
from pellucid.drawn import Drawn
from pellucid.errors import ImageError, LatentError
from pellucid.latents.caution import cautions, warned
from pellucid.latents.names import LatentTable, table_of
from pellucid.model.predictor import Images, Model

Scale = Literal["raw", "posterior", "population"]
NOTABLE = 1.0
SURE = 2.0
_LISTED = 4


@dataclass(frozen=True)
class Difference:
    """How far two pictures differ in one latent.

    Attributes:
        latent: Its number.
        label: `z1 sunglasses`, or `z1` without a name.
        nuisance: Whether it is marked as one.
        a: Posterior mean of picture A.
        b: Posterior mean of picture B.
        raw: b - a, in units of the prior's standard deviation.
        posterior: raw over the standard deviation of that difference by the two posteriors: how sure the
            encoder is that there is one.
        population: raw over the standard deviation of the latent's mean over the images that it was measured
            on: how large the difference is among images.
    """

    latent: int
    label: str
    nuisance: bool
    a: float
    b: float
    raw: float
    posterior: float
    population: float

    @property
    def notable(self) -> bool:
        """Whether it is worth a word: 1 population and 2 posterior standard deviations or more."""
        return abs(self.population) >= NOTABLE and abs(self.posterior) >= SURE

    @property
    def words(self) -> str:
        """How a sentence calls it: `sunglasses (z1)`, or `z1`."""
        number, _, name = self.label.partition(" ")
        return f"{name} ({number})" if name else number


@dataclass(frozen=True)
class Comparison(Drawn):
    """Two pictures compared.

    Attributes:
        differences: Of the active latents, the largest population difference first.
        share_nuisance: Share of the squared population differences that lies in nuisance latents, 0 to 1;
            None where the pictures have the very same code.
        sentence: The verdict in plain words, with the cautions.
        cautions: What makes every comparison by this model doubtful, in plain words.
        same_probability: That both show the same identity, at even odds before looking; None where no known
            pairs have told what sameness looks like.
        swapped: The latent that the counterfactual takes from B.
        counterfactual: A with that latent taken from B, decoded, float32 [1 channel height width] in [0, 1].
        image_a: As the encoder sees it, float32 [1 channel height width] in [0, 1].
        image_b: Likewise.
        reconstruction_a: Decoded from the posterior mean, likewise.
        reconstruction_b: Likewise.
    """

    differences: tuple[Difference, ...]
    share_nuisance: float | None
    sentence: str
    cautions: tuple[str, ...]
    same_probability: float | None
    swapped: int
    counterfactual: Float[Tensor, "1 channel height width"]
    image_a: Float[Tensor, "1 channel height width"]
    image_b: Float[Tensor, "1 channel height width"]
    reconstruction_a: Float[Tensor, "1 channel height width"]
    reconstruction_b: Float[Tensor, "1 channel height width"]

    def ranked(self, scale: Scale) -> tuple[Difference, ...]:
        """The differences, largest first in another scale."""
        return tuple(sorted(self.differences, key=lambda difference: -abs(getattr(difference, scale))))

    @property
    def words(self) -> str:
        """What a sentence calls the latent that the counterfactual takes from B."""
        return next(d.words for d in self.differences if d.latent == self.swapped)

    def record(self) -> dict[str, Any]:
        """Everything but the pictures, in JSON's types."""
        return {
            "sentence": self.sentence,
            "cautions": list(self.cautions),
            "same_probability": self.same_probability,
            "share_nuisance": self.share_nuisance,
            "counterfactual": f"z{self.swapped}",
            "differences": [
                {
                    "latent": f"z{d.latent}",
                    "label": d.label,
                    "nuisance": d.nuisance,
                    "notable": d.notable,
                    **{key: getattr(d, key) for key in ("a", "b", "raw", "posterior", "population")},
                }
                for d in self.differences
            ],
        }


def population_deviation(table: LatentTable) -> Float64[np.ndarray, " latent"]:
    """Standard deviation of each latent's posterior mean over the images that it was measured on; never 0.

    Raises:
        LatentError: If the latents have not been measured, or none of them is active.
    """
    if any(record.variance is None or record.active is None for record in table.records):
        raise LatentError(
            "expected latents whose spread has been measured, got some that have not been. "
            "Measure them first: pellucid latents RUN."
        )
    if not table.active():
        raise LatentError(
            "expected an active latent to compare by, got none. Train longer, or with a smaller beta."
        )
    variance = np.array([record.variance for record in table.records], dtype=np.float64)
    return np.sqrt(np.maximum(variance, 1e-12))


def compare(
    model: Model,
    a: Images,
    b: Images,
    *,
    table: LatentTable | None = None,
    same: SameModel | None = None,
    detector: Detector | None = None,
    swap: int | None = None,
) -> Comparison:
    """Say in which latents two pictures differ, and whether identity is among them.

    Args:
        model: The model.
        a: One picture.
        b: Another.
        table: Its latents, measured; marks of nuisance decide the verdict. Those of its run unless given.
        same: What known pairs have told of sameness, for `same_probability`.
        detector: Warns if it takes one of them for anomalous: of such an image the latents say little.
        swap: The active latent that the counterfactual takes from B; None takes the first that the verdict
            names, or else the one that differs most.

    Raises:
        ImageError: If `a` or `b` is not exactly one picture that the model takes.
        LatentError: If the latents have not been measured, none is active, or `swap` is not an active one.
    """
    table = table or table_of(model)
    deviation = population_deviation(table)
    active = table.active()
    if swap is not None and swap not in active:
        raise LatentError(
            f"expected an active latent to swap, got z{swap}. "
            f"Active: {', '.join(table.label(latent) for latent in active)}."
        )
    image_a, image_b = _single(model, a, "A"), _single(model, b, "B")
    posterior = model.encode(torch.cat([image_a, image_b]))
    mean = posterior.mean.double().numpy()
    doubt = np.sqrt(posterior.log_variance.double().exp().sum(dim=0).numpy())
    differences = _differences(table, mean, doubt, deviation)
    first = next((difference for difference in differences if difference.notable), differences[0])
    swapped = first.latent if swap is None else swap
    mixed = posterior.mean[:1].clone()
    mixed[0, swapped] = posterior.mean[1, swapped]
    pictures = model.decode(torch.cat([posterior.mean, mixed]))
    probability = None if same is None else float(same.probability(mean[:1], mean[1:])[0])
    doubts = cautions(model, table) + strangers(detector, torch.cat([image_a, image_b]), ("A", "B"))
    squares = np.array([d.population**2 for d in differences])
    in_nuisance = squares[[d.nuisance for d in differences]].sum()
    return Comparison(
        differences=differences,
        share_nuisance=float(in_nuisance / squares.sum()) if squares.sum() > 0 else None,
        sentence=warned(_sentence(differences, probability), doubts),
        cautions=doubts,
        same_probability=probability,
        swapped=swapped,
        counterfactual=pictures[2:],
        image_a=image_a,
        image_b=image_b,
        reconstruction_a=pictures[:1],
        reconstruction_b=pictures[1:2],
    )


def _single(model: Model, image: Images, which: str) -> Float[Tensor, "1 channel height width"]:
    tensor = model.to_tensor(image)
    if len(tensor) != 1:
        raise ImageError(f"{which}: expected one picture to compare, got {len(tensor)}. Give one.")
    return tensor


def _differences(
    table: LatentTable,
    mean: Float64[np.ndarray, "2 latent"],
    doubt: Float64[np.ndarray, " latent"],
    deviation: Float64[np.ndarray, " latent"],
) -> tuple[Difference, ...]:
    raw = mean[1] - mean[0]
    found = [
        Difference(
            latent=j,
            label=table.label(j),
            nuisance=table.records[j].nuisance,
            a=float(mean[0, j]),
            b=float(mean[1, j]),
            raw=float(raw[j]),
            posterior=float(raw[j] / doubt[j]),
            population=float(raw[j] / deviation[j]),
        )
        for j in table.active()
    ]
    return tuple(sorted(found, key=lambda difference: -abs(difference.population)))


def _sentence(differences: Sequence[Difference], probability: float | None) -> str:
    """The verdict: nuisances alone differ, or what else does; and the probability, if there is one."""
    notable = [d for d in differences if d.notable]
    identity = [d for d in notable if not d.nuisance]
    nuisance = [d for d in notable if d.nuisance]
    strangers = probability is not None and probability < 0.5
    if strangers and not identity:  # many small differences, or in latents that rarely change
        verdict = "No latent of identity differs notably by itself."
        verdict += f" Nuisances that do: {_listed(nuisance)}." if nuisance else ""
    elif not notable:
        verdict = "Alike: no latent differs notably."
    elif not identity:
        verdict = f"Alike but for: {_listed(nuisance)}."
    elif not nuisance:
        verdict = f"Different in: {_listed(identity)}."
    else:
        verdict = f"Different in: {_listed(identity)}; also in nuisances: {_listed(nuisance)}."
    if probability is None:
        return verdict
    return f"{verdict} The same identity with probability {in_words(probability)}, from even odds."


def in_words(probability: float) -> str:
    """A probability to two digits that is never said to be 0 or 1."""
    if probability < 0.01:
        return "below 0.01"
    return "above 0.99" if probability > 0.99 else f"{probability:.2f}"


def _listed(differences: Sequence[Difference]) -> str:
    words = [d.words for d in differences[:_LISTED]]
    more = len(differences) - len(words)
    return ", ".join(words) + (f" and {more} more" if more else "")
