"""What a detector says of an image, and what each measurement adds to it, in numbers and in plain words."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from math import log
from typing import Any, Literal

from pellucid.anomaly.features import PICTURE_COLUMNS
from pellucid.anomaly.texture import TEXTURE
from pellucid.anomaly.thresholds import parse, purpose
from pellucid.latents.caution import warned
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
_NEAR = 2.0  # times the odds, or the p-value, of the threshold
_LARGE = 0.99  # quantile of a loss beside which no reconstruction is called good
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
        rule: How the threshold was chosen: `f1`, `even`, `recall=0.95`, `false-alarm=0.01` ...
        probability: Of being normal, calibrated, 0 to 1; None for a detector that knows normal images only.
        threshold_probability: That of an image at the threshold, likewise.
        p_value: Share of the held-out normal images that look no more normal than this one (conformal),
            above 0 to 1.
        min_p_value: The smallest that there can be, above 0 to 1.
        known: Whether it is one of the normal images that the detector was fitted with.
        cautions: What makes every verdict of this detector doubtful, in plain words.
        base: The mean score of the normal images that the detector knows.
        contributions: The largest first; `base` and all of them sum to `score`.
    """

    name: str
    verdict: Literal["normal", "anomalous"]
    score: float
    threshold: float
    rule: str
    probability: float | None
    threshold_probability: float | None
    p_value: float
    min_p_value: float
    known: bool
    cautions: tuple[str, ...]
    base: float
    contributions: tuple[Contribution, ...]

    @cached_property
    def sentence(self) -> str:
        """The verdict and its reasons in plain words, with what makes it doubtful."""
        return _sentence(self)

    @property
    def borderline(self) -> bool:
        """Whether little would turn it: it has half to twice the threshold's odds, or else its p-value."""
        if self.probability is None or self.threshold_probability is None:
            rate = float(parse(self.rule).share or 0)
            return rate / _NEAR < self.p_value <= rate * _NEAR
        here, there = self.probability, self.threshold_probability
        if not (0 < here < 1 and 0 < there < 1):
            return False
        return abs(log(here / (1 - here)) - log(there / (1 - there))) < log(_NEAR)

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
            "rule": self.rule,
            "borderline": self.borderline,
            "probability": self.probability,
            "threshold_probability": self.threshold_probability,
            "p_value": self.p_value,
            "min_p_value": self.min_p_value,
            "known": self.known,
            "cautions": list(self.cautions),
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


def _sure(judged: Verdict) -> str:
    """How sure it is; and where that is near the threshold or seems to deny the verdict, what this is for."""
    if judged.probability is None or judged.threshold_probability is None:
        least = ", the smallest possible" if judged.p_value <= judged.min_p_value else ""
        sure = f"p-value {judged.p_value:.2g}{least}"
        limit = f"up to {float(parse(judged.rule).share or 0):.2g}"
    else:
        sure = f"probability of being normal {percent(judged.probability)}"
        limit = f"below {percent(judged.threshold_probability)}"
    denied = judged.probability is not None and (judged.probability < 0.5) != (judged.verdict == "anomalous")
    if not (judged.borderline or denied):
        return sure
    return f"{sure}; {limit} is called anomalous, {purpose(judged.rule)}"


def _sentence(judged: Verdict) -> str:
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
    border = ", borderline" if judged.borderline else ""
    told = f"{judged.verdict.capitalize()}{border} ({_sure(judged)})" + (f": {text}." if text else ".")
    own = " The detector was fitted with this very image." if judged.known else ""
    return warned(told + own, judged.cautions)


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
        return f"{part.label} is {part.value:z.2g} ({part.rank})"
    return _picture_reason(judged)


def _picture_reason(judged: Verdict) -> str:
    """How well the image is reconstructed, for how busy it is."""
    losses = [part for part in judged.reconstruction_parts if part.column in LOSSES]
    busy = [part for part in judged.reconstruction_parts if part.column in TEXTURE]
    odd = max(busy, key=lambda part: abs(part.quantile - 0.5), default=None)
    unusual = f"{odd.label} {odd.value:z.2g}, {odd.rank}" if odd and _extreme(odd) else ""
    if not losses:
        return (
            f"the image is {_amount(odd)} ({unusual})" if odd and unusual else "the image is as busy as usual"
        )
    poor, one_class = judged.reconstruction_part < 0, judged.probability is None
    telling = _telling(losses, poor, one_class)
    agrees = _extreme(telling) and (one_class or (telling.quantile > 0.5) == poor)
    beside, measured = "", f"{telling.label} {telling.value:z.2g}, {telling.rank}"
    if odd and unusual and not agrees:
        beside, measured = (
            f"for so {_amount(odd)} an image ({unusual}) ",
            f"{telling.label} {telling.value:z.2g}",
        )
        how = "as usual" if abs(judged.reconstruction_part) < 1 else _quality(poor, one_class)
    elif not _extreme(telling) and judged.reconstruction_part <= -1:  # together they speak against the image
        how = "unusual" + ("" if any(map(_extreme, losses)) else ", though no loss is by itself")
    elif one_class and poor and telling.quantile < 0.5:
        how = "unusually good"
    else:
        how = "as usual" if not _extreme(telling) else _quality(telling.quantile > 0.5, False)
    worst = max(losses, key=lambda part: part.quantile)
    if how.endswith("good") and worst.quantile > _LARGE:
        how, large = "uneven", f"{worst.label} {worst.value:z.2g}, {worst.rank}"
        measured = large if worst is telling else f"{measured}, but {large}"
    return f"{beside}the reconstruction is {how} ({measured})"


def _telling(losses: Sequence[Contribution], poor: bool, one_class: bool) -> Contribution:
    """The loss that says best how an image is reconstructed."""
    # Cross entropies hold the image's own entropy, too.
    errors = [part for part in losses if "cross_entropy" not in part.column] or losses
    if one_class:  # what is smaller than usual speaks against an image as well
        return min(errors, key=lambda part: part.contribution if poor else -abs(part.contribution))
    # Of losses that say the same a regression may weigh one against the others: ask those that speak plainly.
    plain = [part for part in errors if (part.contribution < 0) == (part.quantile > 0.5)]
    return max(plain or errors, key=lambda part: abs(part.contribution))


def _quality(poor: bool, one_class: bool) -> str:
    return "poor" if poor and not one_class else "unusual" if poor else "good"


def _extreme(part: Contribution) -> bool:
    return not 0.05 <= part.quantile <= 0.95


def _amount(part: Contribution) -> str:
    return "plain" if part.quantile < 0.5 else "busy"


def _joined(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else ", ".join(texts[:-1]) + " and " + texts[-1] if texts else ""
