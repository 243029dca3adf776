import numpy as np
import torch
from matplotlib.colors import to_rgb

from pellucid.latents.names import LatentRecord, LatentTable
from pellucid.report.ink import LIGHT
from pellucid.report.panels import Panels, panels_figure


def panels(latents: int = 3) -> Panels:
    """A dark square; z1 is hats, and z2 does nothing."""
    image = torch.ones(1, 3, 64, 64)
    image[:, :, 20:44, 20:44] = 0.0
    records = tuple(
        LatentRecord(j, name="hat" if j == 1 else None, kl=float(j), active=j != 2, low=-2.0, high=2.5)
        for j in range(latents)
    )
    return Panels(
        image=image,
        average=image,
        reconstruction=0.5 * image,
        table=LatentTable(records),
        mean=torch.linspace(-1, 1, latents),
        deviation=torch.full((latents,), 0.25),
        losses={"squared error": 0.25, "SSIM distance": 0.5},
    )


def words(given: Panels) -> list[str]:
    return [text.get_text() for text in panels_figure(given).texts]


def test_active_latents_have_a_row_with_name_and_value_and_losses_a_line() -> None:
    found = words(panels())
    assert "z1 hat" in found
    assert "z0" in found
    assert "z2" not in found
    assert "−1" in found
    assert found[-4:] == ["squared error", "0.25", "SSIM distance", "0.5"]


def test_a_bar_goes_two_posterior_deviations_to_each_side() -> None:
    figure = panels_figure(panels())
    bars = next(axes for axes in figure.axes if axes.patches).patches
    blue = [bar for bar in bars if np.allclose(bar.get_facecolor()[:3], to_rgb(LIGHT.strong))]
    assert [(round(bar.get_x(), 3), round(bar.get_width(), 3)) for bar in blue] == [(-0.5, 1.0), (-1.5, 1.0)]
    grey = [bar for bar in bars if bar not in blue]
    assert [(bar.get_x(), bar.get_width()) for bar in grey] == [(-2.0, 4.5)] * 2


def test_the_outlines_of_the_average_picture_lie_over_the_picture() -> None:
    figure = panels_figure(panels())
    lines = figure.axes[0].lines
    assert lines
    places = np.concatenate([line.get_xydata() for line in lines]) / 448  # type: ignore[arg-type]
    assert ((places > 20 / 64 - 0.09) & (places < 44 / 64 + 0.09)).all()


def test_of_many_latents_the_strongest_are_drawn() -> None:
    found = words(panels(200))
    assert "z199" in found
    assert sum(text.startswith("z") for text in found) == 24
