import json
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., int]


@pytest.fixture(scope="module")
def sprites(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on sprites that has learned next to nothing."""
    out = tmp_path_factory.mktemp("runs") / "sprites"
    few = (
        "--limit",
        4000,
        "--latents",
        3,
        "--steps",
        2,
        "--batch-size",
        8,
        "--device",
        "cpu",
        "--threads",
        1,
    )
    assert run("train", "sprites", "--out", out, *few) == 0
    return out


def test_metrics_as_json_holds_every_score_and_what_it_rests_on(
    run: Run, sprites: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ("--data", "sprites", "--images", 300, "--resamples", 4)
    assert run("metrics", sprites, *few, "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["images"] == 300
    assert record["latents"] == 3
    assert record["factors"] == ["shape", "scale", "orientation", "position x", "position y"]
    assert record["left_out"] == {}
    assert not record["held_out"]
    assert len(record["scores"]) == 13
    for score in record["scores"]:
        assert 0 <= score["low"] <= score["value"] <= score["high"] <= 1
        assert score["images"] == 300
        assert score["biased"] == (score["name"] != "beta-VAE score")
    assert any(note.startswith("Warning: 300 images are fewer than 10,000.") for note in record["notes"])
    gaps = {entry["factor"]: entry["gap"] for entry in record["by_factor"]}
    assert all(0 < entry["information_by_chance"] < 0.3 for entry in record["by_factor"])
    assert record["scores"][0]["name"] == "MIG (Locatello)"
    assert record["scores"][0]["per_factor"] == gaps
    assert "FactorVAE score and beta-VAE score 0.20" in record["notes"][0]


def test_the_table_says_on_what_and_which_latent_says_most_of_each_factor(
    run: Run, sprites: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("name", sprites, "z0", "size") == run("name", sprites, "z1", "place") == 0
    assert run("name", sprites, "z2", "other") == 0
    capsys.readouterr()
    few = ("--data", "sprites", "--images", 250, "--resamples", 4, "--factors", "scale")
    assert run("metrics", sprites, *few) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "On 250 of 737,280 sprites" in printed
    assert "Warning: 250 images are fewer than 10,000." in printed
    assert "3 latents; 1 factor: scale." in printed
    assert "With one factor" in printed
    assert "MIG (Chen)" in printed
    assert "FactorVAE" not in printed.partition("On 250")[0]
    assert any(f"│ scale │ {label} │" in printed for label in ("z0 size", "z1 place", "z2 other"))


def test_factors_that_do_not_vary_are_left_out_with_the_reason(
    run: Run, sprites: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # the first 4,000 sprites are squares of the smallest size
    assert run("metrics", sprites, "--resamples", 4, "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["held_out"]
    assert record["factors"] == ["orientation", "position x", "position y"]
    assert record["left_out"] == {"shape": "the same in all images", "scale": "the same in all images"}


def test_mistakes_are_said_in_one_line(
    run: Run, sprites: Path, trained: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, says in (
        ((trained, "--data", photos), "whose factors are known"),
        ((sprites, "--data", "sprites", "--factors", "size"), "expected some of shape, scale"),
        ((sprites, "--factors", "shape"), "shape is the same in all images"),
        ((sprites, "--data", "sprites", "--images", 100), "at least 200 images"),
        ((sprites, "--images", 0), "--images"),
        ((sprites, "--resamples", 1), "resamples"),
    ):
        assert run("metrics", *arguments) == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert says in error
        assert error.startswith("pellucid: ")
