"""Figures of what a detector can do: the lines and dots are the numbers they claim to be."""

import numpy as np
import pytest
import torch

from pellucid.anomaly.evaluation import Evaluation, Extremes, TextureDiagnosis, evaluate
from pellucid.anomaly.features import LOSS_COLUMNS, Features
from pellucid.errors import ConfigError, DataError
from pellucid.report.detection import average_precision_figure, precision_recall_figure, share, stretched
from pellucid.report.diagnosis import (
    calibration_error,
    coefficients_figure,
    reliability_bins,
    reliability_figure,
    texture_figure,
)
from pellucid.report.extremes import extremes_figure


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    """Two columns, of which the second tells 60 normal images from 40 others well."""
    chance = np.random.default_rng(0)
    normal = np.arange(100) < 60
    values = np.stack([chance.normal(size=100), chance.normal(size=100) - 2.0 * normal], axis=1)
    return evaluate(values, normal, columns=("mae", "ssim"), name="two losses", splits=8)


def test_the_curve_is_the_mean_over_splits(evaluation: Evaluation) -> None:
    figure = precision_recall_figure([evaluation])
    panels = [axes for axes in figure.axes if axes.get_xlabel().startswith("recall")]
    assert len(panels) == 2
    for at, axes in enumerate(panels):
        drawn = [line for line in axes.lines if len(line.get_xdata()) == len(evaluation.recall)]
        np.testing.assert_allclose(drawn[0].get_ydata(), evaluation.precision[at].mean(axis=0))
        assert any(np.allclose(line.get_ydata(), evaluation.chance[at]) for line in axes.lines)
    words = " ".join(text.get_text() for text in figure.texts)
    assert share(float(evaluation.average_precision[0].mean())) in words
    with pytest.raises(ConfigError):
        precision_recall_figure([])


def test_an_average_precision_below_one_is_never_shown_as_one() -> None:
    assert [share(value) for value in (1.0, 0.99996, 0.5)] == ["1.000", "0.999", "0.500"]
    steps = np.diff(stretched(np.array([0.9, 0.99, 0.999])))
    assert steps[0] == pytest.approx(steps[1])


def test_bars_of_many_evaluations_have_a_dot_each(evaluation: Evaluation) -> None:
    figure = average_precision_figure({"beta 1": [evaluation], "beta 4": [evaluation]}, baseline=evaluation)
    words = [text.get_text() for text in figure.texts]
    assert {"beta 1", "beta 4"} <= set(words)
    assert sum("two losses" in word for word in words) >= 2


def test_coefficients_are_drawn_the_largest_first(evaluation: Evaluation) -> None:
    figure = coefficients_figure(evaluation)
    words = [text.get_text() for text in figure.texts]
    assert words.index("SSIM distance") < words.index("absolute error")
    means = evaluation.coefficients.mean(axis=0)
    dots = [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_marker() == "o"]
    np.testing.assert_allclose(dots, means[::-1])


def test_reliability_of_probabilities_that_hold_and_of_one_that_does_not() -> None:
    chance = np.random.default_rng(0)
    probability = chance.uniform(size=20_000)
    normal = chance.uniform(size=20_000) < probability
    rows, counts = reliability_bins(probability, normal)
    assert counts.sum() == 20_000
    np.testing.assert_allclose(rows[:, 0], rows[:, 1], atol=0.03)
    assert ((rows[:, 2] <= rows[:, 0]) & (rows[:, 0] <= rows[:, 3])).sum() >= 8
    assert calibration_error(probability, normal) < 0.02
    assert calibration_error(np.full(100, 0.9), np.arange(100) < 50) == pytest.approx(0.4)
    figure = reliability_figure(probability, normal)
    drawn = next(line for line in figure.axes[0].lines if line.get_marker() == "o")
    np.testing.assert_allclose(drawn.get_ydata(), rows[:, 1])
    with pytest.raises(DataError):
        reliability_figure(np.array([1.5]), np.array([True]))


def test_texture_figure_names_every_loss_and_bin() -> None:
    diagnosis = TextureDiagnosis(
        columns=LOSS_COLUMNS,
        edges=np.array([0.0, 0.1, 0.2]),
        counts=np.array([[10, 20], [30, 5]]),
        average_precision=np.full((2, 2, 3), 0.75),
        chance=np.array([[0.25, 0.8], [0.75, 0.2]]),
        correlation=np.linspace(-0.9, 0.9, 12).reshape(2, 6),
    )
    words = " ".join(text.get_text() for text in texture_figure(diagnosis, measure="busyness").texts)
    assert "SSIM distance" in words
    assert "busyness" in words


def test_measures_of_texture_are_not_shown_as_losses_that_follow_it() -> None:
    columns = ("ssim", "gradient")
    diagnosis = TextureDiagnosis(
        columns=columns,
        edges=np.array([0.0, 0.1]),
        counts=np.array([[10], [30]]),
        average_precision=np.full((2, 1, 3), 0.75),
        chance=np.array([[0.25], [0.75]]),
        correlation=np.array([[0.5, 1.0], [0.6, 1.0]]),
    )
    drawn = texture_figure(diagnosis).axes[1]
    assert [bar.get_width() for bar in drawn.patches] == [0.5, 0.6]


def test_extremes_show_each_image_above_its_reconstruction() -> None:
    features = Features(("mse",), np.linspace(0.01, 0.04, 4)[:, None], ("a", "b", "c", "d"), ("",) * 4)
    rows = [np.array([row]) for row in range(4)]
    levels = torch.tensor([0.0, 0.25, 0.5, 0.75])
    figure = extremes_figure(
        Extremes("mse", *rows),
        features,
        lambda chosen: levels[torch.from_numpy(chosen)][:, None, None, None].expand(-1, 3, 32, 32),
        lambda images: images * 0 + 1,
    )
    pictures = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert len(pictures) == 4
    for picture, level in zip(pictures, levels.tolist(), strict=True):
        assert picture[5, 5, 0] == round(level * 255)
        assert picture[-5, 5, 0] == 255
    words = {text.get_text() for text in figure.texts}
    assert {"0.0100", "0.0200", "0.0300", "0.0400"} <= words
