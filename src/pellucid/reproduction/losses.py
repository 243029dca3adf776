"""Fig 11: which reconstruction loss to train with, and which beta."""

from collections.abc import Mapping, Sequence

from pellucid.anomaly.evaluation import Evaluation
from pellucid.anomaly.features import LOSS_COLUMNS, columns_of
from pellucid.report.detection import average_precision_figure
from pellucid.reproduction.claims import ssim_beats_cosine
from pellucid.reproduction.context import Context
from pellucid.reproduction.detection import evaluated, precision_table
from pellucid.reproduction.exhibit import Exhibit, Part, Table, chart
from pellucid.reproduction.plan import BETA, COMPARED, SWEPT, by_loss

_NAMES = ("six losses", "losses + all latents")


def losses(context: Context) -> Part:
    """Evaluate a model for each training loss, and one for each beta."""
    by_recipe = {
        name: _evaluations(context, name)
        for name in [by_loss(context.subject, loss) for loss in COMPARED]
        + [by_loss(context.subject, "mse", beta) for beta in SWEPT]
    }
    trained = {loss: by_recipe[by_loss(context.subject, loss)] for loss in COMPARED}
    swept = {beta: by_recipe[by_loss(context.subject, "mse", beta)] for beta in sorted((BETA, *SWEPT))}
    by_training = {f"trained with {_label(loss)}": found for loss, found in trained.items()}
    by_beta = {f"MSE, β = {beta:g}": found for beta, found in swept.items()}
    claim = ssim_beats_cosine(
        trained["ssim"][0].average_precision,
        trained["cosine"][0].average_precision,
        trained["ssim"][0].counts,
    )
    best = max(swept, key=lambda beta: float(swept[beta][0].average_precision.mean()))
    active = {name: len(context.model(name)[1].active()) for name in by_recipe}
    ahead = max(trained, key=lambda loss: float(trained[loss][0].average_precision.mean()))
    exhibit = Exhibit(
        figures=(11,),
        title="Training losses compared, and a sweep of beta",
        paper="Models trained with MSE, cosine distance and SSIM, and with different β, compared by average "
        "precision: SSIM is ahead of cosine.",
        here=(
            f"By six losses, in the mean of both directions, training with {_label(ahead)} comes out first "
            f"of the three, and of the β tried with MSE, {best:g}. Between the best and the worst of all "
            f"these models lie {_spread(by_recipe, 0):.3f} of average precision by six losses, "
            f"{_spread(by_recipe, 1):.3f} with latents beside them. One model each, trained with one seed.",
        ),
        pictures=(
            chart(
                "training-losses",
                "Average precisions of models trained with MSE, cosine distance and SSIM.",
                lambda ink: average_precision_figure(by_training, ink=ink),
            ),
            chart(
                "beta",
                "Average precisions of models trained with MSE and different beta.",
                lambda ink: average_precision_figure(by_beta, ink=ink),
            ),
        ),
        tables=(_table(context, by_recipe, active),),
        claims=(claim,),
    )
    numbers = {
        name: {"active": active[name], "evaluations": [evaluation.summary() for evaluation in found]}
        for name, found in by_recipe.items()
    }
    return Part("losses", (exhibit,), numbers)


def _spread(by_recipe: Mapping[str, Sequence[Evaluation]], at: int) -> float:
    """How far models lie apart by one of the two sets of features, in the mean of both directions."""
    means = [float(found[at].average_precision.mean()) for found in by_recipe.values()]
    return max(means) - min(means)


def _label(loss: str) -> str:
    return {"mse": "MSE", "cosine": "cosine distance", "ssim": "SSIM"}[loss]


def _evaluations(context: Context, name: str) -> tuple[Evaluation, Evaluation]:
    features, judged = context.features(name), context.judged
    every = columns_of("losses+latents", context.model(name)[0].latents)
    first, second = (
        evaluated(context, features.select(columns), judged.normal, columns, label, judged.groups)
        for label, columns in zip(_NAMES, (LOSS_COLUMNS, every), strict=True)
    )
    return first, second


def _table(
    context: Context, by_recipe: dict[str, tuple[Evaluation, Evaluation]], active: dict[str, int]
) -> Table:
    rows = []
    for name, found in by_recipe.items():
        cells = precision_table(found)
        rows += [
            (context.recipe(name).about, row[0], row[1], row[2], f"{active[name]}") for row in cells.rows
        ]
    caption = precision_table(next(iter(by_recipe.values()))).caption
    return Table(
        caption, ("Model", "Features", "Finding normal", "Finding anomalous", "Active latents"), tuple(rows)
    )
