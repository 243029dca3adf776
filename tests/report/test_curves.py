"""The loss curves: what is drawn is what metrics.jsonl says."""

from io import BytesIO

import numpy as np
from matplotlib.text import Text
from PIL import Image

from pellucid.report.curves import CURVES, curve_figure, drawn_curves, loss_curves, series
from pellucid.report.figures import save_loss_curves
from pellucid.report.ink import DARK, encode


def rows(count: int = 40) -> list[dict[str, float | int | None]]:
    training = [
        {
            "step": 10 * i,
            "reconstruction": 100.0 - i,
            "kl": 5.0 + i,
            "total_correlation": 1.0,
            "active_latents": 4,
        }
        for i in range(count)
    ]
    held_out = [
        {"step": 100 * i, "validation_negative_objective": -200.0 + i, "validation_kl": 6.0}
        for i in range(1, 4)
    ]
    return [*training, *held_out]


def test_series_keep_finite_numbers_in_order_of_steps() -> None:
    broken = [
        {"step": 20, "kl": 2.0},
        {"step": 10, "kl": 1},
        {"step": 30, "kl": None},
        {"step": 40, "kl": float("nan")},
        {"step": 50, "kl": "6"},
        {"step": None, "kl": 7.0},
        {"step": 60, "kl": True},
        {},
    ]
    np.testing.assert_array_equal(series(broken, "kl"), [[10, 1], [20, 2]])


def test_lines_go_through_the_logged_values() -> None:
    metrics = rows()
    axes = curve_figure(CURVES[1], metrics).axes[0]
    lines = [line.get_xydata() for line in axes.lines]
    assert any(np.array_equal(line, series(metrics, "kl")) for line in lines)
    assert any(np.array_equal(line, series(metrics, "validation_kl")) for line in lines)


def test_a_chart_for_each_quantity_that_was_logged_with_names_and_units() -> None:
    assert [curve.title for curve in drawn_curves(rows())] == [curve.title for curve in CURVES]
    assert [curve.title for curve in drawn_curves([{"step": 1, "kl": 2.0}])] == ["Information kept (KL)"]
    found = [text.get_text() for text in loss_curves(rows()).findobj(Text)]
    assert found.count("nats per image") == 4
    assert {"held-out images 6", "training images 44", "held-out images −197"} <= set(found)


def test_nothing_one_point_and_constant_values_can_be_drawn(tmp_path) -> None:
    save_loss_curves([], tmp_path / "none.png")
    save_loss_curves([{"step": 0, "kl": 0.0}], tmp_path / "one.png")
    save_loss_curves(
        [{"step": s, "kl": 1e-9, "validation_negative_objective": -1e12} for s in range(90)],
        tmp_path / "flat.pdf",
    )


def test_light_and_dark_are_on_their_own_paper() -> None:
    light, dark = (curve_figure(CURVES[0], rows(), **ink) for ink in ({}, {"ink": DARK}))
    corner = [Image.open(BytesIO(encode(f, "png"))).convert("L").getpixel((0, 0)) for f in (light, dark)]
    assert corner[0] == 255
    assert corner[1] < 40
