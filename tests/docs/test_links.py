"""Every link in the project's pages leads somewhere, in a repository viewer and on the site."""

import re
import unicodedata
from pathlib import Path
from urllib.parse import unquote

import pytest
from pages import PAGES, ROOT, name_of, without_blocks

LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)


def plain(text: str) -> str:
    """A heading as a reader sees it: no backticks, stars, backslashes, targets of links."""
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text).replace("`", "").replace("*", "").replace("\\", "")


def repository_anchor(heading: str) -> str:
    """As repository viewers make it: lower case, no punctuation, a hyphen for each blank."""
    return re.sub(r"[^\w\- ]", "", plain(heading).lower()).replace(" ", "-")


def site_anchor(heading: str) -> str:
    """As Python-Markdown makes it: ASCII only, one hyphen for several blanks."""
    ascii_only = unicodedata.normalize("NFKD", plain(heading)).encode("ascii", "ignore").decode()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", ascii_only).strip().lower())


def anchors(page: Path) -> set[str]:
    """What a link may name in a page, both in a repository viewer and on the site."""
    headings = HEADING.findall(without_blocks(page.read_text(encoding="utf-8")))
    made = [{make(heading) for heading in headings} for make in (repository_anchor, site_anchor)]
    return made[0] & made[1]


def dead(page: Path) -> list[str]:
    """The links of a page that lead nowhere."""
    lost = []
    prose = re.sub(r"`[^`\n]*`", "", without_blocks(page.read_text(encoding="utf-8")))
    for target in LINK.findall(prose):
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue
        path, _, anchor = unquote(target).partition("#")
        file = page if not path else (page.parent / path).resolve()
        if not file.exists() or (anchor and (file.suffix != ".md" or anchor not in anchors(file))):
            lost.append(target)
        elif page.is_relative_to(ROOT / "docs") and not file.is_relative_to(ROOT / "docs"):
            lost.append(f"{target} (out of docs/, where the site has nothing)")
    return lost


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert dead(page) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# One [two](x)\n\n[a](#one-two) [b](gone.md) ![c](#three) [d](page.md#one-two) `[e](f)` [g](https://h)\n"
        "\n```\n# four\n[i](j)\n```\n[k](page.md#four)\n",
        encoding="utf-8",
    )
    assert dead(page) == ["x", "gone.md", "#three", "page.md#four"]


def test_every_page_of_docs_is_in_the_navigation_and_the_other_way_round() -> None:
    named = re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    pages = [page.relative_to(ROOT / "docs").as_posix() for page in PAGES if (ROOT / "docs") in page.parents]
    assert sorted(named) == sorted(pages)
