"""Two gloo processes against one. This file is also the program that the two processes run."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from pellucid.data.dataset import Dataset
from pellucid.data.store import open_dataset
from pellucid.errors import ConfigError, PellucidError
from pellucid.model.architecture import Architecture
from pellucid.model.predictor import load
from pellucid.model.vae import VAE
from pellucid.objective.objectives import Objective, ObjectiveName
from pellucid.training.checkpoint import CHECKPOINT
from pellucid.training.config import TrainingConfig
from pellucid.training.distributed import ALONE, PLACE, Processes, joined
from pellucid.training.gradient import SLICE, Gradient
from pellucid.training.interrupt import Interruptible
from pellucid.training.loop import Progress, train
from pellucid.training.metrics_log import read_metrics
from pellucid.training.threads import WorkerThreads

ARCHITECTURE = Architecture("burgess", 32, 1, 3)
OBJECTIVES = {
    name: TrainingConfig(
        Objective(name, beta=1.0 if name == "vae" else 4.0, discriminator_width=16),
        steps=6,
        batch_size=16,
        precision="float32",
        log_every=1,
        validations=2,
        flip=True,
    )
    for name in get_args(ObjectiveName)
}
PARTS = replace(
    OBJECTIVES["beta-tcvae"],
    objective=Objective(beta=2.0, losses=(("cross_entropy", 1.0),)),
    steps=30,
    alignments=3,
)
STOPPED = 10  # the steps after which one of two processes is asked to stop


def pictures(folder: Path) -> Dataset:
    return open_dataset(folder / "bars.npy", size=32, cache=folder / "cache")


def gradients(processes: Processes) -> dict[str, Tensor]:
    """Of a fixed batch of four slices, with latents whose total correlation weighs much."""
    generator = torch.Generator().manual_seed(3)
    vae = VAE(ARCHITECTURE)
    vae.initialise(generator)
    images = torch.rand((4 * SLICE, 1, 32, 32), generator=generator)
    with WorkerThreads(1) as threads:
        gradient = Gradient(vae, Objective(beta=50.0), torch.float32, threads=threads, processes=processes)
        own = images[processes.part(len(images))]
        gradient.backward(own, torch.Generator().manual_seed(2), dataset_size=1000, progress=0.5)
    return {name: parameter.grad.contiguous() for name, parameter in vae.named_parameters()}  # type: ignore[union-attr]


def stopping(dataset: Dataset, at: int) -> Dataset:
    """The same images; a process that fetches them so many times is asked to stop."""
    fetches = 0

    def fetch(rows: np.ndarray) -> np.ndarray:
        nonlocal fetches
        fetches += 1
        if fetches == at:
            signal.raise_signal(signal.SIGTERM)
        return dataset.fetch(rows)

    return replace(dataset, fetch=fetch)


def told(work: Callable[[], object]) -> str:
    """The error that a piece of work ends with, and its message."""
    try:
        work()
    except PellucidError as error:
        return f"{type(error).__name__}: {error}"
    return "no error"


def begin(processes: Processes, folder: Path) -> None:
    """Every objective, a run that one of the two is asked to stop, mistakes; each in a folder of its own."""
    dataset = processes.in_turn(lambda: pictures(folder))
    own = folder / f"of {processes.rank}"
    begun = partial(train, dataset, ARCHITECTURE, processes=processes)
    for name, config in OBJECTIVES.items():
        begun(config, own / name)
    whole = begun(PARTS, own / "whole")
    asked = stopping(dataset, STOPPED + 1) if processes.rank == 1 else dataset
    parts = train(asked, ARCHITECTURE, PARTS, own / "parts", processes=processes)

    def second_fails() -> None:
        with processes.together():
            if processes.rank == 1:
                raise ConfigError("the second failed")

    facts = {
        "stopped": [parts.finished, parts.steps],
        "directory": whole.model.directory is not None,
        "codes": whole.model.encode(dataset.batch(np.arange(5))).mean.tolist(),
        "second fails": told(second_fails),
        "two seeds": told(lambda: begun(replace(PARTS, seed=processes.rank), own / "seeds")),
        "odd batch": told(lambda: begun(replace(PARTS, batch_size=15), own / "odd")),
    }
    (folder / f"facts of {processes.rank}.json").write_text(json.dumps(facts))
    found = gradients(processes)
    if processes.leads:
        save_file(found, folder / "gradients.safetensors")


def end(processes: Processes, folder: Path) -> None:
    """The last part of the stopped run, whose checkpoint only the first process has."""
    dataset = processes.in_turn(lambda: pictures(folder))
    own = folder / f"of {processes.rank}"
    train(dataset, ARCHITECTURE, PARTS, own / "parts", resume=True, processes=processes)


PATIENCE = 180  # seconds, for what should take ten: a deadlock is a failure and no hanging test
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def in_two_processes(stage: Callable[[Processes, Path], None], folder: Path) -> None:
    """Run a stage of this file under torchrun."""
    done = subprocess.run(
        [*TORCHRUN, __file__, stage.__name__, folder], capture_output=True, text=True, timeout=PATIENCE
    )
    assert not done.returncode, done.stderr


@pytest.fixture(scope="module")
def folder(bars: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of a bar, and what two processes have made of them."""
    folder = tmp_path_factory.mktemp("two")
    shutil.copy(bars, folder / "bars.npy")
    in_two_processes(begin, folder)
    return folder


@pytest.fixture(scope="module")
def whole(folder: Path) -> Path:
    """The undisturbed run of one process."""
    train(pictures(folder), ARCHITECTURE, PARTS, folder / "whole", device="cpu")
    return folder / "whole"


def facts(folder: Path, rank: int) -> Any:
    return json.loads((folder / f"facts of {rank}.json").read_text())


def losses(run: Path) -> list[float]:
    return [row["loss"] for row in read_metrics(run) if "loss" in row]


def farthest(a: Path, b: Path) -> float:
    """The largest difference of two runs' weights and moments, relative to the largest of each tensor."""
    ours, theirs = load_file(a / CHECKPOINT), load_file(b / CHECKPOINT)
    assert ours.keys() == theirs.keys()
    return max(
        float((ours[name] - theirs[name]).abs().max() / theirs[name].abs().max().clamp(min=1e-3))
        for name in ours
    )


def test_gradients_added_up_over_processes_are_those_of_one_to_the_bit(folder: Path) -> None:
    expected, found = gradients(ALONE), load_file(folder / "gradients.safetensors")
    assert expected.keys() == found.keys()
    for name, gradient in expected.items():
        assert torch.equal(found[name], gradient)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_two_processes_give_the_losses_and_weights_of_one(folder: Path, tmp_path: Path, name: str) -> None:
    train(pictures(folder), ARCHITECTURE, OBJECTIVES[name], tmp_path / "one", device="cpu")
    two = folder / "of 0" / name
    assert losses(two) == pytest.approx(losses(tmp_path / "one"), rel=1e-5)
    # Adam makes a step of a gradient that is nothing but rounding, as some weights' is beside a clipped price
    assert farthest(two, tmp_path / "one") < (0.1 if name == "annealed-beta-vae" else 1e-4)
    assert load_file(two / "model.safetensors").keys() == load_file(tmp_path / "one/model.safetensors").keys()


def test_latents_turned_by_the_first_are_turned_in_both(folder: Path, whole: Path) -> None:
    assert losses(folder / "of 0" / "whole") == pytest.approx(losses(whole), rel=1e-5)
    assert farthest(folder / "of 0" / "whole", whole) < 1e-3


def test_two_then_one_then_two_processes_go_on_with_the_same_run(folder: Path, whole: Path) -> None:
    parts = folder / "of 0" / "parts"

    def stop(progress: Progress) -> None:
        if progress.step == 2 * STOPPED:
            signal.raise_signal(signal.SIGTERM)

    middle = train(pictures(folder), ARCHITECTURE, PARTS, parts, resume=True, device="cpu", on_progress=stop)
    assert (middle.finished, middle.steps) == (False, 2 * STOPPED)
    in_two_processes(end, folder)
    assert [row["step"] for row in read_metrics(parts) if "loss" in row] == list(range(1, 31))
    assert losses(parts) == pytest.approx(losses(whole), rel=1e-5)
    assert farthest(parts, whole) < 1e-3


def test_a_wish_to_stop_in_one_process_stops_both_at_the_same_step(folder: Path) -> None:
    assert facts(folder, 0)["stopped"] == facts(folder, 1)["stopped"] == [False, STOPPED + 1]


def test_a_wish_that_comes_twice_is_granted_once_where_there_are_many() -> None:
    with Interruptible(patient=True) as interrupt:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
    assert interrupt.requested


def test_only_the_first_process_writes_and_both_return_the_model(folder: Path) -> None:
    assert not (folder / "of 1").exists()
    assert (facts(folder, 0)["directory"], facts(folder, 1)["directory"]) == (True, False)
    codes = [facts(folder, rank)["codes"] for rank in (0, 1)]
    assert np.allclose(*codes, rtol=0, atol=1e-6)
    assert np.ptp(codes[0]) > 0.1  # there is something to compare


def test_where_one_fails_the_other_is_told(folder: Path) -> None:
    assert facts(folder, 1)["second fails"] == "ConfigError: the second failed"
    assert facts(folder, 0)["second fails"].startswith("PeerError: process 1 of 2")


def test_two_recipes_for_one_model_are_refused(folder: Path) -> None:
    assert "seed is 1 in this one and 0 in the first" in facts(folder, 1)["two seeds"]
    assert facts(folder, 0)["two seeds"].startswith("PeerError")


def test_a_batch_that_does_not_divide_is_refused_and_the_first_says_so(folder: Path) -> None:
    assert "expected a multiple of 2" in facts(folder, 0)["odd batch"]
    assert facts(folder, 1)["odd batch"].startswith("PeerError: process 0 of 2")


def until(reached: Callable[[], bool], *processes: subprocess.Popen[str]) -> None:
    """Wait as long as all processes live, but not for ever."""
    end = time.monotonic() + PATIENCE
    while not reached():
        assert all(process.poll() is None for process in processes)
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_killed_process_ends_the_run_in_one_line_and_torchrun_resumes_it(
    folder: Path, tmp_path: Path
) -> None:
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"  # two machines may share no disk
    settings = {"size": 32, "latents": 3, "steps": 1_000_000, "batch-size": 4, "device": "cpu"}
    command = ["-m", "pellucid", "train", str(folder / "bars.npy")]
    command += [f"--{name}={value}" for name, value in settings.items()]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])

    def start(rank: int, out: Path) -> subprocess.Popen[str]:
        place = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
        env = {**os.environ, **place, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        return piped([sys.executable, *command, "--out", str(out)], env)

    first, second = start(0, run), start(1, elsewhere)
    until(lambda: bool(read_metrics(run)), first, second)
    second.kill()
    said = first.communicate(timeout=PATIENCE)[1].splitlines()
    assert first.returncode == 2
    assert [line for line in said if line.startswith("pellucid: ")] == said[-1:]
    assert "a process of this run was lost" in said[-1]
    assert "--resume" in said[-1]
    assert second.communicate(timeout=PATIENCE) == ("", "")
    assert not elsewhere.exists()
    load(run, device="cpu")

    resumed = piped([*TORCHRUN, *command, "--out", str(run), "--resume"], dict(os.environ))
    until(lambda: last_step(run) == 0, resumed)  # the rows after the checkpoint are cut
    until(lambda: last_step(run) > 0, resumed)
    resumed.terminate()
    said = resumed.communicate(timeout=PATIENCE)[1].splitlines()
    assert resumed.returncode
    assert [line for line in said if line.startswith("Stopped at step")]
    assert load(run, device="cpu").config.training["steps_taken"] >= last_step(run) > 0
    assert not elsewhere.exists()


def piped(command: list[str], env: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def last_step(run: Path) -> int:
    return max((row["step"] for row in read_metrics(run)), default=0)


@pytest.mark.parametrize("batch_size", [2, 6, 48])
@pytest.mark.parametrize("count", [1, 2])
def test_the_parts_of_a_batch_are_the_batch(batch_size: int, count: int) -> None:
    parts = [range(batch_size)[Processes(rank, count).part(batch_size)] for rank in range(count)]
    assert [image for part in parts for image in part] == list(range(batch_size))


@pytest.mark.parametrize(
    ("place", "device", "says"),
    [
        ({"WORLD_SIZE": "2"}, "cpu", "expected RANK, LOCAL_RANK, MASTER_ADDR, MASTER_PORT beside it"),
        ({"WORLD_SIZE": "two"}, "cpu", "WORLD_SIZE: expected a whole number"),
        ({"WORLD_SIZE": "0"}, "cpu", "WORLD_SIZE: expected a whole number"),
        (dict.fromkeys(PLACE, "2"), "cuda:1", "expected auto, cuda or cpu for several processes"),
        (dict.fromkeys(PLACE, "2"), "mps", "expected auto, cuda or cpu for several processes"),
        (dict.fromkeys(PLACE, "99"), "cuda", "expected a GPU for each process"),
    ],
)
def test_a_place_or_device_that_makes_no_sense_is_refused(
    place: dict[str, str], device: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in place.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=says), joined(device):
        pass


def test_every_process_takes_its_own_gpu_and_speaks_of_the_run_by_gloo(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As far as it can be seen without a GPU: which calls are made, in which order."""
    calls: list[object] = []

    def new_group(*, backend: str, timeout: object) -> torch.distributed.ProcessGroup:
        calls.append(backend)
        return torch.distributed.ProcessGroup(5, 8)

    place = {
        "RANK": "5",
        "WORLD_SIZE": "8",
        "LOCAL_RANK": "1",
        "MASTER_ADDR": "first",
        "MASTER_PORT": "29500",
    }
    for name, value in place.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "set_device", calls.append)
    monkeypatch.setattr(torch.distributed, "init_process_group", lambda backend, **_: calls.append(backend))
    monkeypatch.setattr(torch.distributed, "new_group", new_group)
    monkeypatch.setattr(torch.distributed, "destroy_process_group", lambda: calls.append("end"))
    with joined("auto") as processes:
        assert (processes.rank, processes.count, processes.device) == (5, 8, "cuda:1")
        assert processes.part(16) == slice(10, 12)
    assert calls == ["cuda:1", "cpu:gloo,cuda:nccl", "gloo", "end"]


@pytest.mark.parametrize("world_size", [None, "1"])
def test_without_torchrun_there_is_no_process_group(
    world_size: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if world_size is not None:
        monkeypatch.setenv("WORLD_SIZE", world_size)
    with joined("mps") as processes:
        assert processes == Processes(device="mps")
        assert not torch.distributed.is_initialized()


def main(stage: str, folder: str) -> None:
    torch.set_num_threads(1)
    with joined("cpu") as processes:
        {"begin": begin, "end": end}[stage](processes, Path(folder))
    running = [thread.read_text().strip() for thread in Path("/proc/self/task").glob("*/comm")]  # on Linux
    assert "pt_gloo_runloop" not in running  # they would abort the interpreter's end, now and then


if __name__ == "__main__":
    main(*sys.argv[1:])
