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


def test_a_mark_is_stored_with_and_without_a_name(
    run: Callable[..., int], trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("name", trained, "z2", "light", "--nuisance") == 0
    assert run("name", trained, "z0", "--nuisance", "--json") == 0
    listed = json.loads(capsys.readouterr().out.partition("\n")[2])
    assert {entry["latent"] for entry in listed if entry["nuisance"]} == {"z0", "z2"}
    assert run("latents", trained, "--json") == 0
    marks = {entry["latent"]: entry["nuisance"] for entry in json.loads(capsys.readouterr().out)["latents"]}
    assert marks == {"z0": True, "z1": False, "z2": True}
    assert run("latents", trained) == 0
    assert "(nuisance)" in capsys.readouterr().out
    assert 'class="badge">nuisance<' in (trained / "report.html").read_text()
    for latent in ("z0", "light"):
        assert run("name", trained, latent, "--no-nuisance") == 0
    assert run("name", trained, "light", "--clear") == 0
    capsys.readouterr()
    assert run("name", trained) == 0
    assert "nuisance" not in capsys.readouterr().out


def test_marks_that_cannot_be_set(run: Callable[..., int], trained: Path) -> None:
    assert run("name", trained, "--nuisance") == 2
    assert run("name", trained, "--suggest", "--nuisance") == 2
    assert run("name", trained, "z1", "x", "--clear") == 2
