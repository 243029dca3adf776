"""Rate and distortion of models whose answers are known, and measuring again only what has changed."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from pellucid.data.attributes import from_table
from pellucid.data.dataset import Dataset
from pellucid.errors import ConfigError, RunError
from pellucid.model.architecture import Architecture
from pellucid.model.directory import ModelConfig
from pellucid.model.predictor import Model
from pellucid.model.vae import VAE
from pellucid.sweep import measuring
from pellucid.sweep.grid import Plan, grid, train_grid
from pellucid.sweep.measuring import deciding_score, measure_grid, rate_and_distortion
from pellucid.sweep.results import RESULTS, read_sweep, write_sweep


def silent(dataset: Dataset) -> Model:
    """A model that says nothing of an image and draws plain grey, whatever z is."""
    architecture = Architecture("burgess", 32, 1, 3)
    vae = VAE(architecture)
    for parameter in vae.parameters():
        torch.nn.init.zeros_(parameter)
    return Model(vae, ModelConfig(architecture, dataset.preprocessing, {}, {}))


def last_bias(network: torch.nn.Module) -> torch.Tensor:
    return [parameter for name, parameter in network.named_parameters() if name.endswith("bias")][-1]


@torch.no_grad()
def test_rate_and_distortion_in_closed_form(dataset: Dataset) -> None:
    rows = dataset.rows("all")
    grey, sure, off = silent(dataset), silent(dataset), silent(dataset)
    last_bias(sure.vae.decoder).fill_(-2.0)  # every pixel with probability 1 / (1 + e^2)
    last_bias(off.vae.encoder)[:3] = torch.tensor([1.0, 0.0, 0.0])  # the posterior N(1, 1) in z0
    found = rate_and_distortion([grey, sure, off], dataset, rows, {"cross_entropy": 1.0})
    white = float(dataset.batch(rows).sum()) / len(rows)  # pixels of the average image
    black = 32 * 32 - white
    expected = white * math.log1p(math.exp(2)) + black * math.log1p(math.exp(-2))
    assert [distortion for _, distortion in found] == pytest.approx(
        [1024 * math.log(2), expected, 1024 * math.log(2)], rel=1e-5
    )
    rates = [float(measuring.measure_activity(codes).kl.sum()) for codes, _ in found]
    assert rates == pytest.approx([0, 0, 0.5], abs=1e-6)


@torch.no_grad()
def test_the_distortion_is_that_of_a_drawn_z(dataset: Dataset) -> None:
    # Every pixel's logit is 3 z0 with z0 ~ N(0, 1): E[softplus(3 z0) - x 3 z0] = E softplus(3 z0) for any x.
    drawing = silent(dataset)
    drawing.vae.decoder = torch.nn.Sequential(torch.nn.Linear(3, 1024), torch.nn.Unflatten(1, (1, 32, 32)))
    torch.nn.init.zeros_(last_bias(drawing.vae.decoder))
    drawing.vae.decoder[0].weight.copy_(torch.tensor([3.0, 0.0, 0.0]).expand(1024, 3))
    nodes, weights = np.polynomial.hermite_e.hermegauss(100)
    expected = 1024 * np.average(np.logaddexp(0, 3 * nodes), weights=weights)  # 1364; at the mean, 710
    rows = np.tile(dataset.rows("all"), 60)
    ((_, distortion),) = rate_and_distortion([drawing], dataset, rows, {"cross_entropy": 1.0})
    assert distortion == pytest.approx(expected, rel=0.04)


def test_every_model_gets_the_same_noise(dataset: Dataset) -> None:
    torch.manual_seed(0)
    architecture = Architecture("burgess", 32, 1, 3)
    model = Model(VAE(architecture), ModelConfig(architecture, dataset.preprocessing, {}, {}))
    (one, first), (two, second) = rate_and_distortion(
        [model, model], dataset, dataset.rows("all"), {"mse": 1.0}
    )
    assert first == second
    np.testing.assert_array_equal(one.mean, two.mean)


@torch.no_grad()
def test_answers_that_are_no_numbers_are_refused(dataset: Dataset) -> None:
    broken = silent(dataset)
    last_bias(broken.vae.decoder).fill_(float("nan"))
    with pytest.raises(RunError, match="finite"):
        rate_and_distortion([broken], dataset, dataset.rows("validation"), {"mse": 1.0})


def test_without_factors_seeds_are_compared_so_there_must_be_two(plan: Plan) -> None:
    assert deciding_score(plan) == "udr"
    with pytest.raises(ConfigError, match="--seeds 3"):
        deciding_score(replace(plan, runs=grid("beta-tcvae", (1, 4), 1)))


def test_with_factors_one_seed_will_do(plan: Plan) -> None:
    left = np.stack([plan.dataset.fetch(np.array([row]))[0, 0, :, 0].argmax() for row in range(200)])
    values = np.stack([left, left % 2], axis=1).astype(np.float32)
    known = replace(plan.dataset, attributes=from_table(("place", "odd"), ("ordinal", "binary"), values))
    many = replace(known, split=np.ones(200, np.uint8))  # all of them held out
    assert deciding_score(replace(plan, dataset=many, runs=grid("beta-tcvae", (1,), 1))) == "mig"


def test_only_what_has_changed_is_measured_again(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    train_grid(plan)
    first = measure_grid(plan)
    assert [result.run for result in first.runs] == list(plan.runs)
    assert all(0 <= result.scores["udr"] <= 1 for result in first.runs)
    write_sweep(plan.out, first)
    measured: list[float] = []
    really = measuring._measure_group

    def counting(plan: Plan, group: Any, *rest: Any) -> Any:
        measured.append(group[0].value)
        return really(plan, group, *rest)

    monkeypatch.setattr(measuring, "_measure_group", counting)
    assert measure_grid(plan) == first
    assert measured == []
    more = replace(plan, runs=(*plan.runs, *grid("beta-tcvae", (4,), 3)[2:]))  # one more seed for beta 4
    train_grid(more)
    assert len(measure_grid(more).runs) == 5
    assert measured == [4.0]
    (plan.out / RESULTS).write_text("{}")
    assert measure_grid(plan) == first
    assert measured == [4.0, 1.0, 4.0]


def test_a_failed_run_is_left_out_and_said_to_be(plan: Plan) -> None:
    train_grid(replace(plan, runs=plan.runs[:3]))  # beta 1 twice, beta 4 once
    found = measure_grid(plan, failures={plan.runs[3].name: "training diverged"})
    assert {result.run.value for result in found.runs} == {1.0}
    assert set(found.failures) == {"beta-4-seed-0", "beta-4-seed-1"}
    write_sweep(plan.out, found)
    assert read_sweep(plan.out) == found


def test_nothing_finished_is_an_error(plan: Plan) -> None:
    with pytest.raises(RunError, match="at least one finished run"):
        measure_grid(plan)
