"""`pellucid demo` tells the whole story with the model of the package, of which it leaves a copy."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from untrained_run import make_untrained_run

from pellucid.anomaly.detector import Detector
from pellucid.anomaly.storage import save_detector
from pellucid.cli import demo
from pellucid.data.images import to_float
from pellucid.data.store import open_dataset
from pellucid.latents.activity import encode_dataset, measure_activity
from pellucid.latents.names import read_latents, rename, with_activity, write_latents
from pellucid.model.directory import read_model, save_model
from pellucid.model.predictor import load
from pellucid.storage import shipped

Run = Callable[..., int]
FIGURES = {"latents.png", "seeds.png", "person.png", "not-a-person.png", "difference.png"}


@pytest.fixture
def story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package whose model has learned nothing, but has names and a detector; the demo measures little."""
    run = make_untrained_run(tmp_path / "pretrained" / "people")
    vae, config, _ = read_model(run)
    save_model(run, vae.state_dict(), replace(config, training={"images_seen": 12_345}))
    model = load(run, device="cpu")
    people, scenes = (open_dataset(name, size=32, limit=60) for name in ("people", "scenes"))
    rows = people.rows("all")
    table = with_activity(
        read_latents(run, model.latents), measure_activity(encode_dataset(model, people, rows))
    )
    write_latents(
        run, rename(table, table.active()[-1], "sunglasses", suggested=True, evidence="It seems so.")
    )
    save_detector(Detector(model).fit(people.batch(rows), to_float(scenes.fetch(scenes.rows("all")))), run)
    monkeypatch.setattr(shipped, "SHIPPED", run.parent)
    monkeypatch.setattr(demo, "_MEASURED", 40)
    monkeypatch.chdir(tmp_path)
    return run


def test_the_story_ends_with_figures_a_report_and_a_copy_to_change(
    story: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {file.name: file.read_bytes() for file in story.iterdir()}
    assert run("demo") == 0
    told = capsys.readouterr()
    assert {path.name for path in Path("demo").iterdir()} == FIGURES | {"people"}
    assert "12,345 images" in told.err
    assert "sunglasses │ It seems so." in told.out
    for shown in ("report.html", *FIGURES):
        assert shown in told.err
    assert "pellucid demo --out demo --train" in told.err
    copy = {file.name: file.read_bytes() for file in Path("demo/people").iterdir()}
    assert copy.pop("report.html").startswith(b"<!DOCTYPE html>")
    assert copy.pop(".made-by-demo") == b""
    assert copy == before == {file.name: file.read_bytes() for file in story.iterdir()}
    assert run("name", "demo/people", "z0", "my own name") == 0


def test_it_replaces_an_earlier_demo_and_nothing_else(
    story: Path, run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "_tell", demo._copied)
    assert run("demo") == 0
    Path("demo/people/report.html").touch()
    assert run("demo") == 0
    assert not Path("demo/people/report.html").exists()
    Path("demo/people/.made-by-demo").unlink()
    assert run("demo") == 2
    assert "expected an earlier demo to replace" in capsys.readouterr().err
    assert Path("demo/people/config.json").exists()


def test_its_training_has_a_budget_in_images(
    story: Path, run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def train(dataset: object, architecture: object, config: object, run: Path, **_: object) -> object:
        asked.append((config.steps, config.minutes, config.batch_size, run))  # type: ignore[attr-defined]
        return SimpleNamespace(finished=False)

    monkeypatch.setattr("pellucid.training.loop.train", train)
    monkeypatch.setattr(demo, "_tell", lambda out: 12_345)
    assert run("demo", "--train", "--images", 6_400) == 130
    assert run("demo", "--train") == 130
    assert asked == [(steps, None, 64, Path("demo/own")) for steps in (100, 1_000)]
