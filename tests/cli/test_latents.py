import json
from collections.abc import Callable
from pathlib import Path

import pytest


def test_latents_as_json_says_what_is_active(
    run: Callable[..., int], trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("latents", trained, "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert 1 <= record["active"] <= 3
    assert [entry["kl"] for entry in record["latents"]] == sorted(
        (e["kl"] for e in record["latents"]), reverse=True
    )
