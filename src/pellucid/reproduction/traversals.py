"""Figs 16 to 29: what each latent that matters does to a few images."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pellucid.latents.cards import response_map
from pellucid.latents.names import LatentTable
from pellucid.latents.traverse import traverse_latents, traverse_seeds
from pellucid.model.predictor import Model
from pellucid.report.grids import traversal_figure
from pellucid.reproduction.claims import part_of_the_latents
from pellucid.reproduction.context import Context
from pellucid.reproduction.exhibit import Exhibit, Part, Table, photographs

FIRST, LAST = 16, 29
VISIBLE = 0.1
_REACH = 3.0
_SEEDS, _ROWS, _STEPS = 16, 5, 7


@dataclass(frozen=True)
class _Moved:
    """What moving a latent does.

    Attributes:
        latent: Its number.
        change: The largest change of a pixel between −3 and 3, mean over images, 0 to 1.
    """

    latent: int
    change: float

    @property
    def visible(self) -> bool:
        return self.change >= VISIBLE


def traversals(context: Context) -> Part:
    """Move every latent of images that were not trained on; show the fourteen that say most."""
    model, table = context.model(context.subject)
    normal = np.flatnonzero(context.judged.normal)
    chosen = normal[np.linspace(0, len(normal) - 1, min(_SEEDS, len(normal))).astype(int)]
    seeds = model.encode(context.judged.images[chosen]).mean
    moved = [_moved(model, seeds, latent) for latent in table.order()]
    visible, active = sum(one.visible for one in moved), table.active()
    photos = context.judged.images[chosen[:: max(1, len(chosen) // _ROWS)][:_ROWS]]
    shown = (active + [latent for latent in table.order() if latent not in active])[: LAST - FIRST + 1]
    exhibits = [_overview(model, table, moved, visible, photos[:1])]
    by_latent = {one.latent: one for one in moved}
    for figure, latent in zip(range(FIRST, LAST + 1), shown, strict=False):
        exhibits.append(_figure(figure, model, table, by_latent[latent], photos))
    for figure in range(FIRST + len(shown), LAST + 1):
        exhibits.append(
            Exhibit(
                (figure,),
                "No more latents",
                _one_of(figure),
                (f"The model has {model.latents} latents only.",),
            )
        )
    numbers = {
        "latents": model.latents,
        "active": len(active),
        "visible": visible,
        "changes": {f"z{one.latent}": one.change for one in moved},
    }
    return Part("traversals", tuple(exhibits), numbers)


def _moved(model: Model, seeds: Float[Tensor, "seed latent"], latent: int) -> _Moved:
    return _Moved(latent, float(response_map(model, seeds, latent, -_REACH, _REACH).max()))


def _overview(
    model: Model, table: LatentTable, moved: list[_Moved], visible: int, photo: torch.Tensor
) -> Exhibit:
    rows = tuple(
        (
            table.label(one.latent),
            f"{table.records[one.latent].kl or 0:.2f}",
            "active" if table.records[one.latent].active else "inactive",
            f"{one.change:.0%}",
            "visible" if one.visible else "hardly",
        )
        for one in moved
    )
    active = len(table.active())
    latents = table.active() or table.order()[: LAST - FIRST + 1]
    traversal = traverse_latents(model, table, photo=photo, latents=latents, steps=_STEPS)
    return Exhibit(
        figures=(),
        title="Which latents matter",
        paper="Every latent was swept and looked at: 14 of the 32 changed the picture visibly. Figs 16 to 29 "
        "show these, each on several images.",
        here=(
            f"{visible} of {model.latents} latents change the picture visibly; {active} of {model.latents} "
            "are active by what they carry (KL above 0.1 nats an image, variance above 0.01). The picture "
            "moves every active latent of one image that was not trained on.",
        ),
        pictures=(
            photographs(
                "all-latents",
                "Every active latent of one image moved from −3 to 3.",
                traversal_figure(traversal),
            ),
        ),
        tables=(
            Table(
                "All latents, the one with the largest KL first. Change: the most that a pixel changes "
                "between −3 and 3, mean over images.",
                ("Latent", "KL, nats", "Verdict", "Change", "To the eye"),
                rows,
            ),
        ),
        claims=(part_of_the_latents(visible, model.latents),),
    )


def _one_of(figure: int) -> str:
    return f"Number {figure - FIRST + 1} of the 14 latents whose change was visible, moved in several images."


def _figure(figure: int, model: Model, table: LatentTable, moved: _Moved, photos: torch.Tensor) -> Exhibit:
    record, label = table.records[moved.latent], table.label(moved.latent)
    name = (
        "no name yet"
        if record.name is None
        else "a suggested name"
        if record.suggested
        else "named by a person"
    )
    evidence = f": {record.evidence}" if record.evidence else ""
    traversal = traverse_seeds(model, table, latent=moved.latent, photos=photos, steps=_STEPS)
    return Exhibit(
        figures=(figure,),
        title=label,
        paper=_one_of(figure),
        here=(
            f"{label} ({name}{evidence}): KL {record.kl or 0:.2f} nats an image; between −3 and 3 a pixel "
            f"changes by up to {moved.change:.0%} of full scale, which is "
            f"{'visible' if moved.visible else 'hardly visible'}. "
            + (
                ""
                if record.active
                else "This latent is inactive; it is shown because there are not 14 active ones. "
            )
            + "Each row is another image, its own picture in front.",
        ),
        pictures=(
            photographs(
                f"latent-{figure}",
                f"{label} moved from −3 to 3 in {len(photos)} images.",
                traversal_figure(traversal),
            ),
        ),
    )
