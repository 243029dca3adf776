import json
from collections.abc import Callable
from pathlib import Path

import pytest


def test_a_name_is_stored_and_appears(
    run: Callable[..., int], trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("name", trained, "z1", "edge position") == 0
    assert run("name", trained, "edge position", "edge") == 0
    capsys.readouterr()
    assert run("latents", trained, "--json") == 0
    names = {entry["latent"]: entry["name"] for entry in json.loads(capsys.readouterr().out)["latents"]}
    assert names["z1"] == "edge"
    assert run("name", trained, "z0", "Edge") == 2
    assert "z1" in capsys.readouterr().err
    assert run("name", trained) == 0
    assert "edge" in capsys.readouterr().out
    assert run("name", trained, "edge", "--clear") == 0


def test_names_that_cannot_be_given(
    run: Callable[..., int], trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("name", trained, "z9", "x") == 2
    assert run("name", trained, "z1") == 2
    assert run("name", trained, "--suggest") == 2
    assert "attributes" in capsys.readouterr().err
