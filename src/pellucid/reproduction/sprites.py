"""Figs 2 and 3: what latents of sprites stand for, entangled by a VAE, apart by a β-TCVAE."""

import numpy as np

from pellucid.latents.activity import encode_dataset
from pellucid.latents.traverse import traverse_latents
from pellucid.metrics.table import evaluate
from pellucid.report.grids import traversal_figure
from pellucid.reproduction.claims import Interval, disentangled
from pellucid.reproduction.context import Context
from pellucid.reproduction.exhibit import Exhibit, Part, Picture, Table, photographs

_MODELS = (("sprites-vae", "VAE"), ("sprites-tcvae", "β-TCVAE"))
_SHAPE = "shape"
_MOST_ROWS = 10


def sprites(context: Context) -> Part:
    """Traverse both models of sprites, and score them by the mutual information gap of four factors."""
    dataset = context.training("sprites")
    rows = dataset.rows("held-out", at_most=context.settings.sprites)
    assert dataset.attributes is not None
    kept = [at for at, name in enumerate(dataset.attributes.names) if name != _SHAPE]
    names = [dataset.attributes.names[at] for at in kept]
    factors = dataset.attributes.lookup(rows)[:, kept]
    start = dataset.batch(rows[len(rows) // 2 : len(rows) // 2 + 1])
    scores: dict[str, Interval] = {}
    lines: list[tuple[str, ...]] = []
    pictures: list[Picture] = []
    numbers = {}
    for run, name in _MODELS:
        model, table = context.model(run)
        with context.watch.counting(f"encoding sprites with {run}") as advance:
            codes = encode_dataset(model, dataset, rows, progress=advance)
        with context.watch.working("scoring"):
            (score,) = evaluate(codes.mean, factors, names, metrics=("mig",), seed=context.settings.seed)
        assert score.per_factor is not None
        scores[run] = Interval(score.value, score.low, score.high)
        gaps = dict(zip(names, score.per_factor, strict=True))
        active, steps = len(table.active()), int(model.config.training["steps_taken"])
        lines.append(
            (name, str(scores[run]), *(f"{gap:.2f}" for gap in score.per_factor), f"{active}", f"{steps:,}")
        )
        numbers[run] = {
            "mig": score.value,
            "low": score.low,
            "high": score.high,
            "gaps": gaps,
            "active": active,
            "steps": steps,
        }
        traversal = traverse_latents(model, table, photo=start, latents=table.order()[:_MOST_ROWS], steps=9)
        alt = f"{name}: every latent of one sprite moved from −3 to 3, the most informative first."
        pictures.append(photographs(run, alt, traversal_figure(traversal)))
    claim = disentangled(scores["sprites-vae"], scores["sprites-tcvae"])
    score_table = Table(
        f"Mutual information gap (posterior means, 20 bins) on {len(rows):,} held-out sprites, all factors "
        "but shape. A model that says without error where the sprite is and how large scores about .5.",
        ("Model", "MIG (95 %)", *(name.replace("_", " ") for name in names), "Active", "Steps"),
        tuple(lines),
    )
    entangled, apart = pictures
    sentence = "Rows are the latents, the most informative first. In front of each row is the sprite itself."
    exhibits = (
        Exhibit(
            figures=(2,),
            title="Sprites by a VAE",
            paper="A VAE's latents of sprites (dSprites: shapes of known size, turn and place), each moved "
            "from −3 to 3: entangled, one latent changes several things at once.",
            here=(f"The VAE has {_changing(numbers['sprites-vae'])}.", sentence),
            pictures=(entangled,),
        ),
        Exhibit(
            figures=(3,),
            title="Sprites by a β-TCVAE",
            paper="The same for a β-TCVAE, which makes latents pay for depending on one another: "
            "disentangled, each latent changes one thing.",
            here=(
                f"The β-TCVAE has {_changing(numbers['sprites-tcvae'])}. Both models have the same networks, "
                "images, time and first weights; neither is turned onto independent axes during training, "
                "which Pellucid does by default and the paper did not.",
            ),
            pictures=(apart,),
            tables=(score_table,),
            claims=(claim,),
        ),
    )
    return Part("sprites", exhibits, numbers)


def _changing(numbers: dict[str, object]) -> str:
    gaps = numbers["gaps"]
    assert isinstance(gaps, dict)
    best = max(gaps, key=gaps.__getitem__)
    mean = float(np.mean(list(gaps.values())))
    return (
        f"{numbers['active']} active latents; MIG {mean:.3f}, where the factor that is most in one latent "
        f"alone is {best.replace('_', ' ')} ({gaps[best]:.2f})"
    )
