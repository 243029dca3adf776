import csv
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pellucid.anomaly.texture import TEXTURE
from pellucid.data.store import open_dataset
from pellucid.objective.reconstruction import LOSSES

Run = Callable[..., int]

SCENES = ("--anomalous", "scenes", "--anomalous-limit", 60, "--splits", 5)


@pytest.fixture(scope="module")
def taught_once(run: Run, trained_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run on edges with a detector that knows scenes as anomalies."""
    copy = tmp_path_factory.mktemp("taught") / "edge"
    shutil.copytree(trained_once, copy)
    normal = json.loads((copy / "config.json").read_text())["data"]["source"]
    assert run("detector", copy, "--normal", normal, *SCENES) == 0
    return copy


@pytest.fixture
def taught(taught_once: Path, trained: Path) -> Path:
    """The same run with the cache of this test, which knows of its training."""
    return taught_once


def test_detector_evaluates_draws_and_is_kept(
    run: Run, taught: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert run("detector", taught, *SCENES, "--json", "--columns", "losses", "--threshold", "recall=0.9") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["cautions"][0] == "the model has been trained on only 2,400 images in 150 steps"
    assert record["columns"][0] == "mse"
    assert len(record["columns"]) == 6
    names = [evaluation["name"] for evaluation in record["study"]["evaluations"]]
    assert {"six losses", "texture alone", "PCA"} <= set(names)
    for evaluation in record["study"]["evaluations"]:
        assert 0 <= evaluation["normal"]["average_precision"] <= 1
    assert "this detector" in names  # it decides by the losses alone
    assert 0 <= record["study"]["false_alarms"] <= 1
    assert record["study"]["found"] > 0.8
    assert all(Path(figure).stat().st_size > 10_000 for figure in record["figures"])


def test_without_anomalies_it_knows_normal_images_only(
    run: Run, trained: Path, tmp_path: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "edge"
    shutil.copytree(trained, copy)
    assert run("detector", copy, "--normal", photos) == 2  # the held-out ones of 114 are 12
    error = capsys.readouterr().err
    assert '"false-alarm=0.05" needs 19 normal images for calibration, has' in error
    assert "Give 76 in all" in error
    assert run("detector", copy, "--normal", photos, "--threshold", "false-alarm=0.5") == 0
    capsys.readouterr()
    assert run("detect", copy, photos / "000.png", "--json") == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert record["probability"] is None
    assert 0 < record["p_value"] <= 1


def test_groups_come_from_folders_names_or_attributes(
    run: Run, taught: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    videos = tmp_path / "videos"
    for number, picture in enumerate(sorted(photos.glob("*.png"))):
        frame = videos / f"video{number // 6}" / f"{number % 6}.png"
        frame.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, frame)
    record = "--groups", "folder", "--anomalous-groups", "none", "--json"
    capsys.readouterr()
    assert (
        run("detector", taught, "--normal", videos, *SCENES, *record, "--threshold", "false-alarm=0.2") == 0
    )
    told = json.loads(capsys.readouterr().out)
    kept = told["calibration"]
    assert (kept["groups"], kept["min_p_value"]) == (5, pytest.approx(1 / 6))
    assert 25 <= kept["normal_images"] <= 30  # six frames a video, some of them damaged
    assert (
        run("detector", taught, "--normal", videos, *SCENES, *record, "--threshold", "false-alarm=0.1") == 2
    )
    assert "needs 9 groups of normal images for calibration, has 5" in capsys.readouterr().err
    assert run("detector", taught, "--normal", videos, *SCENES, "--groups", "camera") == 2
    assert "expected one of folder, name, got 'camera'" in capsys.readouterr().err


def test_every_image_has_a_line_and_what_cannot_be_read_a_reason(
    run: Run, taught: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "table.csv"
    capsys.readouterr()
    assert (
        run(
            "detect",
            taught,
            photos,
            photos / "000.png",
            "scenes",
            "--limit",
            140,
            "--json",
            "--table",
            table,
        )
        == 0
    )
    records = {record["image"]: record for record in json.loads(capsys.readouterr().out)}
    assert len(records) == 120 + 20  # the picture that is named twice is one
    assert records[f"{photos}/007.png"]["verdict"] == "unreadable"
    assert records[f"{photos}/007.png"]["reason"]
    scenes = [record["verdict"] for name, record in records.items() if name.startswith("scenes/")]
    edges = [record["verdict"] for name, record in records.items() if name.startswith(str(photos))]
    assert scenes.count("anomalous") > 15
    assert edges.count("normal") > 90
    known = next(record for record in records.values() if record["verdict"] != "unreadable")
    total = known["base"] + sum(part["contribution"] for part in known["contributions"])
    assert total == pytest.approx(known["score"], abs=1e-9)
    assert len(table.read_text().splitlines()) == 1 + len(records)


def test_a_table_of_verdicts_has_what_they_need_and_all_that_is_measured_is_in_features(
    run: Run, taught: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "run"
    shutil.copytree(taught, copy)
    normal = json.loads((copy / "config.json").read_text())["data"]["source"]
    assert run("detector", copy, "--normal", normal, *SCENES, "--columns", "z1+gradient") == 0
    tables = list[list[dict[str, str]]]()
    for command, option in (("detect", "--table"), ("features", "--out")):
        out = tmp_path / f"{command}.csv"
        assert run(command, copy, "scenes", "--limit", 20, option, out) == 0
        with out.open(newline="") as file:
            tables.append(list(csv.DictReader(file)))
    verdicts, features = tables
    every = list(features[0])[2:]
    measured = [column for column in every if column in TEXTURE or column.startswith("z")]
    assert every[: len(LOSSES)] == list(LOSSES)
    assert list(verdicts[0])[6:] == measured
    assert [[row[name] for name in measured] for row in verdicts] == [
        [row[name] for name in measured] for row in features
    ]


def test_a_folder_of_unreadable_pictures_stops_nothing(
    run: Run, taught: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a\x1b[31m.png").write_bytes(b"no picture")
    capsys.readouterr()
    assert run("detect", taught, tmp_path / "broken", photos / "000.png") == 0
    printed = capsys.readouterr().out
    assert "\x1b[31m.png" not in printed
    assert "1 normal, 1 unreadable." in printed


def test_a_class_of_three_pictures_is_enough_to_be_told_how_little_that_is(
    run: Run, taught: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    few = ("--normal", photos, "--anomalous", "scenes", "--anomalous-limit", 3, "--splits", 3)
    assert run("detector", taught, *few) == 0
    assert "of the anomalous found" in capsys.readouterr().out


def test_two_anomalous_images_cannot_be_judged_unseen_but_figures_are_drawn(
    run: Run, taught: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    two = ("--normal", photos, "--anomalous", "scenes", "--anomalous-limit", 2, "--splits", 2)
    capsys.readouterr()
    assert run("detector", taught, *two, "--out", tmp_path / "figures") == 0
    assert "At its threshold: not measured" in capsys.readouterr().out
    drawn = {path.stem for path in (tmp_path / "figures").iterdir()}
    assert "extremes" in drawn
    assert "reliability" not in drawn


def test_one_picture_is_judged_as_it_is_in_a_folder(
    run: Run, taught: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = []
    for images in ([photos / "000.png"], [photos]):
        capsys.readouterr()
        assert run("detect", taught, *images, "--json") == 0
        scores.append(json.loads(capsys.readouterr().out)[0]["score"])
    assert np.ptp(scores) < 1e-3  # a batch of another size may round otherwise


def test_explanations_are_figures_with_every_reason(
    run: Run, taught: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert run("detect", taught, photos / "000.png", "--explain", tmp_path / "why", "--json") == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert Path(record["figure"]).stat().st_size > 20_000
    assert record["nearest"][0]["name"]


def test_the_exit_code_is_a_failure_only_if_asked_for(run: Run, taught: Path, photos: Path) -> None:
    assert run("detect", taught, "scenes", "--limit", 5) == 0
    assert run("detect", taught, "scenes", "--limit", 5, "--fail-on-anomaly") == 1
    assert run("detect", taught, photos / "007.png", "--fail-on-anomaly") == 1


def test_a_gate_fails_on_what_nobody_judged(
    run: Run, taught: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (gate := tmp_path / "gate").mkdir()
    shutil.copy(photos / "000.png", gate / "ok.png")
    check = ("detect", taught, gate, "--fail-on-anomaly", "--quiet")
    assert run(*check) == 0
    assert capsys.readouterr().out == "1 normal.\n"
    scene = open_dataset("scenes", size=32, limit=1).fetch(np.array([0]))[0]
    Image.fromarray(scene).save(gate / "defect.jfif", "JPEG")
    assert run(*check) == 1
    assert "1 normal, 1 anomalous." in capsys.readouterr().out
    (gate / "defect.jfif").write_bytes(b"II*\0")
    assert run(*check) == 1
    printed = capsys.readouterr().out
    assert "defect.jfif" in printed
    assert "Unreadable" in printed
    assert run(*check, "--allow-unreadable") == 0
    with tarfile.open(tmp_path / "gate.tar", "w") as archive:
        archive.add(gate / "ok.png", "ok.png")
        link = tarfile.TarInfo("defect.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "ok.png"
        archive.addfile(link)
    assert run("detect", taught, tmp_path / "gate.tar", "--fail-on-anomaly") == 1


@pytest.mark.parametrize("command", ["detect", "features"])
def test_nothing_to_judge_is_an_error(
    run: Run, taught: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    (tmp_path / "empty").mkdir()
    with tarfile.open(tmp_path / "labels.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("label.json"))
    out = ("--out", tmp_path / "table.csv") if command == "features" else ()
    for images in ("nowhere", tmp_path / "empty", tmp_path / "labels.tar"):
        assert run(command, taught, images, *out) == 2
        assert "got no" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir() if "table" in path.name] == []


def test_explanations_are_drawn_also_if_nothing_is_to_be_printed(
    run: Run, taught: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with tarfile.open(tmp_path / "two.tar", "w") as archive:
        for name in ("000.png", "001.png", "002.png"):
            archive.add(photos / name, name)
    options = ("--explain", tmp_path / "why", "--quiet", "--limit", 2)
    assert run("detect", taught, tmp_path / "two.tar", *options) == 0
    assert len(list((tmp_path / "why").iterdir())) == 2
    assert capsys.readouterr().out == "2 normal.\n"


@pytest.mark.parametrize("options", [("--json", "--quiet"), ("--allow-unreadable",)])
def test_an_option_that_would_do_nothing_is_refused(
    run: Run, taught: Path, photos: Path, options: tuple[str, ...]
) -> None:
    assert run("detect", taught, photos, *options) == 2


def test_a_run_without_a_detector_says_what_to_do(
    run: Run, trained: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("detect", trained, photos / "000.png") == 2
    assert "pellucid detector" in capsys.readouterr().err


@pytest.fixture
def bottle(trained: Path, photos: Path, tmp_path: Path) -> Path:
    """MVTec AD's layout: 40 good pictures to test on, of which 12 are also among 30 defects by mistake."""
    root, chance = tmp_path / "bottle", np.random.default_rng(5)
    for kind, count in (("train/good", 50), ("test/good", 40), ("test/hole", 18)):
        (root / kind).mkdir(parents=True)
        for at in range(count):
            pixels = np.full((40, 40, 3), 30, np.uint8)
            pixels[:, int(chance.integers(5, 35)) :] = (200, 120, 60)
            pixels = pixels + chance.integers(0, 9, pixels.shape).astype(np.uint8)
            if kind == "test/hole":
                pixels[10:30, 10:30] = chance.integers(0, 256, (20, 20, 3))
            Image.fromarray(pixels).save(root / kind / f"{at:03d}.png")
    for at in range(12):
        shutil.copy(root / "test" / "good" / f"{at:03d}.png", root / "test" / "hole" / f"x{at:03d}.png")
    (root / "ground_truth" / "hole").mkdir(parents=True)
    shutil.copy(photos / "000.png", root / "ground_truth" / "hole" / "000_mask.png")
    return root


def test_good_images_and_copies_are_no_anomalies(
    run: Run, trained: Path, bottle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "run"
    shutil.copytree(trained, copy)
    capsys.readouterr()
    options = ("--normal", bottle / "test", "--anomalous", bottle / "test", "--splits", 0, "--json")
    assert run("detector", copy, *options) == 0
    printed = capsys.readouterr()
    assert "of the normal images only the 40 in folders called good" in printed.err
    assert (
        "40 of the anomalous images lie in folders called good, normal or ok: they are left out"
        in printed.err
    )
    assert "12 of the anomalous images are also among the normal ones, pixel for pixel (hole/x000.png" in (
        printed.err
    )
    record = json.loads(printed.out)
    assert record["normal"].startswith("40 of ")
    assert record["anomalous"].startswith("18 of ")
    assert run("detector", copy, "--normal", bottle / "test", "--anomalous", bottle / "test" / "good") == 2
    assert "--anomalous: expected images that are not normal, but all 40" in capsys.readouterr().err


def test_images_of_the_training_are_found_wherever_they_lie(
    run: Run, trained: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    shutil.copytree(trained, copy)
    shutil.copytree(photos, elsewhere)
    for picture in sorted(elsewhere.glob("*.png")):
        picture.rename(picture.with_name(f"renamed-{picture.name}"))
    assert run("detector", copy, "--normal", elsewhere, "--trust-data") == 0
    said = capsys.readouterr().err
    count = int(said.split("the model was trained on ")[1].split(" of these 114 normal images")[0])
    assert count > 90
    own = ("--normal", photos, "--threshold", "false-alarm=0.25")  # held-out ones are taken
    assert run("detector", copy, *own, "--trust-data") == 0
    assert "the model was trained on" not in capsys.readouterr().err


def test_an_array_of_one_image_has_one_verdict_and_what_is_ambiguous_is_settled_by_axes(
    run: Run, taught: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = np.asarray(Image.open(photos / "000.png"))
    np.save(tmp_path / "one.npy", picture)
    np.save(tmp_path / "torch.npy", picture.transpose(2, 0, 1))
    capsys.readouterr()
    records = []
    for command in (
        ("detect", taught, photos / "000.png", "--json"),
        ("detect", taught, tmp_path / "one.npy", "--json"),
        ("detect", taught, tmp_path / "torch.npy", "--axes", "CHW", "--json"),
    ):
        assert run(*command) == 0
        printed = capsys.readouterr()
        (record,) = json.loads(printed.out)
        records.append(record)
        if "npy" in str(command):
            assert "is taken for one image, [" in printed.err
    assert len({record["score"] for record in records}) == 1
    assert run("detect", taught, tmp_path / "torch.npy") == 2
    assert "--axes NHW or --axes CHW" in capsys.readouterr().err
    assert run("detect", taught, photos, "--axes", "CHW") == 2
    assert "--axes is for .npy and .npz files" in capsys.readouterr().err
