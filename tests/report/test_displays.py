"""What a notebook is given of each result: the figure itself, names as text, one line where none is seen."""

import re
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bands import bands_model, bands_table, picture
from matplotlib.figure import Figure
from PIL import Image

import pellucid
from pellucid.anomaly.explanation import Explanation
from pellucid.anomaly.verdict import Contribution
from pellucid.comparison.compare import compare
from pellucid.drawn import Drawn
from pellucid.errors import ConfigError, ImageError
from pellucid.latents.activity import Codes
from pellucid.latents.cards import build_cards
from pellucid.latents.names import LatentTable, rename
from pellucid.latents.traverse import traverse_latents
from pellucid.report.card import card_figure
from pellucid.report.comparison import comparison_figure
from pellucid.report.displays import _FIGURES, show
from pellucid.report.explanation import explanation_figure
from pellucid.report.grids import traversal_figure

Results = Mapping[str, tuple[Drawn, Figure]]
HOSTILE = "<img src=x onerror=alert(1)>&\"'$x^"
FILE = "a <script>alert(1)</script>\x1b[2J.jpg"


def hostile_table() -> LatentTable:
    table = rename(bands_table(), 0, HOSTILE)
    return rename(table, 2, "skin", suggested=True, evidence="</td><script>alert(2)</script> AUC 0.90")


@pytest.fixture(scope="module")
def results() -> Results:
    """One result of each kind with hostile names, and the figure that the report draws of it."""
    model, table = bands_model(), hostile_table()
    a, b = picture(0.5, -1.0, 0.0, 0.0), picture(0.2, 1.0, 0.8, 0.0)
    traversal = traverse_latents(model, table, photo=a, steps=3)
    means = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    cards = build_cards(model, table, Codes(means, np.full_like(means, -4.0)))
    card = next(card for card in cards if card.latent == 0)
    comparison = compare(model, a, b, table=table)
    explanation = Explanation(
        name=FILE,
        verdict="anomalous",
        score=-1.0,
        threshold=0.5,
        rule="f1",
        probability=0.02,
        threshold_probability=0.3,
        p_value=0.004,
        min_p_value=0.001,
        known=False,
        cautions=(),
        base=1.0,
        contributions=(Contribution("z0", table.label(0), 0.5, 0.25, 0.99, -2.0),),
        image=a,
        reconstruction=b,
        residual=np.zeros((32, 32), np.float32),
        similarity=np.zeros((32, 32), np.float32),
        neighbours=(),
        counterfactual=None,
    )
    shown = show(torch.cat([a, b]), torch.cat([b, a]))
    return {
        "traversal": (traversal, traversal_figure(traversal)),
        "card": (card, card_figure(card)),
        "comparison": (comparison, comparison_figure(comparison)),
        "explanation": (explanation, explanation_figure(explanation)),
        "drawing": (shown, shown.figure),
    }


def opened(png: bytes) -> Image.Image:
    image = Image.open(BytesIO(png))
    image.load()  # decodes every pixel
    assert image.format == "PNG"
    return image


def size_of(figure: Figure) -> tuple[int, int]:
    width, height = figure.get_size_inches() * figure.dpi
    return round(width), round(height)


class Printer:
    """What IPython hands to `_repr_pretty_`."""

    def __init__(self) -> None:
        self.said = ""

    def text(self, text: str) -> None:
        self.said += text


class Page(HTMLParser):
    """The tags and the text of a piece of HTML, as a browser reads them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.cells: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert not attributes
        self.cells += [""] if tag in ("td", "th", "p") else []

    def handle_data(self, data: str) -> None:
        if self.cells:
            self.cells[-1] += data


@pytest.mark.parametrize("kind", ["traversal", "card", "comparison", "explanation", "drawing"])
def test_a_result_shows_itself_as_the_figure_that_the_report_draws(kind: str, results: Results) -> None:
    result, figure = results[kind]
    image = opened(result._repr_png_())
    assert image.size == size_of(figure)
    assert len(image.convert("RGB").getcolors(1 << 24) or []) > 4  # drawn on


@pytest.mark.parametrize("kind", ["traversal", "card", "comparison", "explanation", "drawing"])
def test_the_line_of_a_result_is_one_printable_line(kind: str, results: Results) -> None:
    result, _ = results[kind]
    printer = Printer()
    result._repr_pretty_(printer, False)
    assert printer.said
    assert printer.said.isprintable()
    assert "tensor(" not in printer.said
    expected = {"explanation": "a <script>alert(1)</script>\\x1b[2J.jpg: Anomalous", "card": HOSTILE}
    assert expected.get(kind, "") in printer.said


def test_pictures_bring_no_html_into_which_a_file_name_could_write(
    results: Results,
) -> None:
    assert not [kind for kind, (result, _) in results.items() if hasattr(result, "_repr_html_")]


def test_latents_are_a_table_in_which_hostile_names_are_text() -> None:
    page = Page(hostile_table()._repr_html_())
    assert page.tags == {"table", "thead", "tbody", "tr", "th", "td", "p"}
    assert f"z0 {HOSTILE}" in page.cells
    assert "suggested; </td><script>alert(2)</script> AUC 0.90" in page.cells
    assert page.cells[-1] == "1 of 4 latents is inactive."


def test_the_table_says_what_was_measured_and_nothing_of_what_was_not() -> None:
    assert Page(bands_table()._repr_html_()).cells[4:8] == ["z0 face width", "1.00", "0.25", ""]
    bare = LatentTable(tuple(replace(r, kl=None, variance=None, active=None) for r in bands_table().records))
    cells = Page(bare._repr_html_()).cells
    assert cells[4:8] == ["z0 face width", "", "", ""]
    assert len(cells) == 4 * (1 + 4)


def test_images_are_shown_where_they_belong_pixel_by_pixel(tmp_path: Path) -> None:
    grey = torch.linspace(0.1, 0.9, 5)
    images = grey[:, None, None, None].expand(5, 3, 32, 32)
    drawing = show(images, columns=3)
    drawn = np.asarray(opened(drawing._repr_png_()).convert("L"))
    values, counts = np.unique(drawn, return_counts=True)
    found = dict(zip(values.tolist(), counts.tolist(), strict=True))
    for value in (grey * 255).round().int().tolist():
        assert found[value] == 128 * 128
    first_of = [np.argwhere(drawn == value)[0] for value in (grey * 255).round().int().tolist()]
    assert first_of[0][0] == first_of[1][0] == first_of[2][0] < first_of[3][0] == first_of[4][0]
    assert first_of[0][1] == first_of[3][1] < first_of[1][1] == first_of[4][1] < first_of[2][1]
    drawing.save(tmp_path / "images.png")
    assert opened((tmp_path / "images.png").read_bytes()).size == size_of(drawing.figure)


@pytest.mark.parametrize(
    ("images", "reconstructions", "expected"),
    [
        (torch.zeros(2, 2, 32, 32), None, "1 or 3 channels"),
        (torch.zeros(0, 3, 32, 32), None, "1 or 3 channels"),
        (torch.full((1, 3, 32, 32), float("nan")), None, "floats in"),
        (torch.full((1, 3, 32, 32), 255.0), None, "Divide by 255"),
        (torch.zeros(2, 3, 32, 32), torch.zeros(1, 3, 32, 32), "reconstruction of each image"),
    ],
)
def test_what_is_not_images_is_refused(
    images: torch.Tensor, reconstructions: torch.Tensor | None, expected: str
) -> None:
    with pytest.raises(ImageError, match=re.escape(expected)):
        show(images, reconstructions)


def test_no_columns_are_refused() -> None:
    with pytest.raises(ConfigError, match="columns: expected 1 or more, got 0"):
        show(torch.zeros(1, 3, 32, 32), columns=0)


def test_a_figure_is_shown_as_it_is(results: Results) -> None:
    figure = results["comparison"][1]
    assert opened(pellucid.show(figure)._repr_png_()).size == size_of(figure)


def test_ipython_shows_pictures_tables_and_lines(results: Results) -> None:
    formatters: Any = pytest.importorskip("IPython.core.formatters")
    formatter = formatters.DisplayFormatter()
    for result, figure in results.values():
        shown, _ = formatter.format(result)
        assert set(shown) == {"image/png", "text/plain"}
        assert opened(shown["image/png"]).size == size_of(figure)
        assert "tensor(" not in shown["text/plain"]
    shown, _ = formatter.format(hostile_table())
    assert set(shown) == {"text/html", "text/plain"}
    assert "<img" not in shown["text/html"]
    assert shown["text/plain"].startswith("3 of 4 latents are active: ")


def test_every_result_that_shows_itself_has_a_figure() -> None:
    assert set(Drawn.__subclasses__()) == set(_FIGURES)
