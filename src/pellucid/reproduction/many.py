"""Fig 12: as many anomalous images as normal ones, with and without latents, beside what must be beaten."""

from pellucid.anomaly.baselines import pca_features
from pellucid.anomaly.detector import decisive
from pellucid.anomaly.study import study
from pellucid.report.detection import average_precision_figure, precision_recall_figure
from pellucid.report.diagnosis import reliability_figure
from pellucid.reproduction.claims import beats_pca, near_perfect
from pellucid.reproduction.context import Context
from pellucid.reproduction.detection import in_words, precision_table
from pellucid.reproduction.exhibit import Exhibit, Part, chart


def many(context: Context) -> Part:
    """Evaluate the paper's features, Pellucid's default and the baselines on all anomalies."""
    _, table = context.model(context.subject)
    features, judged = context.features(context.subject), context.judged
    images = context.training(context.subject)
    with context.watch.working("fitting a PCA to compare with"):
        known = images.fetch(images.rows("train", at_most=context.settings.learned))
        pca = pca_features(known, [judged.images], context.settings.components)
    with context.watch.counting("evaluating") as advance:
        found = study(
            features,
            judged.normal,
            decisive("latents", table),
            pca=pca,
            groups=judged.groups,
            splits=context.settings.splits,
            seed=context.settings.seed,
            progress=advance,
        )
    papers = [found.named("six losses"), found.named("losses + all latents")]
    default, baseline = found.named("losses + texture + latents"), found.named("PCA")
    baselines = [found.named("texture alone"), baseline, found.named("PCA + texture")]
    count, anomalous = default.counts
    exhibit = Exhibit(
        figures=(12,),
        title="As many other images as faces",
        paper="The same curves with 1,000 non-faces instead of 100 to learn from: with latents beside the "
        "losses, near perfect.",
        here=(
            f"{count:,} normal images ({judged.descriptions[0]}) and {anomalous:,} anomalous ones "
            f"({judged.descriptions[1]}), none of which any model was trained on. {in_words(papers)}",
            "Beside the paper's features: what Pellucid's detector uses, and baselines that need no network, "
            f"without which such numbers mean little. {in_words([default, *baselines])}",
        ),
        pictures=(
            chart(
                "precision-recall",
                "Precision over recall with either class as the positive one, on as many anomalous images as "
                "normal ones.",
                lambda ink: precision_recall_figure([*papers, default, baseline], ink=ink),
            ),
            chart(
                "average-precision",
                "Average precisions of the paper's features, Pellucid's default and baselines.",
                lambda ink: average_precision_figure(
                    {"the paper's": papers, "Pellucid's": [default], "no network": baselines}, ink=ink
                ),
            ),
            chart(
                "reliability",
                "Share of normal images over the probability of being normal, on unseen images.",
                lambda ink: reliability_figure(found.probability, found.normal, ink=ink),
            ),
        ),
        tables=(precision_table(found.evaluations),),
        claims=(
            near_perfect(papers[1].average_precision, papers[1].counts),
            beats_pca(default.average_precision, baselines[-1].average_precision),
        ),
    )
    return Part("many", (exhibit,), found.summary())
