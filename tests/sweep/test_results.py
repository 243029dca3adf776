"""sweep.json: what is read is what was written, and nothing that a sweep cannot have found."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pellucid.errors import RunError
from pellucid.model.sealed import write_sealed
from pellucid.sweep.choosing import choose
from pellucid.sweep.grid import GridRun
from pellucid.sweep.results import RESULTS, RunResult, Sweep, read_sweep, sweep_record, write_sweep

pytestmark = pytest.mark.usefixtures("as_installed")


@pytest.fixture
def sweep() -> Sweep:
    runs = tuple(
        RunResult(GridRun("beta", value, seed), "ab" * 32, 30, 90.5 + value, 12.25, 5, {"mig": value / 10})
        for seed in (0, 1)
        for value in (1.0, 4.0)
    )
    return Sweep(
        data="sprites",
        data_fingerprint="f" * 64,
        objective="beta-tcvae",
        setting="beta",
        latents=10,
        images=500,
        score="mig",
        runs=runs,
        failures={"beta-8-seed-0": "training diverged"},
        choice=choose(runs, "mig"),
    )


def test_what_is_read_is_what_was_written(sweep: Sweep, tmp_path: Path) -> None:
    write_sweep(tmp_path, sweep)
    assert read_sweep(tmp_path) == sweep
    nothing = replace(sweep, choice=replace(sweep.choice, run=None, spread=None, tied=()))
    write_sweep(tmp_path, nothing)
    assert read_sweep(tmp_path) == nothing


def test_values_and_their_runs(sweep: Sweep) -> None:
    assert sweep.values == (1.0, 4.0)
    assert [result.run.seed for result in sweep.at(4.0)] == [0, 1]


def test_one_changed_byte_is_noticed(sweep: Sweep, tmp_path: Path) -> None:
    write_sweep(tmp_path, sweep)
    text = (tmp_path / RESULTS).read_text()
    (tmp_path / RESULTS).write_text(text.replace('"mig": 0.1', '"mig": 0.9', 1))
    with pytest.raises(RunError, match="checksum"):
        read_sweep(tmp_path)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("format",), "pellucid-model"),
        (("format_version",), 9),
        (("setting",), "../beta"),
        (("setting",), 3),
        (("runs",), {}),
        (("runs", 0, "name"), "../../beta-1-seed-0"),
        (("runs", 0, "seed"), -1),
        (("runs", 0, "seed"), 1),
        (("runs", 0, "value"), "1"),
        (("runs", 0, "kl"), -0.5),
        (("runs", 0, "kl"), True),
        (("runs", 0, "steps"), 1.5),
        (("runs", 0, "scores", "mig"), 1.5),
        (("runs", 0, "scores"), {"udr": 0.5}),
        (("choice", "run"), "beta-9-seed-0"),
        (("choice", "reason"), None),
        (("choice", "tied"), "14"),
        (("images",), "many"),
        (("failures",), []),
    ],
)
def test_well_sealed_nonsense_is_refused(sweep: Sweep, tmp_path: Path, path: Any, value: Any) -> None:
    record: Any = sweep_record(sweep)
    inside = record
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value
    write_sealed(tmp_path / RESULTS, record)
    with pytest.raises(RunError, match="Repeat the sweep"):
        read_sweep(tmp_path)


def test_a_missing_key_and_a_flood_of_runs_are_refused(sweep: Sweep, tmp_path: Path) -> None:
    record = sweep_record(sweep)
    del record["runs"][1]["kl"]
    write_sealed(tmp_path / RESULTS, record)
    with pytest.raises(RunError, match="kl"):
        read_sweep(tmp_path)
    record["runs"] = [sweep_record(sweep)["runs"][0]] * 1001
    write_sealed(tmp_path / RESULTS, record)
    with pytest.raises(RunError, match="1001 runs"):
        read_sweep(tmp_path)
