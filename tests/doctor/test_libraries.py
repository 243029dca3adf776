import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from pellucid.doctor import libraries
from pellucid.doctor.finding import Finding

ROOT = Path(__file__).parent.parent.parent


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[>=<\[;! ]", requirement)[0] for requirement in requirements}


def project() -> dict[str, dict[str, list[str]]]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Makes a module that other processes find as well."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(name: str, text: str) -> str:
        (tmp_path / f"{name}.py").write_text(text)
        return name

    return make


def test_the_doctor_knows_every_requirement_and_every_extra() -> None:
    said = project()
    assert set(libraries.NEEDED) == names(said["dependencies"])
    ours = {"dev", "docs", "notebooks"}  # what working on Pellucid needs, and not using it
    optional = said["optional-dependencies"].items()  # type: ignore[attr-defined]
    extras = {name: names(wanted) for name, wanted in optional if name not in ours}
    assert {name: set(libraries.EXTRAS[name]) for name in extras} == extras


def test_the_fault_of_a_broken_module_is_one_line_and_the_others_are_still_seen(module) -> None:  # type: ignore[no-untyped-def]
    broken = module("broken_library", "raise ImportError('libcuda.so.1: no such file\\nand more')")
    dying = module("dying_library", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    leaving = module("leaving_library", "import sys; sys.exit('good bye')")
    noisy = module("noisy_library", "print('[1, 2]'); print('[\"noisy_library\"'); print('welcome', end='')")
    found = libraries.imported([broken, "no_such_library", dying, leaving, noisy, "json"])
    assert found == {
        broken: "ImportError: libcuda.so.1: no such file",
        "no_such_library": "ModuleNotFoundError: No module named 'no_such_library'",
        dying: "it ends Python with signal 9",
        leaving: "SystemExit: good bye",
        noisy: "",
        "json": "",
    }


def test_a_module_that_never_ends_is_given_up(module, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(libraries, "PATIENCE", 0.5)
    endless = module("endless_library", "import time; time.sleep(60)")
    assert libraries.imported([endless]) == {endless: "no end after 0.5 s"}


def test_files_in_the_folder_of_the_call_are_not_taken_for_libraries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "colorsys.py").write_text("raise ImportError('not this one')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    assert libraries.imported(["colorsys"]) == {"colorsys": ""}


def of(name: str, findings: list[Finding]) -> Finding:
    return next(finding for finding in findings if finding.name == name)


def test_what_cannot_be_imported_is_broken_and_its_reinstallation_is_named() -> None:
    torch = of("torch", libraries.versions({"torch": "OSError: libgomp.so.1 is missing"}))
    assert torch.state == "broken"
    assert (
        torch.value == f"{metadata.version('torch')}: cannot be imported (OSError: libgomp.so.1 is missing)"
    )
    assert torch.advice == "Run: pip install --force-reinstall torch"
    assert of("numpy", libraries.versions({})) == Finding("versions", "numpy", metadata.version("numpy"))


def test_what_is_not_installed_or_too_old_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"rich": None, "pillow": "9.5.0", "numpy": "10.0"}
    monkeypatch.setattr(libraries, "version_of", lambda name: there.get(name, "99"))
    monkeypatch.setattr(
        metadata, "requires", lambda _: ["rich>=13.9", "pillow>=11.0", "numpy>=2.0", "ray>=2; extra == 'ray'"]
    )
    found = libraries.versions({"rich": "ModuleNotFoundError: No module named 'rich'"})
    assert [(f.name, f.value, f.advice) for f in found if f.state == "broken"] == [
        ("pillow", "9.5.0, expected 11.0 or newer", "Run: pip install --upgrade 'pillow>=11.0'"),
        ("rich", "not installed", "Run: pip install --upgrade 'rich>=13.9'"),
    ]


def test_an_old_python_is_broken() -> None:
    assert libraries.python((3, 10, 9)).state == "broken"
    assert libraries.python((3, 14, 0)).state == "fine"


@pytest.mark.parametrize("name", libraries.EXTRAS)
def test_an_absent_extra_is_no_fault_and_its_install_line_is_named(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libraries, "version_of", lambda _: None)
    extra = of(name, libraries.extras({}))
    assert extra.state == "lacking"
    assert extra.advice == f"Run: pip install 'pellucid[{name}]'"


def test_an_extra_that_is_there_and_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "version_of", lambda _: "1.0")
    found = libraries.extras({"onnxruntime": "ImportError: DLL load failed"})
    assert of("onnx", found) == Finding(
        "extras",
        "onnx",
        "onnxruntime cannot be imported (ImportError: DLL load failed)",
        "lacking",
        "Run: pip install --force-reinstall onnx onnxruntime onnxscript",
    )
    assert of("ray", found).value == "ray 1.0"
