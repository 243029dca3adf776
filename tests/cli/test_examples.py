"""Whether a detector learns from images of the training: said, or that it is not known."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from untrained_run import make_untrained_run

from pellucid.cli.examples import warn_of_training_images
from pellucid.data.store import open_dataset
from pellucid.model.predictor import Model, load

TOLD = {"source": "people", "skip": 20, "limit": 30, "fingerprint": "another"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_untrained_run(tmp_path_factory.mktemp("runs") / "run")


def warned(run: Path, data: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> str:
    model: Model = load(run, device="cpu")
    model.config = replace(model.config, data=data)
    images = open_dataset("people", size=32, skip=10, limit=25)  # 10 to 34
    capsys.readouterr()
    warn_of_training_images(model, {"normal": (images, images.rows("all"))}, trust_data=False)
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("changed", "count"), [({}, 15), ({"skip": 30}, 5), ({"limit": None}, 15), ({"limit": 3}, 3)]
)
def test_drawn_images_of_the_training_are_counted(
    run: Path, changed: dict[str, Any], count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"trained on {count} of these 25 normal images" in warned(run, TOLD | changed, capsys)


@pytest.mark.parametrize("key", TOLD)
@pytest.mark.parametrize("value", ["7", ["people"], {}, 1.5, True])
def test_a_config_that_does_not_say_is_no_error(
    run: Path, key: str, value: object, capsys: pytest.CaptureFixture[str]
) -> None:
    """Configs are written by strangers, and by other versions."""
    for data in ({k: v for k, v in TOLD.items() if k != key}, TOLD | {key: value}):
        said = warned(run, data, capsys)
        if data.get("source") == "7":  # a folder, of which no drawn image can be
            assert said == ""
            continue
        assert said.startswith("Note: ")
        assert said.count("\n") == 1
        assert "is not known" in said or "trained on 15 of these" in said
