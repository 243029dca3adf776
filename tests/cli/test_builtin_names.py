"""A run of a built-in set is opened whatever folder here has the name of that set."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from untrained_run import make_untrained_run

from pellucid.cli.opening import keep_apart, open_own_images
from pellucid.data.store import open_dataset
from pellucid.data.trained_here import remember_training
from pellucid.live.engine import Engine
from pellucid.model.predictor import load
from pellucid.model.sealed import read_sealed, write_sealed

Run = Callable[..., int]


@pytest.fixture
def of_people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The run of a model that was trained on 40 simulated people, beside a folder that is called so."""
    made = make_untrained_run(tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    trained_on = open_dataset("people", size=32, limit=40)
    remember_training(trained_on)
    content = read_sealed(made / "config.json")
    content["data"] |= {**trained_on.origin, "fingerprint": trained_on.fingerprint}
    write_sealed(made / "config.json", content)
    (tmp_path / "people").mkdir()
    return made


def test_its_own_images_are_the_built_in_ones(of_people: Path) -> None:
    model = load(of_people, device="cpu")
    dataset = open_own_images(model)
    (of_people.parent / "people").rmdir()
    again = open_dataset("people", size=32, limit=40)
    assert (dataset.fingerprint, dataset.origin) == (again.fingerprint, again.origin)
    assert np.array_equal(dataset.fetch(np.arange(3)), again.fetch(np.arange(3)))


def test_the_live_page_shows_built_in_images(of_people: Path) -> None:
    assert Engine(of_people, device="cpu").shelf_names[0] == "people 0"


def test_figures_may_go_into_the_folder(of_people: Path) -> None:
    keep_apart(load(of_people, device="cpu"), of_people.parent / "people" / "figure.png")


def test_a_run_that_would_have_the_name_of_the_set_is_refused_before_it_is_made(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("train", "people", "--out", "people", "--steps", 1) == 2
    assert "people: is what is read called, too. Choose another name." in capsys.readouterr().err
    assert not (tmp_path / "people").exists()
