"""Fig 4: the live tool, its three panels for one picture, and whether the model keeps up with a camera."""

import time

import numpy as np

from pellucid.anomaly.verdict import COLUMN_LABELS
from pellucid.latents.typical import average_picture, read_typical
from pellucid.objective.reconstruction import reconstruction_losses
from pellucid.report.panels import Panels, panels_figure
from pellucid.reproduction.claims import keeps_up
from pellucid.reproduction.context import Context
from pellucid.reproduction.exhibit import Exhibit, Part, photographs

_TIMES = 60


def live(context: Context) -> Part:
    """Draw the panels for a normal image that no model was trained on, and time single pictures."""
    model, table = context.model(context.subject)
    image = context.judged.images[:1]
    posterior = model.encode(image)
    drawn = model.decode(posterior.mean)
    losses = reconstruction_losses(image, drawn)
    spent = []
    for row in range(_TIMES):
        one = context.judged.images[row % len(context.judged.images)][None]
        start = time.perf_counter()
        model.decode(model.encode(one).mean)
        spent.append(1000 * (time.perf_counter() - start))
    median, p95 = (float(value) for value in np.quantile(spent, [0.5, 0.95]))
    panels = Panels(
        image=image,
        average=average_picture(model, read_typical(model)),
        reconstruction=drawn,
        table=table,
        mean=posterior.mean[0],
        deviation=(0.5 * posterior.log_variance[0]).exp(),
        losses={COLUMN_LABELS[name]: float(loss[0]) for name, loss in losses.items()},
    )
    exhibit = Exhibit(
        figures=(4,),
        title="The live tool",
        paper="A tool with three panels: on the left a file or a camera with an overlay to align the face "
        "and a button that freezes it, in the middle the named latents, on the right the reconstruction with "
        "its losses.",
        here=(
            f"pellucid live runs/{context.subject} opens that tool for this model, in the browser; here are "
            "its three panels for one image. The outlines over the picture are those of the "
            "average picture.",
            f"One picture alone is encoded and redrawn in {median:.1f} ms (median of {_TIMES}; 95 % in "
            f"{p95:.1f} ms or less). What a person waits for in the browser is measured by "
            "benchmarks/live_latency.py.",
        ),
        pictures=(
            photographs(
                "panels",
                "A picture under outlines, a bar for each latent, the reconstruction above its losses.",
                panels_figure(panels),
            ),
        ),
        claims=(keeps_up(p95),),
    )
    numbers = {"milliseconds": {"median": median, "p95": p95, "pictures": _TIMES}}
    return Part("live", (exhibit,), numbers)
