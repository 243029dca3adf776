"""Every annotated shape of the package is checked at run time, in tests only."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))

import jaxtyping

jaxtyping.install_import_hook("pellucid", "shape_checker.check")

import hypothesis  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402
from untrained_run import make_untrained_run  # noqa: E402

from pellucid.data.dataset import Dataset  # noqa: E402
from pellucid.data.store import open_dataset  # noqa: E402
from pellucid.storage import shipped  # noqa: E402

torch.set_num_threads(1)
hypothesis.settings.register_profile("slow machine", deadline=None)
hypothesis.settings.load_profile("slow machine")


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the cache of the person who runs it."""
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> int:
    """How often a test of `@pytest.mark.torture(usually, tortured)` tries: the second by `pytest -m torture`.

    0 skips it.
    """
    mark = request.node.get_closest_marker("torture")
    assert mark is not None
    usually, tortured = mark.args
    count: int = tortured if request.config.option.markexpr == "torture" else usually
    if not count:
        pytest.skip("long: make torture")
    return count


@pytest.fixture
def as_installed() -> Iterator[None]:
    """Without the checks of shapes and types: who runs Pellucid has none, so no lie may count on them."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="session")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 200 grey pictures of a bright bar, whose place is all there is to know; no two are equal."""
    chance = np.random.default_rng(0)
    pixels = np.random.default_rng(1).integers(0, 2, (200, 32, 32), np.uint8)
    for image, left in zip(pixels, chance.integers(0, 24, 200), strict=True):
        image[:, left : left + 8] = 255
    file = tmp_path_factory.mktemp("pictures") / "bars.npy"
    np.save(file, pixels)
    return file


@pytest.fixture
def dataset(bars: Path) -> Dataset:
    """The pictures of a bar."""
    return open_dataset(bars, size=32)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The run `people` in a package of which nothing can be written, and an empty current directory."""
    folder, home = tmp_path / "site-packages" / "pellucid" / "pretrained", tmp_path / "home"
    run = make_untrained_run(folder / "people")
    home.mkdir()
    monkeypatch.setattr(shipped, "SHIPPED", folder)
    monkeypatch.chdir(home)
    for path in (*run.iterdir(), run, folder):
        path.chmod(0o555 if path.is_dir() else 0o444)
    return run
