"""A scoring that is resumed with anything changed is refused, or gives the rows of a scoring begun anew."""

import io
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from untrained_run import make_untrained_run

from pellucid.anomaly.features import Features, joined
from pellucid.data.axes import Axes
from pellucid.data.images import Preprocessing
from pellucid.errors import ConfigError, DataError
from pellucid.model.predictor import Model, load
from pellucid.runtime import features as features_module
from pellucid.runtime.conversion import to_onnx
from pellucid.runtime.graphs import Graph
from pellucid.scoring import inputs as inputs_module
from pellucid.scoring import part as part_module
from pellucid.scoring import scorer as scorer_module
from pellucid.scoring.inputs import find_inputs
from pellucid.scoring.score import Scoring
from pellucid.scoring.scorer import Recipe, recipe_of, scorer_of

COUNT = 30
KINDS = ("folder", "shard", "table", "array")


@dataclass(frozen=True)
class Settings:
    """What a person could change between a stop and the same command again.

    Attributes:
        run: A folder of `runs`.
        kind: Of the images.
        seed: That the images are drawn by.
        axes: As --axes.
        limit: As --limit.
        recipe: What of `Recipe` is not as usual.
        patches: Of modules that a version is read from, or a device: name and value.
    """

    run: str = "plain"
    kind: str = "folder"
    seed: int = 0
    axes: Axes | None = None
    limit: int | None = None
    recipe: dict[str, object] = field(default_factory=dict)
    patches: dict[str, object] = field(default_factory=dict)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs that differ in one thing from `plain`."""
    root = tmp_path_factory.mktemp("runs")
    for name, built in {
        "plain": {},
        "crop": {"crop": "whole"},
        "window": {"window": (9, 99)},
        "weights": {"spread": 5},
    }.items():
        make_untrained_run(root / name, **{"spread": 4, **built})  # type: ignore[arg-type]
    return root


def write_images(place: Path, kind: str, seed: int) -> str:
    """30 images of 36 by 40 pixels; what there was before is gone."""
    pixels = np.random.default_rng(seed).integers(0, 256, (COUNT, 36, 40, 3), np.uint8)
    files = []
    for image in pixels:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "PNG")
        files.append(file.getvalue())
    if kind == "folder":
        for at, content in enumerate(files):
            (place / "images").mkdir(parents=True, exist_ok=True)
            (place / "images" / f"{at:02d}.png").write_bytes(content)
        return str(place / "images")
    place.mkdir(parents=True, exist_ok=True)
    if kind == "array":
        np.save(place / "images.npy", pixels)
        return str(place / "images.npy")
    if kind == "table":
        pq.write_table(pa.table({"image": files}), place / "images.parquet", row_group_size=10)
        return str(place / "images.parquet")
    for shard in range(3):
        with tarfile.open(place / f"{shard}.tar", "w") as archive:
            for at, content in enumerate(files[shard::3]):
                info = tarfile.TarInfo(f"{at}.png")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return str(place)


@pytest.fixture(scope="module")
def convert() -> Callable[[Graph, torch.Tensor], bytes]:
    """`to_onnx`, which takes seconds, done once for each state of the weights."""
    made = dict[bytes, bytes]()

    def convert(graph: Graph, examples: torch.Tensor) -> bytes:
        weights = b"".join(value.numpy().tobytes() for value in graph.vae.state_dict().values())
        if weights not in made:
            made[weights] = to_onnx(graph, examples)
        return made[weights]

    return convert


@pytest.fixture
def begin(
    runs: Path,
    convert: Callable[[Graph, torch.Tensor], bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[Settings, Path], Scoring]]:
    monkeypatch.setattr(inputs_module, "PART", 10)
    monkeypatch.setattr(features_module, "to_onnx", convert)

    def begin(settings: Settings, keep: Path) -> Scoring:
        for name, value in settings.patches.items():
            monkeypatch.setattr(scorer_module, name, value)
        scorer_of.cache_clear()
        recipe = recipe_of(str(runs / settings.run), **{"device": "cpu", **settings.recipe})  # type: ignore[arg-type]
        images = write_images(tmp_path / settings.kind, settings.kind, settings.seed)
        preprocessing = scorer_of(recipe).model.config.preprocessing
        axes = settings.axes if settings.kind == "array" else None
        found = find_inputs([images], preprocessing, axes=axes, limit=settings.limit)
        return Scoring(found, recipe, workers=0, keep=keep)

    yield begin
    scorer_of.cache_clear()


def stopped(scoring: Scoring) -> None:
    """Score a part, and no more."""

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(scoring.run(stop))


def load_elsewhere(run: str, device: str) -> Model:
    """Load a run and say that it is on a GPU."""
    model = load(run, device=device)
    model.device = torch.device("cuda")
    return model


CHANGES: dict[str, Settings] = {
    "limit": Settings(limit=5),
    "a larger limit": Settings(limit=20),
    "images": Settings(seed=1),
    "crop": Settings(run="crop"),
    "window": Settings(run="window"),
    "axes": Settings(axes="NHWC"),
    "weights": Settings(run="weights"),
    "runtime": Settings(recipe={"runtime": "onnx"}),
    "columns": Settings(recipe={"columns": ("mse", "z0")}),
    "device": Settings(patches={"load": load_elsewhere}),
    "version": Settings(patches={"__version__": "0.0.1"}),
    "version of a library": Settings(patches={"version": lambda name: "0.0.1"}),
    "batch": Settings(patches={"BATCH": 7}),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("change", "turned"),
    [
        (name, turned)
        for name in CHANGES
        for turned in (False, True)
        if not (turned and CHANGES[name].patches)
    ],
)
def test_a_change_is_refused_or_gives_the_rows_of_a_new_scoring(
    begin: Callable[[Settings, Path], Scoring], tmp_path: Path, kind: str, change: str, turned: bool
) -> None:
    before, after = Settings(kind=kind), replace(CHANGES[change], kind=kind)
    if turned:
        before, after = after, before
    stopped(begin(before, tmp_path / "parts"))
    try:
        resumed = joined(list(begin(after, tmp_path / "parts").run()))
    except ConfigError as error:
        assert "other" in str(error)  # noqa: PT017 (a refusal is one of two right answers)
        return
    assert not after.patches
    same(resumed, joined(list(begin(after, tmp_path / "anew").run())))


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_changed_is_gone_on_with(
    begin: Callable[[Settings, Path], Scoring], tmp_path: Path, kind: str
) -> None:
    settings = Settings(kind=kind)
    first = begin(settings, tmp_path / "parts")
    stopped(first)
    done = {file: file.stat().st_mtime_ns for file in (tmp_path / "parts").glob("*.safetensors")}
    again = Scoring(first.inputs, first.recipe, workers=0, keep=first.keep)
    rows = joined(list(again.run()))
    assert len(rows) == COUNT
    assert len(done) == 1
    assert {file: file.stat().st_mtime_ns for file in done} == done


def test_an_array_that_changes_under_way_is_an_error_and_no_other_rows(
    begin: Callable[[Settings, Path], Scoring], tmp_path: Path
) -> None:
    scoring = begin(Settings(kind="array"), tmp_path / "parts")
    write_images(tmp_path / "array", "array", seed=9)
    part_module._opened.cache_clear()  # as in another process
    with pytest.raises(DataError, match="they have changed"):
        list(scoring.run())


def same(a: Features, b: Features) -> None:
    assert (a.names, a.problems) == (b.names, b.problems)
    assert np.array_equal(a.values, b.values, equal_nan=True)


def test_no_setting_is_forgotten_here() -> None:
    """Whoever adds one says above what a change of it does."""
    assert {f.name for f in fields(Recipe)} == {"run", "device", "runtime", "fingerprint", "columns"}
    assert {f.name for f in fields(Preprocessing)} == {"size", "channels", "crop", "window"}
    assert {f.name for f in fields(Scoring)} == {"inputs", "recipe", "engine", "workers", "keep"}
