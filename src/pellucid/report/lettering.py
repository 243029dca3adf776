"""Words and numbers that fit: texts in lines of a given width, numbers as people write them."""

from pellucid.data.images import printable
from pellucid.report.ink import text_width, wrap

_LEAST = 8


def short(value: float) -> str:
    """A measurement in three digits or so, with a real minus: `0.0123`, `−1.97`, `1,250`."""
    size = abs(value)
    text = f"{value:,.0f}" if size >= 100 else f"{value:.2f}" if size >= 0.1 else f"{value:#.3g}"
    return "0" if value == 0 else text.replace("-", "−")


def level(value: float) -> str:
    """A score: two decimals, with a real minus."""
    text = f"{value:,.2f}" if abs(value) < 1000 else f"{value:,.0f}"
    return text.removeprefix("-") if not text.strip("-0.") else text.replace("-", "−")


def added(value: float) -> str:
    """A contribution with its sign, `+0.31`; `0.00` where nothing is left of it."""
    text = level(value)
    return text if text == "0.00" or text.startswith("−") else f"+{text}"


def cut(text: str, points: float, inches: float, *, keep_end: bool = False) -> str:
    """One line of at most that width; an ellipsis stands for what is left out, at the end or in front."""
    text = printable(text)
    if text_width(text, points) <= inches:
        return text
    few, many = 0, len(text)
    while many - few > 1:  # the most characters that fit
        middle = (few + many) // 2
        few, many = (
            (middle, many)
            if text_width(_shortened(text, middle, keep_end), points) <= inches
            else (few, middle)
        )
    return _shortened(text, few, keep_end)


def _shortened(text: str, count: int, keep_end: bool) -> str:
    return "…" + text[len(text) - count :] if keep_end else text[:count].rstrip() + "…"


def lines(text: str, points: float, inches: float, most: int) -> list[str]:
    """A text in at most `most` lines of that width, none of them much shorter than the others."""
    text = printable(text)
    characters = max(_LEAST, int(len(text) * inches / (text_width(text, points) or 1)))
    found = wrap(text, characters, most)
    while characters > _LEAST and any(text_width(line, points) > inches for line in found):
        characters -= 1
        found = wrap(text, characters, most)
    while characters > _LEAST and len(closer := wrap(text, characters - 1, most + 1)) <= len(found):
        found, characters = closer, characters - 1
    return found
