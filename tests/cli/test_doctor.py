import json
from collections.abc import Callable

import pytest

from pellucid.doctor import computing, libraries

Run = Callable[..., int]


@pytest.fixture
def sound(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if everything had been imported; that it is is tested elsewhere, and takes seconds."""
    monkeypatch.setattr(libraries, "imported", lambda names: dict.fromkeys(names, ""))
    facts = {"devices": ["cpu"], "precision": "float32", "rates": {}, "threads": 1, "vectors": "AVX2"}
    monkeypatch.setattr(computing, "ask", lambda: facts)


def test_a_sound_machine_exits_with_0(run: Run, sound: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("doctor") == 0
    out = capsys.readouterr().out
    assert out.endswith("Everything essential works.\n")
    assert "torch" in out
    assert run("doctor", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["works"] is True
    assert {finding["topic"] for finding in told["findings"]} == {
        "versions",
        "computing",
        "machine",
        "disk",
        "extras",
    }


def test_a_broken_torch_exits_with_1_and_the_rest_is_still_said(
    run: Run, sound: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(computing, "ask", lambda: "OSError: no libtorch")
    assert run("doctor") == 1
    out = capsys.readouterr().out
    assert "cannot be imported (OSError: no libtorch)" in out
    assert "pip install --force-reinstall torch" in out
    assert "processor" in out
    assert "1 thing is in the way" in out
