"""What the paper concludes from Figs 7 to 10: losses follow texture."""

from pellucid.anomaly.evaluation import within_texture
from pellucid.anomaly.features import LOSS_COLUMNS
from pellucid.report.diagnosis import texture_figure
from pellucid.reproduction.claims import losses_follow_texture
from pellucid.reproduction.context import Context
from pellucid.reproduction.exhibit import Exhibit, Part, chart


def texture(context: Context) -> Part:
    """Correlate each loss with the mean gradient, and measure detection among equally busy images."""
    features, judged = context.features(context.subject), context.judged
    with context.watch.counting("diagnosing texture") as advance:
        diagnosis = within_texture(
            features.select(LOSS_COLUMNS),
            judged.normal,
            features.select(["gradient"])[:, 0],
            columns=LOSS_COLUMNS,
            splits=context.settings.splits,
            seed=context.settings.seed,
            groups=judged.groups,
            progress=advance,
        )
    pairs = diagnosis.correlation.T.tolist()
    claim = losses_follow_texture(
        {name: (normal, anomalous) for name, (normal, anomalous) in zip(LOSS_COLUMNS, pairs, strict=True)}
    )
    summary = diagnosis.summary()
    by_bin = "; ".join(
        f"{one['low']:.3f} to {one['high']:.3f}: {_number(one['normal'])} and {_number(one['anomalous'])}"
        for one in summary["bins"]
    )
    exhibit = Exhibit(
        figures=(),
        title="The diagnosis: losses follow texture",
        paper="From Figs 7 to 10 the paper concludes that a loss says how busy an image is: a smooth "
        "non-face passes, a busy face is suspected. There it is an observation; here it is measured.",
        here=(
            "The six losses among images that are about equally busy, average precision finding normal and "
            f"anomalous images by mean gradient: {by_bin}.",
        ),
        pictures=(
            chart(
                "texture",
                "Average precision within bins of texture, and the correlation of each loss with texture.",
                lambda ink: texture_figure(diagnosis, measure="mean gradient", ink=ink),
            ),
        ),
        claims=(claim,),
    )
    return Part("texture", (exhibit,), summary)


def _number(direction: dict[str, float | None]) -> str:
    value, chance = direction["average_precision"], direction["chance"]
    return "unknown" if value is None else f"{value:.3f} (chance {chance:.2f})"
