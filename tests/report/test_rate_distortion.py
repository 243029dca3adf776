"""The picture of a sweep shows what was measured, and can be read."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from pellucid.report.ink import DARK, LIGHT, Ink
from pellucid.report.rate_distortion import save_sweep, sweep_figure
from pellucid.sweep.choosing import choose
from pellucid.sweep.grid import GridRun
from pellucid.sweep.results import RunResult, Sweep

ROWS = {1.0: (25, 18, 0.10, 10), 2.0: (20, 24, 0.22, 8), 4.0: (15, 36, 0.38, 7), 8.0: (11, 55, 0.30, 5)}
"""Value -> KL, loss, score and active latents of its first seed."""


def swept(
    rows: dict[float, tuple[float, float, float, int]] = ROWS, seeds: int = 3, setting: str = "beta"
) -> Sweep:
    runs = tuple(
        RunResult(
            GridRun(setting, value, seed),
            "",
            1,
            loss + seed,
            max(0.0, kl - seed / 4),
            active,
            {"mig": score + 0.01 * seed},
        )
        for seed in range(seeds)
        for value, (kl, loss, score, active) in rows.items()
    )
    choice = choose(runs, "mig", label="MIG")
    return Sweep("sprites", "", "beta-tcvae", setting, 10, 5000, "mig", runs, {}, choice)


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def dots(axes: Axes) -> list[tuple[float, float]]:
    return [tuple(line.get_xydata()[0]) for line in axes.lines if len(line.get_xydata()) == 1]


def test_every_run_is_a_dot_where_it_was_measured_and_the_chosen_one_has_a_ring() -> None:
    sweep = swept()
    left, right, _ = sweep_figure(sweep).axes
    expected = sorted((result.kl, result.reconstruction) for result in sweep.runs)
    np.testing.assert_allclose(sorted(set(dots(left))), expected)
    chosen = next(result for result in sweep.runs if result.run == sweep.choice.run)
    assert chosen.run == GridRun("beta", 4, 2)
    assert [dot for dot in dots(left) if dots(left).count(dot) == 2] == [
        (chosen.kl, chosen.reconstruction)
    ] * 2
    scores = sorted(result.scores["mig"] for result in sweep.runs)
    assert sorted({y for _, y in dots(right)}) == pytest.approx(scores)


def test_the_lines_are_at_the_medians() -> None:
    _, right, _ = sweep_figure(swept()).axes
    levels = [line.get_ydata()[0] for line in right.lines if len(line.get_xydata()) == 2]
    assert levels == pytest.approx([0.11, 0.23, 0.39, 0.31])  # the second of three seeds


def test_the_sentence_the_values_and_their_active_latents_are_written() -> None:
    sweep = swept()
    written = " ".join(texts(sweep_figure(sweep)))
    assert sweep.choice.reason.split(";")[0] in written
    for value, (_, _, _, active) in ROWS.items():
        assert f"β = {value:g}" in written
        assert f"{active} active" in written
    assert "the run to use, beta-4-seed-2" in written


def test_a_run_without_active_latents_is_hollow() -> None:
    rows = {**ROWS, 64.0: (0.0, 90, 0.0, 0)}
    left = sweep_figure(swept(rows)).axes[0]
    hollow = [
        line
        for line in left.lines
        if len(line.get_xydata()) == 1 and to_rgb(line.get_markerfacecolor()) == to_rgb(LIGHT.paper)
    ]
    assert sorted(line.get_ydata()[0] for line in hollow) == [90, 91, 92]
    assert "no active latent" in texts(sweep_figure(swept(rows)))


@pytest.mark.parametrize("ink", [LIGHT, DARK], ids=["light", "dark"])
def test_no_two_colours_are_alike_and_all_stand_out_from_the_paper(ink: Ink) -> None:
    values = {float(v): (25 - 3 * v, 10 + 9 * v, 0.1 * v, 5) for v in range(1, 8)}
    figure = sweep_figure(swept(values, seeds=1), ink=ink)
    lines = [line for line in figure.axes[1].lines if len(line.get_xydata()) == 2]
    colors = np.array([to_rgb(line.get_color()) for line in lines])
    apart = np.linalg.norm(colors[:, None] - colors[None], axis=2) + 9 * np.eye(len(colors))
    assert apart.min() > 0.1
    assert np.abs(colors - to_rgb(ink.paper)).max(axis=1).min() > 0.3


CROWDED = {
    "spread out": ROWS,
    "close together": {v: (15 + v / 9, 36 - v / 2, 0.3 + v / 99, 7) for v in (1.0, 2.0, 3.0, 4.0, 5.0)},
    "two heaps": {v: (25 - 20 * (v > 3), 20 + 60 * (v > 3), 0.3, 7) for v in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)},
}


@pytest.mark.parametrize("rows", CROWDED.values(), ids=CROWDED.keys())
def test_labels_never_cover_one_another(rows: dict[float, tuple[float, float, float, int]]) -> None:
    figure = sweep_figure(swept(rows))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    labels = [t for t in figure.texts if t.get_text().startswith("β = ") or t.get_text().endswith(" active")]
    boxes = [label.get_window_extent(canvas.get_renderer()) for label in labels]
    assert len(boxes) == 2 * len(rows)
    for i, one in enumerate(boxes):
        for other in boxes[i + 1 :]:
            assert not one.overlaps(other), (one, other)


@pytest.mark.parametrize(
    "sweep",
    [
        swept({4.0: ROWS[4.0]}, seeds=1),
        swept({0.0: (0.0, 0.0, 0.0, 0)}, seeds=2),
        swept(seeds=9),
        swept({float(v): (1000 - v, 1e5, 1.0, 5) for v in range(30)}, setting="off_diagonal"),
    ],
    ids=["one run", "nothing learned", "more seeds than markers", "many values"],
)
def test_extremes_can_be_drawn(sweep: Sweep, tmp_path: Path) -> None:
    path = save_sweep(sweep, tmp_path)
    assert path == tmp_path / "sweep.png"
    with Image.open(path) as picture:
        assert picture.width == 2000
