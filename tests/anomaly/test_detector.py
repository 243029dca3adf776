"""A detector of images: what scikit-learn's estimator says on the same features, and reasons that add up."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from pellucid.anomaly.detector import Detector
from pellucid.anomaly.features import Features, measure_images, measured
from pellucid.anomaly.gaussian import GaussianDetector
from pellucid.anomaly.texture import TEXTURE
from pellucid.data.images import to_pixels
from pellucid.data.store import open_dataset
from pellucid.errors import ConfigError, DataError
from pellucid.latents.names import LatentRecord, LatentTable
from pellucid.model.predictor import Model
from pellucid.objective.reconstruction import reconstruction_losses

TABLE = LatentTable(
    (
        LatentRecord(0, name="tilt", active=True),
        LatentRecord(1, active=False),
        LatentRecord(2, active=True),
        LatentRecord(3, active=False),
    )
)


def test_its_scores_are_those_of_a_regression_on_losses_and_codes(
    blank_model: Model, smooth: Tensor, noisy: Tensor
) -> None:
    detector = Detector(blank_model, columns=["mse", "z2"]).fit(smooth, noisy)
    images = torch.cat([smooth, noisy])
    codes = blank_model.encode(images).mean
    losses = reconstruction_losses(images, blank_model.decode(codes))
    table = torch.stack([losses["mse"], codes[:, 2]], 1).double().numpy()
    assert detector.fitted is not None
    own = detector.fitted.estimator
    again = LogisticRegression(class_weight="balanced", max_iter=10_000, tol=1e-6)
    fitted = np.flatnonzero(~np.isin(np.arange(100), _put_aside(own, table)))
    again.fit((table[fitted] - own.mean_) / own.scale_, np.repeat([1, -1], [60, 40])[fitted])
    np.testing.assert_allclose(
        detector.score_samples(images), again.decision_function((table - own.mean_) / own.scale_), atol=1e-6
    )


def _put_aside(estimator: object, table: np.ndarray) -> np.ndarray:
    """Rows that mean and scale do not come from, found out by trying the split's own function."""
    from pellucid.anomaly.calibration import put_aside

    return put_aside(np.repeat([1, 0], [60, 40]), 0.25, 0)[1]


def test_it_tells_noise_from_ramps(detector: Detector, smooth: Tensor, noisy: Tensor) -> None:
    assert (detector.predict(smooth) == 1).mean() > 0.9
    assert (detector.predict(noisy) == -1).mean() > 0.9
    assert detector.predict_proba(noisy)[:, 0].min() > detector.predict_proba(smooth)[:, 0].max() - 0.5
    np.testing.assert_array_equal(detector.decision_function(noisy) < 0, detector.predict(noisy) == -1)


def test_contributions_and_base_sum_to_the_log_odds(detector: Detector, noisy: Tensor) -> None:
    for explained, score in zip(detector.explain(noisy[:5]), detector.score_samples(noisy[:5]), strict=True):
        total = explained.base + sum(part.contribution for part in explained.contributions)
        assert total == pytest.approx(score, abs=1e-9)
        assert explained.score == score


def test_the_base_is_the_score_of_the_average_normal_image(detector: Detector, smooth: Tensor) -> None:
    assert np.mean(detector.score_samples(smooth)) == pytest.approx(
        detector.explain(smooth[:1])[0].base, abs=1e-9
    )


def test_quantile_and_median_are_those_of_the_normal_images(
    detector: Detector, blank_model: Model, smooth: Tensor, noisy: Tensor
) -> None:
    normal = measure_images(blank_model, smooth)
    for part in detector.explain(noisy[:1])[0].contributions:
        column = normal.select([part.column])[:, 0]
        assert part.usual == np.median(column)
        assert part.quantile == np.mean(column < part.value) + np.mean(column == part.value) / 2


def test_a_known_image_is_its_own_nearest_neighbour(detector: Detector, smooth: Tensor) -> None:
    assert detector.fitted is not None
    remembered = int(detector.fitted.reference.names[0])
    near = detector.explain(smooth[remembered])[0].neighbours
    assert near[0].name == f"{remembered:08d}"
    assert near[0].distance == pytest.approx(0, abs=1e-6)
    assert torch.allclose(near[0].image, smooth[remembered], atol=1 / 255)
    assert [n.distance for n in near] == sorted(n.distance for n in near)


@pytest.mark.parametrize("columns", ["texture", "contrast", "latents", "z1", "ssim", "mse+z2+detail"])
def test_what_it_measures_is_enough_for_the_same_verdicts(
    blank_model: Model, smooth: Tensor, noisy: Tensor, columns: str
) -> None:
    """Of every second image it was fitted with, and the verdict says so."""
    detector = Detector(blank_model, columns=columns).fit(smooth[::2], noisy[::2])
    images = torch.cat([smooth, noisy])
    whole = measure_images(blank_model, images)
    names = ("",) * len(images)
    some = Features(detector.measures, measured(blank_model, images, detector.measures), whole.names, names)
    assert len(some.columns) < len(whole.columns)
    assert detector.judge(some) == detector.judge(whole)
    assert [verdict.known for verdict in detector.judge(some)] == [True, False] * 30 + [False] * 40


def test_features_without_all_columns_are_no_reference(blank_model: Model, smooth: Tensor) -> None:
    features = measure_images(blank_model, smooth)
    some = Features(("mse", "z0"), features.select(["mse", "z0"]), features.names, features.problems)
    with pytest.raises(DataError, match="expected all 14 features"):
        Detector(blank_model, columns="mse").fit(some)


def test_an_image_that_it_was_fitted_with_is_known_and_another_is_not(
    detector: Detector, smooth: Tensor, noisy: Tensor
) -> None:
    assert all(judged.known for judged in detector.judge(smooth))
    assert all(
        "fitted with this very image" in explained.sentence for explained in detector.explain(smooth[:3])
    )
    assert not any(judged.known for judged in detector.judge(noisy))
    assert not any(judged.known for judged in detector.judge((smooth + 0.01).clamp(0, 1)))


def test_the_threshold_has_the_probability_of_an_image_on_it(detector: Detector, noisy: Tensor) -> None:
    judged = sorted(detector.judge(noisy), key=lambda verdict: verdict.score)
    at = judged[0].threshold_probability
    assert at is not None
    for verdict in judged:
        assert verdict.probability is not None
        assert (verdict.probability < at) == (verdict.verdict == "anomalous")
    assert judged[0].min_p_value == 1 / 16  # 15 of 60 normal images are kept for calibration


def test_a_counterfactual_ends_just_past_the_threshold_and_is_the_decoded_code(
    blank_model: Model, smooth: Tensor, noisy: Tensor
) -> None:
    detector = Detector(blank_model, columns="latents").fit(smooth, noisy)
    turned = 0
    for explained, code in zip(detector.explain(noisy), blank_model.encode(noisy).mean, strict=True):
        found = explained.counterfactual
        if found is None:
            continue
        turned += 1
        assert (found.score >= explained.threshold) == (explained.verdict == "anomalous")
        assert found.score == pytest.approx(explained.threshold, abs=1e-6)
        for move in found.moves:
            assert float(code[int(move.column[1:])]) == pytest.approx(move.before)
            code[int(move.column[1:])] = move.after
        assert torch.allclose(found.image, blank_model.decode(code[None]), atol=1e-5)
        assert found.rescored == pytest.approx(detector.score_samples(found.image)[0])
    assert turned


def test_a_detector_of_normal_images_alone_names_a_change_smallest_only_where_it_is(
    blank_model: Model, smooth: Tensor, noisy: Tensor
) -> None:
    detector = Detector(blank_model, columns="mse+latents", threshold="false-alarm=0.5").fit(smooth)
    turned = {"normal": 0, "anomalous": 0}
    for explained in detector.explain(torch.cat([smooth[:20], smooth[-1:] * 0.5])):
        found = explained.counterfactual
        if found is None:
            continue
        turned[explained.verdict] += 1
        assert (found.score >= explained.threshold) == (explained.verdict == "anomalous")
        assert found.score == pytest.approx(explained.threshold, rel=1e-6)
        assert found.smallest == (explained.verdict == "anomalous")
    assert min(turned.values()) > 2


def test_the_maps_are_the_differences_that_the_losses_average(detector: Detector, noisy: Tensor) -> None:
    explained = detector.explain(noisy[0])[0]
    losses = reconstruction_losses(explained.image, explained.reconstruction)
    assert explained.residual.mean() == pytest.approx(float(losses["mae"][0]), abs=1e-6)
    assert 1 - np.nanmean(explained.similarity) == pytest.approx(float(losses["ssim"][0]), abs=1e-6)
    assert np.isnan(explained.similarity[0]).all()
    assert explained.similarity.shape == explained.residual.shape


def test_normal_images_alone_give_a_gaussian_on_losses_and_texture(
    blank_model: Model, smooth: Tensor, noisy: Tensor
) -> None:
    detector = Detector(blank_model, threshold="false-alarm=0.1").fit(smooth)
    assert detector.fitted is not None
    assert isinstance(detector.fitted.estimator, GaussianDetector)
    assert detector.fitted.columns == (*reconstruction_losses(smooth[:1], smooth[:1]), *TEXTURE)
    assert (detector.predict(noisy) == -1).mean() > 0.9
    explained = detector.explain(noisy[0])[0]
    assert explained.probability is None
    assert explained.counterfactual is None
    total = explained.base + sum(part.contribution for part in explained.contributions)
    assert total == pytest.approx(explained.score)
    with pytest.raises(ConfigError, match="p_values"):
        detector.predict_proba(noisy)


def test_reasons_begin_at_what_normal_images_have_on_average(blank_model: Model, smooth: Tensor) -> None:
    detector = Detector(blank_model, threshold="false-alarm=0.1").fit(smooth)
    judged = detector.judge(smooth)
    assert judged[0].base == pytest.approx(np.mean(detector.score_samples(smooth)))
    assert judged[0].base < 0  # no image is better than the mean, so the average one is not
    parts = np.array(
        [[part.contribution for part in sorted(v.contributions, key=lambda p: p.column)] for v in judged]
    )
    assert parts.mean(axis=0) == pytest.approx(np.zeros(parts.shape[1]), abs=1e-9)
    assert (parts.sum(axis=1) > 0).mean() > 0.5  # most are more normal than that, which few odd ones lower


def test_copies_in_a_data_set_are_one_group(blank_model: Model, smooth: Tensor, tmp_path: Path) -> None:
    pixels = to_pixels(smooth[:30])
    distinct = len(np.unique(pixels.reshape(30, -1), axis=0))
    np.save(tmp_path / "four_times.npy", np.repeat(pixels, 4, axis=0))
    dataset = open_dataset(tmp_path / "four_times.npy", size=32, channels=1, crop="center")
    detector = Detector(blank_model, threshold="false-alarm=0.3").fit(dataset)
    assert detector.fitted is not None
    kept = detector.fitted.estimator.calibration_scores_
    assert kept.groups == round(0.25 * distinct)
    assert len(kept.scores) == 4 * kept.groups
    with pytest.raises(DataError, match=f'"false-alarm=0.05" needs 19 .* has {kept.groups} '):
        Detector(blank_model).fit(dataset)


def test_groups_of_both_kinds_reach_the_calibration(
    blank_model: Model, smooth: Tensor, noisy: Tensor
) -> None:
    alike, others = np.arange(60) // 5, np.arange(40) // 4 + 100
    detector = Detector(blank_model).fit(smooth, noisy, groups=alike, anomalous_groups=others)
    assert detector.fitted is not None
    kept = detector.fitted.estimator.calibration_scores_
    assert (kept.groups, len(kept.scores)) == (3, 15)
    with pytest.raises(DataError, match='"false-alarm=0.05" needs 19 groups of normal images .* has 3 '):
        Detector(blank_model).fit(smooth, groups=alike)
    with pytest.raises(DataError, match="one label for each of 60 images, got 59"):
        Detector(blank_model).fit(smooth, noisy, groups=alike[1:])
    with pytest.raises(DataError, match="one label for each of 40 images, got 2"):
        Detector(blank_model).fit(smooth, noisy, anomalous_groups=["a", "b"])


def test_inactive_latents_take_no_part_unless_they_are_named(
    blank_model: Model, smooth: Tensor, noisy: Tensor
) -> None:
    detector = Detector(blank_model, table=TABLE).fit(smooth, noisy)
    assert detector.fitted is not None
    assert [name for name in detector.fitted.columns if name.startswith("z")] == ["z0", "z2"]
    assert detector.label("z0") == "z0 tilt"
    for choice in (["losses", "latents"], "losses,latents"):
        fitted = Detector(blank_model, table=TABLE, columns=choice).fit(smooth, noisy).fitted
        assert fitted is not None
        assert fitted.columns[6:] == ("z0", "z2")
    named = Detector(blank_model, table=TABLE, columns=["z1"]).fit(smooth, noisy)
    assert named.fitted is not None
    assert named.fitted.columns == ("z1",)


def test_images_features_and_a_data_set_are_the_same_examples(
    blank_model: Model, smooth: Tensor, noisy: Tensor, tmp_path: object
) -> None:
    from_images = Detector(blank_model).fit(smooth, noisy)
    features = measure_images(blank_model, smooth)
    from_features = Detector(blank_model).fit(features, measure_images(blank_model, noisy))
    np.testing.assert_array_equal(from_images.score_samples(noisy), from_features.score_samples(noisy))
    assert from_features.fitted is not None
    assert not from_features.fitted.reference.names
    assert from_features.explain(noisy[:1])[0].neighbours == ()


def test_rows_that_could_not_be_read_are_left_out_of_fitting_and_refused_in_scoring(
    blank_model: Model, smooth: Tensor, noisy: Tensor
) -> None:
    good = measure_images(blank_model, smooth)
    damaged = Features(
        good.columns,
        np.concatenate([good.values, np.full((1, len(good.columns)), np.nan)]),
        (*good.names, "broken.jpg"),
        (*good.problems, "is damaged"),
    )
    bad = measure_images(blank_model, noisy)
    one, other = Detector(blank_model).fit(damaged, bad), Detector(blank_model).fit(good, bad)
    np.testing.assert_array_equal(one.score_samples(bad), other.score_samples(bad))
    with pytest.raises(DataError, match="readable"):
        one.score_samples(damaged)


def test_mistakes_are_named(blank_model: Model, smooth: Tensor) -> None:
    with pytest.raises(ConfigError, match="fit"):
        Detector(blank_model).predict(smooth)
    with pytest.raises(ConfigError, match="columns"):
        Detector(blank_model, columns="z9")
    with pytest.raises(DataError, match="2 normal"):
        Detector(blank_model).fit(smooth[:1], smooth)
    with pytest.raises(DataError, match="2 anomalous"):
        Detector(blank_model).fit(smooth, smooth[:1])
    with pytest.raises(ConfigError, match="remember"):
        Detector(blank_model, remember=-1)
