"""A sweep trains what is missing, and nothing else."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from pellucid.errors import ConfigError, RunError, TrainingError
from pellucid.objective.objectives import WEIGHTS, Objective
from pellucid.sweep import grid as module
from pellucid.sweep.grid import (
    SETTINGS,
    SYMBOLS,
    USUAL_VALUES,
    GridRun,
    Plan,
    check_plan,
    done,
    grid,
    parse_values,
    runs_left,
    share_done,
    train_grid,
)
from pellucid.training.loop import Progress, train


def weights(plan: Plan) -> dict[str, bytes]:
    return {run.name: (plan.path(run) / "model.safetensors").read_bytes() for run in plan.runs}


def seen(names: list[str], stop_in: str | None = None) -> Any:
    """A watch that writes down what is trained, and presses Ctrl-C in one run."""

    @contextmanager
    def watch(run: GridRun, number: int, of: int) -> Iterator[Callable[[Progress], None]]:
        names.append(f"{number}/{of} {run.name}")

        def progress(now: Progress) -> None:
            if run.name == stop_in and now.step == 2:
                os.kill(os.getpid(), signal.SIGINT)

        yield progress

    return watch


def test_each_seed_sees_the_whole_range_before_the_next_one_starts() -> None:
    names = [run.name for run in grid("beta-tcvae", (4, 0.5), 2)]
    assert names == ["beta-0.5-seed-0", "beta-4-seed-0", "beta-0.5-seed-1", "beta-4-seed-1"]
    assert grid("factor-vae", (10,), 1)[0].name == "tc-weight-10-seed-0"


def test_what_is_varied_is_a_weight_that_the_objective_heeds() -> None:
    numbers = {field.name for field in fields(Objective)}
    for objective, setting in SETTINGS.items():
        assert setting in WEIGHTS[objective]
        assert setting in numbers
        assert setting in SYMBOLS
        assert [run.value for run in grid(objective, None, 1)] == list(USUAL_VALUES[setting])
    assert set(WEIGHTS) - set(SETTINGS) == {"vae"}  # whose weight is 1 by definition


def test_numbers_between_commas() -> None:
    assert parse_values("1, 2,0.5") == (1.0, 2.0, 0.5)
    with pytest.raises(ConfigError, match="1,2,4,8"):
        parse_values("1,,2")


@pytest.mark.parametrize(
    ("objective", "values", "seeds", "says"),
    [
        ("vae", (1.0,), 1, "price to vary"),
        ("beta-vae", (), 1, "one number or more"),
        ("beta-vae", (float("nan"),), 1, "0 or above"),
        ("beta-vae", (-1.0,), 1, "0 or above"),
        ("beta-vae", (1.0, 2.0, 1.0), 1, "different"),
        ("beta-vae", (1.0, 1.0000001), 1, "different"),
        ("beta-vae", (1.0,), 0, "1 or more"),
        ("beta-vae", (1.0,), 10**6, "1000"),
    ],
)
def test_grids_that_make_no_sense(objective: str, values: tuple[float, ...], seeds: int, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        grid(objective, values, seeds)


def test_an_interrupted_sweep_goes_on_as_if_it_had_not_been(plan: Plan, tmp_path: Path) -> None:
    undisturbed = replace(plan, out=tmp_path / "undisturbed")
    assert train_grid(undisturbed).finished
    names: list[str] = []
    assert not train_grid(plan, watch=seen(names, stop_in="beta-4-seed-0")).finished
    assert names == ["1/4 beta-1-seed-0", "2/4 beta-4-seed-0"]
    assert [done(plan, run) for run in plan.runs] == [True, False, False, False]
    check_plan(plan)
    names.clear()
    assert train_grid(plan, watch=seen(names)).finished
    assert names == ["2/4 beta-4-seed-0", "3/4 beta-1-seed-1", "4/4 beta-4-seed-1"]
    assert weights(plan) == weights(undisturbed)
    assert len(set(weights(plan).values())) == 4


def test_what_is_finished_is_not_touched(plan: Plan) -> None:
    train_grid(plan)
    before = {path: path.stat().st_mtime_ns for path in plan.out.rglob("*")}
    names: list[str] = []
    assert train_grid(plan, watch=seen(names)).finished
    assert names == []
    assert {path: path.stat().st_mtime_ns for path in plan.out.rglob("*")} == before


def test_more_values_and_seeds_can_be_added_but_other_settings_cannot(plan: Plan) -> None:
    first = plan.runs[0]
    train(plan.dataset, plan.architecture, plan.config_of(first), plan.path(first), device="cpu")
    check_plan(replace(plan, runs=grid("beta-tcvae", (1, 4, 8), 3)))
    longer = replace(plan, config=replace(plan.config, steps=7))
    with pytest.raises(ConfigError, match=r"beta-1-seed-0: was trained with steps 6.*asks for 7"):
        check_plan(longer)


def test_runs_get_their_own_value_and_seed(plan: Plan) -> None:
    told = [plan.config_of(run) for run in plan.runs]
    assert [(config.objective.beta, config.seed) for config in told] == [(1, 0), (4, 0), (1, 1), (4, 1)]
    factor = replace(plan, runs=grid("factor-vae", (20,), 1))
    assert factor.config_of(factor.runs[0]).objective.tc_weight == 20


def test_what_is_to_go_leaves_out_what_is_done(plan: Plan) -> None:
    assert runs_left(plan) == 4
    first, second = plan.runs[:2]
    train(plan.dataset, plan.architecture, plan.config_of(first), plan.path(first), device="cpu")
    assert not train_grid(plan, watch=seen([], stop_in=second.name)).finished  # after 2 of 6 steps
    assert share_done(plan, second) == pytest.approx(2 / 6)
    assert runs_left(plan) == pytest.approx(4 - 1 - 2 / 6)
    # Of a budget in minutes that also ends after so many passes, passes count too: 12 steps at most.
    passes = 12 * plan.config.batch_size / len(plan.dataset.rows("train"))
    timed = replace(plan, config=replace(plan.config, steps=None, minutes=1e4, most_epochs=passes))
    assert share_done(timed, first) == pytest.approx(0.5)


def test_a_run_that_diverges_does_not_stop_the_others(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    def diverging(*arguments: Any, **named: Any) -> Any:
        if arguments[3].name == "beta-4-seed-0":
            raise TrainingError("training diverged")
        return train(*arguments, **named)

    monkeypatch.setattr(module, "train", diverging)
    trained = train_grid(plan)
    assert trained.finished
    assert trained.failures == {"beta-4-seed-0": "training diverged"}
    assert [done(plan, run) for run in plan.runs] == [True, False, True, True]


def test_a_run_that_is_a_link_is_not_trained_into(plan: Plan, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    plan.out.mkdir()
    (plan.out / plan.runs[1].name).symlink_to(elsewhere)
    with pytest.raises(RunError, match="got a link"):
        train_grid(plan)
    assert not list(elsewhere.iterdir())
