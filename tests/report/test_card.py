"""The card's figure: what is said and drawn of one latent."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.text import Text

from pellucid.latents.cards import Card
from pellucid.latents.tracking import Tracking
from pellucid.latents.traverse import Traversal
from pellucid.report.card import authorship, card_figure, draw_histogram, interval, response_picture
from pellucid.report.figures import save_card
from pellucid.report.ink import LIGHT

SMILING = Tracking(3, "Smiling", "AUC", 0.75, 1, 1000, 480, 0.70, 0.80, 0.5, 0.001)


def card(size: int = 32, **changes: object) -> Card:
    response = np.zeros((size, size), np.float32)
    response[:4, :4] = 0.5
    made = Card(
        latent=3,
        label="z3 smile",
        name="smile",
        suggested=False,
        evidence=None,
        kl=1.9,
        variance=0.8,
        low=-2.1,
        high=2.3,
        strip=Traversal(
            torch.full((2, 3, 1, size, size), 0.5), ("average", "one"), torch.linspace(-3, 3, 3), None, ""
        ),
        response=response,
        counts=np.array([1, 2, 1]),
        edges=np.array([-1.5, -0.5, 0.5, 1.5]),
        tracks=(SMILING,),
    )
    return replace(made, **changes)


def texts(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text))


def test_the_card_says_name_kl_range_and_evidence() -> None:
    found = texts(card_figure(card()))
    for text in (
        "z3 smile",
        "KL 1.90",
        "−2.1 to 2.3",
        "4 images",
        "rises with",
        "Smiling",
        "AUC 0.75",
        "480 have it",
    ):
        assert text in found
    assert "Named by a person" in found
    suggested = card(suggested=True, evidence="Smiling AUC 0.75")
    assert "suggested" in authorship(suggested)
    assert "Smiling AUC 0.75" in authorship(suggested)
    assert authorship(card(name=None)) == "No name yet."


def test_a_card_without_attributes_says_so(tmp_path) -> None:
    assert "goes with it beyond chance" in texts(card_figure(card(tracks=()))).replace("\n", " ")
    save_card(card(tracks=()), tmp_path / "card.png")
    save_card(card(size=256), tmp_path / "card.pdf")


def test_bars_run_from_chance_to_perfect() -> None:
    assert interval(SMILING) == pytest.approx((0.5, 0.4, 0.6))
    assert interval(replace(SMILING, low=0.45)) == pytest.approx((0.5, 0.0, 0.6))
    assert interval(replace(SMILING, statistic="correlation")) == pytest.approx((0.75, 0.70, 0.80))


def test_the_histogram_is_a_density_beside_the_normal_bell_curve() -> None:
    axes = Figure().add_subplot()
    draw_histogram(axes, card(), LIGHT)
    assert list(axes.patches[0].get_data().values) == [0.25, 0.5, 0.25]
    bell = axes.lines[0].get_ydata()
    assert bell.max() == pytest.approx(1 / np.sqrt(2 * np.pi))


@pytest.mark.parametrize("side", [64, 48])
def test_the_response_is_bright_where_the_picture_changes_and_grey_elsewhere(side: int) -> None:
    picture = response_picture(card(), side).astype(int)
    assert picture.shape == (side, side, 3)
    assert picture[0, 0].sum() > 500
    assert np.ptp(picture[-1, -1]) == 0
    assert 40 < picture[-1, -1, 0] < 80


def test_a_latent_that_changes_nothing_still_has_a_card() -> None:
    still = card(response=np.zeros((32, 32), np.float32), counts=np.zeros(3, np.int64))
    texts(card_figure(still))
