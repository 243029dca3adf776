"""What a release holds: built here, by the library that pip would use, without a network."""

import re
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import pellucid

ROOT = Path(__file__).parent.parent
PAGE = {
    *(
        "answer.js",
        "camera.js",
        "comparison.js",
        "crop.js",
        "index.html",
        "keeping.js",
        "latents.js",
        "making.js",
    ),
    *("page.css", "page.js", "stage.js", "wire.js"),
}
KINDS = {".py", ".js", ".html", ".css", ".jinja", ".typed", ".json", ".jsonl", ".safetensors", ".md"}


def files_below(folder: str) -> set[str]:
    return {
        str(path.relative_to(ROOT).as_posix())
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source distribution."""
    build = pytest.importorskip("hatchling.build", reason="hatchling is in the extra 'dev'")
    folder = tmp_path_factory.mktemp("dist")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        build.build_wheel(str(folder))
        build.build_sdist(str(folder))
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Iterator[zipfile.ZipFile]:
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


@pytest.fixture(scope="module")
def sources(built: Path) -> set[str]:
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def test_the_wheel_holds_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    own = {
        name
        for name in wheel.namelist()
        if not name.startswith(f"pellucid-{pellucid.__version__}.dist-info/")
    }
    assert own == {name.removeprefix("src/") for name in files_below("src/pellucid")}
    assert {name.rpartition("/")[2] for name in own if "/live/page/" in name} == PAGE
    assert {"pellucid/py.typed", "pellucid/report/report.html.jinja"} < own
    assert "pellucid/reproduction/reproduction.html.jinja" in own
    assert [name for name in own if Path(name).suffix not in KINDS] == []


def test_every_file_of_the_wheel_is_to_the_byte_that_of_the_sources(wheel: zipfile.ZipFile) -> None:
    differ = [
        name
        for name in wheel.namelist()
        if name.startswith("pellucid/") and wheel.read(name) != (ROOT / "src" / name).read_bytes()
    ]
    assert differ == []


def test_the_models_take_at_most_8_megabytes_of_the_wheel(wheel: zipfile.ZipFile) -> None:
    held = [entry for entry in wheel.infolist() if entry.filename.startswith("pellucid/pretrained/")]
    assert sum(entry.compress_size for entry in held) < 8_000_000


def test_the_wheel_starts_the_command_line_and_names_its_licence(wheel: zipfile.ZipFile) -> None:
    told = f"pellucid-{pellucid.__version__}.dist-info"
    assert "pellucid = pellucid.cli:main" in wheel.read(f"{told}/entry_points.txt").decode()
    assert f"{told}/licenses/LICENSE" in wheel.namelist()
    metadata = wheel.read(f"{told}/METADATA").decode()
    assert f"\nVersion: {pellucid.__version__}\n" in metadata
    assert "\nRequires-Python: >=3.11\n" in metadata


def test_the_source_distribution_holds_what_its_tests_and_its_page_need(sources: set[str]) -> None:
    needed = files_below("src") | files_below("tests") | files_below("docs")
    single = {"pyproject.toml", "README.md", "CHANGELOG.md", "CITATION.cff", "LICENSE", "constraints.txt"}
    assert needed | single <= sources
    assert sources - needed - single <= {"PKG-INFO", ".gitignore", "CONTRIBUTING.md", "Makefile"}


def test_the_version_is_said_in_one_place_and_the_others_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" not in project["project"]
    assert project["tool"]["hatch"]["version"]["path"] == "src/pellucid/__init__.py"
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (.+)$", citation, re.MULTILINE) == [pellucid.__version__]
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\S+?),? ", changes, re.MULTILINE)[0] == pellucid.__version__


def test_links_of_the_readme_and_the_docs_lead_to_files() -> None:
    lost = [
        f"{page.name}: {target}"
        for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]
    assert lost == []
