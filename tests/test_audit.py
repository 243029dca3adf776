"""`make audit` cannot pass without having looked anything up."""

import importlib.util
import json
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FILE = Path(__file__).parent.parent / ".ci" / "audit.py"
pytestmark = pytest.mark.skipif(not FILE.exists(), reason="the source distribution has no .ci")

CANARY = [{"name": "jinja2", "version": "2.11.2", "vulns": [{"id": "X", "fix_versions": ["3"]}]}]
SOUND = [{"name": "numpy", "version": "2.0", "vulns": []}]
WEAK = [{"name": "numpy", "version": "2.0", "vulns": [{"id": "Y", "fix_versions": ["2.1"]}]}]
UNKNOWN = [
    {"name": "numpy", "skip_reason": "Dependency not found on PyPI and could not be audited: numpy (2.0)"}
]
LOCAL = [
    {"name": "pellucid", "skip_reason": "distribution marked as editable"},
    {
        "name": "torch",
        "skip_reason": "Dependency not found on PyPI and could not be audited: torch (2.13.0+cpu)",
    },
]


@pytest.fixture
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def says(audit: ModuleType, monkeypatch: pytest.MonkeyPatch, canary: Any, installed: Any) -> str | int | None:
    """How it ends where pip-audit gives these two answers; None for an answer that is no JSON."""

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        found = canary if "--requirement" in command else installed
        answer = "" if found is None else json.dumps({"dependencies": found, "fixes": []})
        return subprocess.CompletedProcess(command, 0, answer, "No known vulnerabilities found")

    monkeypatch.setattr(audit.subprocess, "run", run)
    with pytest.raises(SystemExit) as ended:
        audit.main("site-packages")
    return ended.value.code


@pytest.mark.parametrize(
    ("canary", "installed"),
    [
        (None, SOUND),
        (UNKNOWN, UNKNOWN),
        ([{**CANARY[0], "vulns": []}], SOUND),  # a mirror that knows packages and no weaknesses
        (CANARY, UNKNOWN),
        (CANARY, SOUND + UNKNOWN),
        (CANARY, LOCAL),
        (CANARY, None),
        (CANARY, []),
    ],
)
def test_where_nothing_or_not_all_was_looked_up_it_fails(
    audit: ModuleType, monkeypatch: pytest.MonkeyPatch, canary: Any, installed: Any
) -> None:
    assert "AUDITED" in str(says(audit, monkeypatch, canary, installed))


def test_a_known_weakness_fails_and_none_does_not(
    audit: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not says(audit, monkeypatch, CANARY, SOUND + LOCAL)
    assert says(audit, monkeypatch, CANARY, WEAK) == 1
    assert "numpy 2.0 Y fixed in 2.1" in capsys.readouterr().out
