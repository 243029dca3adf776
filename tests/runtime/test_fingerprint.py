import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from untrained_run import make_untrained_run

from pellucid.anomaly.detector import Detector
from pellucid.anomaly.storage import load_detector, save_detector
from pellucid.comparison.known import Known, read_known, write_known
from pellucid.comparison.same import fit_same
from pellucid.data.images import to_float
from pellucid.data.store import open_dataset
from pellucid.errors import RunError
from pellucid.latents.activity import encode_dataset, measure_activity
from pellucid.latents.names import mark, read_latents, rename, with_activity, write_latents
from pellucid.latents.typical import measure_typical, read_typical, write_typical
from pellucid.model.directory import CONFIG, DETECTOR, WEIGHTS, read_model, save_model
from pellucid.model.predictor import load
from pellucid.model.sealed import read_sealed, write_sealed
from pellucid.runtime.fingerprint import run_fingerprint


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with everything that decides: detector, names, sameness, typical losses."""
    run = make_untrained_run(tmp_path_factory.mktemp("complete") / "run", spread=4)
    model = load(run, device="cpu")
    people, scenes = (open_dataset(name, size=32, limit=60) for name in ("people", "scenes"))
    rows = people.rows("all")
    codes = encode_dataset(model, people, rows)
    table = rename(with_activity(read_latents(run, 6), measure_activity(codes)), 2, "light")
    write_latents(run, table)
    both = (to_float(some.fetch(some.rows("all"))) for some in (people, scenes))
    save_detector(Detector(model).fit(*both), run)
    write_typical(run, measure_typical(model, people, rows), model)
    # who is who does not matter here, only that there is something to tell apart
    whose = np.arange(60) // 2
    same = [fit_same(codes.mean, whose, table, ignore_nuisance=ignore, seed=0) for ignore in (True, False)]
    write_known(model, Known("nobody", *same))
    return run


@pytest.fixture
def run(complete: Path, tmp_path: Path) -> Path:
    return shutil.copytree(complete, tmp_path / "copied")


def other_weights(run: Path) -> None:
    vae, config, _ = read_model(run)
    weights = vae.state_dict()
    weights["decoder.0.bias"] = weights["decoder.0.bias"] + 1
    save_model(run, weights, config)


def other_crop(run: Path) -> None:
    content = read_sealed(run / CONFIG)
    content["preprocessing"]["crop"] = "whole"
    write_sealed(run / CONFIG, content)


def another_name(run: Path) -> None:
    write_latents(run, rename(read_latents(run, 6), 2, "shade"))


def another_mark(run: Path) -> None:
    write_latents(run, mark(read_latents(run, 6), 2, nuisance=True))


def another_threshold(run: Path) -> None:
    content = read_sealed(run / DETECTOR)
    content["estimator"]["threshold"] += 0.5
    write_sealed(run / DETECTOR, content)


def other_normal_images(run: Path) -> None:
    model = load(run, device="cpu")
    people, scenes = (open_dataset(name, size=32, limit=70) for name in ("people", "scenes"))
    both = (to_float(some.fetch(some.rows("all"))) for some in (people, scenes))
    save_detector(Detector(model).fit(*both), run)


def other_sameness(run: Path) -> None:
    model = load(run, device="cpu")
    known = read_known(model)
    assert known is not None
    write_known(model, replace(known, identity=replace(known.identity, base=known.identity.base + 1)))


def other_typical_losses(run: Path) -> None:
    model = load(run, device="cpu")
    typical = read_typical(model)
    assert typical is not None
    write_typical(run, replace(typical, losses=typical.losses * 2), model)


@pytest.mark.parametrize(
    "change",
    [
        other_weights,
        other_crop,
        another_name,
        another_mark,
        another_threshold,
        other_normal_images,
        other_sameness,
        other_typical_losses,
    ],
)
def test_whatever_changes_a_result_changes_the_fingerprint(run: Path, change: Callable[[Path], None]) -> None:
    before = run_fingerprint(load(run, device="cpu"))
    change(run)
    assert run_fingerprint(load(run, device="cpu")) != before


@pytest.mark.parametrize("name", [DETECTOR, "latents.json", "same.json", "typical.json"])
def test_a_file_that_is_taken_away_changes_it(run: Path, name: str) -> None:
    before = run_fingerprint(load(run, device="cpu"))
    (run / name).unlink()
    assert run_fingerprint(load(run, device="cpu")) != before


def test_a_copy_a_report_and_a_longer_log_do_not_change_it(run: Path, complete: Path) -> None:
    before = run_fingerprint(load(complete, device="cpu"))
    for name in ("report.html", "metrics.jsonl", "README.md", "skipped.txt"):
        (run / name).write_text("other")
    content = read_sealed(run / CONFIG)
    content["training"]["minutes_taken"] = 5
    write_sealed(run / CONFIG, content)
    write_latents(run, rename(rename(read_latents(run, 6), 2, "shade"), 2, "light"))
    assert run_fingerprint(load(run, device="cpu")) == before


def test_what_was_fitted_to_another_crop_is_not_used(run: Path) -> None:
    other_crop(run)
    model = load(run, device="cpu")
    with pytest.raises(RunError, match="another preprocessing"):
        load_detector(model, run)
    with pytest.raises(RunError, match="another preprocessing"):
        read_known(model)
    assert read_typical(model) is None


def test_a_pipe_in_place_of_a_file_is_refused_and_not_waited_for(run: Path) -> None:
    (run / "same.json").unlink()
    (run / "same.json").symlink_to("/dev/zero")
    with pytest.raises(RunError, match="regular file"):
        run_fingerprint(load(run, device="cpu"))


def test_the_weights_are_those_that_were_read(run: Path) -> None:
    """The fingerprint is of the weights in memory, not of what the config claims."""
    before = load(run, device="cpu")
    (run / WEIGHTS).write_bytes((run / WEIGHTS).read_bytes()[:-4] + b"\0\0\0\0")
    with pytest.raises(RunError, match="checksum"):
        load(run, device="cpu")
    assert run_fingerprint(before)
