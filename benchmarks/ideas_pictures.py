"""Draw the pictures of docs/ideas.md with a model of simulated people in which sunglasses have a latent.

python benchmarks/ideas_pictures.py RUN
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from scipy.stats import norm
from sklearn.metrics import average_precision_score, precision_recall_curve

import pellucid
from pellucid.anomaly.evaluation import chance_level
from pellucid.data import people
from pellucid.latents.names import LatentTable

IMAGES = Path(__file__).parent.parent / "docs" / "images"
BLUE, RED, GREY, PALE = "#2f6db5", "#c8503c", "#777777", "#dddddd"
DETAIL = slice(26, 34)


def plain(axes: Axes, **labels: Any) -> Axes:
    """Axes without a frame on the right and on top."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.set(**labels)
    return axes


def shown(axes: Axes, image: torch.Tensor, title: str = "") -> None:
    """A picture [channel height width], each pixel a square."""
    axes.imshow(image.permute(1, 2, 0).numpy(), interpolation="nearest", vmin=0, vmax=1)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(title, fontsize=9)


def numbers(image: torch.Tensor) -> Figure:
    """A picture, a part of it, and the red numbers of that part."""
    figure = Figure(figsize=(9, 3.1), dpi=110, layout="constrained")
    whole, near, table = figure.subplots(1, 3, width_ratios=(1, 1, 1.35))
    shown(whole, image, "64 x 64 pixels")
    corner, side = DETAIL.start - 0.5, DETAIL.stop - DETAIL.start
    whole.add_patch(_frame(corner, side))
    part = image[:, DETAIL, DETAIL]
    shown(near, part, "8 x 8 of them")
    table.set_axis_off()
    table.set_title("how red each of these is, 0 to 1", fontsize=9)
    table.set(xlim=(-0.5, side - 0.5), ylim=(side - 0.5, -0.5))
    for row in range(side):
        for column in range(side):
            table.text(column, row, f"{part[0, row, column]:.2f}", ha="center", va="center", fontsize=7.5)
    return figure


def _frame(corner: float, side: int) -> Rectangle:
    return Rectangle((corner, corner), side, side, fill=False, edgecolor=RED, linewidth=1.5)


def bottleneck(model: pellucid.Model, table: LatentTable, image: torch.Tensor) -> Figure:
    """A picture, its code with the encoder's doubt, and what is decoded from the code."""
    posterior = model.encode(image[None])
    mean, deviation = posterior.mean[0], torch.exp(0.5 * posterior.log_variance[0])
    order = [latent for latent in table.order() if latent in table.active()]
    figure = Figure(figsize=(9, 3.1), dpi=110, layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1.5, 1))
    shown(left, image, "12,288 numbers go in")
    at = np.arange(len(order))
    plain(middle, xlabel="posterior mean and standard deviation")
    middle.barh(at, mean[order], xerr=deviation[order], color=BLUE, error_kw={"ecolor": GREY, "lw": 1})
    middle.set_yticks(at, [table.label(latent) for latent in order], fontsize=8)
    middle.invert_yaxis()
    middle.axvline(0, color=GREY, linewidth=0.8)
    middle.set_title(f"the {len(order)} latents that say something", fontsize=9)
    shown(right, model.decode(posterior.mean)[0], "12,288 numbers come out")
    return figure


def rates() -> Figure:
    """Three posteriors over the prior, with their KL in closed form."""
    figure = Figure(figsize=(9, 2.3), dpi=110, layout="constrained")
    z = np.linspace(-4, 4, 400)
    for axes, (mean, deviation) in zip(figure.subplots(1, 3), ((0, 1), (1.5, 0.5), (1.5, 0.1)), strict=True):
        rate = 0.5 * (mean**2 + deviation**2 - 1 - 2 * np.log(deviation))
        axes.fill_between(z, norm.pdf(z), color=PALE)
        axes.plot(z, norm.pdf(z, mean, deviation), color=BLUE)
        plain(axes, xlabel="z", yticks=[], title="")
        axes.set_title(f"mean {mean:g}, deviation {deviation:g}: KL {rate:.2f} nats", fontsize=9)
    return figure


def detection(
    normal: Float64[np.ndarray, " image"], strange: Float64[np.ndarray, " image2"], threshold: float
) -> Figure:
    """Scores of both kinds with a threshold; the curve that all thresholds make; p-values."""
    figure = Figure(figsize=(9, 2.9), dpi=110, layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    edges = np.linspace(min(normal.min(), strange.min()), max(normal.max(), strange.max()), 31)
    left.hist(normal, edges, color=BLUE, alpha=0.7, label="people")
    left.hist(strange, edges, color=RED, alpha=0.6, label="scenes")
    left.axvline(threshold, color="black", linewidth=1)
    plain(left, xlabel="score, higher is more normal", ylabel="pictures").legend(frameon=False, fontsize=8)
    left.set_title("scores and a threshold", fontsize=9)
    found = np.repeat([False, True], [len(normal), len(strange)])
    score = -np.concatenate([normal, strange])
    precision, recall, _ = precision_recall_curve(found, score)
    chance, area = chance_level(len(found), int(found.sum())), average_precision_score(found, score)
    middle.plot(recall, precision, color=RED)
    middle.axhline(chance, color=GREY, linestyle="--", linewidth=1)
    middle.text(0.02, chance + 0.02, f"chance {chance:.2f}", color=GREY, fontsize=8)
    plain(middle, xlabel="recall", ylabel="precision", ylim=(0, 1.03), xlim=(0, 1.02))
    middle.set_title(f"finding scenes: average precision {area:.2f}", fontsize=9)
    half = len(normal) // 2
    aside, fresh = np.sort(normal[:half]), normal[half:]
    for values, color, name in ((fresh, BLUE, "other people"), (strange, RED, "scenes")):
        p = (np.searchsorted(aside, values, "right") + 1) / (half + 1)
        right.hist(
            p, np.linspace(0, 1, 21), color=color, alpha=0.65, label=name, weights=[1 / len(p)] * len(p)
        )
    plain(right, xlabel="p-value", ylabel="share of the pictures").legend(frameon=False, fontsize=8)
    right.set_title("p-values", fontsize=9)
    return figure


def main(run: str) -> None:
    model = pellucid.load(run, device="cpu")
    table = pellucid.read_latents(run, model.latents)
    factors = people.with_factors(people.person(3), sunglasses=1, azimuth=20)
    image = people.render(factors, model.config.architecture.size)[0]
    drawn = {
        "ideas-numbers": numbers(image),
        "ideas-code": bottleneck(model, table, image),
        "ideas-kl": rates(),
    }
    scenes = pellucid.open_dataset("scenes", limit=600, size=image.shape[1])
    known = torch.cat(
        [people.render(part, image.shape[1]) for part in _like_the_training(model, 600).split(100)]
    )
    detector = pellucid.Detector(model, columns="texture", threshold="false-alarm=0.05", remember=0)
    strange = scenes.batch(scenes.rows("all"))
    detector.fit(known[:300], strange[:300])
    normal, odd = (detector.score_samples(images) for images in (known[300:], strange[300:]))
    assert detector.fitted is not None
    drawn["ideas-detection"] = detection(normal, odd, detector.fitted.threshold)
    for name, figure in drawn.items():
        figure.savefig(IMAGES / f"{name}.png")


def _like_the_training(model: pellucid.Model, count: int) -> torch.Tensor:
    """People who differ only in what the model's latents are named after, as those that it learned from."""
    assert model.directory is not None
    generator = torch.Generator().manual_seed(1)
    drawn, factors = people.sample(count, generator), people.neutral().repeat(count, 1)
    for record in pellucid.read_latents(model.directory, model.latents).records:
        name = (record.name or "").replace(" ", "_")
        if name in people.NAMES:
            column = people.NAMES.index(name)
            worn = people.FACTORS[column].chance is not None
            chance = (torch.rand(count, generator=generator) < 0.5).float()
            factors[:, column] = chance if worn else drawn[:, column]
    return factors


if __name__ == "__main__":
    main(sys.argv[1])
