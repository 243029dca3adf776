import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pellucid.cli.gallery import _print
from pellucid.comparison.gallery import Match

DOUBT = "the model has been trained on only 2,400 images in 150 steps"


@pytest.fixture
def measured(run: Callable[..., int], trained: Path, tmp_path: Path) -> Path:
    """A copy of the run, with its latents measured."""
    copy = tmp_path / "run"
    shutil.copytree(trained, copy, ignore=shutil.ignore_patterns("training"))
    assert run("latents", copy) == 0
    return copy


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """30 sub-folders of 3 pictures; where the edge is, is the identity, how bright it is, is not."""
    root, chance = tmp_path / "people", np.random.default_rng(0)
    for i, edge in enumerate(np.linspace(5, 34, 30).round().astype(int)):
        (root / f"{i:02d}").mkdir(parents=True)
        for picture, brighter in enumerate(chance.choice(np.arange(-8, 9), 3, replace=False)):
            pixels = np.full((40, 40, 3), 30, np.uint8)
            pixels[:, edge:] = np.array([200, 120, 60]) + brighter
            Image.fromarray(pixels).save(root / f"{i:02d}" / f"{picture}.png")
    return root


def test_candidates_are_ranked_and_unreadable_ones_are_named(
    run: Callable[..., int],
    measured: Path,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "gallery.pdf"
    capsys.readouterr()
    options = ("--top", 4, "--out", out, "--json")
    assert run("gallery", measured, photos / "000.png", photos, *options) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["candidates"] == 114
    assert record["cautions"][0] == DOUBT
    assert record["note"].endswith(f" Caution: {'; '.join(record['cautions'])}.")
    assert {entry["name"] for entry in record["skipped"]} == {f"{i:03d}.png" for i in range(7, 120, 20)}
    matches = record["matches"]
    assert len(matches) == 4
    assert matches[0]["distance"] == pytest.approx(0, abs=1e-4)  # the wanted picture is among them
    assert [m["distance"] for m in matches] == sorted(m["distance"] for m in matches)
    assert matches[0]["probability"] is None
    assert out.read_bytes()[:4] == b"%PDF"


def test_known_identities_give_probabilities_until_the_marks_change(
    run: Callable[..., int], measured: Path, people: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = people / "12"
    assert run("same", measured, people, "--json") == 0
    learned = json.loads(capsys.readouterr().out)
    assert learned["pictures"] == "90 pictures of 30 identities"
    assert learned["cautions"][0] == DOUBT
    assert learned["identity"]["rates"]["auc"] > 0.8
    assert run("gallery", measured, wanted, people, "--json") == 0
    several = json.loads(capsys.readouterr().out)
    assert {match["probability"] for match in several["matches"]} == {None}
    assert "3 wanted pictures were averaged" in several["note"]
    assert run("gallery", measured, wanted / "0.png", people, "--json") == 0
    matches = json.loads(capsys.readouterr().out)["matches"]
    assert {match["name"][:2] for match in matches[:3]} <= {"11", "12", "13"}
    assert 0 < matches[0]["probability"] < 1
    assert run("compare", measured, wanted / "0.png", wanted / "1.png", "--json") == 0
    assert json.loads(capsys.readouterr().out)["same_probability"] > 0.5
    assert run("gallery", measured, wanted / "0.png", people, "--all-latents") == 0
    printed = capsys.readouterr().out
    assert "probability" in printed
    assert f"Caution: {DOUBT}" in " ".join(printed.split())
    assert run("same", measured, people) == 0
    assert f"Caution: {DOUBT}" in " ".join(capsys.readouterr().out.split())
    table = json.loads((measured / "latents.json").read_text())["latents"]
    active = [f"z{record['index']}" for record in table if record["active"]]
    for latent in active:
        assert run("name", measured, latent, "--nuisance") == 0
    capsys.readouterr()
    assert run("compare", measured, wanted / "0.png", wanted / "1.png", "--json") == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["same_probability"] is None
    assert "marks of nuisance have changed" in printed.err
    assert run("gallery", measured, wanted, people) == 2
    assert "--all-latents" in capsys.readouterr().err
    with pytest.MonkeyPatch.context() as patch:  # refused before three thousand pictures are drawn
        patch.setattr("pellucid.comparison.people.known_people", lambda *_, **__: pytest.fail("drawn"))
        assert run("same", measured, "people") == 2
    assert "--no-nuisance" in capsys.readouterr().err


def test_a_table_that_knows_nobody_is_told(
    run: Callable[..., int], measured: Path, people: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (people / "who.csv").write_text("file_name,identity\n00/0.png,\n00/1.png,unknown\n")
    assert run("same", measured, people) == 2
    assert "its table tells of none who is on it. Fill in its column identity" in capsys.readouterr().err


def test_celebas_table_says_who_is_who(
    run: Callable[..., int],
    measured: Path,
    people: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("same", measured, people, "--json") == 0
    by_folder = json.loads(capsys.readouterr().out)
    images = tmp_path / "celeba" / "Img" / "img_align_celeba"
    images.mkdir(parents=True)
    rows = []
    for at, picture in enumerate(sorted(people.rglob("*.png"))):
        shutil.copy(picture, images / f"{at:06d}.png")
        rows.append(f"{at:06d}.jpg {9000 - int(picture.parent.name)}")
    shutil.copy(picture, images / "stranger.png")  # without a row it is left out
    shutil.copy(picture, images / "again.png")  # a copy, which comes first by name, is no second picture
    rows.append(f"again.jpg {9000 - int(picture.parent.name)}")
    (tmp_path / "celeba" / "Anno").mkdir()
    (tmp_path / "celeba" / "Anno" / "identity_CelebA.txt").write_text("\n".join(rows))
    config = json.loads((measured / "config.json").read_text())
    assert config["preprocessing"]["crop"] == "center"  # as for the folder: the model's crop is used
    assert run("same", measured, tmp_path / "celeba", "--json") == 0
    printed = capsys.readouterr()
    assert "identity_CelebA.txt: identities; 91 of 92 images matched." in printed.err
    by_table = json.loads(printed.out)
    assert by_table["pictures"] == "90 pictures of 30 identities"
    assert by_table["identity"]["rates"]["auc"] > 0.8
    assert by_table["identity"]["latents"] == by_folder["identity"]["latents"]


def test_names_cannot_move_the_cursor_and_no_probability_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    matches = [Match("a\x1b[2J\udc80.png", 0, 0.0, 0.99999, ()), Match("b", 1, 9.0, 1e-9, ())]
    _print(matches, 1234, "By 2 latents.")
    printed = capsys.readouterr().out
    assert "1,234" in printed
    assert "above 0.99" in printed
    assert "below 0.01" in printed
    assert "\x1b[2J" not in printed
    assert "\\x1b[2J\\udc80.png" in printed


def test_searches_that_cannot_be_made(
    run: Callable[..., int], measured: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = photos / "000.png"
    for command, says in (
        (("gallery", measured, wanted, photos, "--top", 0), "--top"),
        (("gallery", measured, wanted, photos, "--out", "a.gif"), ".pdf"),
        (("gallery", measured, wanted, "no/such/folder"), "no/such/folder"),
        (("same", measured, photos), "sub-folder"),
        (("same", measured, "sprites"), "sprites"),
        (("same", measured, "people", "--each", 1), "two pictures"),
    ):
        capsys.readouterr()
        assert run(*command) == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert error.startswith("pellucid: ")
        assert says in error
