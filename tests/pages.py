"""The project's Markdown pages, and what stands in them between fences."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = tuple(sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]))
_FENCE = re.compile(r"^( *)```([a-z]*) *$")


@dataclass(frozen=True)
class Block:
    """What stands between two fences.

    Attributes:
        language: What stands behind the first fence; empty if nothing does.
        line: Of the first fence, counted from 1.
        text: Between them, without the fences' indentation.
    """

    language: str
    line: int
    text: str


def name_of(page: Path) -> str:
    """A page's path inside the project."""
    return page.relative_to(ROOT).as_posix()


def blocks(text: str) -> list[Block]:
    """All fenced blocks of a page, in order."""
    found: list[Block] = []
    begun: tuple[str, str, int] | None = None
    lines: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        fence = _FENCE.match(line)
        if begun is None and fence:
            begun, lines = (fence[1], fence[2], number), []
        elif begun is not None and fence and not fence[2]:
            found.append(Block(begun[1], begun[2], "".join(f"{part}\n" for part in lines)))
            begun = None
        elif begun is not None:
            lines.append(line.removeprefix(begun[0]))
    assert begun is None, f"line {begun[2]}: a fence is never closed"
    return found


def without_blocks(text: str) -> str:
    """A page's prose: what stands between fences is left empty, line by line."""
    inside, lines = False, []
    for line in text.splitlines():
        fence = bool(_FENCE.match(line))
        lines.append("" if inside or fence else line)
        inside ^= fence
    return "\n".join(lines)
