"""Results as notebooks show them: a picture or a table, and one line where neither can be seen."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from pellucid.anomaly.explanation import Explanation
from pellucid.comparison.compare import Comparison
from pellucid.data.images import printable
from pellucid.drawn import Drawn
from pellucid.errors import ConfigError, ImageError
from pellucid.latents.cards import Card
from pellucid.latents.names import LatentRecord, LatentTable
from pellucid.latents.traverse import Traversal
from pellucid.report.card import card_figure, verdict
from pellucid.report.comparison import comparison_figure
from pellucid.report.explanation import explanation_figure
from pellucid.report.figures import save_figure
from pellucid.report.grids import images_figure, reconstructions_figure, traversal_figure
from pellucid.report.ink import encode


@dataclass(frozen=True)
class Drawing(Drawn):
    """A figure that shows itself in a notebook.

    Attributes:
        figure: What is shown.
        words: The same in one line.
    """

    figure: Figure
    words: str

    def save(self, path: str | Path) -> None:
        """Write it as .png or .pdf.

        Raises:
            ConfigError: If the suffix is another.
        """
        save_figure(self.figure, Path(path))


def show(
    images: Float[Tensor, "image channel height width"] | Figure,
    reconstructions: Float[Tensor, "reconstruction channel height width"] | None = None,
    *,
    columns: int = 8,
) -> Drawing:
    """Images side by side, as a drawing that a notebook shows; or originals above their reconstructions.

    Results that are more than images (traversals, cards, comparisons, explanations) show themselves.

    Args:
        images: Floats in [0, 1], as `model.to_tensor` and `Dataset.batch` give them; or a figure of
            `pellucid.report`, which is shown as it is.
        reconstructions: Of the same images, as `model.reconstruct` gives them.
        columns: Images in a row.

    Raises:
        ImageError: If there are no images, they are not floats in [0, 1], or the shapes of both differ.
        ConfigError: If `columns` is below 1.
    """
    if isinstance(images, Figure):
        return Drawing(images, "A figure.")
    if columns < 1:
        raise ConfigError(f"columns: expected 1 or more, got {columns}. Eight are usual.")
    _check(images)
    counted = "1 image" if len(images) == 1 else f"{len(images):,} images"
    if reconstructions is None:
        return Drawing(images_figure(images, columns=columns), f"{counted}.")
    _check(reconstructions)
    if images.shape != reconstructions.shape:
        raise ImageError(
            f"expected a reconstruction of each image, got images {list(images.shape)} and reconstructions "
            f"{list(reconstructions.shape)}. Make them by model.reconstruct(images)."
        )
    figure = reconstructions_figure(images, reconstructions, columns=columns)
    return Drawing(figure, f"{counted} above what the model makes of them.")


def _check(images: Tensor) -> None:
    if images.ndim != 4 or not len(images) or images.shape[1] not in (1, 3):
        raise ImageError(
            f"expected images [image channel height width] of 1 or 3 channels, got {list(images.shape)}. "
            "model.to_tensor makes them of paths, pictures and arrays."
        )
    if not images.is_floating_point() or not (images.min() >= 0 and images.max() <= 1):  # also for nan
        raise ImageError("expected floats in [0, 1] in every image. Divide by 255, or clamp.")


_FIGURES: Mapping[type, Callable[[Any], Figure]] = {
    Card: card_figure,
    Comparison: comparison_figure,
    Drawing: lambda drawing: drawing.figure,
    Explanation: explanation_figure,
    Traversal: traversal_figure,
}

_WORDS: Mapping[type, Callable[[Any], str]] = {
    Card: lambda card: f"{card.label}: {verdict(card)}",
    Comparison: lambda comparison: comparison.sentence,
    Drawing: lambda drawing: drawing.words,
    Explanation: lambda explanation: f"{explanation.name}: {explanation.sentence}",
    LatentTable: lambda table: _table_words(table),
    Traversal: lambda traversal: f"{traversal.title}: {'; '.join(traversal.labels)}",
}


def png(result: Drawn) -> bytes:
    """The figure of a result as a PNG file, at the figure's own size in pixels."""
    return encode(_FIGURES[type(result)](result), "png")


def words(result: object) -> str:
    """A result in one line, with whatever cannot be printed escaped."""
    return printable(_WORDS[type(result)](result))


def html(table: LatentTable) -> str:
    """The latents that matter as an HTML table; names and evidence are text in it, whatever they hold."""
    shown = table.active() or table.order()
    rows = "".join(_row(table, table.records[latent]) for latent in shown)
    heads = "".join(f"<th>{head}</th>" for head in ("latent", "KL, nats", "variance", "what is known"))
    hidden = len(table.records) - len(shown)
    silent = f"{hidden} of {len(table.records)} latents {'is' if hidden == 1 else 'are'} inactive."
    note = f"<p>{silent}</p>" if hidden else ""
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>{note}"


def _row(table: LatentTable, record: LatentRecord) -> str:
    numbers = ["" if value is None else f"{value:.2f}" for value in (record.kl, record.variance)]
    known = [
        "suggested" if record.suggested else "",
        record.evidence or "",
        "nuisance" if record.nuisance else "",
    ]
    cells = [table.label(record.index), *numbers, "; ".join(filter(None, known))]
    return f"<tr>{''.join(f'<td>{escape(printable(cell))}</td>' for cell in cells)}</tr>"


def _table_words(table: LatentTable) -> str:
    active = table.active()
    if not active:
        return f"{len(table.records)} latents, none known to be active."
    named = ", ".join(table.label(latent) for latent in active)
    return f"{len(active)} of {len(table.records)} latents are active: {named}."
