"""The gradient by slices against that of the whole loss by autograd."""

import threading
import time
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from pellucid.model.architecture import Architecture
from pellucid.model.vae import VAE
from pellucid.objective.objectives import Objective, ObjectiveName, latent_terms
from pellucid.objective.reconstruction import training_loss
from pellucid.training import precision
from pellucid.training.distributed import ALONE
from pellucid.training.gradient import SLICE, Gradient
from pellucid.training.precision import FORMATS, Race, race_precision, settled_precision
from pellucid.training.threads import WorkerThreads


def log_ratio(z: Tensor) -> Tensor:
    return z.square().sum(1) - z.prod(1)


def objective_of(name: Any) -> Objective:
    return Objective(name, beta=1.0 if name == "vae" else 4.0, losses=(("mse", 1.0), ("ssim", 0.5)))


@pytest.fixture
def vae(generator: torch.Generator) -> VAE:
    vae = VAE(Architecture("burgess", 32, 1, 3))
    vae.initialise(generator)
    return vae


@pytest.fixture
def images(generator: torch.Generator) -> Tensor:
    """Three slices and a part of one."""
    return torch.rand(3 * SLICE + 5, 1, 32, 32, generator=generator)


def by_slices(
    vae: VAE, images: Tensor, objective: Objective, threads: int, dtype: torch.dtype = torch.float32
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Gradients by the weights' names, and the terms."""
    with WorkerThreads(threads) as pool:
        terms, *_ = Gradient(vae, objective, dtype, threads=pool, processes=ALONE).backward(
            images,
            torch.Generator().manual_seed(1),
            dataset_size=1000,
            progress=0.3,
            log_density_ratio=log_ratio,
        )
    return {name: p.grad for name, p in vae.named_parameters() if p.grad is not None}, terms


@pytest.mark.parametrize("name", get_args(ObjectiveName))
def test_it_is_that_of_the_whole_loss(name: str, vae: VAE, images: Tensor) -> None:
    objective = objective_of(name)
    found, terms = by_slices(vae, images, objective, 1)
    posterior = vae.encode(images)
    z = posterior.sample(torch.Generator().manual_seed(1))
    losses = training_loss(dict(objective.losses), images, vae.decode(z))
    price = latent_terms(
        objective, z, posterior, dataset_size=1000, progress=0.3, log_density_ratio=log_ratio
    )["price"]
    loss = losses.mean() + price
    expected = torch.autograd.grad(loss, list(vae.parameters()))
    assert terms["loss"].item() == pytest.approx(loss.item(), rel=1e-5)
    assert terms["reconstruction"].item() == pytest.approx(losses.mean().item(), rel=1e-5)
    for (weight, gradient), whole in zip(found.items(), expected, strict=True):
        assert (gradient - whole).abs().max() < 1e-4 * whole.abs().max() + 1e-7, weight


@pytest.mark.parametrize("dtype", FORMATS.values(), ids=str)
def test_the_number_of_threads_changes_no_bit(dtype: torch.dtype, vae: VAE, images: Tensor) -> None:
    alone, terms = by_slices(vae, images, Objective(), 1, dtype)
    for count in (2, 3):
        found, again = by_slices(vae, images, Objective(), count, dtype)
        assert all(torch.equal(found[name], alone[name]) for name in alone)
        assert all(torch.equal(again[name], terms[name]) for name in terms)


def test_threads_share_the_work_and_give_back_the_setting() -> None:
    before = torch.get_num_threads()
    inside = threading.Barrier(2, timeout=30)  # passed only if two are at work at once

    def work(number: int) -> tuple[int, int]:
        inside.wait()
        return number, torch.get_num_threads()

    with WorkerThreads(2) as threads:
        assert threads.map(work, range(4)) == [(number, 1) for number in range(4)]
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("count", [1, 2])
def test_an_error_in_a_thread_is_the_callers(count: int) -> None:
    def fail(number: int) -> int:
        raise ValueError(f"number {number}")

    with WorkerThreads(count) as threads:
        with pytest.raises(ValueError, match="number 3"):
            threads.map(fail, [3])
        with pytest.raises(ValueError, match="number 4"):
            threads.start(fail, 4)()


@pytest.mark.parametrize(("slow", "winner"), [("float32", "bfloat16"), ("bfloat16", "float32")])
def test_the_race_is_won_by_what_is_fast_here(
    slow: str, winner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the processor says of itself: here one of the two steps waits."""

    class Step:
        def __init__(self, vae: VAE, objective: Objective, dtype: torch.dtype, **_: object) -> None:
            self.seconds = 0.02 if dtype == FORMATS[slow] else 0.002

        def backward(self, *_: object, **__: object) -> tuple[dict[str, Tensor], None, None]:
            time.sleep(self.seconds)
            return {"loss": torch.zeros(())}, None, None

    monkeypatch.setattr(precision, "Gradient", Step)
    monkeypatch.setattr(precision, "_has_bfloat16", lambda device: True)
    start = time.monotonic()
    race = race_precision(Architecture("burgess", 32, 1, 3), Objective(), torch.device("cpu"))
    assert time.monotonic() - start < 2
    assert str(race.winner) == f"torch.{winner}"


def test_without_bfloat16_there_is_no_race(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "_has_bfloat16", lambda device: False)
    race = race_precision(Architecture("burgess", 32, 1, 3), Objective(), torch.device("cpu"))
    assert (race, race.winner) == (Race({}), torch.float32)


def test_the_race_takes_the_real_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "_has_bfloat16", lambda device: True)
    monkeypatch.setattr(precision, "_ROUNDS", 2)
    race = race_precision(Architecture("burgess", 32, 1, 3), objective_of("factor-vae"), torch.device("cpu"))
    assert set(race.images_per_second) == set(FORMATS.values())
    assert min(race.images_per_second.values()) > 0


def test_a_run_that_goes_on_keeps_its_precision_unless_another_is_named() -> None:
    assert settled_precision("auto", "bfloat16") == "bfloat16"
    assert settled_precision("float32", "bfloat16") == "float32"
    assert settled_precision("auto", None) == "auto"
