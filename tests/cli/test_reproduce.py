import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pellucid.reproduction import reproduce as module
from pellucid.reproduction.catalogue import CATALOGUE
from pellucid.reproduction.exhibit import Exhibit, Part

Run = Callable[..., int]


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """The live tool's part without a model."""
    part = Part("live", (Exhibit((4,), "The live tool", "gist", ("shown",)),), {})
    entry = replace(CATALOGUE["live"], make=lambda context: part)
    monkeypatch.setattr(module, "CATALOGUE", {**CATALOGUE, "live": entry})


def test_a_part_is_computed_kept_and_printed(
    untrained: None, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "report"
    assert run("reproduce", "--out", out, "--parts", "live", "--minutes", 1) == 0
    assert "Not computed yet: autoencoder, sprites, detection" in capsys.readouterr().out
    assert run("reproduce", "--out", out, "--parts", "live", "--minutes", 1, "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert list(record["parts"]) == ["live"]
    assert record["settings"]["minutes"] == 1
    assert 'id="fig-29"' in (out / "report.html").read_text()


def test_going_on_with_other_settings_is_refused_in_one_line(
    untrained: None, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("reproduce", "--out", tmp_path, "--parts", "live") == 0
    capsys.readouterr()
    assert run("reproduce", "--out", tmp_path, "--parts", "live", "--minutes", 60) == 2
    assert "--minutes (then 120.0, now 60.0)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--parts", "fig7"), "autoencoder, sprites, live"),
        (("--data", "nowhere"), "expected a folder with celeba and nonfaces"),
        (("--minutes", "0"), "above 0"),
    ],
)
def test_mistakes_are_told_before_anything_is_written(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    assert run("reproduce", "--out", tmp_path / "report", *arguments) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "report").exists()
