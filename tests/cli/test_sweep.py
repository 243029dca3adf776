import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from pellucid.cli.sweep import _duration
from pellucid.training.loop import Progress

SMALL = ("--size", 32, "--preset", "burgess", "--latents", 2, "--batch-size", 8, "--device", "cpu")
QUICK = (*SMALL, "--steps", 3)


@pytest.fixture
def bars(tmp_path: Path) -> Path:
    pixels = np.zeros((400, 32, 32), np.uint8)
    for i, image in enumerate(pixels):
        image[:, i % 24 : i % 24 + 8] = 255
    np.save(tmp_path / "bars.npy", pixels)
    return tmp_path / "bars.npy"


def test_a_sweep_of_images_nobody_has_described(
    run: Callable[..., int], bars: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "sweep"
    command = ("sweep", bars, "--betas", "4,1", "--seeds", 2, "--out", out, "--threads", 1, *QUICK)
    assert run(*command) == 0
    said = capsys.readouterr()
    assert "4 runs of 3 steps: how long they take in all is said after the first" in said.err
    assert "Run 1 of 4: beta-1-seed-0" in said.err
    assert "Run 4 of 4: beta-4-seed-1" in said.err
    assert "to go in all" in said.err
    assert "UDR" in said.out
    runs = ["beta-1-seed-0", "beta-1-seed-1", "beta-4-seed-0", "beta-4-seed-1"]
    assert sorted(path.name for path in out.iterdir()) == [*runs, "sweep.json", "sweep.png"]
    weights = {name: (out / name / "model.safetensors").stat().st_mtime_ns for name in runs}
    assert run(*command, "--json") == 0
    said = capsys.readouterr()
    assert "4 runs, all finished already" in said.err
    assert "Run 1" not in said.err
    record = json.loads(said.out)
    assert [entry["name"] for entry in record["runs"]] == [runs[0], runs[2], runs[1], runs[3]]
    assert record["choice"]["reason"]
    assert {name: (out / name / "model.safetensors").stat().st_mtime_ns for name in runs} == weights


def test_a_sweep_of_images_whose_factors_are_known(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "sweep"
    small = ("--limit", 4000, "--latents", 2, "--steps", 2, "--batch-size", 8, "--device", "cpu")
    assert (
        run(
            "sweep",
            "sprites",
            "--betas",
            "10",
            "--seeds",
            1,
            "--objective",
            "factor-vae",
            "--out",
            out,
            *small,
            "--json",
        )
        == 0
    )
    record = json.loads(capsys.readouterr().out)
    assert record["score"] == "mig"
    assert set(record["runs"][0]["scores"]) == {"mig", "dci", "sap", "factor_vae"}
    assert record["runs"][0]["name"] == "tc-weight-10-seed-0"


def test_ctrl_c_saves_and_the_same_command_goes_on(
    run: Callable[..., int],
    bars: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @contextmanager
    def impatient() -> Iterator[Callable[[Progress], None]]:
        yield lambda now: os.kill(os.getpid(), signal.SIGINT)

    command = (
        "sweep",
        bars,
        "--betas",
        "1",
        "--seeds",
        2,
        "--out",
        tmp_path / "sweep",
        *SMALL,
        "--steps",
        60,
    )
    with monkeypatch.context() as context:
        context.setattr("pellucid.cli.sweep.training_bar", impatient)
        assert run(*command) == 130
    assert "Stopped; everything is saved" in capsys.readouterr().err
    assert not (tmp_path / "sweep" / "sweep.json").exists()
    assert run(*command) == 0
    steps = [entry["steps"] for entry in json.loads((tmp_path / "sweep" / "sweep.json").read_text())["runs"]]
    assert steps == [60, 60]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--betas", "1,x"), "1,2,4,8"),
        (("--betas", "1,1"), "different"),
        (("--seeds", "0"), "1 or more"),
        (("--seeds", "1"), "--seeds 3"),
        (("--minutes", "1"), "one of"),
        (("--latents", "0"), "latents"),
        (("--loss", "l2"), "l2"),
    ],
)
def test_a_mistake_is_found_before_anything_is_trained(
    run: Callable[..., int],
    bars: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    says: str,
) -> None:
    given = dict(zip(QUICK[::2], QUICK[1::2], strict=True)) | {"--out": tmp_path / "sweep"}
    given |= dict(zip(arguments[::2], arguments[1::2], strict=True))
    assert run("sweep", bars, *(token for pair in given.items() for token in pair)) == 2
    error = capsys.readouterr().err
    assert says in error.splitlines()[-1]
    assert error.count("pellucid: ") == 1
    assert not (tmp_path / "sweep").exists()


def test_another_command_for_the_same_folder_is_refused(
    run: Callable[..., int], bars: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("sweep", bars, "--betas", "1", "--seeds", 2, "--out", tmp_path / "sweep", *QUICK)
    assert run(*command) == 0
    capsys.readouterr()
    assert run(*command, "--learning-rate", "0.01") == 2
    assert "learning_rate 0.001, and this sweep asks for 0.01" in capsys.readouterr().err


def test_durations_are_written_as_people_say_them() -> None:
    assert [_duration(minutes) for minutes in (0.5, 12.4, 59.7, 125)] == [
        "30 s",
        "12 min",
        "1 h 00 min",
        "2 h 05 min",
    ]
