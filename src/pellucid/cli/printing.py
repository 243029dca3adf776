"""Results on stdout, where scripts look."""

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table


def print_anything() -> None:
    """From here on, what stdout and stderr cannot encode is escaped, where it would be an error."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by who called, or a window without a console
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def write_nowhere() -> None:
    """Who read stdout has gone, as `head` does: what is still to be written is given to nobody."""
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def print_table(table: "Table") -> None:
    """Print a table: words wrap where the terminal is narrow, but no number is cut, however narrow it is."""
    from rich.console import Console
    from rich.measure import Measurement

    console = Console()
    for column in table.columns:
        cells = (Measurement.get(console, console.options, cell) for cell in (column.header, *column.cells))
        column.min_width = max(cell.minimum for cell in cells)
    narrowest = sum((column.min_width or 0) + 3 for column in table.columns) + 1  # with lines and margins
    console.width = max(console.width, narrowest)
    console.print(table, markup=False)


def print_json(content: Any) -> None:
    """Print what `--json` asked for; what stdout cannot encode (odd names of files) is escaped as in JSON."""
    print(_encoded(json.dumps(content, indent=2, ensure_ascii=False)))


def print_json_list(items: Iterable[Any]) -> None:
    """Print a JSON list item by item, so that it may be longer than memory; nothing before there is one."""
    before = "[\n"
    for item in items:
        text = json.dumps(item, indent=2, ensure_ascii=False)
        print(before + _encoded(indent(text, "  ")), end="", flush=True)
        before = ",\n"
    print("\n]" if before != "[\n" else "[]")


def _encoded(text: str) -> str:
    encoding = sys.stdout.encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return "".join(_encodable(character, encoding) for character in text)
    return text


def _encodable(character: str, encoding: str) -> str:
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return json.dumps(character)[1:-1]
    return character
