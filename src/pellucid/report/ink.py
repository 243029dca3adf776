"""How every figure looks: type, colours for light and dark paper, and sheets measured in device pixels."""

import math
import textwrap
import warnings
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import numpy as np
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, fontManager
from matplotlib.textpath import TextPath

from pellucid.errors import ConfigError

MAX_PIXELS = 32_000
_POINT = 1 / 72
_BEYOND_LATIN = ("Noto Sans CJK SC", "Noto Sans CJK JP", "PingFang SC", "Hiragino Sans", "Microsoft YaHei")
_FAMILIES = ["DejaVu Sans", *sorted(set(_BEYOND_LATIN) & set(fontManager.get_font_names()))]


@dataclass(frozen=True)
class Ink:
    """Colours of a figure: `strong` and `second` differ in lightness too, so that grey prints can be read."""

    paper: str
    text: str
    muted: str
    faint: str
    strong: str
    second: str


LIGHT = Ink(
    paper="#ffffff", text="#1b1f24", muted="#5a6370", faint="#d9dde3", strong="#0a4f96", second="#c77700"
)
DARK = Ink(
    paper="#181c21", text="#e8ebef", muted="#a2abb6", faint="#39414b", strong="#7cbcf5", second="#d98d1f"
)


def font(points: float, *, bold: bool = False) -> FontProperties:
    """The type of the figures, with the fonts at hand for scripts that DejaVu lacks."""
    return FontProperties(family=_FAMILIES, size=points, weight="bold" if bold else "normal")


def text_width(text: str, points: float, *, bold: bool = False) -> float:
    """Width of one line of text in inches."""
    if not text.strip():
        return 0.0
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        plain = text.replace("$", r"\$")  # else two of them would start mathematics
        return float(TextPath((0, 0), plain, prop=font(points, bold=bold)).get_extents().x1) * _POINT


def wrap(text: str, characters: int, lines: int) -> list[str]:
    """At most `lines` lines of at most `characters`, the last one cut with an ellipsis."""
    wrapped = textwrap.wrap(text, characters, max_lines=lines, placeholder="…") or [""]
    if len(wrapped) > 1 and wrapped[-1] == "…":  # a long word fills the last line but one
        wrapped[-2:] = [wrapped[-2][:-1] + "…"]
    return wrapped


def signed(value: float) -> str:
    """A number as people write it: two decimals at most, a real minus."""
    return f"{round(value, 2) + 0.0:g}".replace("-", "−")


@dataclass(frozen=True)
class Sheet:
    """A figure whose parts are placed in device pixels from the top left, so that image pixels stay whole.

    Attributes:
        width: Device pixels.
        height: Device pixels.
        dpi: Device pixels an inch; type is in points, so this decides how large it is beside the images.
    """

    width: int
    height: int
    dpi: float
    ink: Ink = LIGHT
    figure: Figure = field(init=False)

    def __post_init__(self) -> None:
        if max(self.width, self.height) > MAX_PIXELS:
            raise ConfigError(
                f"expected a figure of at most {MAX_PIXELS} pixels a side, got {self.width} x {self.height}. "
                "Choose fewer rows or fewer steps."
            )
        size = (self.width / self.dpi, self.height / self.dpi)
        object.__setattr__(self, "figure", Figure(figsize=size, dpi=self.dpi, facecolor=self.ink.paper))

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Axes that cover the rectangle."""
        box = (left / self.width, 1 - (top + height) / self.height, width / self.width, height / self.height)
        return self.figure.add_axes(box)

    def picture(self, pixels: UInt8[np.ndarray, "height width rgba"], left: int, top: int) -> Axes:
        """Draw pixels one to one."""
        axes = self.axes(left, top, pixels.shape[1], pixels.shape[0])
        axes.imshow(pixels, interpolation="nearest", aspect="auto")
        axes.set_axis_off()
        return axes

    def text(
        self,
        text: str,
        left: float,
        top: float,
        points: float = 8,
        *,
        color: str | None = None,
        bold: bool = False,
        **alignment: Any,
    ) -> None:
        """Write text at a point, never read as mathematics. `alignment` is matplotlib's ha and va."""
        self.figure.text(
            left / self.width,
            1 - top / self.height,
            text,
            fontproperties=font(points, bold=bold),
            color=color or self.ink.text,
            parse_math=False,
            **alignment,
        )

    def pixels(self, points: float) -> int:
        """Device pixels of a length in points."""
        return math.ceil(points * _POINT * self.dpi)


def plain_axes(axes: Axes, ink: Ink) -> None:
    """Axes with a base line only, small type, no box."""
    axes.set_facecolor(ink.paper)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(ink.muted)
    axes.tick_params(colors=ink.muted, length=3, width=0.6, labelsize=7)


def encode(figure: Figure, kind: str) -> bytes:
    """The figure as a file: `png`, or `pdf` without a date, so that the same figure is the same file."""
    buffer = BytesIO()
    metadata = {"Software": "Pellucid"} if kind == "png" else {"Creator": "Pellucid", "CreationDate": None}
    with warnings.catch_warnings():
        # A name in a script that no font here has is drawn as boxes; the figure is still worth having.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(buffer, format=kind, dpi=figure.dpi, metadata=metadata)
    return buffer.getvalue()
