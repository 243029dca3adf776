import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pellucid.cli import main


def run(*arguments: object) -> int:
    """The exit code of a command."""
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 colour pictures of a dark or bright half plane, 6 of them damaged."""
    folder = tmp_path_factory.mktemp("photos")
    chance = np.random.default_rng(0)
    for i in range(120):
        pixels = np.full((40, 40, 3), 30, np.uint8)
        pixels[:, int(chance.integers(5, 35)) :] = (200, 120, 60)
        path = folder / f"{i:03d}.png"
        Image.fromarray(pixels).save(path)
        if i % 20 == 7:
            path.write_bytes(path.read_bytes()[:60])
    return folder


@pytest.fixture(scope="module")
def trained(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on the photographs, long enough for the edge's place to be known."""
    out = tmp_path_factory.mktemp("runs") / "edge"
    cache = pytest.MonkeyPatch()
    cache.setenv("PELLUCID_CACHE", str(tmp_path_factory.mktemp("shared_cache")))
    settings = (
        "--size",
        32,
        "--latents",
        3,
        "--steps",
        150,
        "--batch-size",
        16,
        "--beta",
        1,
        "--device",
        "cpu",
    )
    assert (
        run("train", photos, "--out", out, *settings, "--preset", "burgess", "--loss", "mse", "--threads", 1)
        == 0
    )
    cache.undo()
    return out


def test_training_lists_what_it_could_not_read(trained: Path) -> None:
    lines = (trained / "skipped.txt").read_text().splitlines()
    assert [line.split("\t")[0] for line in lines] == [f"{i:03d}.png" for i in (7, 27, 47, 67, 87, 107)]
    assert all(line.split("\t")[1] for line in lines)


def test_a_run_holds_what_the_design_says(trained: Path) -> None:
    expected = {
        "config.json",
        "model.safetensors",
        "latents.json",
        "README.md",
        "metrics.jsonl",
        "training",
        "report.html",
    }
    assert expected <= {path.name for path in trained.iterdir()}
    card = (trained / "README.md").read_text()
    assert "114 photographs from" in card
    assert "6 unreadable left out" in card


def test_latents_as_json_says_what_is_active(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("latents", trained, "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert 1 <= record["active"] <= 3
    assert [entry["kl"] for entry in record["latents"]] == sorted(
        (e["kl"] for e in record["latents"]), reverse=True
    )


def test_a_name_is_stored_and_appears(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
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


@pytest.mark.parametrize("suffix", ["png", "pdf", "gif"])
def test_traversals_are_drawn(trained: Path, photos: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"a.{suffix}"
    assert (
        run("traverse", trained, "--latent", "z0", "--image", photos / "000.png", "--out", out, "--steps", 3)
        == 0
    )
    assert out.read_bytes()[:4] in (b"\x89PNG", b"%PDF", b"GIF8")


def test_traversal_of_every_latent_and_of_held_out_seeds(trained: Path, tmp_path: Path) -> None:
    assert run("traverse", trained, "--out", tmp_path / "prior.png") == 0
    assert run("traverse", trained, "--latent", "z0", "--seeds", 2, "--out", tmp_path / "seeds.png") == 0
    assert (tmp_path / "prior.png").stat().st_size > 1000
    assert (tmp_path / "seeds.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("latents", "no/such/run"), "pellucid train"),
        (("train", "no/such/data", "--out", "x"), "no/such/data"),
        (("train", "sprites", "--out", "x", "--loss", "l2"), "l2"),
        (("train", "sprites", "--out", "x", "--steps", "5", "--minutes", "1"), "one of"),
        (("train", "sprites", "--out", "x", "--objective", "vae", "--beta", "4"), "beta"),
        (("train", "sprites", "--out", "x", "--latents", "0"), "latents"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    arguments: tuple[str, ...],
    says: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.startswith("pellucid: ")
    assert error.count("\n") <= 2
    assert list(tmp_path.iterdir()) == []


def test_mistakes_with_a_run(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("name", trained, "z9", "x") == 2
    assert run("name", trained, "z1") == 2
    assert run("name", trained, "--suggest") == 2
    assert "attributes" in capsys.readouterr().err
    assert (
        run(
            "traverse", trained, "--latent", "z0", "--image", tmp_path / "no.jpg", "--out", tmp_path / "a.png"
        )
        == 2
    )
    assert run("traverse", trained, "--out", tmp_path / "a.bmp") == 2
    assert "gif" in capsys.readouterr().err
