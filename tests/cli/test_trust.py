"""A stranger's run opens no folder of ours, whatever its config says, until we say so."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sighted import Sight

from pellucid.model.sealed import read_sealed, write_sealed

Run = Callable[..., int]


@pytest.fixture
def foreign(trained_once: Path, photos: Path, tmp_path: Path) -> Path:
    """A run that somebody else has trained, and whose config names a private folder of ours."""
    private = shutil.copytree(photos, tmp_path / "private")
    run = shutil.copytree(trained_once, tmp_path / "foreign")
    content = read_sealed(run / "config.json")
    content["data"]["source"] = str(private)
    write_sealed(run / "config.json", content)
    return run


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


COMMANDS = [
    ["latents", "RUN"],
    ["traverse", "RUN", "--latent", "z0", "--out", "OUT.png"],
    ["metrics", "RUN"],
    ["name", "RUN", "--suggest"],
    ["detector", "RUN", "--anomalous", "scenes"],
]


def told(command: list[str], run: Path, tmp_path: Path) -> Iterator[object]:
    return (run if word == "RUN" else word.replace("OUT", str(tmp_path / "out")) for word in command)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_the_folder_that_a_strangers_run_names_is_not_touched(
    command: list[str],
    run: Run,
    foreign: Path,
    cache: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Sight() as seen:
        assert run(*told(command, foreign, tmp_path)) == 2
    assert "--trust-data" in capsys.readouterr().err
    assert not [path for path in seen.paths if path.is_relative_to(tmp_path / "private")]
    assert not cache.exists()


def test_a_comparison_with_a_pca_does_not_touch_it_either(
    run: Run, foreign: Path, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Sight() as seen:
        words = ["--normal", "people", "--limit", 40, "--anomalous", "scenes", "--anomalous-limit", 40]
        assert run("detector", foreign, *words, "--splits", 2) == 0
    assert "No PCA to compare with" in capsys.readouterr().err
    assert not [path for path in seen.paths if path.is_relative_to(tmp_path / "private")]


def test_with_trust_data_it_is_opened(run: Run, foreign: Path, cache: Path, tmp_path: Path) -> None:
    with Sight() as seen:
        assert run("latents", foreign, "--trust-data", "--json") == 0
    assert [path for path in seen.paths if path.is_relative_to(tmp_path / "private")]


def test_with_data_only_that_is_opened(
    run: Run, foreign: Path, photos: Path, cache: Path, tmp_path: Path
) -> None:
    with Sight() as seen:
        assert run("latents", foreign, "--data", photos, "--json") == 0
    assert not [path for path in seen.paths if path.is_relative_to(tmp_path / "private")]


def test_who_trained_it_here_need_not_say_so(run: Run, trained: Path) -> None:
    assert run("latents", trained, "--json") == 0


def test_the_same_folder_prepared_otherwise_was_not_trained_on(
    run: Run, trained: Path, tmp_path: Path
) -> None:
    """A run that names a folder of ours, with another crop, would else have it decoded once more."""
    other = shutil.copytree(trained, tmp_path / "other")
    content = read_sealed(other / "config.json")
    content["preprocessing"]["crop"] = "whole"
    write_sealed(other / "config.json", content)
    assert run("latents", other, "--json") == 2
