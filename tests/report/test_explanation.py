"""The figure of one verdict: its bars add up, its words are the explanation's, nothing hostile breaks it."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from pellucid.anomaly.explanation import Counterfactual, Explanation, Move, Neighbour
from pellucid.anomaly.verdict import Contribution
from pellucid.report.explanation import explanation_figure, heat
from pellucid.report.ink import encode
from pellucid.report.waterfall import bars, kinds


@pytest.fixture
def explanation() -> Explanation:
    """Fifteen contributions, the largest first, that take an average 5 to -4."""
    sizes = [-6.0, 3.0, -2.5, *[-0.5] * 7, *[0.0] * 5]
    columns = ["ssim", "gradient", *(f"z{i}" for i in range(13))]
    parts = tuple(
        Contribution(column, f"{column} <b>$x$", 0.5, 0.25, 0.99, size)
        for column, size in zip(columns, sizes, strict=True)
    )
    picture = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    field = np.linspace(0, 1, 1024, dtype=np.float32).reshape(32, 32)
    return Explanation(
        name="a <script>.jpg",
        verdict="anomalous",
        score=5.0 + sum(sizes),
        threshold=0.5,
        rule="f1",
        probability=0.02,
        threshold_probability=0.3,
        p_value=0.004,
        min_p_value=0.001,
        known=False,
        cautions=(),
        base=5.0,
        contributions=parts,
        image=picture,
        reconstruction=picture * 0.5,
        residual=field,
        similarity=field,
        neighbours=(Neighbour("b.jpg", 1.25, picture[0]),),
        counterfactual=Counterfactual(
            (Move("z3", "z3 hat", -1.0, 2.0, 3.0),), picture, 0.5, 4.0, smallest=True
        ),
    )


def test_the_bars_lead_from_the_base_to_the_score(explanation: Explanation) -> None:
    steps = bars(explanation, most=4)
    assert len(steps) == 5
    assert steps[0].start == explanation.base
    for before, after in itertools.pairwise(steps):
        assert after.start == before.end
    assert steps[-1].end == pytest.approx(explanation.score)
    assert steps[-1].label == "the other 11 together"


def test_losses_texture_and_latents_are_summed_apart(explanation: Explanation) -> None:
    assert kinds(explanation) == "In sum: losses −6.00, texture +3.00, latents −6.00."
    assert kinds(replace(explanation, contributions=explanation.contributions[:1])) == ""


def test_the_figure_says_what_the_explanation_says(explanation: Explanation) -> None:
    figure = explanation_figure(explanation)
    words = " ".join(text.get_text() for text in figure.texts)
    for expected in ("Anomalous", "2 %", "−4.00", "0.004", "1.25", "z3 hat", "higher than in 99 %"):
        assert expected in words, expected
    assert len(encode(figure, "png")) > 20_000


def test_the_figure_says_when_little_would_turn_the_verdict_and_what_makes_it_doubtful(
    explanation: Explanation,
) -> None:
    near = replace(
        explanation,
        threshold_probability=0.03,
        known=True,
        cautions=(
            "the model has been trained on only 2,944 images in 46 steps",
            "only 1 of 32 latents is active",
            "without any network, PCA + texture tells these images apart as well",
        ),
    )
    words = [text.get_text() for text in explanation_figure(near).texts]
    assert "borderline" in words
    assert "PCA + texture tells these images apart as well." in " ".join(words)
    assert "at the threshold 3 %" in " ".join(words)
    assert "borderline" not in [text.get_text() for text in explanation_figure(explanation).texts]


def test_without_probability_neighbours_or_a_change_the_figure_still_stands(explanation: Explanation) -> None:
    bare = replace(explanation, probability=None, neighbours=(), counterfactual=None)
    words = " ".join(text.get_text() for text in explanation_figure(bare).texts)
    assert "probability of being normal" not in words


@pytest.mark.parametrize(
    ("columns", "reason"), [(2, "does not rest on latents"), (3, "range of normal images")]
)
def test_without_a_change_the_figure_says_why_there_is_none(
    explanation: Explanation, columns: int, reason: str
) -> None:
    # The first two are a loss and a measure of texture, the third is a latent.
    stuck = replace(explanation, contributions=explanation.contributions[:columns], counterfactual=None)
    words = " ".join(text.get_text() for text in explanation_figure(stuck).texts)
    assert reason in words


def test_a_change_is_called_smallest_only_where_it_is(explanation: Explanation) -> None:
    words = " ".join(text.get_text() for text in explanation_figure(explanation).texts)
    assert "the smallest change of latents, decoded" in words
    assert explanation.counterfactual is not None
    found = replace(explanation.counterfactual, smallest=False)
    one_class = replace(explanation, verdict="normal", probability=None, counterfactual=found)
    words = " ".join(text.get_text() for text in explanation_figure(one_class).texts)
    assert "the smallest change found, decoded" in words
    none = replace(one_class, counterfactual=None)
    assert "was found to turn it" in " ".join(text.get_text() for text in explanation_figure(none).texts)


def test_heat_lies_over_the_picture_and_grows_with_the_value() -> None:
    picture = torch.full((1, 1, 16, 16), 0.5)
    field = np.zeros((16, 16), np.float32)
    field[:, 8:12], field[:, 12:] = 1.0, np.nan
    drawn = heat(picture, field)[0].mean(0)
    assert drawn[0, 0] == drawn[0, 15] == 0.25
    assert drawn[0, 9] > 0.5
