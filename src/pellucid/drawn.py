"""What makes a result show itself in a notebook: IPython's and other front ends' own method names.

`report.displays` draws. It knows every result, and no result knows of figures: it is looked up by name when
a notebook asks, so that nobody pays for matplotlib before there is something to see.
"""

from importlib import import_module
from typing import Any


class Told:
    """A result that a terminal or a screen reader is told of in one line."""

    def __init_subclass__(cls) -> None:
        # IPython goes through the classes from the bottom up and would stop at the __repr__ of a dataclass.
        cls._repr_pretty_ = Told._repr_pretty_  # type: ignore[method-assign]

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(_displays().words(self))


class Drawn(Told):
    """A result that is shown as a picture."""

    def _repr_png_(self) -> bytes:
        png: bytes = _displays().png(self)
        return png


class Tabled(Told):
    """A result that is shown as a table."""

    def _repr_html_(self) -> str:
        html: str = _displays().html(self)
        return html


def _displays() -> Any:
    return import_module("pellucid.report.displays")
