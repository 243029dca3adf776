"""A study of images of which it is known how they can be told apart."""

import json

import numpy as np
import pytest

from pellucid.anomaly.features import PICTURE_COLUMNS, Features
from pellucid.anomaly.logistic import LogisticDetector
from pellucid.anomaly.study import DEFAULT, THIS, study

NORMAL = np.arange(160) < 90


@pytest.fixture
def features() -> Features:
    """Noise in every column but z1, which tells the classes apart without a mistake."""
    values = np.random.default_rng(0).standard_normal((160, len(PICTURE_COLUMNS) + 3))
    values[:, -2] += np.where(NORMAL, 6.0, -6.0)
    columns = (*PICTURE_COLUMNS, "z0", "z1", "z2")
    return Features(columns, values, tuple(map(str, range(160))), ("",) * 160)


def test_only_what_sees_the_telling_latent_tells_the_classes_apart(features: Features) -> None:
    found = study(features, NORMAL, ["z1"], splits=8)
    means = {e.name: e.average_precision.mean(axis=1) for e in found.evaluations}
    assert (means[DEFAULT] == 1).all()
    assert (means["losses + all latents"] == 1).all()
    for blind in ("six losses", "texture alone"):
        assert means[blind] == pytest.approx([90 / 160, 70 / 160], abs=0.15)
    assert found.decisive.name == DEFAULT
    assert (found.found, found.false_alarms) == (1, 0)
    assert json.loads(json.dumps(found.summary()))["found"] == 1


def test_the_detector_at_hand_is_judged_by_its_own_columns_and_threshold(features: Features) -> None:
    blind = LogisticDetector(threshold="recall=0.9")
    found = study(features, NORMAL, ["z1"], detector=blind, decides_by=["mse", "z0"], splits=8)
    assert found.decisive.name == THIS
    assert found.decisive.columns == ("mse", "z0")
    assert found.decisive.average_precision.mean() < 0.7
    assert found.found > 0.8  # as was asked for
    assert found.false_alarms > 0.6  # which costs as much where nothing can be seen


def test_a_pca_stands_beside_with_and_without_texture(features: Features) -> None:
    found = study(features, NORMAL, ["z1"], pca=features.values[:, -2:], splits=3)
    assert [e.name for e in found.evaluations][-2:] == ["PCA", "PCA + texture"]
    assert found.named("PCA").columns == ("error", "pc0")
    assert (found.named("PCA").average_precision == 1).all()
    assert found.unbeaten == ("PCA", "PCA + texture")  # as good is not beaten
    blind = study(features, NORMAL, ["z1"], decides_by=["z0"], pca=features.values[:, -2:], splits=3)
    assert {"PCA", "PCA + texture"} <= set(blind.unbeaten)
    worse = study(features, NORMAL, ["z1"], pca=features.values[:, :2], splits=3)
    assert worse.unbeaten == ()


def test_a_promise_that_four_fifths_of_the_images_cannot_keep_is_not_measured(features: Features) -> None:
    asked = LogisticDetector(threshold="false-alarm=0.05")  # 90 normal images: 22 for calibration; of 72, 18
    found = study(features, NORMAL, ["z1"], detector=asked, splits=2)
    assert (found.found, found.false_alarms) == (None, None)
    assert np.isfinite(found.probability).all()
    assert json.loads(json.dumps(found.summary()))["found"] is None


def test_an_image_is_judged_by_detectors_that_have_not_seen_its_group() -> None:
    chance = np.random.default_rng(1)
    values = np.repeat(chance.standard_normal((30, len(PICTURE_COLUMNS) + 30)), 4, axis=0)  # four copies each
    columns = (*PICTURE_COLUMNS, *(f"z{latent}" for latent in range(30)))
    copies = Features(columns, values, tuple(map(str, range(120))), ("",) * 120)
    normal, groups = np.arange(120) < 60, np.arange(120) // 4
    latents = [f"z{latent}" for latent in range(30)]
    cheating = study(copies, normal, latents, splits=2)
    honest = study(copies, normal, latents, groups=groups, splits=2)
    assert cheating.found > 0.95
    assert honest.found < 0.8


def test_with_two_groups_of_each_kind_no_image_can_be_judged_unseen(features: Features) -> None:
    groups = np.arange(160) % 2 + 2 * NORMAL
    found = study(features, NORMAL, ["z1"], groups=groups, splits=2)
    assert (len(found.probability), found.brier) == (0, None)
    assert json.loads(json.dumps(found.summary()))["brier"] is None
