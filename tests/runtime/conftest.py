"""Two untrained models on disk, each with its detector and its export."""

from pathlib import Path

import numpy as np
import pytest
from exported_case import Case
from untrained_run import make_untrained_run

from pellucid.anomaly.detector import Detector
from pellucid.anomaly.storage import save_detector
from pellucid.data.images import to_float
from pellucid.data.store import open_dataset
from pellucid.latents.names import read_latents, rename, write_latents
from pellucid.model.predictor import load
from pellucid.runtime.export import export


def _case(run: Path, *, one_class: bool, **built: object) -> Case:
    make_untrained_run(run, spread=4, **built)  # type: ignore[arg-type]
    write_latents(run, rename(read_latents(run, 6), 2, "<b>left</b>"))
    model = load(run, device="cpu")
    pre = model.config.preprocessing
    drawn = [open_dataset(name, size=32, limit=60) for name in ("people", "scenes")]
    normal, strange = (to_float(some.fetch(some.rows("all"))[..., : pre.channels]) for some in drawn)
    if one_class:
        detector = Detector(model, threshold="false-alarm=0.1").fit(normal, groups=np.arange(60) * 2 // 3)
    else:
        detector = Detector(model).fit(normal, strange)
    detector.unbeaten = ("PCA",)
    save_detector(detector, run)
    return Case(run, model, detector, export(model, detector.table, detector, run / "onnx"))


@pytest.fixture(scope="session", params=["logistic", "gaussian"])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A detector of both kinds on a colour model, and one of normal images alone on a grey one."""
    run = tmp_path_factory.mktemp("exported") / "run"
    if request.param == "logistic":
        return _case(run, one_class=False, preset="photo", crop="celeba")
    return _case(run, one_class=True, preset="broadcast", channels=1)
