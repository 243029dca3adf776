"""The grids: every image where it belongs, whole pixels, labels as given."""

from io import BytesIO
from itertools import pairwise

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from pellucid.errors import ConfigError, ImageError
from pellucid.latents.traverse import Traversal
from pellucid.report.figures import (
    reconstructions_figure,
    save_reconstructions,
    save_traversal,
    traversal_figure,
)
from pellucid.report.ink import encode


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


def pixels(figure: Figure) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(encode(figure, "png"))).convert("RGB"))


def flat(colors: torch.Tensor, size: int) -> torch.Tensor:
    """One image of one colour for each row of `colors` in 0..255."""
    return (colors.float() / 255)[..., None, None].expand(*colors.shape, size, size).contiguous()


def box(picture: np.ndarray, color: torch.Tensor) -> tuple[int, int, int, int]:
    """Top, left, height and width of all pixels of a colour, which must fill a rectangle."""
    found = (picture == color.numpy()).all(axis=2)
    rows, columns = np.flatnonzero(found.any(axis=1)), np.flatnonzero(found.any(axis=0))
    top, left, height, width = rows[0], columns[0], len(rows), len(columns)
    assert found[top : top + height, left : left + width].all()
    assert found.sum() == height * width
    return int(top), int(left), height, width


def traversal(rows: int = 3, steps: int = 5, size: int = 32, *, starts: bool = False) -> Traversal:
    colors = torch.tensor([[[40 + 10 * r, 30 + 20 * s, 200] for s in range(steps)] for r in range(rows)])
    begin = torch.tensor([[200, 40 + 10 * r, 40] for r in range(rows)])
    return Traversal(
        images=flat(colors, size),
        labels=tuple(f"z{r} name {r}, KL {r}.50" for r in range(rows)),
        values=torch.linspace(-3, 3, steps),
        starts=flat(begin, size) if starts else None,
        title="A title",
    )


@pytest.mark.parametrize("size", [32, 64, 256])
def test_each_image_is_a_whole_square_in_its_row_and_column(size: int) -> None:
    table = traversal(size=size)
    picture = pixels(traversal_figure(table))
    boxes = [[box(picture, (table.images[r, s, :, 0, 0] * 255).round()) for s in range(5)] for r in range(3)]
    side = max(128, size)
    assert {found[2:] for row in boxes for found in row} == {(side, side)}
    assert [row[0][0] for row in boxes] == sorted({found[0] for row in boxes for found in row})
    assert [found[1] for found in boxes[0]] == [found[1] for found in boxes[2]]
    assert sorted(found[1] for found in boxes[0]) == [found[1] for found in boxes[0]]


def test_image_pixels_are_drawn_unchanged_and_nearest() -> None:
    image = torch.rand(1, 3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    image[0, 1, :, 0, 0] = torch.tensor([1.0, 0.0, 1.0])
    table = Traversal(image, ("z0",), torch.tensor([-1.0, 0.0, 1.0]), None, "")
    picture = pixels(traversal_figure(table))
    expected = (image[0, 1].permute(1, 2, 0) * 255).round().byte().numpy().repeat(2, 0).repeat(2, 1)
    top, left = np.argwhere((picture == (255, 0, 255)).all(axis=2))[0]
    np.testing.assert_array_equal(picture[top : top + 128, left : left + 128], expected)


def test_labels_values_and_title_are_written() -> None:
    found = texts(traversal_figure(traversal()))
    for text in ("z1 name 1", "KL 1.50", "−3", "−1.5", "0", "1.5", "3", "A title"):
        assert text in found


def test_the_middle_stands_apart_without_photos_and_the_photo_with_them() -> None:
    plain, photos = traversal(), traversal(starts=True)
    gaps = {}
    for name, table in (("plain", plain), ("photos", photos)):
        picture = pixels(traversal_figure(table))
        columns = [table.starts[0]] if table.starts is not None else []
        columns += list(table.images[0])
        lefts = [box(picture, (image[:, 0, 0] * 255).round())[1] for image in columns]
        gaps[name] = [b - a - 128 for a, b in pairwise(lefts)]
    thin, wide = min(gaps["plain"]), max(gaps["plain"])
    assert gaps["plain"] == [thin, wide, wide, thin]
    assert gaps["photos"] == [wide, thin, thin, thin, thin]
    assert wide > 3 * thin
    assert "start" in texts(traversal_figure(photos))


def test_names_are_never_read_as_mathematics_and_foreign_scripts_never_fail() -> None:
    labels = ("z0 $x^$", "z1 $\\frac$ $", "z2 笑顔")
    table = Traversal(torch.zeros(3, 2, 1, 32, 32), labels, torch.tensor([0.0, 1.0]), None, "a $^$ title")
    figure = traversal_figure(table)
    pixels(figure)
    assert {*labels, "a $^$ title"} <= set(texts(figure))


def test_the_same_traversal_is_the_same_file(tmp_path) -> None:
    for name in ("a.png", "b.png", "a.pdf", "b.pdf"):
        save_traversal(traversal(), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF-")


def test_other_formats_and_monstrous_figures_are_refused_by_name(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"\.png, \.pdf, \.gif, got '\.svg'"):
        save_traversal(traversal(), tmp_path / "a.svg")
    with pytest.raises(ConfigError, match=r"\.png, \.pdf, got '\.gif'"):
        save_reconstructions(torch.zeros(1, 3, 32, 32), torch.zeros(1, 3, 32, 32), tmp_path / "a.gif")
    tall = Traversal(
        torch.zeros(1, 2, 1, 32, 32).expand(300, -1, -1, -1, -1), ("z0",) * 300, torch.zeros(2), None, ""
    )
    with pytest.raises(ConfigError, match="Choose fewer rows"):
        traversal_figure(tall)


def test_originals_stand_above_their_reconstructions_in_bands() -> None:
    count = 5
    above = torch.tensor([[100, 20 + 20 * i, 0] for i in range(count)])
    below = torch.tensor([[0, 20 + 20 * i, 100] for i in range(count)])
    figure = reconstructions_figure(flat(above, 32), flat(below, 32), columns=3)
    picture = pixels(figure)
    tops, lefts = zip(*(box(picture, color)[:2] for color in above), strict=True)
    under = [box(picture, color)[:2] for color in below]
    assert list(lefts) == [left for _, left in under]
    assert len({top - upper for (top, _), upper in zip(under, tops, strict=True)}) == 1
    assert under[0][0] > tops[0]
    assert tops[0] == tops[2] < under[0][0] < tops[3] == tops[4]
    assert texts(figure).count("original") == texts(figure).count("reconstruction") == 2
    with pytest.raises(ImageError, match="got none"):
        reconstructions_figure(torch.zeros(0, 3, 32, 32), torch.zeros(0, 3, 32, 32))
