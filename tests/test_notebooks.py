"""The notebooks of the documentation: cells compile, outputs are there, nothing of a machine is in them."""

import ast
import base64
import json
import re
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

FOLDER = Path(__file__).parent.parent / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
LARGEST = 1_500_000
MACHINE = re.compile(
    r"(?<![\w.:/])/(?:home|root|tmp|work|usr|Users|var|opt|private)/|[A-Z]:\\\\|site-packages"
)


def cells(path: Path, kind: str) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


def outputs(path: Path) -> list[dict[str, Any]]:
    return [output for cell in cells(path, "code") for output in cell["outputs"]]


def pictures(path: Path) -> list[bytes]:
    found = [output["data"]["image/png"] for output in outputs(path) if "image/png" in output.get("data", {})]
    return [base64.b64decode(picture) for picture in found]


def test_both_notebooks_are_there() -> None:
    assert [path.name for path in NOTEBOOKS] == ["latents.ipynb", "verdicts.ipynb"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_code_cells_compile_and_were_executed_in_order(path: Path) -> None:
    code = cells(path, "code")
    for cell in code:
        compile("".join(cell["source"]), f"{path.name}: {cell['id']}", "exec")
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_cell_that_ends_in_a_value_shows_it(path: Path) -> None:
    for cell in cells(path, "code"):
        source = "".join(cell["source"])
        last = ast.parse(source).body[-1]
        shows = isinstance(last, ast.Expr) and not ast.unparse(last).startswith("write_latents(")
        assert bool(cell["outputs"]) == (shows or "print(" in source), cell["id"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_hold_no_fault_and_nothing_of_the_machine(path: Path) -> None:
    kinds = {output["output_type"] for output in outputs(path)}
    assert kinds <= {"execute_result", "display_data", "stream"}, "a cell failed"
    assert not [output for output in outputs(path) if output.get("name") == "stderr"]
    words = re.sub(r'"image/png": "[^"]*"', "", path.read_text())
    assert "Traceback" not in words
    assert not MACHINE.search(words)


@pytest.mark.parametrize("line", ["/home/a/runs", "in /tmp/x", r'"C:\\Users\\a"', "lib/site-packages/torch"])
def test_the_rule_against_paths_of_a_machine_finds_them(line: str) -> None:
    assert MACHINE.search(line)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_pictures_are_whole_and_the_notebook_is_small(path: Path) -> None:
    assert path.stat().st_size < LARGEST
    for picture in pictures(path):
        image = Image.open(BytesIO(picture))
        image.load()
        assert image.format == "PNG"
        assert len(image.convert("RGB").getcolors(1 << 24) or []) > 50
    assert len(pictures(path)) >= 5
