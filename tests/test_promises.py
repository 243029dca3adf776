"""Every promise of docs/security.md stands beside a test that is there."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROMISES = 27
ROW = re.compile(r"^\| (\d+) \|(.+)\|(.+)\|(.+)\|$", re.MULTILINE)
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def rows() -> list[tuple[int, str, str, str]]:
    """Number, promise, how it is kept, tests."""
    found = ROW.findall((ROOT / "docs" / "security.md").read_text(encoding="utf-8"))
    return [(int(number), *(cell.strip() for cell in cells)) for number, *cells in found]


def names_of_tests(file: Path) -> set[str]:
    """The tests of a file, which is read and not run."""
    body = ast.parse(file.read_text(encoding="utf-8")).body if file.is_file() else []
    return {node.name for node in body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_promise_has_its_row_in_order() -> None:
    assert [number for number, *_ in rows()] == list(range(1, PROMISES + 1))
    assert all(promise and kept for _, promise, kept, _ in rows())


def test_every_promise_names_tests_that_exist() -> None:
    missing = []
    for number, _, _, cell in rows():
        named = TEST.findall(cell)
        assert named, f"promise {number} names no test"
        assert cell.count("tests/") == len(named), f"promise {number} names a test in another form"
        missing += [
            f"{number}: {file}::{test}" for file, test in named if test not in names_of_tests(ROOT / file)
        ]
    assert not missing


def test_every_module_that_keeps_a_promise_exists() -> None:
    for number, _, kept, _ in rows():
        named = re.findall(r"`([\w/]+\.py)`", kept)
        assert named, f"promise {number} names no module"
        assert all((ROOT / "src" / "pellucid" / name).is_file() for name in named), (
            f"promise {number}: {named}"
        )
