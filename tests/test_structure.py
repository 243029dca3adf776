import ast
import importlib
import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import pellucid
from pellucid.cli import app

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "pellucid"
ORDER = (
    "errors",
    "storage",
    "pretrained",
    "drawn",
    "data",
    "model",
    "objective",
    "metrics",
    "training",
    "latents",
    "anomaly",
    "comparison",
    "runtime",
    "scoring",
    "sweep",
    "report",
    "reproduction",
    "doctor",
    "terminal",
    "live",
    "cli",
)


def imports(module: Path) -> list[str]:
    """The parts of the package that a module imports, wherever in the file it does."""
    found = []
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pellucid."):
            found.append(node.module.split(".")[1])  # type: ignore[union-attr]
        if isinstance(node, ast.Import):
            found += [name.name.split(".")[1] for name in node.names if name.name.startswith("pellucid.")]
    return found


@pytest.mark.parametrize(
    "module",
    [m for m in sorted(PACKAGE.rglob("*.py")) if m.parent != PACKAGE or m.stem in ORDER],
    ids=lambda m: str(m.relative_to(PACKAGE)),
)
def test_a_module_imports_only_from_folders_above_it(module: Path) -> None:
    room = module.relative_to(PACKAGE).parts[0].removesuffix(".py")
    type_checking_only = {"terminal": {"training"}}.get(room, set())
    below = [name for name in imports(module) if ORDER.index(name) > ORDER.index(room)]
    assert set(below) <= type_checking_only


def test_every_folder_has_its_place_in_the_order() -> None:
    assert {path.stem for path in PACKAGE.iterdir()} - {"__init__", "__main__", "py", "__pycache__"} == set(
        ORDER
    )


def test_all_is_what_is_public() -> None:
    assert sorted(pellucid.__all__, key=str.lower) == sorted(pellucid._HOME, key=str.lower)
    for name in pellucid.__all__:
        assert getattr(pellucid, name) is getattr(importlib.import_module(pellucid._HOME[name]), name)
    with pytest.raises(AttributeError, match="nothing_here"):
        _ = pellucid.nothing_here


def test_public_functions_and_classes_have_docstrings() -> None:
    missing = [
        f"{module.relative_to(PACKAGE)}:{node.name}"
        for module in PACKAGE.rglob("*.py")
        for node in ast.parse(module.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and ast.get_docstring(node) is None
    ]
    assert not missing


def test_every_command_is_documented_as_it_is() -> None:
    documented = (ROOT / "docs" / "commands.md").read_text()
    assert documented == app.generate_docs(output_format="markdown").rstrip() + "\n", "run: make docs"


def test_the_python_interface_is_documented_as_it_is() -> None:
    spec = importlib.util.spec_from_file_location("api", ROOT / "docs" / "api.py")
    assert spec is not None
    assert spec.loader is not None
    api = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(api)
    documented = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert documented == api.reference(), "run: make docs"
    assert [name for name in pellucid.__all__ if f"\n### {name}\n" not in documented] == ["LOSSES"]


def test_nothing_that_is_loaded_can_run() -> None:
    forbidden = ("pickle", "torch.load", "joblib", "eval(", "exec(", "allow_pickle=True", "marshal", "shelve")
    for module in PACKAGE.rglob("*.py"):
        text = module.read_text().replace(".eval()", "")
        assert not [word for word in forbidden if f"{word}" in text and f"never {word}" not in text], module


def test_importing_pellucid_and_its_command_line_loads_nothing_heavy() -> None:
    code = "import sys, pellucid.cli; print([m for m in ('torch', 'numpy', 'sklearn') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def third_party(module: Path) -> set[str]:
    """The top packages that a module imports, wherever in the file it does."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"pellucid"}


def test_dependencies_are_few_open_above_and_all_used() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    needed = {re.split("[>=<~!; \\[]", line)[0] for line in project["dependencies"]}
    optional = {
        re.split("[>=<~!; \\[]", line)[0] for name, lines in extras.items() if name != "dev" for line in lines
    }
    assert len(needed) <= 16
    for line in project["dependencies"] + [line for lines in extras.values() for line in lines]:
        assert re.fullmatch(r"[a-z0-9-]+(\[\w+\])?>=[\d.]+", line), f"{line}: from a version on, and no end"
    called = {"pillow": "PIL", "scikit-learn": "sklearn"}
    imported = set().union(*map(third_party, PACKAGE.rglob("*.py")))
    by_name = {"websockets"} if 'ws="websockets' in (PACKAGE / "live" / "serving.py").read_text() else set()
    assert {called.get(name, name) for name in needed} <= imported | by_name
    assert imported <= {called.get(name, name) for name in needed | optional}


NETWORK = {
    "socket",
    "ssl",
    "http",
    "urllib",
    "requests",
    "httpx",
    "aiohttp",
    "ftplib",
    "smtplib",
    "socketserver",
}


def test_nothing_but_the_live_tools_server_can_open_a_connection() -> None:
    """torch.distributed is the exception: it joins the processes that torchrun has started."""
    talking = set()
    for module in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            talking |= {
                (module.name, name) for name in names if name.split(".")[0] in NETWORK | {"webbrowser"}
            }
    assert talking == {
        ("serving.py", "socket"),  # listens
        ("browser.py", "webbrowser"),
        ("security.py", "http.cookies"),  # reads a header
        ("security.py", "urllib.parse"),
        ("web.py", "aiohttp"),  # asks the hosts of URLs that were named, for fsspec
        ("web.py", "urllib.parse"),
    }


def test_every_name_that_is_used_is_defined() -> None:
    """Ruff's F821, which is off because of jaxtyping: a name within a string is one of its axes."""
    folders = [str(ROOT / name) for name in ("src", "tests", "benchmarks", "docs")]
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F821"]
    ruff = subprocess.run([*command, "--output-format", "json", *folders], capture_output=True, text=True)
    found = json.loads(ruff.stdout)
    assert found, "expected ruff to take the axes of jaxtyping for names"
    undefined = []
    for one in found:
        row, column = one["location"]["row"], one["location"]["column"] - 1
        path = Path(one["filename"])
        text = path.read_text() if path.suffix == ".py" else ""
        strings = [
            n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Constant) and type(n.value) is str
        ]
        if not any(
            (n.lineno, n.col_offset) <= (row, column) < (n.end_lineno or 0, n.end_col_offset or 0)
            for n in strings
        ):
            undefined.append(f"{path.relative_to(ROOT)}:{row}: {one['message']}")
    assert undefined == []


READERS = {
    *(
        "open",
        "os.open",
        "read_bytes",
        "read_text",
        "memmap",
        "open_memmap",
        "fromfile",
        "loadtxt",
        "genfromtxt",
    ),
    *("load_file", "safe_open", "ZipFile", "np.load", "pq.read_table", "ParquetFile", "read_csv"),
}


def test_files_are_opened_for_reading_in_one_place() -> None:
    """`storage/regular.py`, which refuses what is no regular file: every other way is listed here."""
    found = set()
    for module in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func)
            modes = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
            writes = any(isinstance(mode, str) and mode[:1] in "awx" for mode in modes)
            if not writes and {name, name.rpartition(".")[2]} & READERS:
                found.add((str(module.relative_to(PACKAGE)), name))
    assert found == {
        ("storage/regular.py", "os.open"),
        # what is open already, by this or by fsspec
        ("data/arrays.py", "archive.open"),
        ("data/arrays.py", "zipfile.ZipFile"),
        ("data/images.py", "Image.open"),
        ("data/parquet.py", "pq.ParquetFile"),
        ("data/tar.py", "tarfile.open"),
        ("report/html.py", "Image.open"),
        ("reproduction/exhibit.py", "Image.open"),
        ("reproduction/page.py", "Image.open"),
        ("scoring/part.py", "filesystem.open"),
        # the package's own files and the system's
        ("doctor/machine.py", "cpuinfo.read_text"),
        ("doctor/machine.py", "limit.read_text"),
        ("live/app.py", "file.read_bytes"),
        ("model/pretrained.py", "file.read_bytes"),
        ("report/html.py", "files(package).joinpath(name).read_text"),
        # a folder; files that are written; the browser
        ("data/cache.py", "os.open"),
        ("live/browser.py", "os.open"),
        ("live/browser.py", "webbrowser.open"),
        ("storage/writing.py", "os.open"),
    }
