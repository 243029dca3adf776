import base64
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from untrained_run import make_untrained_run

from pellucid.anomaly.storage import load_detector
from pellucid.data.images import Preprocessing, read_image, to_float, to_pixels
from pellucid.errors import ImageError, LatentError
from pellucid.latents.names import read_latents, rename, write_latents
from pellucid.latents.typical import read_typical
from pellucid.live.engine import Engine, rgb
from pellucid.live.wire import WireError
from pellucid.objective.reconstruction import reconstruction_losses


def png(width: int, height: int, seed: int = 0) -> bytes:
    file = io.BytesIO()
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(values).save(file, "PNG")
    return file.getvalue()


def test_a_frame_of_the_models_size_is_encoded_as_it_is(engine: Engine, pixels: np.ndarray) -> None:
    image = engine.frame(32, memoryview(pixels.tobytes()))
    expected = engine.model.encode(to_float(pixels[None]))
    seen = engine.look(image, {})
    assert torch.equal(seen.mean, expected.mean[0])
    torch.testing.assert_close(seen.deviation, expected.log_variance[0].exp().sqrt())
    assert torch.equal(seen.reconstruction, engine.model.decode(expected.mean))


def test_a_larger_frame_is_resized_as_pictures_are(engine: Engine) -> None:
    large = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    expected = engine.model.to_tensor(large)  # the crop of a square is all of it
    assert torch.equal(engine.frame(128, memoryview(large.tobytes())), expected)


def test_a_frame_of_the_camera_is_seen_through_the_models_window_as_a_picture_is(tmp_path: Path) -> None:
    engine = Engine(make_untrained_run(tmp_path / "run", window=(0, 63)), device="cpu")
    for side in (32, 128):
        dark = np.random.default_rng(0).integers(0, 64, (side, side, 3), np.uint8)
        file = io.BytesIO()
        Image.fromarray(dark).save(file, "PNG")
        opened = engine.picture(engine.take(file.getvalue())["id"])
        assert torch.equal(engine.frame(side, memoryview(dark.tobytes()), camera=True), opened)
        assert opened.max() > 0.6  # and not below 64 of 255
        shown = to_pixels(opened)[0]  # of what was opened, the page has what the window shows
        assert torch.equal(engine.frame(32, memoryview(shown.tobytes())), opened)


def test_a_large_jpeg_is_seen_as_every_other_command_sees_it(engine: Engine) -> None:
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (1600, 1600, 3), np.uint8)
    Image.fromarray(noise).save(file, "JPEG", quality=90)
    seen = engine.picture(engine.take(file.getvalue())["id"])
    expected = read_image(file.getvalue(), engine.model.config.preprocessing)
    assert torch.equal(seen, to_float(expected[None]))


def test_held_latents_are_decoded_at_their_values(engine: Engine, pixels: np.ndarray) -> None:
    image = to_float(pixels[None])
    z = engine.model.encode(image).mean
    z[0, 2] = 1.5
    z[0, 5] = -3.0
    seen = engine.look(image, engine.held({"2": 1.5, "5": -3}))
    torch.testing.assert_close(seen.reconstruction, engine.model.decode(z))  # two at once round otherwise
    assert torch.equal(engine.move(z[0].tolist()), engine.model.decode(z))


def test_the_page_is_told_what_makes_the_model_doubtful(engine: Engine, pixels: np.ndarray) -> None:
    assert engine.detector is not None
    before = engine.describe()["about"]
    engine.detector.unbeaten = ("PCA",)
    doubt = "without any network, PCA tells these images apart as well"
    after = engine.describe()["about"]
    assert after.endswith(f"{doubt}.")
    assert doubt not in before
    assert "Caution: " in after
    verdict = engine.judge(engine.look(to_float(pixels[None]), {}))["verdict"]
    assert verdict["cautions"][-1] == doubt
    assert verdict["known"] is False


def test_losses_are_those_of_the_library_with_their_rank(engine: Engine, pixels: np.ndarray) -> None:
    image = to_float(pixels[None])
    seen, held = engine.look(image, {}), engine.look(image, {0: 3.0})
    typical = read_typical(engine.model)
    assert typical is not None
    for look in (seen, held):
        found = engine.judge(look)["losses"]
        for name, loss in reconstruction_losses(image, look.reconstruction).items():
            assert found[name] == {"value": float(loss[0]), "quantile": typical.rank(name, float(loss[0]))}
    assert not torch.equal(seen.reconstruction, held.reconstruction)


def test_the_verdict_is_the_detectors_whatever_is_held(
    engine: Engine, measured_run: Path, pixels: np.ndarray
) -> None:
    image = to_float(pixels[None])
    (judged,) = load_detector(engine.model, measured_run).judge(image)
    for held in ({}, {0: 3.0}):
        found = engine.judge(engine.look(image, held))["verdict"]
        assert found["score"] == pytest.approx(judged.score, abs=1e-4)  # two pictures at once round otherwise
        assert found["verdict"] == judged.verdict
        assert [reason["text"] for reason in found["reasons"]] == [reason.text for reason in judged.reasons]


@pytest.mark.parametrize(("width", "height"), [(60, 40), (40, 90), (700, 500), (3000, 1200)])
def test_an_opened_picture_is_what_the_model_reads(engine: Engine, width: int, height: int) -> None:
    content = png(width, height)
    taken = engine.take(content)
    expected = read_image(content, engine.model.config.preprocessing)
    np.testing.assert_array_equal(to_pixels(engine.picture(taken["id"]))[0], expected)
    assert taken["exact"]
    left, top, right, bottom = taken["box"]
    assert (right - left) * width == pytest.approx((bottom - top) * height)
    assert max(right - left, bottom - top) == 1.0
    shown = Image.open(io.BytesIO(base64.b64decode(taken["data"])))
    assert shown.width / shown.height == pytest.approx(width / height, rel=0.01)
    assert max(shown.size) == min(max(width, height), 1024)


def test_an_aligned_face_is_cropped_and_others_as_detect_crops_them(make_run) -> None:  # type: ignore[no-untyped-def]
    engine = Engine(make_run(crop="celeba"), device="cpu")
    aligned, other = png(178, 218), png(300, 200)
    taken = engine.take(aligned)
    assert taken["exact"]
    assert taken["box"] == pytest.approx([25 / 178, 45 / 218, 153 / 178, 173 / 218])
    np.testing.assert_array_equal(
        to_pixels(engine.picture(taken["id"]))[0], read_image(aligned, Preprocessing(32, 3, "celeba"))
    )
    taken = engine.take(other)
    assert not taken["exact"]
    np.testing.assert_array_equal(
        to_pixels(engine.picture(taken["id"]))[0], read_image(other, engine.model.config.preprocessing)
    )
    np.testing.assert_array_equal(
        read_image(other, engine.model.config.preprocessing),
        read_image(other, Preprocessing(32, 3, "center")),
    )


def test_the_last_sixteen_opened_pictures_are_remembered_and_the_shelf_for_ever(engine: Engine) -> None:
    first = engine.take(png(40, 40))["id"]
    assert first == len(engine.shelf_names) == 5
    for seed in range(16):
        engine.take(png(40, 40, seed))
    with pytest.raises(WireError, match="Open it again"):
        engine.picture(first)
    for number in (*range(5), first + 1, first + 16):
        engine.picture(number)


def test_the_shelf_is_what_is_kept_with_the_run(engine: Engine) -> None:
    typical = read_typical(engine.model)
    assert typical is not None
    row = np.asarray(Image.open(io.BytesIO(engine.shelf())))
    np.testing.assert_array_equal(row, np.concatenate(list(typical.pixels), axis=1))
    assert engine.describe()["shelf"]["names"] == list(typical.names)


@pytest.mark.parametrize(
    ("channels", "source", "shown"),
    [(3, "folder", "people"), (1, "folder", "sprites"), (3, "scenes", "scenes")],
)
def test_without_samples_the_shelf_is_built_in(make_run, channels: int, source: str, shown: str) -> None:  # type: ignore[no-untyped-def]
    engine = Engine(make_run(channels=channels, source=source), device="cpu")
    assert engine.shelf_names[0] == f"{shown} 0"
    pictures = np.asarray(Image.open(io.BytesIO(engine.shelf())))
    assert pictures.shape[:2] == (32, 32 * len(engine.shelf_names))
    assert pictures.std() > 10


def test_a_grey_model_sees_colours_by_their_luma_and_answers_in_grey(make_run) -> None:  # type: ignore[no-untyped-def]
    engine = Engine(make_run(channels=1), device="cpu")
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 0] = 255
    image = engine.frame(32, memoryview(red.tobytes()))
    assert tuple(image.shape) == (1, 1, 32, 32)
    assert to_pixels(image).flatten()[0] == 76  # ITU-R 601: .299 of 255
    assert rgb(image) == bytes([76]) * (3 * 32 * 32)


def test_two_hundred_unmeasured_latents_without_names_or_detector(make_run) -> None:  # type: ignore[no-untyped-def]
    engine = Engine(make_run(latents=200), device="cpu")
    state = engine.describe()
    assert len(state["latents"]) == len(state["order"]) == 200
    assert {latent["active"] for latent in state["latents"]} == {None}
    assert state["detector"] is False
    assert "pellucid latents" in state["comparable"]
    image = engine.picture(0)
    found = engine.judge(engine.look(image, {}))
    assert set(found) == {"losses"}
    assert {loss["quantile"] for loss in found["losses"].values()} == {None}
    with pytest.raises(LatentError, match="Measure them first"):
        engine.compare(memoryview(rgb(image)), memoryview(rgb(image)), None)


def test_a_comparison_swaps_one_latent(engine: Engine) -> None:
    a, b = (
        to_float(np.random.default_rng(seed).integers(0, 256, (1, 32, 32, 3), np.uint8)) for seed in (1, 2)
    )
    active = engine.table.active()
    record, (mixed, rebuilt_a, rebuilt_b) = engine.compare(memoryview(rgb(a)), memoryview(rgb(b)), active[-1])
    code = engine.model.encode(a).mean
    code[0, active[-1]] = engine.model.encode(b).mean[0, active[-1]]
    assert mixed == rgb(engine.model.decode(code))
    assert (rebuilt_a, rebuilt_b) == (rgb(engine.model.reconstruct(a)), rgb(engine.model.reconstruct(b)))
    assert record["counterfactual"] == f"z{active[-1]}"
    assert len(record["differences"]) == len(active)


def test_names_given_elsewhere_meanwhile_are_kept(make_run) -> None:  # type: ignore[no-untyped-def]
    run = make_run()
    engine = Engine(run, device="cpu")
    write_latents(run, rename(read_latents(run, 6), 1, "elsewhere"))
    engine.change({"latent": 3, "name": "here"})
    engine.change({"latent": 3, "nuisance": True})
    records = read_latents(run, 6).records
    assert [record.name for record in records] == [None, "elsewhere", None, "here", None, None]
    assert [record.nuisance for record in records] == [False, False, False, True, False, False]
    write_latents(run, rename(read_latents(run, 6), 0, "later"))
    assert engine.latents()[0]["label"] == "z0 later"


@pytest.mark.parametrize(
    "wish",
    [
        {},
        {"latent": 0},
        {"latent": True, "name": "x"},
        {"latent": "0", "name": "x"},
        {"latent": 0, "name": 3},
        {"latent": 0, "nuisance": 1},
        {"latent": 0, "name": "x", "nuisance": True},
        {"latent": 0, "name": "x", "evidence": "I say so"},
    ],
)
def test_other_wishes_are_refused(engine: Engine, wish: dict[str, object]) -> None:
    with pytest.raises(WireError):
        engine.change(wish)


@pytest.mark.parametrize("name", ["", "a" * 61, "z3", "\u202eabc", "a\nb"])
def test_names_that_the_library_refuses_are_refused(engine: Engine, name: str) -> None:
    with pytest.raises(LatentError):
        engine.change({"latent": 0, "name": name})


@pytest.mark.parametrize(
    ("side", "length"),
    [
        (32, 3071),
        (32, 3073),
        (10, 300),
        (129, 3 * 129 * 129),
        (0, 0),
        (-32, 3072),
        ("32", 3072),
        (True, 3),
        (None, 0),
    ],
)
def test_other_frames_are_refused(engine: Engine, side: object, length: int) -> None:
    with pytest.raises(WireError):
        engine.frame(side, memoryview(bytes(length)))


@pytest.mark.parametrize(
    "z",
    [
        None,
        "123456",
        {},
        [0.0] * 5,
        [0.0] * 7,
        [0.0] * 5 + [float("nan")],
        [0.0] * 5 + [1e9],
        [True] * 6,
        ["0"] * 6,
    ],
)
def test_other_codes_are_refused(engine: Engine, z: object) -> None:
    with pytest.raises(WireError):
        engine.move(z)


@pytest.mark.parametrize(
    "held",
    [
        None,
        [],
        {"6": 0},
        {"-1": 0},
        {"x": 0},
        {"²": 0},
        {"0": None},
        {"0": float("inf")},
        {"00001": 0},
        {"0": "1"},
    ],
)
def test_other_held_latents_are_refused(engine: Engine, held: object) -> None:
    with pytest.raises(WireError):
        engine.held(held)


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\xff\xd8\xff\xe0cut", b"GIF89a"])
def test_what_is_no_picture_is_refused(engine: Engine, content: bytes) -> None:
    with pytest.raises(ImageError):
        engine.take(content)
