import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pellucid.data.dataset import Dataset
from pellucid.errors import ConfigError, RunError, TrainingError
from pellucid.model.architecture import Architecture
from pellucid.model.predictor import load
from pellucid.objective.objectives import Objective
from pellucid.training import gradient
from pellucid.training.checkpoint import CHECKPOINT
from pellucid.training.config import TrainingConfig
from pellucid.training.loop import Progress, learning_rate_at, train
from pellucid.training.metrics_log import append_metrics, cut_metrics, read_metrics

CONFIG = TrainingConfig(
    Objective(beta=2.0, losses=(("cross_entropy", 1.0),)),
    steps=30,
    batch_size=16,
    precision="float32",
    log_every=5,
    validations=3,
    flip=True,
    alignments=3,
)
FACTOR_VAE = replace(
    CONFIG,
    objective=replace(CONFIG.objective, name="factor-vae", discriminator_width=16),
    alignments=0,
)


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model.safetensors")


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_the_bar_is_learned_and_one_latent_knows_its_place(
    dataset: Dataset, architecture: Architecture, tmp_path: Path
) -> None:
    config = replace(CONFIG, steps=300, flip=False, learning_rate=2e-3)
    trained = train(dataset, architecture, config, tmp_path / "run", device="cpu")
    rows = dataset.rows("held-out")
    images = dataset.batch(rows)
    left = images[:, 0, 0].argmax(1).float()
    place = torch.corrcoef(torch.cat([trained.model.encode(images).mean.T, left[None]]))[-1, :-1].abs()
    assert place.max() > 0.8
    error = (trained.model.reconstruct(images) - images).square().mean()
    assert error < 0.5 * images.var(0, unbiased=False).mean()  # half of what the mean picture leaves
    validation = [
        row["validation_negative_objective"]
        for row in read_metrics(tmp_path / "run")
        if "validation_negative_objective" in row
    ]
    assert validation[-1] > validation[0] + 50


def test_the_same_seed_gives_the_same_weights_and_another_does_not(
    dataset: Dataset, architecture: Architecture, tmp_path: Path
) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        torch.manual_seed(len(name) * time.monotonic_ns() % 1000)  # global state must not matter
        train(dataset, architecture, replace(CONFIG, seed=seed), tmp_path / name, device="cpu")
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert not same(weights(tmp_path / "a"), weights(tmp_path / "c"))


@pytest.mark.parametrize("stop", [1, 7, 23])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("config", [CONFIG, FACTOR_VAE], ids=["beta-tcvae", "factor-vae"])
def test_interrupted_and_resumed_is_bit_for_bit_undisturbed(
    dataset: Dataset,
    architecture: Architecture,
    tmp_path: Path,
    stop: int,
    precision: Any,
    config: TrainingConfig,
) -> None:
    config = replace(config, precision=precision, log_every=1)
    train(dataset, architecture, config, tmp_path / "whole", device="cpu")

    def interrupt(progress: Progress) -> None:
        if progress.step == stop:
            signal.raise_signal(signal.SIGINT)

    halted = train(dataset, architecture, config, tmp_path / "parts", device="cpu", on_progress=interrupt)
    assert not halted.finished
    assert halted.steps == stop
    load(tmp_path / "parts", device="cpu")
    finished = train(dataset, architecture, config, tmp_path / "parts", resume=True, device="cpu")
    assert finished.finished
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))
    assert same(load_file(tmp_path / "whole" / CHECKPOINT), load_file(tmp_path / "parts" / CHECKPOINT))
    steps = [row["step"] for row in read_metrics(tmp_path / "parts") if "loss" in row]
    assert steps == list(range(1, 31))


def test_what_a_killed_training_was_writing_is_gone_when_it_goes_on(
    dataset: Dataset, architecture: Architecture, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    train(dataset, architecture, replace(CONFIG, steps=2), run, device="cpu")
    for name in (
        "config.json",
        "model.safetensors",
        "README.md",
        "metrics.jsonl",
        "training/checkpoint.safetensors",
    ):
        (run / name).with_name(f".{Path(name).name}.{'0' * 16}.part").touch()
    train(dataset, architecture, replace(CONFIG, steps=2), run, resume=True, device="cpu")
    assert not list(run.rglob(".*"))


def test_the_end_of_the_terminal_saves_too_unless_it_is_ignored(
    dataset: Dataset, architecture: Architecture, tmp_path: Path
) -> None:
    def hang_up(progress: Progress) -> None:
        signal.raise_signal(signal.SIGHUP)

    config, before = replace(CONFIG, log_every=1), signal.getsignal(signal.SIGHUP)
    try:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whatever these tests were started by
        halted = train(dataset, architecture, config, tmp_path / "a", device="cpu", on_progress=hang_up)
        assert (halted.finished, halted.steps) == (False, 1)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
        done = train(dataset, architecture, config, tmp_path / "b", device="cpu", on_progress=hang_up)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert done.finished


KILLED = """
import sys
import torch
torch.set_num_threads(1)
from pathlib import Path
from pellucid.data.store import open_dataset
from pellucid.model.architecture import Architecture
from pellucid.objective.objectives import Objective
from pellucid.training.config import TrainingConfig
from pellucid.training.loop import train
data, run, resume, objective = sys.argv[1:]
objective = Objective(objective, beta=2.0, discriminator_width=16, losses=(("cross_entropy", 1.0),))
config = TrainingConfig(objective, steps=100, batch_size=16, precision="float32", log_every=1, validations=3,
                        flip=True, checkpoint_minutes=0.0005)
train(open_dataset(data, size=32), Architecture("burgess", 32, 1, 3), config, run, resume=resume == "True",
      device="cpu", on_progress=lambda now: print(now.step, flush=True))
"""


@pytest.mark.torture(2, 50)
@pytest.mark.parametrize("objective", ["beta-tcvae", "factor-vae"])
def test_killed_and_resumed_is_bit_for_bit_undisturbed(
    bars: Path, tmp_path: Path, objective: str, rounds: int
) -> None:
    chance = random.Random(0)

    def start(run: str, *, kill_at: int | None = None) -> bool:
        """Train or go on; whether it was killed."""
        resume = (tmp_path / run / CHECKPOINT).exists()
        arguments = [sys.executable, "-c", KILLED, str(bars), str(tmp_path / run), str(resume), objective]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if kill_at is not None and int(line) >= kill_at:
                    time.sleep(chance.uniform(0, 0.05))  # anywhere in a step or in what is written after it
                    process.kill()
        if (tmp_path / run / "model.safetensors").exists():
            load(tmp_path / run, device="cpu")
        assert process.returncode in (0, -signal.SIGKILL)
        return process.returncode != 0

    start("whole")
    killed, finished = 0, 0
    while killed < rounds or not finished:
        if start("parts", kill_at=chance.randrange(1, 90) if killed < rounds else None):
            killed += 1
        else:
            assert same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))
            shutil.rmtree(tmp_path / "parts")
            finished += 1
    assert killed == rounds


def test_factor_vae_whose_total_correlation_weighs_nothing_is_the_vae_bit_for_bit(
    dataset: Dataset, architecture: Architecture, tmp_path: Path
) -> None:
    """The discriminator learns all the same; neither its steps nor its random numbers reach the networks."""
    vae = replace(FACTOR_VAE, objective=replace(CONFIG.objective, name="vae", beta=1.0))
    factor_vae = replace(FACTOR_VAE, objective=replace(FACTOR_VAE.objective, tc_weight=0.0))
    train(dataset, architecture, vae, tmp_path / "vae", device="cpu")
    train(dataset, architecture, factor_vae, tmp_path / "factor-vae", device="cpu")
    assert same(weights(tmp_path / "vae"), weights(tmp_path / "factor-vae"))
    saved = load_file(tmp_path / "factor-vae" / CHECKPOINT)
    assert saved["discriminator.weights.12.weight"].any()  # the last layer, which starts at zero


def test_the_discriminator_is_in_the_checkpoint_and_not_in_the_model(
    dataset: Dataset, architecture: Architecture, tmp_path: Path
) -> None:
    train(dataset, architecture, CONFIG, tmp_path / "beta-tcvae", device="cpu")
    train(dataset, architecture, FACTOR_VAE, tmp_path / "factor-vae", device="cpu")
    assert weights(tmp_path / "factor-vae").keys() == weights(tmp_path / "beta-tcvae").keys()
    saved = load_file(tmp_path / "factor-vae" / CHECKPOINT)
    more = saved.keys() - load_file(tmp_path / "beta-tcvae" / CHECKPOINT).keys()
    assert len(more) == 3 * 2 * 7  # weights and two moments, of weight and bias, of seven layers
    assert all(name.startswith("discriminator.") and saved[name].any() for name in more)


def test_turning_latents_under_a_discriminator_is_refused() -> None:
    with pytest.raises(ConfigError, match="alignments: expected 0 for the objective 'factor-vae', got 3"):
        replace(FACTOR_VAE, alignments=3)


def test_one_held_out_image_is_enough(dataset: Dataset, architecture: Architecture, tmp_path: Path) -> None:
    split = np.zeros(len(dataset), np.uint8)
    split[7] = 1
    one = replace(dataset, split=split)
    train(one, architecture, replace(CONFIG, steps=3), tmp_path / "run", device="cpu")
    rows = [row for row in read_metrics(tmp_path / "run") if "validation_negative_objective" in row]
    assert len(rows) == 3
    assert rows[-1]["validation_negative_objective"] == pytest.approx(
        -rows[-1]["validation_reconstruction"] - rows[-1]["validation_kl"]
    )


def test_resuming_as_something_else_is_refused(
    dataset: Dataset, architecture: Architecture, tmp_path: Path
) -> None:
    train(dataset, architecture, CONFIG, tmp_path / "run", device="cpu")
    with pytest.raises(ConfigError, match="learning_rate was 0.001 and is now 0.1"):
        train(
            dataset,
            architecture,
            replace(CONFIG, learning_rate=0.1),
            tmp_path / "run",
            resume=True,
            device="cpu",
        )
    other = Architecture("burgess", 32, 1, 4)
    with pytest.raises(ConfigError, match="architecture was"):  # said before its weights are found not to fit
        train(dataset, other, CONFIG, tmp_path / "run", resume=True, device="cpu")
    with pytest.raises(ConfigError, match="--resume"):
        train(dataset, architecture, CONFIG, tmp_path / "run", device="cpu")
    with pytest.raises(RunError, match="no checkpoint"):
        train(dataset, architecture, CONFIG, tmp_path / "other", resume=True, device="cpu")


@pytest.mark.parametrize("place", [0, 100, 5000, -1])
def test_a_damaged_checkpoint_is_refused(
    dataset: Dataset, architecture: Architecture, tmp_path: Path, place: int
) -> None:
    train(dataset, architecture, replace(CONFIG, steps=2), tmp_path / "run", device="cpu")
    content = bytearray((tmp_path / "run" / CHECKPOINT).read_bytes())
    content[place] ^= 4
    (tmp_path / "run" / CHECKPOINT).write_bytes(content)
    with pytest.raises(RunError, match="damaged|at most"):
        train(dataset, architecture, replace(CONFIG, steps=2), tmp_path / "run", resume=True, device="cpu")


def test_divergence_stops_and_keeps_the_last_good_checkpoint(
    dataset: Dataset, architecture: Architecture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(CONFIG, checkpoint_minutes=0.0)
    real = gradient.latent_terms

    def breaks(*arguments, progress: float, **options):  # type: ignore[no-untyped-def]
        terms = real(*arguments, progress=progress, **options)
        return terms if progress < 0.5 else {**terms, "price": terms["price"] * torch.nan}

    monkeypatch.setattr(gradient, "latent_terms", breaks)
    with pytest.raises(TrainingError, match="not finite|no longer finite|diverged"):
        train(dataset, architecture, config, tmp_path / "run", device="cpu")
    kept = weights(tmp_path / "run")
    assert all(torch.isfinite(tensor).all() for tensor in kept.values())
    monkeypatch.undo()
    assert train(dataset, architecture, config, tmp_path / "run", resume=True, device="cpu").finished


def test_a_full_disk_is_an_error_that_leaves_the_last_checkpoint(
    dataset: Dataset, architecture: Architecture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    halfway = replace(CONFIG, steps=10)
    train(dataset, architecture, halfway, tmp_path / "run", device="cpu")
    before = (tmp_path / "run" / CHECKPOINT).read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "run" / "config.json").rename(tmp_path / "kept.json")
    (tmp_path / "run" / "metrics.jsonl").unlink()
    (tmp_path / "run" / CHECKPOINT).rename(tmp_path / "kept.safetensors")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TrainingError, match="No space left"):
        train(dataset, architecture, replace(halfway, validations=0), tmp_path / "run", device="cpu")
    (tmp_path / "kept.safetensors").rename(tmp_path / "run" / CHECKPOINT)
    assert (tmp_path / "run" / CHECKPOINT).read_bytes() == before
    assert not [path for path in (tmp_path / "run").rglob("*") if path.suffix == ".part"]


def test_minutes_are_kept(dataset: Dataset, architecture: Architecture, tmp_path: Path) -> None:
    config = replace(CONFIG, steps=None, minutes=0.02)
    started = time.monotonic()
    trained = train(dataset, architecture, config, tmp_path / "run", device="cpu")
    assert trained.finished
    assert 1.2 <= time.monotonic() - started < 6


def test_too_few_images_for_a_batch_is_refused(
    dataset: Dataset, architecture: Architecture, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="--batch-size"):
        train(dataset, architecture, replace(CONFIG, batch_size=500), tmp_path / "run", device="cpu")


def test_the_learning_rate_warms_up_and_ends_at_zero() -> None:
    config = replace(CONFIG, learning_rate=2.0, warm_up=0.1)
    assert learning_rate_at(config, 0.0) == pytest.approx(0.02)
    assert learning_rate_at(config, 0.1) == pytest.approx(2.0)
    assert learning_rate_at(config, 0.55) == pytest.approx(1.0)
    assert learning_rate_at(config, 1.0) == pytest.approx(0.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": None},
        {"minutes": 1.0},
        {"steps": -1},
        {"batch_size": 1},
        {"learning_rate": float("nan")},
        {"learning_rate": -1.0},
        {"warm_up": 1.0},
        {"seed": -1},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        replace(CONFIG, **wrong)  # type: ignore[arg-type]


def test_epochs_are_passes_over_the_training_images() -> None:
    assert replace(CONFIG, steps=None, epochs=2.0).most_steps(100) == 13
    assert replace(CONFIG, steps=None, minutes=1.0).most_steps(100) is None
    assert replace(CONFIG, steps=None, minutes=1.0, most_epochs=4).most_steps(100) == 25


def test_minutes_end_early_where_a_small_set_has_been_passed_often_enough(
    dataset: Dataset, architecture: Architecture, tmp_path: Path
) -> None:
    config = replace(CONFIG, steps=None, minutes=30.0, most_epochs=2)
    trained = train(dataset, architecture, config, tmp_path / "run", device="cpu")
    assert trained.finished
    assert trained.steps == math.ceil(2 * len(dataset.rows("train")) / 16)


def test_metrics_survive_a_kill_in_the_middle_of_a_line(tmp_path: Path) -> None:
    append_metrics(tmp_path, {"step": 1, "loss": 2.0})
    append_metrics(tmp_path, {"step": 2, "loss": float("inf")})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 3, "lo')
    assert read_metrics(tmp_path) == [{"step": 1, "loss": 2.0}, {"step": 2, "loss": None}]
    cut_metrics(tmp_path, 1)
    assert [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == [
        {"step": 1, "loss": 2.0}
    ]
    (tmp_path / "metrics.jsonl").write_text("[1]\n")
    with pytest.raises(RunError, match="JSON object"):
        read_metrics(tmp_path)
