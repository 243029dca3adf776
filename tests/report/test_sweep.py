"""The animation: up and back, the right image at the right time."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from pellucid.latents.traverse import Traversal
from pellucid.report.figures import save_traversal
from pellucid.report.sweep import sweep_frames, sweep_order


def greys(rows: int, steps: int, starts: torch.Tensor | None = None) -> Traversal:
    level = torch.arange(rows * steps).float().reshape(rows, steps) * 10 / 255
    images = level[..., None, None, None].expand(rows, steps, 1, 32, 32).contiguous()
    labels = tuple(f"z{r}, KL 1.00" for r in range(rows))
    return Traversal(images, labels, torch.linspace(-3, 3, steps), starts, "")


def test_the_sweep_goes_up_and_back_and_shows_each_end_once() -> None:
    assert sweep_order(5) == [0, 1, 2, 3, 4, 3, 2, 1]
    assert sweep_order(2) == [0, 1]


def test_frames_of_the_file_sweep_back_and_loop(tmp_path) -> None:
    path = tmp_path / "sweep.gif"
    save_traversal(greys(1, 4), path)
    with Image.open(path) as gif:
        assert gif.n_frames == 6
        assert gif.info["loop"] == 0
        shown = [frame.convert("L").getpixel((70, 70)) for frame in ImageSequence.Iterator(gif)]
    np.testing.assert_allclose(shown, [0, 10, 20, 30, 20, 10], atol=2)


def test_paper_and_dot_keep_their_colours_in_the_palette(tmp_path) -> None:
    path = tmp_path / "sweep.gif"
    noise = torch.rand(2, 3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    save_traversal(Traversal(noise, ("z0", "z1"), torch.tensor([-1.0, 0.0, 1.0]), None, ""), path)
    with Image.open(path) as gif:
        frame = np.asarray(gif.convert("RGB"))
    assert (frame[0, 0] == 255).all()
    assert (frame == (0x0A, 0x4F, 0x96)).all(axis=2).sum() > 60


def test_the_dot_moves_with_the_value() -> None:
    frames = sweep_frames(greys(1, 3))
    columns = [np.argwhere((np.asarray(f) == (0x0A, 0x4F, 0x96)).all(axis=2))[:, 1].mean() for f in frames]
    assert columns[0] < columns[1] < columns[2]
    assert columns[3] == columns[1]


@pytest.mark.parametrize(("alike", "expected"), [(True, 1), (False, 3)])
def test_one_start_photo_is_shown_once_and_different_ones_beside_their_rows(
    alike: bool, expected: int
) -> None:
    starts = torch.zeros(3, 3, 32, 32)
    starts[:, 0] = 1.0
    if not alike:
        starts[1:, 2] = torch.tensor([0.2, 0.4])[:, None, None]
    images = torch.full((3, 2, 3, 32, 32), 0.5)
    table = Traversal(images, ("a", "b", "c"), torch.tensor([-1.0, 1.0]), starts, "")
    frame = np.asarray(sweep_frames(table)[0])
    red = (frame[..., 0] == 255) & (frame[..., 1] == 0)
    assert red.sum() == expected * 128 * 128
