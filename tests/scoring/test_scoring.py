"""Scoring gives one table, whoever scores, however many, and whatever happens to them."""

import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pytest
from sockets import all_loopback, clean_environment, watch
from untrained_run import make_untrained_run

from pellucid.anomaly.features import Features, joined, measure_images
from pellucid.data.crew import Crew
from pellucid.data.images import Preprocessing
from pellucid.data.workers import outcome
from pellucid.errors import ConfigError, DataError, RunError
from pellucid.latents.names import read_latents, rename, write_latents
from pellucid.model.directory import DETECTOR
from pellucid.model.predictor import Model, load
from pellucid.scoring import inputs as inputs_module
from pellucid.scoring import local
from pellucid.scoring.inputs import find_inputs
from pellucid.scoring.score import Scoring
from pellucid.scoring.scorer import recipe_of, scorer_of

PREPROCESSING = Preprocessing(32, 3, "center")


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs_module, "PART", 20)


def scoring(run: Path, images: Sequence[Path | str], **settings: object) -> Scoring:
    found = find_inputs([str(image) for image in images], PREPROCESSING)
    return Scoring(found, recipe_of(str(run), "cpu"), **settings)  # type: ignore[arg-type]


def scored(run: Path, images: Sequence[Path | str], **settings: object) -> Features:
    return joined(list(scoring(run, images, **settings).run()))


def same(a: Features, b: Features, *, names: bool = True) -> None:
    """To the last bit."""
    assert a.columns == b.columns
    assert np.array_equal(a.values, b.values, equal_nan=True)
    assert not names or (a.names, a.problems) == (b.names, b.problems)


@pytest.fixture(scope="module")
def plain(scored_run: Path, photos: Path) -> Features:
    before, inputs_module.PART = inputs_module.PART, 20
    try:
        return scored(scored_run, [photos], workers=0)
    finally:
        inputs_module.PART = before


def test_features_are_those_of_each_picture_alone(plain: Features, scored_run: Path, photos: Path) -> None:
    model = load(scored_run, device="cpu")
    for row in (0, 2, 80, 149):
        alone = measure_images(model, plain.names[row])
        assert plain.values[row] == pytest.approx(alone.values[0], rel=1e-4, abs=1e-5)
    assert plain.names[1] == f"{photos}/0/0001.jpg"
    assert [row for row, problem in enumerate(plain.problems) if problem] == [3, 7]
    assert "damaged" in plain.problems[3]
    assert np.isnan(plain.values[[3, 7]]).all()


@pytest.mark.parametrize(
    ("columns", "encodes", "decodes"),
    [
        (("gradient", "entropy"), False, False),
        (("z3", "contrast", "z1"), True, False),
        (("cross_entropy",), True, True),
        (("z0", "color_cross_entropy", "ssim", "detail", "cross_entropy"), True, True),
    ],
)
def test_columns_are_those_of_the_whole_table_and_nothing_else_is_computed(
    columns: tuple[str, ...],
    encodes: bool,
    decodes: bool,
    plain: Features,
    scored_run: Path,
    photos: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = {"encode": 0, "decode": 0}

    def counting(name: str) -> Callable[..., object]:
        usual = getattr(Model, name)

        def counted(model: Model, given: object) -> object:
            calls[name] += 1
            return usual(model, given)

        return counted

    for name in calls:
        monkeypatch.setattr(Model, name, counting(name))
    found = find_inputs([str(photos)], PREPROCESSING)
    recipe = recipe_of(str(scored_run), "cpu", columns=columns)
    some = joined(list(Scoring(found, recipe, workers=0).run()))
    assert some.columns == columns
    assert np.array_equal(some.values, plain.select(columns), equal_nan=True)
    assert (calls["encode"] > 0, calls["decode"] > 0) == (encodes, decodes)


def test_a_worker_loads_no_package_that_only_fitting_needs(scored_run: Path, photos: Path) -> None:
    """They are a third of its memory, and seconds of its start."""
    code = """
import sys
from pathlib import Path
from pellucid.data.images import Preprocessing
from pellucid.scoring.inputs import find_inputs
from pellucid.scoring.local import _score
from pellucid.scoring.scorer import recipe_of
run, photos = sys.argv[1:]
found = find_inputs([photos], Preprocessing(32, 3, "center"))
print(len(_score(recipe_of(run, "cpu"), (0, found.parts[0]))[1]))
print({"sklearn", "pandas", "pyarrow", "matplotlib", "scipy.stats", "scipy.optimize"} & set(sys.modules))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, str(scored_run), str(photos)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["150", "set()"]


def test_the_result_does_not_depend_on_the_number_of_workers(
    plain: Features, scored_run: Path, photos: Path
) -> None:
    same(scored(scored_run, [photos], workers=3), plain)


def test_shards_tables_and_urls_give_what_the_folder_gives(
    plain: Features, scored_run: Path, photos: Path, shard: Path, table: Path
) -> None:
    model = load(scored_run, device="cpu")
    expected = {name.rpartition("/")[2]: row for row, name in enumerate(plain.names)}
    for source in (
        f"file://{photos}",
        shard,
        f"file://{shard}",
        table,
        f"file://{table}",
        f"file://{photos}/*/*.jpg",
    ):
        found = scored(scored_run, [source], workers=0)
        names = [name.rpartition("/")[2] for name in found.names]
        order = [expected[name] if name in expected else int(name) for name in names]
        assert sorted(order) == list(range(150)), source
        assert found.values == pytest.approx(plain.values[order], rel=1e-4, abs=1e-5, nan_ok=True)
        assert [bool(p) for p in found.problems] == [bool(plain.problems[row]) for row in order]
    assert model.latents == 6


def test_built_in_sets_and_arrays_have_their_rows(scored_run: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).random((45, 32, 32, 3)).astype(np.float32)
    pixels[[5, 30]] = np.nan
    np.save(tmp_path / "some.npy", pixels)
    found = scored(scored_run, [tmp_path / "some.npy"], workers=0)
    assert [row for row, problem in enumerate(found.problems) if problem] == [5, 30]
    assert found.names[31] == f"{tmp_path}/some.npy/00000031"
    alone = measure_images(load(scored_run, device="cpu"), np.rint(pixels[31] * 255).astype(np.uint8))
    assert found.values[31] == pytest.approx(alone.values[0], rel=1e-4, abs=1e-5)
    assert find_inputs(["people"], PREPROCESSING, limit=50).count == 50


def test_a_picture_given_twice_is_scored_once(scored_run: Path, photos: Path) -> None:
    one = f"{photos}/0/0001.jpg"
    assert find_inputs([one, str(photos), one, str(photos)], PREPROCESSING).count == 150


def test_workers_that_are_killed_change_nothing(
    scored_run: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two are killed, while others have parts in hand and more are to come."""
    monkeypatch.setattr(inputs_module, "PART", 5)
    undisturbed = scored(scored_run, [photos], workers=0)
    killed = list[int]()

    def kill(done: int, total: int) -> None:
        for pid in children()[:1] if done in (15, 60) else []:
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    parts = list(scoring(scored_run, [photos], workers=2, keep=tmp_path / "parts").run(kill))
    assert killed
    same(joined(parts), undisturbed)


def children() -> list[int]:
    """Processes that this one has spawned."""
    listed = subprocess.run(
        ["ps", "-ww", "--ppid", str(os.getpid()), "-o", "pid=,args="],
        capture_output=True,
        text=True,
        check=True,
    )
    return [int(line.split()[0]) for line in listed.stdout.splitlines() if "spawn_main" in line]


def test_a_picture_that_kills_who_decodes_it_costs_its_own_row(
    plain: Features, scored_run: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = find_inputs([str(photos)], PREPROCESSING).parts[0]

    class Dies(Crew):  # type: ignore[type-arg]
        """Whose every process dies of the part."""

        def submit(self, part: object) -> object:  # type: ignore[override]
            raise BrokenProcessPool

    def one_by_one(items: Iterator[object], preprocessing: Preprocessing) -> Iterator[object]:
        for at, item in enumerate(items):
            yield "it died" if at == 5 else outcome(item, preprocessing)  # type: ignore[arg-type]

    monkeypatch.setattr(local, "Crew", Dies)
    monkeypatch.setattr(local, "one_by_one", one_by_one)
    ((number, found),) = local._one_after_another([(9, part)], recipe_of(str(scored_run), "cpu"))
    assert number == 9
    assert [row for row, problem in enumerate(found.problems) if problem] == [3, 5, 7]
    others = [row for row in range(20) if row != 5]
    assert np.array_equal(found.values[others], plain.values[:20][others], equal_nan=True)


def test_a_scoring_that_was_stopped_goes_on(
    plain: Features, scored_run: Path, photos: Path, tmp_path: Path
) -> None:
    keep = tmp_path / "parts"
    begun = scoring(scored_run, [photos], workers=0, keep=keep)

    def stop(done: int, total: int) -> None:
        assert total == 150
        if done >= 60:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(begun.run(stop))
    kept = sorted(keep.glob("*.safetensors"))
    assert len(kept) == 3
    kept[1].write_bytes(kept[1].read_bytes()[:-1] + b"?")  # damaged: scored again
    times = {file: file.stat().st_mtime_ns for file in (kept[0], kept[2])}
    again = scoring(scored_run, [photos], workers=0, keep=keep)
    same(joined(list(again.run())), plain)
    assert {file: file.stat().st_mtime_ns for file in times} == times
    again.finish()
    assert not keep.exists()


def test_parts_of_another_scoring_are_not_mixed_in(scored_run: Path, photos: Path, tmp_path: Path) -> None:
    keep = tmp_path / "parts"
    list(scoring(scored_run, [photos / "1"], workers=0, keep=keep).run())
    with pytest.raises(ConfigError, match="had other images"):
        list(scoring(scored_run, [photos], workers=0, keep=keep).run())
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").touch()
    with pytest.raises(ConfigError, match="Choose another file"):
        list(scoring(scored_run, [photos], workers=0, keep=foreign).run())
    assert (foreign / "thesis.txt").exists()


def other_weights(run: Path) -> None:
    make_untrained_run(run, spread=9)


def other_name(run: Path) -> None:
    write_latents(run, rename(read_latents(run, 6), 0, "light"))


def other_detector(run: Path) -> None:
    (run / DETECTOR).unlink()


@pytest.mark.parametrize("change", [other_weights, other_name, other_detector])
def test_a_run_that_changed_is_scored_as_it_is_now(
    scored_run: Path, photos: Path, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    """In one process, as in a notebook: what was loaded before is not what is there."""
    run = shutil.copytree(scored_run, tmp_path / "run")
    images, keep = [photos / "0" / "0001.jpg", photos / "0" / "0002.jpg"], tmp_path / "parts"
    first = scoring(run, images, workers=0, keep=keep)
    before = joined(list(first.run()))
    change(run)
    with pytest.raises(ConfigError, match="had other run"):
        list(scoring(run, images, workers=0, keep=keep).run())
    after = scored(run, images, workers=0)
    expected = measure_images(load(run, device="cpu"), images).values
    assert after.values == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert np.allclose(after.values, before.values) == (change is not other_weights)
    scorer_of.cache_clear()  # as in a worker, or on another machine
    with pytest.raises(RunError, match="it has changed"):
        list(Scoring(first.inputs, first.recipe, workers=0).run())


def test_an_array_that_changed_is_scored_as_it_is_now(scored_run: Path, tmp_path: Path) -> None:
    values = []
    for seed in (0, 1):
        pixels = np.random.default_rng(seed).integers(0, 256, (3, 32, 32, 3), np.uint8)
        np.save(tmp_path / "some.npy", pixels)
        values.append(scored(scored_run, [tmp_path / "some.npy"], workers=0).values)
        expected = measure_images(load(scored_run, device="cpu"), list(pixels)).values
        assert values[-1] == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert not np.allclose(*values)


@pytest.mark.parametrize(("workers", "limits"), [(0, (3, 4, 10)), (2, (10,))])
def test_limit_over_shards_means_so_many_in_all(
    scored_run: Path, contents: list[bytes], tmp_path: Path, workers: int, limits: tuple[int, ...]
) -> None:
    (shards := tmp_path / "shards").mkdir()
    for shard in range(6):
        with tarfile.open(shards / f"{shard}.tar", "w") as archive:
            for at, content in enumerate(contents[4 * shard : 4 * shard + 4]):
                info = tarfile.TarInfo(f"{at}.jpg")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    whole = scored(scored_run, [shards], workers=0)
    assert len(whole) == 24
    for limit in limits:
        found = find_inputs([str(shards)], PREPROCESSING, limit=limit)
        for keep in (None, tmp_path / f"parts {limit}"):
            scoring = Scoring(found, recipe_of(str(scored_run), "cpu"), workers=workers, keep=keep)
            for _ in range(2 if keep else 1):  # the second time from what is kept
                first = joined(list(scoring.run()))
                assert (first.names, first.problems) == (whole.names[:limit], whole.problems[:limit])
                assert first.values == pytest.approx(whole.values[:limit], rel=1e-4, abs=1e-5, nan_ok=True)
    assert len(list((tmp_path / "parts 10").glob("*.safetensors"))) == 3  # of six


def test_no_picture_at_all_is_an_error_and_leaves_nothing(scored_run: Path, tmp_path: Path) -> None:
    for name, member in (("a", "x.json"), ("b", "y.txt")):
        with tarfile.open(tmp_path / f"{name}.tar", "w") as archive:
            archive.addfile(tarfile.TarInfo(member))
    keep = tmp_path / "parts"
    with pytest.raises(DataError, match=r"expected at least 1 picture, got none: .*a\.tar holds no picture"):
        scored(scored_run, [tmp_path], workers=0, keep=keep)
    assert not keep.exists()


def test_a_run_that_is_missing_is_said_before_anything_is_done(
    scored_run: Path, photos: Path, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match="folder of a run"):
        scored(tmp_path / "nothing", [photos], workers=0)
    with pytest.raises(DataError, match="got none"):
        find_inputs([str(tmp_path)], PREPROCESSING)
    with pytest.raises(ConfigError, match="workers"):
        scoring(scored_run, [photos], workers=-1)


@pytest.mark.filterwarnings("default")
def test_ray_gives_the_same_rows(plain: Features, scored_run: Path, photos: Path, tmp_path: Path) -> None:
    """By the command line, with parts of the usual size. Neither can be reached from other machines."""
    pytest.importorskip("ray")
    tables = {}
    for engine in ("local", "ray"):
        out = tmp_path / f"{engine}.csv"
        command = [
            sys.executable,
            "-m",
            "pellucid",
            "features",
            str(scored_run),
            str(photos),
            "--out",
            str(out),
        ]
        environment = {**clean_environment("RAY_ADDRESS"), "PYTHONPATH": os.pathsep.join(sys.path)}
        options = ["--engine", engine, "--workers", "2", "--device", "cpu"]
        listened, reached = watch([*command, *options], environment, timeout=400)
        tables[engine] = out.read_text().splitlines()
        assert bool(listened) == (engine == "ray" and sys.platform == "linux")
        assert all_loopback(listened | reached)
    assert len(tables["ray"]) == 151
    assert tables["ray"] == tables["local"]
