"""What the paper claims and a run can test: each a pure function of numbers, with its rule in words.

A claim is held, not held, or open where the numbers do not decide. Nothing here is written by hand for a run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Float64

from pellucid.anomaly.evaluation import BAND
from pellucid.anomaly.verdict import COLUMN_LABELS
from pellucid.report.detection import share

Verdict = Literal["held", "did not hold", "cannot be said"]

FRAME = 1000 / 30
FOLLOWS, HARDLY = 0.5, 0.3
NEAR_PERFECT = 0.99
OFTEN, SELDOM = 0.9, 0.5
MOST, LITTLE = 0.5, 0.1


@dataclass(frozen=True)
class Claim:
    """A claim and whether it held.

    Attributes:
        name: Its name in results.json.
        figures: Where the paper shows it.
        statement: What is claimed.
        verdict: Whether it held.
        finding: The numbers that decided, in a sentence.
        rule: When it holds and when not.
        from_paper: Whether the paper claims it; the others are what such a claim needs to mean something.
    """

    name: str
    figures: tuple[int, ...]
    statement: str
    verdict: Verdict
    finding: str
    rule: str
    from_paper: bool = True


@dataclass(frozen=True)
class Interval:
    """A score with its 95 % interval.

    Attributes:
        value: The score.
        low: Its lower end.
        high: Its upper end.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def _decided(held: bool, not_held: bool) -> Verdict:
    return "held" if held else "did not hold" if not_held else "cannot be said"


def keeps_up(milliseconds: float) -> Claim:
    """A single picture is encoded and redrawn before the camera's next one."""
    return Claim(
        name="live",
        figures=(4,),
        statement="The model keeps up with a camera.",
        verdict=_decided(milliseconds < FRAME, milliseconds >= FRAME),
        finding=f"Of single pictures 95 % are encoded and redrawn within {milliseconds:.1f} ms.",
        rule=f"Held if that is less than {FRAME:.0f} ms, what 30 frames a second leave for each.",
        from_paper=False,
    )


def disentangled(vae: Interval, tcvae: Interval) -> Claim:
    """β-TCVAE has sprites' factors in latents of their own, VAE mixes them."""
    return Claim(
        name="disentangled-sprites",
        figures=(2, 3),
        statement="A β-TCVAE keeps the factors of sprites apart better than a VAE does.",
        verdict=_decided(tcvae.low > vae.high, tcvae.high < vae.low),
        finding=f"MIG of four factors: β-TCVAE {tcvae}, VAE {vae}.",
        rule="Held if the β-TCVAE's 95 % interval lies above the VAE's, not if it lies below; else it cannot "
        "be said. The intervals are for other images; another seed moves MIG more.",
    )


def latents_help(both: Float[np.ndarray, "2 split"], losses: Float[np.ndarray, "2 split"]) -> Claim:
    """Latents beside the losses tell more apart than the losses alone.

    Args:
        both: Average precision of losses and latents, for either positive class.
        losses: Of the losses alone, on the same splits.
    """
    low, middle, high = _paired(both, losses)
    return Claim(
        name="latents-help",
        figures=(5,),
        statement="With latents beside the losses, more is told apart than by the losses alone.",
        verdict=_decided(low > 0, high < 0),
        finding=f"Average precision, finding normal and anomalous images: losses and latents {_both(both)}, "
        f"losses {_both(losses)}. {_difference(low, middle, high)}",
        rule="Held if losses and latents are ahead in the mean of both directions in 95 % of the splits, not "
        "if the losses alone are; else it cannot be said.",
    )


def largest_coefficients(columns: Sequence[str], coefficients: Float64[np.ndarray, "split column"]) -> Claim:
    """MSE and SSIM carry the largest coefficients of the six losses.

    Args:
        columns: Names of the six losses, `mse` and `ssim` among them.
        coefficients: Of the standardised losses, for each split.
    """
    wanted = {columns.index("mse"), columns.index("ssim")}
    order = np.argsort(-np.abs(coefficients), axis=1, kind="stable")
    agreeing = float(np.mean([set(row[:2].tolist()) == wanted for row in order]))
    mean = coefficients.mean(axis=0)
    ranked = np.argsort(-np.abs(mean), kind="stable")
    in_mean = set(ranked[:2].tolist()) == wanted
    listed = "; ".join(f"{COLUMN_LABELS[columns[at]]} {mean[at]:+.2f}".replace("-", "−") for at in ranked)
    return Claim(
        name="largest-coefficients",
        figures=(6,),
        statement="Of the six losses, MSE and SSIM carry the largest coefficients.",
        verdict=_decided(in_mean and agreeing >= SELDOM, not in_mean and agreeing < SELDOM),
        finding=f"They are the two largest in {agreeing:.0%} of {len(coefficients)} splits. "
        f"Mean coefficients: {listed}.",
        rule="Held if they are the two largest by their means and in half of the splits or more, not if they "
        "are neither; else it cannot be said.",
    )


def losses_follow_texture(correlations: Mapping[str, tuple[float, float]]) -> Claim:
    """A loss says how busy an image is: MSE, which the paper looked at, decides, the others are told.

    Args:
        correlations: Of each loss with texture, over the normal and over the anomalous images; nan where it
            is not defined.
    """
    pair = np.array(correlations["mse"])
    known = bool(np.isfinite(pair).all())
    listed = "; ".join(f"{COLUMN_LABELS[name]} {a:.2f} and {b:.2f}" for name, (a, b) in correlations.items())
    return Claim(
        name="losses-follow-texture",
        figures=(),
        statement="A loss follows how busy an image is: smooth non-faces pass, busy faces are suspected.",
        verdict=_decided(known and bool(pair.min() >= FOLLOWS), known and bool(pair.min() < HARDLY)),
        finding="Spearman's correlation with the mean gradient, over normal and over anomalous images: "
        + listed.replace("-", "−")
        + ".",
        rule="The squared error decides, by which the paper looked at images. Held if its correlations over "
        "normal and over anomalous images are both .5 or more, not if one of them is below .3; else it "
        "cannot be said.",
    )


def ssim_beats_cosine(
    ssim: Float[np.ndarray, "2 split"], cosine: Float[np.ndarray, "2 split"], counts: tuple[int, int]
) -> Claim:
    """A model trained by SSIM tells more apart than one trained by cosine distance.

    Args:
        ssim: Average precision by six losses of the model trained by SSIM, on the same splits as the other's.
        cosine: The other's.
        counts: How many images are normal and anomalous.
    """
    low, middle, high = _paired(ssim, cosine)
    return Claim(
        name="ssim-beats-cosine",
        figures=(11,),
        statement="Trained with SSIM, the losses tell more apart than trained with cosine distance.",
        verdict=_decided(low > 0, high < 0),
        finding=f"Average precision by six losses, finding normal and anomalous images: SSIM {_both(ssim)}, "
        f"cosine {_both(cosine)}, with {counts[0]:,} normal against {counts[1]:,} anomalous images. "
        f"{_difference(low, middle, high)}",
        rule="Held if SSIM is ahead in the mean of both directions in 95 % of the splits, not if cosine is; "
        "else it cannot be said. The splits are of other images; one training of each model decides, and "
        "another seed may move it more.",
    )


def near_perfect(evaluated: Float[np.ndarray, "2 split"], counts: tuple[int, int]) -> Claim:
    """With latents beside the losses and many anomalies to learn from, detection is near perfect.

    Args:
        evaluated: Average precision of losses and latents, for either positive class.
        counts: How many images are normal and anomalous.
    """
    many = "as many non-faces as faces" if counts[0] == counts[1] else "many non-faces to learn from"
    mean, high = evaluated.mean(axis=1), np.quantile(evaluated, BAND[1], axis=1)
    return Claim(
        name="near-perfect",
        figures=(12,),
        statement=f"With latents beside the losses and {many}, detection is near perfect.",
        verdict=_decided(bool((mean >= NEAR_PERFECT).all()), bool((high < NEAR_PERFECT).any())),
        finding=f"Average precision {_both(evaluated)}, finding normal and anomalous images, with "
        f"{counts[0]:,} against {counts[1]:,} images.",
        rule="Near perfect is here .99 or more for both. Held if both means are, not if even the best splits "
        "(95 % quantile) of one are below; else it cannot be said.",
    )


def beats_pca(ours: Float[np.ndarray, "2 split"], pca: Float[np.ndarray, "2 split"]) -> Claim:
    """The autoencoder is of use: a linear one of the same size, with the same texture beside it, does less.

    Args:
        ours: Average precision of losses, texture and active latents.
        pca: Of error and codes of a PCA and of texture, on the same splits.
    """
    low, middle, high = _paired(ours, pca)
    return Claim(
        name="beats-pca",
        figures=(12,),
        statement="What needs no network, a PCA with as many components and texture, detects less.",
        verdict=_decided(low > 0, high < 0),
        finding=f"Average precision, finding normal and anomalous images: losses, texture and active latents "
        f"{_both(ours)}, PCA and texture {_both(pca)}. {_difference(low, middle, high)}",
        rule="Held if the network is ahead in the mean of both directions in 95 % of the splits, not if PCA "
        "and texture are; else it cannot be said. The splits are of other images; one training of the "
        "network decides, and another seed may move it more.",
        from_paper=False,
    )


def one_latent_dominates(found: int, pairs: int, part: float, explained: float, latent: str | None) -> Claim:
    """Of two pictures of one person, with and without sunglasses, one and the same latent differs most.

    Args:
        found: In how many pairs the latent of sunglasses differs most, in population standard deviations.
        pairs: How many pairs there are.
        part: Its share of the squared difference, median over the pairs.
        explained: The share of its variance over people by chance that wearing sunglasses explains.
        latent: How it is called; None if no latent is active.
    """
    often = found / pairs if pairs else 0.0
    known = latent is not None and pairs > 0
    return Claim(
        name="one-latent-sunglasses",
        figures=(13, 14, 15),
        statement="Where sunglasses alone are put on, one latent, which stands for them, dominates the "
        "difference.",
        verdict=_decided(
            known and often >= OFTEN and part >= MOST and explained >= MOST,
            known and (often < SELDOM or explained < LITTLE),
        ),
        finding=f"{latent} differs most in {found} of {pairs} pairs ({often:.0%}) and makes up {part:.0%} of "
        f"the squared difference in the median pair; sunglasses explain {explained:.0%} of its variance."
        if known
        else "No latent is active.",
        rule="The latent is the one that sunglasses explain best, on other images. Held if it differs most "
        "in 90 % of the pairs or more, by half of the squared difference or more, and sunglasses explain "
        "half of its variance or more; not if it differs most in fewer than half of the pairs, or sunglasses "
        "explain less than a tenth; else it cannot be said.",
    )


def part_of_the_latents(visible: int, latents: int) -> Claim:
    """Only some of the latents are used: moving the others changes nothing that one sees.

    Args:
        visible: How many latents change the picture visibly.
        latents: How many there are.
    """
    return Claim(
        name="part-of-the-latents",
        figures=tuple(range(16, 30)),
        statement="At most half of the latents change the picture visibly (in the paper 14 of 32).",
        verdict=_decided(0 < visible <= latents / 2, visible > latents / 2),
        finding=f"{visible} of {latents} latents change the picture visibly.",
        rule="Held if 1 latent does and at most half of all, not if more than half; it cannot be said if "
        "none does. Visible: between −3 and 3, some pixel changes by a tenth of full scale or more.",
    )


def _paired(a: Float[np.ndarray, "2 split"], b: Float[np.ndarray, "2 split"]) -> tuple[float, float, float]:
    """Low end, mean and high end over splits of how far a is ahead of b, in the mean of both directions."""
    ahead = (a - b).mean(axis=0)
    low, high = np.quantile(ahead, BAND).tolist()
    return float(low), float(ahead.mean()), float(high)


def _difference(low: float, middle: float, high: float) -> str:
    text = f"Split by split, the first is ahead by {middle:+.4f} ({low:+.4f} to {high:+.4f})."
    return text.replace("-", "−")


def _both(values: Float[np.ndarray, "2 split"]) -> str:
    normal, anomalous = values.mean(axis=1).tolist()
    return f"{share(normal)} and {share(anomalous)}"
