"""The figures of comparisons: the numbers, names and pictures that they were given; nothing breaks them."""

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from bands import bands_model, bands_table, picture
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from pellucid.comparison.compare import Comparison, compare
from pellucid.comparison.gallery import Match, Reason
from pellucid.errors import ConfigError
from pellucid.latents.names import rename
from pellucid.report.comparison import comparison_figure, gallery_figure, save_comparison
from pellucid.report.ink import DARK, encode


@pytest.fixture
def compared() -> Comparison:
    a, b = picture(0.5, -1.0, 0.0, 0.0), picture(0.2, 1.0, 0.8, 0.0)
    return compare(bands_model(), a, b, table=bands_table())


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


def widths(figure: Figure, panel: int) -> list[float]:
    axes = [axes for axes in figure.axes if axes.patches]
    return [bar.get_width() for bar in axes[panel].patches]


def test_the_bars_are_the_codes_and_the_differences(compared: Comparison) -> None:
    figure = comparison_figure(compared)
    assert widths(figure, 0) == [code for d in compared.differences for code in (d.a, d.b)]
    assert widths(figure, 1) == [d.population for d in compared.differences]
    written = texts(figure)
    assert "Alike but for: sunglasses (z1)." in written
    assert "A with B's sunglasses (z1)" in written
    assert {"z1 sunglasses", "+2.00", "−0.60"} <= set(written)
    assert "88% of the squared difference lies in nuisance latents, 12% in the others." in written


def test_nuisances_are_drawn_unlike_identity(compared: Comparison) -> None:
    figure = comparison_figure(compared, ink=DARK)
    axes = [axes for axes in figure.axes if axes.patches][1]
    colors = [bar.get_facecolor() for bar in axes.patches]
    assert colors[1] == colors[2] != colors[0]


def test_the_pictures_are_drawn_pixel_by_pixel(compared: Comparison) -> None:
    figure = comparison_figure(compared)
    drawn = np.asarray(Image.open(BytesIO(encode(figure, "png"))).convert("RGB"))
    top = int(np.rint(255 * float(compared.image_b[0, 0, 8, 0])))  # the first row of z1's band
    assert (drawn == top).all(axis=2).sum() >= 2 * 256 * 64  # B, B rebuilt, and the counterfactual


def test_many_latents_are_cut_and_said_to_be(compared: Comparison) -> None:
    many = replace(
        compared, differences=compared.differences + (replace(compared.differences[2], population=0.1),) * 40
    )
    figure = comparison_figure(many)
    assert len(widths(figure, 1)) == 24
    assert "19 latents that differ less are not shown." in " ".join(texts(figure))


def test_a_gallery_shows_what_makes_it_doubtful_to_the_end() -> None:
    match = Match("a.png", 0, 0.5, None, ())
    note = "By 14 latents that are not marked as nuisance, " + "weighed by what was learned, " * 8
    said = "Caution: only 1 of 10 latents is active."
    figure = gallery_figure(
        torch.zeros(1, 3, 32, 32), [match], torch.zeros(1, 3, 32, 32), candidates=9, note=note + said
    )
    assert said in " ".join(" ".join(texts(figure)).split())


def test_hostile_names_break_neither_figure(compared: Comparison, tmp_path: Path) -> None:
    table = rename(bands_table(), 1, "$x_{" + "W" * 50)
    odd = compare(bands_model(), picture(0.5, -1.0, 0.0, 0.0), picture(0.2, 1.0, 0.8, 0.0), table=table)
    save_comparison(odd, tmp_path / "a.pdf")
    assert (tmp_path / "a.pdf").read_bytes()[:4] == b"%PDF"
    match = Match("a/$b\x1b[2J" + "c" * 200, 0, 1.0, None, (Reason(1, table.label(1), 1.0, -0.5),))
    figure = gallery_figure(picture(0, 0, 0, 0), [match], picture(0, 0, 0, 0), candidates=1)
    encode(figure, "png")
    assert not any("\x1b" in text for text in texts(figure))


def test_a_gallery_shows_ranks_probabilities_and_reasons() -> None:
    reasons = (Reason(0, "z0 face width", 0.1, 2.0), Reason(2, "z2 skin tone", 1.5, -1.0))
    matches = [
        Match("first.png", 3, 0.5, 0.9, reasons),
        Match("second.png", 1, 1.5, 0.001, reasons[:1]),
    ]
    wanted = torch.cat([picture(0.0, 0.0, 0.0, 0.0)] * 8)
    pictures = torch.cat([picture(1.0, 0.0, 0.0, 0.0), picture(0.0, 1.0, 0.0, 0.0)])
    figure = gallery_figure(wanted, matches, pictures, candidates=1234, note="By 2 latents.")
    written = texts(figure)
    assert {"Nearest among 1,234 candidates", "By 2 latents.", "first.png", "second.png"} <= set(written)
    assert {"z0 face width", "+2.0", "−1.0"} <= set(written)
    assert "distance 0.50\nprobability 0.90" in written
    assert "distance 1.50\nprobability below 0.01" in written
    assert [widths(figure, panel) for panel in (0, 1)] == [[2.0, -1.0], [2.0]]


def test_what_cannot_be_drawn_is_refused(compared: Comparison, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\.pdf"):
        save_comparison(compared, tmp_path / "a.gif")
    with pytest.raises(ConfigError, match="a picture for each match"):
        gallery_figure(picture(0, 0, 0, 0), [], torch.zeros(0, 1, 32, 32), candidates=0)
