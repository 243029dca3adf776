"""What a detector says of an image, and what each measurement adds to it, in numbers and in plain words."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

from pellucid.anomaly.features import PICTURE_COLUMNS
from pellucid.anomaly.texture import TEXTURE
from pellucid.objective.reconstruction import LOSSES

COLUMN_LABELS: Mapping[str, str] = {
    "mse": "squared error",
    "mae": "absolute error",
    "cosine": "cosine distance",
    "ssim": "SSIM distance",
    "cross_entropy": "cross entropy, all pairs",
    "color_cross_entropy": "cross entropy",
    "contrast": "contrast",
    "gradient": "busyness",
    "detail": "fine detail",
    "entropy": "variety of tones",
}
"""How losses and measures of texture are called in reasons and figures."""

_REASONS = 3
_SHARE = 0.1  # of all that speaks for the verdict: a smaller reason is not worth a sentence


@dataclass(frozen=True)
class Contribution:
    """What one measurement adds to an image's score.

    Attributes:
        column: `mse` ... or `z0` ...
        label: How people call it: `SSIM distance`, `z1 sunglasses`.
        value: What was measured, in its natural unit.
        usual: The median over the normal images that the detector knows.
        quantile: Share of those images with a smaller value, equal ones counting half; 0 to 1.
        contribution: What it adds to the mean score of normal images: how far it lies above what it adds to
            theirs on average; below 0 it speaks for an anomaly.
    """

    column: str
    label: str
    value: float
    usual: float
    quantile: float
    contribution: float

    @property
    def rank(self) -> str:
        """How unusual the value is among normal images, in words."""
        if 0.25 <= self.quantile <= 0.75:
            return "usual"
        side, share = ("higher", self.quantile) if self.quantile > 0.5 else ("lower", 1 - self.quantile)
        if share >= 1:
            return f"{side} than in all normal images"
        return f"{side} than in {percent(share)} of normal images"


@dataclass(frozen=True)
class Reason:
    """One of the strongest reasons for a verdict or against it.

    Attributes:
        text: In plain words.
        contribution: What it adds to the score; below 0 it speaks for an anomaly.
    """

    text: str
    contribution: float


@dataclass(frozen=True)
class Verdict:
    """A verdict on one image with what each measurement adds to it.

    Attributes:
        name: Of the image.
        verdict: `normal` or `anomalous`.
        score: Log-odds of being normal; for a detector that knows normal images only, minus half the squared
            Mahalanobis distance from them. Higher is more normal.
        threshold: Scores below it are anomalous.
        probability: Of being normal, calibrated, 0 to 1; None for a detector that knows normal images only.
        p_value: Share of the normal images put aside that look no more normal than this one (conformal),
            above 0 to 1.
        base: The mean score of the normal images that the detector knows.
        contributions: The largest first; `base` and all of them sum to `score`.
    """

    name: str
    verdict: Literal["normal", "anomalous"]
    score: float
    threshold: float
    probability: float | None
    p_value: float
    base: float
    contributions: tuple[Contribution, ...]

    @cached_property
    def sentence(self) -> str:
        """The verdict and its reasons in plain words."""
        return _sentence(self)

    @cached_property
    def reasons(self) -> tuple[Reason, ...]:
        """Up to three, the strongest first: the reconstruction as a whole counts as one.

        What weighs less than a tenth of the strongest is left out.
        """
        both = [(name, sign * size) for sign in (1.0, -1.0) for name, size in _speaking(self, sign)]
        strongest = sorted(both, key=lambda pair: -abs(pair[1]))[:_REASONS]
        telling = [pair for pair in strongest if abs(pair[1]) >= _SHARE * abs(strongest[0][1])]
        return tuple(Reason(_reason(self, pair), pair[1]) for pair in telling)

    @property
    def reconstruction_part(self) -> float:
        """What all reconstruction losses and the measures of texture together add to the score.

        They rise and fall together, and a busy image has larger losses, so a regression weighs one of them
        against another; only their sum says how far the reconstruction speaks for the verdict.
        """
        return sum(part.contribution for part in self.reconstruction_parts)

    @property
    def reconstruction_parts(self) -> tuple[Contribution, ...]:
        """The contributions of the reconstruction losses and of the measures of texture."""
        return tuple(part for part in self.contributions if part.column in PICTURE_COLUMNS)

    def record(self) -> dict[str, Any]:
        """Every number, and the sentence, for JSON."""
        return {
            "image": self.name,
            "verdict": self.verdict,
            "score": self.score,
            "threshold": self.threshold,
            "probability": self.probability,
            "p_value": self.p_value,
            "sentence": self.sentence,
            "base": self.base,
            "contributions": [asdict(part) for part in self.contributions],
        }


def percent(share: float) -> str:
    """A share in per cent, never rounded up to 100 or down to 0."""
    if 0 < share < 0.001:
        return "under 0.1 %"
    if 0.999 < share < 1:
        return "over 99.9 %"
    digits = 1 if share > 0.99 or share < 0.01 else 0
    return f"{100 * share:.{digits}f} %"


def _sentence(judged: Verdict) -> str:
    sure = (
        f"probability of being normal {percent(judged.probability)}"
        if judged.probability is not None
        else f"p-value {judged.p_value:.2g}"
    )
    against = _speaking(judged, -1.0)
    if judged.verdict == "anomalous":
        text = _joined([_reason(judged, part) for part in against])
        outweighed = [part for part in _speaking(judged, 1.0) if against and part[1] > against[0][1] / 2]
        text += f"; in its favour, {_reason(judged, outweighed[0])}" if outweighed else ""
    else:
        text = _reason(judged, ("", 0.0)) if judged.reconstruction_parts else ""
        worst = [part for part in against if part[0]][:1]
        text += "; " if text and worst else ""
        text += f"least like the others, {_reason(judged, worst[0])}" if worst else ""
    return f"{judged.verdict.capitalize()} ({sure})" + (f": {text}." if text else ".")


def _speaking(judged: Verdict, sign: float) -> list[tuple[str, float]]:
    """What speaks for or against: the reconstruction as a whole (under the name ""), and single latents."""
    parts = {part.column: sign * part.contribution for part in judged.contributions}
    if judged.reconstruction_parts:
        parts = {name: size for name, size in parts.items() if name not in PICTURE_COLUMNS}
        parts[""] = sign * judged.reconstruction_part
    speaking = sorted(((name, size) for name, size in parts.items() if size > 0), key=lambda pair: -pair[1])
    total = sum(size for _, size in speaking)
    return [(name, size) for name, size in speaking[:_REASONS] if size >= _SHARE * total]


def _reason(judged: Verdict, reason: tuple[str, float]) -> str:
    name, _ = reason
    if name:
        part = next(part for part in judged.contributions if part.column == name)
        return f"{part.label} is {part.value:.2g} ({part.rank})"
    return _picture_reason(judged)


def _picture_reason(judged: Verdict) -> str:
    """How well the image is reconstructed, for how busy it is."""
    losses = [part for part in judged.reconstruction_parts if part.column in LOSSES]
    busy = [part for part in judged.reconstruction_parts if part.column in TEXTURE]
    odd = max(busy, key=lambda part: abs(part.quantile - 0.5), default=None)
    unusual = f"{odd.label} {odd.value:.2g}, {odd.rank}" if odd and _extreme(odd) else ""
    if not losses:
        return (
            f"the image is {_amount(odd)} ({unusual})" if odd and unusual else "the image is as busy as usual"
        )
    # Cross entropies hold the image's own entropy, too. Of losses that say the same a regression may weigh
    # one against the others: ask those that speak plainly.
    errors = [part for part in losses if "cross_entropy" not in part.column] or losses
    plain = [part for part in errors if (part.contribution < 0) == (part.quantile > 0.5)]
    telling = max(plain or errors, key=lambda part: abs(part.contribution))
    poor = judged.reconstruction_part < 0
    if odd and unusual and not (_extreme(telling) and (telling.quantile > 0.5) == poor):
        measured = f"{telling.label} {telling.value:.2g}"
        how = "as usual" if abs(judged.reconstruction_part) < 1 else "poor" if poor else "good"
        return f"for so {_amount(odd)} an image ({unusual}) the reconstruction is {how} ({measured})"
    how = "as usual" if not _extreme(telling) else "poor" if telling.quantile > 0.5 else "good"
    return f"the reconstruction is {how} ({telling.label} {telling.value:.2g}, {telling.rank})"


def _extreme(part: Contribution) -> bool:
    return not 0.05 <= part.quantile <= 0.95


def _amount(part: Contribution) -> str:
    return "plain" if part.quantile < 0.5 else "busy"


def _joined(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else ", ".join(texts[:-1]) + " and " + texts[-1] if texts else ""
