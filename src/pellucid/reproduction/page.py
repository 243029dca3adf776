"""The page: the paper's figures in order beside this run's, one file without a script or a request."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from types import MappingProxyType
from typing import Any

from PIL import Image

import pellucid
from pellucid.report.html import load_template
from pellucid.reproduction.catalogue import CATALOGUE
from pellucid.reproduction.claims import Claim
from pellucid.reproduction.exhibit import Exhibit, Part, Picture, numbered
from pellucid.reproduction.material import FACES, NONFACES
from pellucid.reproduction.plan import Recipe, minutes_of, recipes, subject_of
from pellucid.reproduction.settings import Settings

CITATION = "Tran, Dolph & Zhao, Enhancing Neural Network Explainability with Variational Autoencoders"
_SHORT = 60.0  # minutes of training in all
_SCALE = 2  # device pixels of a figure to one of the page's
_FACES = {True: "simulated people", False: "photographs of faces"}


@dataclass(frozen=True)
class _Section:
    """A heading with what stands under it.

    Attributes:
        anchor: Where links go.
        heading: With the figures' numbers.
        exhibit: What is shown; None if its part is not computed.
        part: The part's name.
        figures: The numbers, for links to single figures.
    """

    anchor: str
    heading: str
    exhibit: Exhibit | None
    part: str
    figures: tuple[int, ...]


def render_page(
    settings: Settings, parts: Mapping[str, Part], images: Mapping[str, int] = MappingProxyType({})
) -> str:
    """The page as a string; every name and text in it is escaped.

    Args:
        settings: What the reproduction was told.
        parts: Those that are computed, by name; the page says which are missing.
        images: How many images each model was trained on, counting passes, by the model's name.
    """
    template = load_template(
        "pellucid.reproduction",
        "reproduction.html.jinja",
        inline=_inline,
        measures=_measures,
        verdict_class=lambda verdict: verdict.replace(" ", "-"),
    )
    sections = _sections(parts)
    claims = all_claims(parts)
    return template.render(
        citation=CITATION,
        simulated=settings.data is None,
        short=settings.minutes is None or settings.minutes < _SHORT,
        sections=sections,
        claims=[(claim, _where(claim), _anchor_of(claim, sections)) for claim in claims],
        counts=[
            (verdict, sum(c.verdict == verdict and c.from_paper for c in claims)) for verdict in _VERDICTS
        ],
        missing=[name for name in CATALOGUE if name not in parts],
        facts=_facts(settings, parts),
        recipes=[_recipe_row(recipe, settings, images) for recipe in recipes(subject_of(settings))],
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        version=pellucid.__version__,
    )


_VERDICTS = ("held", "did not hold", "cannot be said")


def all_claims(parts: Mapping[str, Part]) -> tuple[Claim, ...]:
    """The claims of all parts, in the paper's order."""
    return tuple(claim for name in CATALOGUE if name in parts for claim in parts[name].claims)


def _sections(parts: Mapping[str, Part]) -> list[_Section]:
    sections = []
    for name, entry in CATALOGUE.items():
        part = parts.get(name)
        if part is None:
            sections.append(_Section(name, _heading(entry.figures, entry.title), None, name, entry.figures))
            continue
        for place, exhibit in enumerate(part.exhibits):
            heading = _heading(exhibit.figures, exhibit.title)
            sections.append(_Section(f"{name}-{place}", heading, exhibit, name, exhibit.figures))
    return sections


def _heading(figures: tuple[int, ...], title: str) -> str:
    return f"{numbered(figures)}. {title}" if figures else title


def _where(claim: Claim) -> str:
    return numbered(claim.figures) or "after Fig 10"


def _anchor_of(claim: Claim, sections: list[_Section]) -> str:
    return next(s.anchor for s in sections if s.exhibit is not None and claim in s.exhibit.claims)


def _facts(settings: Settings, parts: Mapping[str, Part]) -> list[tuple[str, str]]:
    simulated = settings.data is None
    images = (
        "simulated people as normal images, simulated scenes as anomalous ones (drawn on the fly)"
        if simulated
        else f"the folders {FACES} (normal) and {NONFACES} (anomalous) that --data names; sprites and "
        "simulated people, drawn on the fly"
    )
    budget = (
        f"{settings.steps:,} steps each"
        if settings.minutes is None
        else f"{settings.minutes:g} minutes in all"
    )
    return [
        ("Images", images),
        (
            "Never trained on",
            f"the last {settings.images:,} {_FACES[simulated]} by name (an eighth if there are fewer than "
            f"{8 * settings.images:,}), and all anomalous images",
        ),
        (
            "Training",
            f"{budget}, shared out among the models as the table of models says; the model of "
            "simulated people comes with Pellucid",
        ),
        ("Protocol", f"{settings.splits} random splits of 70 % and 30 %, standardised logistic regression"),
        ("Seed", f"{settings.seed}, one training of each model: another seed gives other numbers"),
        ("Software", f"Pellucid {pellucid.__version__}"),
        ("Parts computed", f"{len(parts)} of {len(CATALOGUE)}"),
    ]


def _recipe_row(recipe: Recipe, settings: Settings, images: Mapping[str, int]) -> tuple[str, ...]:
    if recipe.pretrained:
        budget = "none here"
    elif settings.minutes is None:
        budget = f"{settings.steps:,} steps"
    else:
        budget = f"{minutes_of(recipe, recipes(subject_of(settings)), settings.minutes):.1f} minutes"
    seen = f"{images[recipe.name]:,}" if recipe.name in images else "not yet"
    return recipe.name, recipe.about, budget, seen


def _inline(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _measures(picture: Picture) -> dict[str, Any]:
    """Width and height on the page: figures are drawn for screens of twice its pixels."""
    with Image.open(BytesIO(picture.light)) as image:
        return {"width": image.width // _SCALE, "height": image.height // _SCALE}
