"""RUN may be the name of a model that comes with the package, which no command changes."""

import inspect
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pellucid.cli import app
from pellucid.cli.opening import Run

WRITERS = {
    "name": ("name", "people", "z0", "hat"),
    "mark": ("name", "people", "z0", "--nuisance"),
    "suggest": ("name", "people", "--suggest", "--data", "people", "--limit", 20),
    "latents": ("latents", "people", "--data", "people", "--limit", 20),
    "detector": ("detector", "people", "--normal", "people", "--limit", 20),
    "same": ("same", "people"),
    "export": ("export", "people"),
    "train": ("train", "scenes", "--out", "PEOPLE", "--steps", 1, "--resume"),
    "traverse": ("traverse", "people", "--out", "PEOPLE/x.png"),
    "demo": ("demo", "--out", "PEOPLE"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_command_that_would_change_it_says_what_to_do_instead(
    name: str,
    installed: Path,
    run: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pellucid.comparison.same.evidence_of", lambda table: None)  # measured, as it were
    changed = {path: path.stat().st_mtime_ns for path in (installed, *installed.rglob("*"))}
    command = [str(word).replace("PEOPLE", str(installed)) for word in WRITERS[name]]
    assert run(*command) == 2
    (said,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("pellucid:")]
    assert f"{installed}: comes with Pellucid and is never changed. Change a copy: cp -r" in said
    assert {path: path.stat().st_mtime_ns for path in (installed, *installed.rglob("*"))} == changed


def test_it_is_read_by_its_name(
    installed: Path, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(np.full((40, 40, 3), 90, np.uint8)).save("a.png")
    changed = installed.stat().st_mtime_ns
    assert run("features", "people", "a.png", "--out", "a.csv", "--workers", 0, "--device", "cpu") == 0
    assert run("traverse", "people", "--image", "a.png", "--out", "t.png", "--device", "cpu") == 0
    assert run("traverse", "persons", "--out", "u.png") == 2
    assert "Or take one that comes with Pellucid: people." in capsys.readouterr().err
    assert Path("a.csv").read_text().startswith("name,problem")
    assert Path("t.png").is_file()
    assert installed.stat().st_mtime_ns == changed


def test_every_command_with_a_run_takes_the_name() -> None:
    found = {
        name: parameter.annotation
        for name in app
        if not name.startswith("-") and (command := app[name].default_command)
        for parameter in inspect.signature(command).parameters.values()
        if parameter.name == "run"
    }
    assert len(found) >= 12
    assert set(found.values()) == {Run}
