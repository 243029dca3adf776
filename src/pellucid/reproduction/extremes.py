"""Figs 7 to 10: the images of either class that are rebuilt best and worst."""

import numpy as np

from pellucid.anomaly.evaluation import extremes as find_extremes
from pellucid.report.extremes import extremes_figure
from pellucid.reproduction.context import Context
from pellucid.reproduction.exhibit import Exhibit, Part, Table, photographs

_COUNT = 12
_ENDS = (
    ("normal, rebuilt best", "normal_least"),
    ("normal, rebuilt worst", "normal_largest"),
    ("anomalous, rebuilt best", "anomalous_least"),
    ("anomalous, rebuilt worst", "anomalous_largest"),
)


def extremes(context: Context) -> Part:
    """Show the extremes by MSE, and how busy those images are."""
    model, _ = context.model(context.subject)
    features, judged = context.features(context.subject), context.judged
    ends = find_extremes(features, judged.normal, "mse", _COUNT)
    figure = extremes_figure(ends, features, lambda rows: judged.images[rows], model.reconstruct, most=_COUNT)
    gradient, loss = features.select(["gradient"])[:, 0], features.select(["mse"])[:, 0]
    middle = float(np.median(gradient))
    lines, numbers = [], {}
    for name, field in _ENDS:
        rows = getattr(ends, field)
        low, high = float(loss[rows].min()), float(loss[rows].max())
        busy = float(gradient[rows].mean())
        lines.append((name, f"{low:.4f} to {high:.4f}", f"{busy:.3f}", f"{busy / middle:.1f} times"))
        numbers[field] = {
            "images": [judged.names[row] for row in rows.tolist()],
            "mse": loss[rows].tolist(),
            "gradient": busy,
        }
    best, worst = lines[2][3], lines[3][3]
    above = float((loss[judged.normal] > loss[ends.anomalous_least].max()).mean())
    exhibit = Exhibit(
        figures=(7, 8, 9, 10),
        title="The extremes by mean squared error",
        paper="Four grids: the faces with the smallest and the largest MSE, and the non-faces with the "
        "smallest and the largest. Non-faces that are rebuilt well are smooth, those rebuilt badly are busy.",
        here=(
            f"The {len(ends.anomalous_least)} anomalous images that are rebuilt best are {best} as busy as "
            f"the median image (mean gradient of luminance), those that are rebuilt worst {worst}. "
            f"{above:.0%} of all normal images have a larger MSE than every one of the anomalous images that "
            "are rebuilt best.",
        ),
        pictures=(
            photographs(
                "extremes", "Four grids of images above their reconstructions, with the MSE of each.", figure
            ),
        ),
        tables=(
            Table(
                "The images of the four grids.",
                ("Grid", "MSE", "Mean gradient", "Beside the median"),
                tuple(lines),
            ),
        ),
    )
    return Part("extremes", (exhibit,), numbers)
