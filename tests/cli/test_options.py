"""An option that would do nothing is refused, and says what it needs."""

import inspect
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pellucid.cli.detect import detect
from pellucid.cli.features import features
from pellucid.cli.latents import latents
from pellucid.cli.sweep import sweep
from pellucid.cli.train import train
from pellucid.data.store import open_dataset
from pellucid.errors import DataError

Run = Callable[..., int]


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("detector RUN --skip 3", "--skip: does nothing without --normal"),
        ("detector RUN --limit 3", "--limit: does nothing without --normal"),
        ("detector RUN --anomalous-limit 3", "without --anomalous"),
        ("detector RUN --anomalous-groups name", "without --anomalous"),
        ("detector RUN --splits 3 --out x", "--splits and --out: does nothing without --anomalous"),
        ("latents RUN --limit 3", "without --data"),
        ("metrics RUN --skip 3", "without --data"),
        ("traverse RUN --out x.png --data scenes", "without exactly one --latent"),
        ("traverse RUN --out x.png --seeds 3 --latent z0 --latent z1", "without exactly one --latent"),
        ("same RUN folder --persons 100", "--persons: does nothing without DATA people"),
        ("name RUN --data scenes", "--data: does nothing without --suggest"),
        ("name RUN z1 hat --skip 3 --limit 5", "--skip and --limit: does nothing without --suggest"),
        ("name RUN --trust-data", "--trust-data: does nothing without --suggest"),
        ("name RUN --suggest --skip 3", "--skip: does nothing without --data"),
        ("features RUN x.png --out t.csv --runtime onnx --device cuda", "computes on the CPU"),
        ("detect RUN x.png --allow-unreadable", "without --fail-on-anomaly"),
        ("train sprites --out x --objective beta-vae --alpha 2", "alpha: does nothing for beta-vae"),
        ("train sprites --out x --objective factor-vae --beta 2", "beta: does nothing for factor-vae"),
        ("train sprites --out x --objective vae --capacity 9", "capacity: does nothing for vae"),
        ("train sprites --out x --objective beta-vae --estimator stratified", "estimator: does nothing"),
        ("train sprites --out x --diagonal 9", "diagonal: does nothing for beta-tcvae"),
        ("train sprites --out x --steps 3 --most-epochs 2", "most_epochs: ends a budget in minutes"),
    ],
)
def test_an_option_that_does_nothing_is_refused(
    run: Run,
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    assert run(*(trained if word == "RUN" else word for word in command.split())) == 2
    assert says in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((3, 40, 50), np.uint8),
        np.zeros((4, 64), np.uint8),
        np.full((2, 40, 40), 200.0),
        np.full((2, 40, 40), 4000, np.uint16),
    ],
    ids=["ambiguous", "two axes", "floats", "16 bits"],
)
def test_advice_about_arrays_names_commands_that_have_the_option(tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(DataError) as caught:
        open_dataset(tmp_path / "a.npy", size=32)
    said = str(caught.value).removeprefix(str(tmp_path))
    options, named = set(re.findall(r"--(\w+)", said)), set(re.findall(r"\w+", said))
    commands = [command for command in (train, sweep, detect, features, latents) if command.__name__ in named]
    assert options
    assert commands
    for command in commands:
        assert options <= inspect.signature(command).parameters.keys()


def test_threads_below_one_are_refused(run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for command in ("train", "sweep"):
        assert run(command, "sprites", "--out", tmp_path / "x", "--threads", 0) == 2
        assert "--threads: expected 1 or more, got 0" in capsys.readouterr().err
