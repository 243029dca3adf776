"""Pictures are written by hand or with Pillow; what to expect comes from numpy or the formats' rules."""

import io
import os
import struct
import time
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile
from PIL.JpegImagePlugin import JpegImageFile

from pellucid.data import images
from pellucid.data.images import (
    MAX_BYTES,
    Preprocessing,
    crop_box,
    decode,
    fit,
    parse_window,
    preprocess,
    printable,
    read_image,
    to_float,
    to_pixels,
    value_range,
)
from pellucid.errors import ConfigError, ImageError

pytestmark = pytest.mark.usefixtures("as_installed")

GREY, RGB, PALETTE = 0, 2, 3


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png(width: int, height: int, depth: int, colour: int, raw: bytes, **chunks: bytes) -> bytes:
    """A PNG by the specification (ISO/IEC 15948), without Pillow."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    rows = len(raw) // height
    lines = b"".join(b"\0" + raw[at * rows : (at + 1) * rows] for at in range(height))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    extra = b"".join(chunk(name.encode(), body) for name, body in chunks.items())
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def picture(kind: str, side: int = 48) -> bytes:
    return saved(Image.fromarray(noise(side, side)), kind)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_lossless_pixels_come_back_exactly(kind: str) -> None:
    pixels = noise(5, 7)
    decoded = decode(saved(Image.fromarray(pixels), kind, lossless=True))
    assert decoded.mode == "RGB"
    assert np.array_equal(np.asarray(decoded), pixels)


def test_jpeg_is_close_to_what_was_saved() -> None:
    ramp = np.repeat(np.linspace(0, 255, 64).astype(np.uint8)[None, :, None], 64, 0).repeat(3, 2)
    decoded = np.asarray(decode(saved(Image.fromarray(ramp), "JPEG", quality=95)))
    assert np.abs(decoded.astype(int) - ramp).max() <= 4


def test_files_and_bytes_are_the_same(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(picture("PNG"))
    assert np.array_equal(read_image(path, Preprocessing()), read_image(path.read_bytes(), Preprocessing()))


# EXIF 2.3, tag 274: how the stored picture must be turned to be upright.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_all_eight_orientations_are_turned_upright(orientation: int, kind: str) -> None:
    stored = noise(4, 6)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(Image.fromarray(stored), kind, lossless=True, exif=exif.tobytes())
    assert np.array_equal(np.asarray(decode(data)), UPRIGHT[orientation](stored))


def test_a_picture_opened_by_hand_is_seen_as_its_file_is() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(Image.fromarray(noise(40, 60)), "JPEG", exif=exif.tobytes())
    by_hand = preprocess(Image.open(io.BytesIO(data)), Preprocessing(32))
    assert np.array_equal(by_hand, read_image(data, Preprocessing(32)))


def busy(height: int, width: int) -> np.ndarray:
    """Colored blocks on a slope: nothing in it is the same when it is turned, flipped or moved."""
    y, x = np.mgrid[:height, :width]
    slope = np.stack([x * 200 // width, y * 200 // height, (x + y) * 200 // (width + height)], -1)
    blocks = noise(height // 40 + 1, width // 40 + 1).repeat(40, 0).repeat(40, 1)[:height, :width]
    return (0.6 * slope + 0.4 * blocks).astype(np.uint8)


@pytest.mark.parametrize("crop", ["center", "whole", "celeba"])
@pytest.mark.parametrize(
    ("height", "width", "orientation", "reduction"),
    [
        (1200, 1608, 1, 8),  # the crop begins in the middle of an eighth of a pixel
        (1608, 1200, 1, 8),
        *((1200, 1608, orientation, 8) for orientation in range(2, 9)),
        (808, 600, 6, 4),
        (350, 402, 3, 2),
        (872, 712, 1, 4),  # the proportion of an aligned photograph
        (1201, 1608, 1, 1),
        (1200, 1602, 1, 2),
        (190, 300, 1, 1),
    ],
)
def test_a_jpeg_is_decoded_small_and_seen_as_in_full(
    height: int, width: int, orientation: int, reduction: int, crop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(Image.fromarray(busy(height, width)), "JPEG", quality=95, exif=exif.tobytes())
    sizes = []
    draft = JpegImageFile.draft

    def seen(image: JpegImageFile, mode: str | None, size: tuple[int, int]) -> object:
        sizes.append(size)
        return draft(image, mode, size)

    monkeypatch.setattr(JpegImageFile, "draft", seen)
    pre = Preprocessing(32, 3, crop)  # type: ignore[arg-type]
    found = read_image(data, pre).astype(float)
    assert sizes == ([(width // reduction, height // reduction)] if reduction > 1 else [])
    stored = np.asarray(Image.open(io.BytesIO(data)))
    upright = Image.fromarray(np.ascontiguousarray(UPRIGHT[orientation](stored)))
    box = crop_box(*upright.size, pre.crop)
    exact = np.asarray(upright.resize((32, 32), Image.Resampling.LANCZOS, box=box)).astype(float)
    difference = np.abs(found - exact)
    assert difference.mean() < 0.6
    assert difference.max() <= 12  # at an edge of what is not reduced alike along both axes


def test_a_jpeg_with_a_window_is_decoded_in_full() -> None:
    data, pre = saved(Image.fromarray(busy(800, 800)), "JPEG"), Preprocessing(32, 3, "center", (60, 120))
    assert np.array_equal(read_image(data, pre), fit(decode(data, pre.window), pre))
    assert not np.array_equal(read_image(data, Preprocessing(32)), fit(decode(data), Preprocessing(32)))


def test_damaged_exif_does_not_lose_the_picture() -> None:
    data = saved(Image.fromarray(noise(8, 8)), "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff broken")
    assert decode(data).size == (8, 8)


def test_grey_stays_grey() -> None:
    pixels = noise(3, 4)[..., 0]
    decoded = decode(saved(Image.fromarray(pixels), "PNG"))
    assert decoded.mode == "L"
    assert np.array_equal(np.asarray(decoded), pixels)


def test_one_bit_is_black_and_white() -> None:
    assert np.asarray(decode(png(8, 1, 1, GREY, b"\xb0"))).tolist() == [[255, 0, 255, 255, 0, 0, 0, 0]]


def test_sixteen_bit_grey_is_scaled_not_cut() -> None:
    values = [0, 128, 129, 257, 32_768, 65_406, 65_407, 65_535]
    data = png(8, 1, 16, GREY, struct.pack(">8H", *values))
    assert np.asarray(decode(data)).tolist() == [[round(value / 257) for value in values]]


@pytest.mark.parametrize("values", [(0, 4095), (100, 1000), (-1000.5, 3000.25), (0, 65_535)])
def test_a_window_brings_its_ends_to_black_and_white(values: tuple[float, float]) -> None:
    raw = np.random.default_rng(0).integers(0, 65_536, (40, 50)).astype(np.uint16)
    raw[0, :4] = (0, 65_535, 100, 1000)
    low, high = values
    expected = [
        [round(255 * min(max((int(v) - low) / (high - low), 0), 1)) for v in row] for row in raw.tolist()
    ]
    file = saved(Image.fromarray(raw), "PNG")
    assert np.array_equal(np.array(decode(file, values)), expected)
    shown = preprocess(Image.open(io.BytesIO(file)), Preprocessing(32, 1, "whole", values))
    assert np.array_equal(shown, read_image(file, Preprocessing(32, 1, "whole", values)))


def test_a_window_within_8_bits_is_for_all_pictures_and_one_beyond_for_those_of_16() -> None:
    grey = np.arange(60, dtype=np.uint8).reshape(6, 10)
    file = saved(Image.fromarray(grey), "PNG")
    assert np.array_equal(np.array(decode(file, (10, 20))), ((grey.clip(10, 20) - 10.0) * 25.5).round())
    assert np.array_equal(np.array(decode(file, (0, 4095))), grey)
    # Pillow gives the upper 8 of 16 bits in color: 0x0F of 4095.
    color = png(2, 1, 16, RGB, struct.pack(">6H", 0, 4095, 2056, 65_535, 0, 0))
    assert np.array(decode(color, (0, 4095))).tolist() == [[[0, 240, 128], [255, 0, 0]]]
    opened = Image.open(io.BytesIO(file))
    assert np.array_equal(
        preprocess(opened, Preprocessing(32, 1, "whole", (10, 20))),
        read_image(file, Preprocessing(32, 1, "whole", (10, 20))),
    )


def test_the_values_in_a_file_are_found_before_they_become_8_bits() -> None:
    assert value_range(png(3, 1, 16, GREY, struct.pack(">3H", 7, 4095, 9))) == (7, 4095, 65_535)
    assert value_range(png(1, 1, 16, RGB, struct.pack(">3H", 0x0100, 0x0F00, 0x0200))) == (
        257,
        15 * 257,
        65_535,
    )
    assert value_range(saved(Image.fromarray(np.array([[3, 200]], np.uint8)), "PNG")) == (3, 200, 255)


@pytest.mark.parametrize(
    "window",
    [(1, 1), (2, 1), (float("nan"), 1), (0, float("inf")), (0,), "0,1", [0, "1"], (True, 2), (0, 1e31)],
)
def test_impossible_windows_are_refused(window: object) -> None:
    with pytest.raises(ConfigError, match="window: expected two numbers"):
        Preprocessing.__post_init__(SimpleNamespace(size=64, channels=3, crop="whole", window=window))


@pytest.mark.parametrize("text", ["", "1", "0,1,2", "a,b", "5,4", "0,nan"])
def test_windows_that_are_no_two_numbers_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="window: expected two numbers"):
        parse_window(text)
    assert parse_window("-1000,400.5") == (-1000.0, 400.5)


def test_palette_is_looked_up() -> None:
    data = png(3, 1, 8, PALETTE, bytes([2, 0, 1]), PLTE=bytes([10, 20, 30, 40, 50, 60, 70, 80, 90]))
    assert np.asarray(decode(data)).tolist() == [[[70, 80, 90], [10, 20, 30], [40, 50, 60]]]


def test_transparent_palette_entries_become_white() -> None:
    data = png(2, 1, 8, PALETTE, bytes([0, 1]), PLTE=bytes([10, 20, 30, 40, 50, 60]), tRNS=bytes([0, 255]))
    assert np.asarray(decode(data)).tolist() == [[[255, 255, 255], [40, 50, 60]]]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (png(2, 1, 8, GREY, bytes([7, 8]), tRNS=b"\0\x07"), [[255, 8]]),
        (png(4, 1, 2, GREY, bytes([0b00011011]), tRNS=b"\0\x01"), [[0, 255, 170, 255]]),
        (png(4, 1, 1, GREY, bytes([0b01010000]), tRNS=b"\0\x00"), [[255, 255, 255, 255]]),
        (png(2, 1, 16, GREY, struct.pack(">2H", 300, 514), tRNS=struct.pack(">H", 300)), [[255, 2]]),
        (
            png(2, 1, 8, RGB, bytes([1, 2, 3, 1, 2, 4]), tRNS=struct.pack(">3H", 1, 2, 3)),
            [[[255, 255, 255], [1, 2, 4]]],
        ),
        (
            png(
                2,
                1,
                16,
                RGB,
                struct.pack(">6H", *(257, 514, 771, 257, 514, 1028)),
                tRNS=struct.pack(">3H", 257, 514, 771),
            ),
            [[[255, 255, 255], [1, 2, 4]]],
        ),
    ],
    ids=["grey 8", "grey 2", "grey 1", "grey 16", "RGB 8", "RGB 16"],
)
def test_the_transparent_colour_of_any_depth_becomes_white(data: bytes, expected: list) -> None:
    assert np.asarray(decode(data)).tolist() == expected
    opened, whole = Image.open(io.BytesIO(data)), Preprocessing(32, 3, "whole")
    assert np.array_equal(preprocess(opened, whole), read_image(data, whole))
    assert np.array_equal(preprocess(opened, whole), read_image(data, whole))  # and once more, now loaded


def test_a_picture_opened_by_pillow_is_seen_through_the_window_as_its_file_is() -> None:
    deep = np.random.default_rng(0).integers(0, 4096, (8, 8, 3)).astype(">u2")
    data, seen = png(8, 8, 16, RGB, deep.tobytes()), Preprocessing(32, 3, "whole", (0, 4095))
    found = preprocess(Image.open(io.BytesIO(data)), seen)
    assert np.array_equal(found, read_image(data, seen))
    assert 100 < found.mean() < 155


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_alpha_is_laid_over_white(kind: str) -> None:
    pixels = np.dstack([noise(8, 8), np.random.default_rng(1).integers(1, 256, (8, 8), np.uint8)])
    decoded = np.asarray(decode(saved(Image.fromarray(pixels), kind, lossless=True, exact=True)), float)
    alpha = pixels[..., 3:] / 255
    assert np.abs(decoded - (pixels[..., :3] * alpha + 255 * (1 - alpha))).max() <= 1


def test_grey_with_alpha_is_laid_over_white() -> None:
    pixels = np.array([[[100, 255], [100, 0], [0, 128]]], np.uint8)
    assert np.asarray(decode(saved(Image.fromarray(pixels, "LA"), "PNG"))).tolist() == [[100, 255, 127]]


def test_cmyk_is_converted() -> None:
    ink = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    decoded = np.asarray(decode(saved(ink, "JPEG", quality=95))).astype(int)
    assert np.abs(decoded - [0, 255, 255]).max() <= 6


@pytest.mark.parametrize(
    ("mode", "key"),
    [
        *((mode, False) for mode in ("1", "L", "P", "PA", "RGB", "LA", "La", "RGBA", "RGBa", "CMYK")),
        *(("I;16", False), ("I;16B", False), ("RGB", True), ("P", True), ("I;16", True)),
    ],
)
@pytest.mark.parametrize("size", [(7, 40), (40, 7), (300, 1), (1, 300)])
def test_bands_of_a_large_picture_are_what_the_whole_would_be(
    mode: str, key: bool, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    width, height = size
    pixels = noise(height, width)
    if mode.startswith("I;16"):
        image = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257 + 5).convert("I;16")
        image = image.convert(mode) if mode != "I;16" else image
    elif mode in ("La", "RGBa"):
        image = Image.fromarray(pixels).convert("RGBA" if mode == "RGBa" else "LA").convert(mode)
    elif mode == "PA":
        image = Image.fromarray(pixels).quantize(16).convert("PA")
    elif mode == "P":
        image = Image.fromarray(pixels).quantize(16)
    else:
        image = Image.fromarray(pixels).convert(mode)
    if mode in ("LA", "RGBA"):
        image.putalpha(Image.fromarray(pixels[..., 1]))
    if key:
        value = {"RGB": tuple(pixels[0, 0].tolist()), "I;16": 5 + 257 * int(pixels[0, 0, 0]), "P": 3}[mode]
        image.info["transparency"] = value
    whole = images._flatten(image, "it")
    monkeypatch.setattr(images, "_BAND", 17)
    bands = images._flatten(image, "it")
    assert (bands.mode, bands.size) == (whole.mode, whole.size)
    assert np.array_equal(np.asarray(bands), np.asarray(whole))


@pytest.mark.parametrize("mode", ["F", "I", "HSV", "LAB", "YCbCr"])
def test_other_modes_are_refused_by_name(mode: str) -> None:
    with pytest.raises(ImageError, match=f"mode {mode}"):
        preprocess(Image.new(mode, (4, 4)), Preprocessing())


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF"])
def test_other_formats_are_refused_by_name(kind: str) -> None:
    with pytest.raises(ImageError, match=f"expected a JPEG, PNG or WEBP picture, got a {kind}. Convert"):
        decode(picture(kind))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.97])
def test_truncated_files_are_refused(kind: str, part: float, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    path = tmp_path / "cut.jpg"
    data = picture(kind)
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(ImageError) as caught:
        decode(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert ImageFile.LOAD_TRUNCATED_IMAGES


def bombs() -> dict[str, bytes]:
    tiny = png(1, 1, 8, GREY, b"\0")
    ihdr = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, GREY, 0, 0, 0)
    huge_png = tiny[:12] + ihdr + struct.pack(">I", zlib.crc32(ihdr)) + tiny[33:]
    ihdr = b"IHDR" + struct.pack(">IIBBBBB", 10_000, 10_000, 8, GREY, 0, 0, 0)
    warned_png = tiny[:12] + ihdr + struct.pack(">I", zlib.crc32(ihdr)) + tiny[33:]
    jpeg = picture("JPEG", 16)
    at = jpeg.index(b"\xff\xc0") + 5
    webp = picture("WEBP", 16)
    animated = b"VP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + b"\xfe\x3f\0\xfe\x3f\0"
    return {
        "png": huge_png,
        "png within Pillow's own limit": warned_png,
        "jpeg": jpeg[:at] + struct.pack(">HH", 60_000, 60_000) + jpeg[at + 4 :],
        "webp": webp[:26] + struct.pack("<HH", 16_000, 16_000) + webp[30:],
        "webp canvas": webp[:12] + animated + webp[12:],
    }


@pytest.mark.parametrize("kind", bombs())
def test_bombs_are_refused_before_decoding(kind: str) -> None:
    start = time.perf_counter()
    most = 30 if kind.startswith("webp") else 50
    with pytest.raises(ImageError, match=f"expected at most {most} megapixels"):
        decode(bombs()[kind])
    assert time.perf_counter() - start < 0.2


def test_files_that_are_too_large_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(ImageError, match="at most 200,000,000 bytes"):
        decode(path)


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path, tmp_path / "missing.png", tmp_path / "pipe.png", Path("nul\0byte.png")):
        with pytest.raises(ImageError, match=r"expected a picture file|cannot be read"):
            decode(path)
    with pytest.raises(ImageError, match="empty file"):
        decode(b"")


def test_messages_are_one_printable_line(tmp_path: Path) -> None:
    path = tmp_path / "a\nb\x1b[31m.png"
    path.write_bytes(b"GIF89a")
    with pytest.raises(ImageError) as caught:
        decode(path)
    assert str(caught.value).isprintable()
    assert printable("caf\u00e9\udcff") == "caf\u00e9\\udcff"


@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF0000WEBPVP8X"]),
)
@settings(max_examples=150, deadline=None)
def test_random_bytes_raise_nothing_but_image_error(data: bytes, start: bytes) -> None:
    with pytest.raises(ImageError):
        decode(start + data)


WHOLE = {kind: picture(kind, 24) for kind in ("JPEG", "PNG", "WEBP")} | {
    "palette": saved(Image.fromarray(noise(24, 24)).quantize(16), "PNG", transparency=3),
    "exif": saved(
        Image.fromarray(noise(24, 24)),
        "JPEG",
        exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06",
    ),
}


@given(
    st.sampled_from(sorted(WHOLE)),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8),
)
@settings(max_examples=300, deadline=None)
def test_mutated_pictures_are_read_or_refused(kind: str, changes: list[tuple[float, int]]) -> None:
    data = bytearray(WHOLE[kind])
    for at, value in changes:
        data[int(at * (len(data) - 1))] = value
    try:
        pixels = read_image(bytes(data), Preprocessing(32))
    except ImageError:
        return
    assert pixels.shape == (32, 32, 3)


MANY = WHOLE | {
    "larger": picture("JPEG", 200),
    "progressive": saved(Image.fromarray(noise(40, 56)), "JPEG", progressive=True, quality=30),
    "cmyk": saved(Image.fromarray(noise(32, 32)).convert("CMYK"), "JPEG"),
    "16 bits": saved(Image.fromarray(noise(24, 24)[..., 0].astype(np.uint16) * 257), "PNG"),
    "alpha": saved(Image.fromarray(np.dstack([noise(24, 24), noise(24, 24, 1)[..., 0]])), "PNG"),
    "lossless": saved(Image.fromarray(noise(24, 24)), "WEBP", lossless=True),
    "animated": saved(
        Image.fromarray(noise(24, 24)),
        "WEBP",
        save_all=True,
        append_images=[Image.fromarray(noise(24, 24, at)) for at in (1, 2)],
    ),
    "animated png": saved(
        Image.fromarray(noise(24, 24)),
        "PNG",
        save_all=True,
        append_images=[Image.fromarray(noise(24, 24, 1))],
    ),
}


@pytest.mark.torture(500, 20_000)
def test_flipped_and_cut_files_are_a_picture_or_an_image_error(rounds: int) -> None:
    chance, kinds, read = np.random.default_rng(0), sorted(MANY), 0
    for _ in range(rounds):
        data = bytearray(MANY[kinds[chance.integers(len(kinds))]])
        for at in chance.integers(len(data), size=chance.integers(1, 9)):
            data[at] ^= 1 << int(chance.integers(8)) if chance.random() < 0.5 else int(chance.integers(256))
        match chance.integers(4):
            case 0:
                del data[int(chance.integers(len(data))) :]
            case 1:
                del data[(at := int(chance.integers(len(data)))) : at + int(chance.integers(1, 65))]
        try:
            pixels = read_image(bytes(data), Preprocessing(32))
        except ImageError:
            continue
        assert pixels.shape == (32, 32, 3)
        read += 1
    assert rounds / 50 < read < rounds


@pytest.mark.parametrize("crop", ["whole", "center", "celeba"])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (5000, 1), (1, 5000)])
def test_tiny_and_narrow_pictures_keep_their_colour(size: tuple[int, int], crop: str) -> None:
    pixels = preprocess(Image.new("RGB", size, (10, 200, 30)), Preprocessing(32, 3, crop))
    assert pixels.shape == (32, 32, 3)
    assert (pixels == [10, 200, 30]).all()


def test_a_line_of_fifty_megapixels_needs_no_gigabytes() -> None:
    line = Image.new("L", (50_000_000, 1), 77)
    assert np.abs(preprocess(line, Preprocessing(32, 1, "whole")).astype(int) - 77).max() <= 1


@pytest.mark.parametrize("size", [(178, 218), (173, 218), (183, 218), (1024, 1254)])
def test_celeba_box_is_for_the_proportions_of_an_aligned_face(size: tuple[int, int]) -> None:
    width, height = size
    box = [25 / 178 * width, 45 / 218 * height, 153 / 178 * width, 173 / 218 * height]
    assert crop_box(width, height, "celeba") == pytest.approx(box)


@pytest.mark.parametrize("size", [(172, 218), (184, 218), (218, 218), (640, 480), (480, 640), (1, 5)])
def test_other_proportions_are_never_squeezed_into_the_celeba_box(size: tuple[int, int]) -> None:
    assert crop_box(*size, "celeba") == crop_box(*size, "center")
    left, top, right, bottom = crop_box(*size, "celeba")
    assert right - left == bottom - top == min(size)


def test_celeba_crop_is_the_same_at_every_resolution() -> None:
    """The box from 25, 45 to 153, 173 on the original fills the image, at full and at half size."""
    for scale in (1, 0.5, 2):
        width, height = round(178 * scale), round(218 * scale)
        y, x = np.mgrid[:height, :width] + 0.5
        inside = (np.abs(x / scale - 89) < 64) & (np.abs(y / scale - 109) < 64)
        drawn = Image.fromarray((inside * 255).astype(np.uint8))
        pixels = preprocess(drawn, Preprocessing(64, 1, "celeba"))
        assert (pixels[2:-2, 2:-2] >= 240).all()  # Lanczos rings a little at half size
        outside = Image.fromarray(((~inside) * 255).astype(np.uint8))
        assert preprocess(outside, Preprocessing(64, 1, "celeba"))[2:-2, 2:-2].max() <= 15


def test_a_photograph_and_its_half_size_copy_give_the_same_face() -> None:
    y, x = np.mgrid[:218, :178]
    smooth = 127 + 60 * np.sin(x / 11) * np.cos(y / 13) + 40 * np.sin((x + y) / 17)
    full = Image.fromarray(smooth.astype(np.uint8))
    half = full.resize((89, 109), Image.Resampling.BOX)
    faces = [preprocess(image, Preprocessing(64, 1, "celeba")).astype(int) for image in (full, half)]
    assert np.abs(faces[0] - faces[1]).max() <= 3


def test_center_is_the_largest_centred_square() -> None:
    pixels = np.zeros((32, 50), np.uint8)
    pixels[:, 9:41] = noise(32, 32)[..., 0]
    for image in (pixels, pixels.T):
        cut = preprocess(Image.fromarray(np.ascontiguousarray(image)), Preprocessing(32, 1, "center"))
        assert np.array_equal(cut[..., 0], (pixels[:, 9:41] if image is pixels else pixels[:, 9:41].T))


def test_whole_squeezes_everything_in() -> None:
    ramp = np.repeat(np.linspace(0, 255, 256).astype(np.uint8)[None], 64, 0)
    squeezed = preprocess(Image.fromarray(ramp), Preprocessing(64, 1, "whole"))[..., 0].astype(float)
    means = ramp.reshape(64, 64, 4).mean(-1)
    assert np.abs(squeezed - means)[:, 4:-4].max() <= 1


def test_resizing_does_not_alias() -> None:
    board = (np.indices((256, 256)).sum(0) % 2 * 255).astype(np.uint8)
    grey = preprocess(Image.fromarray(board), Preprocessing(32, 1, "whole"))
    assert np.abs(grey.astype(float) - 127.5).max() < 3


def test_large_pictures_are_reduced_as_well_as_by_averaging() -> None:
    y, x = np.mgrid[:2000, :2000] / 2000
    smooth = (127 + 120 * np.sin(7 * x) * np.cos(5 * y)).astype(np.uint8)
    pixels = preprocess(Image.fromarray(smooth[:1984, :1984].copy()), Preprocessing(64, 1, "whole"))[..., 0]
    means = smooth[:1984, :1984].reshape(64, 31, 64, 31).mean((1, 3))
    assert np.abs(pixels - means)[2:-2, 2:-2].max() < 2


def test_grey_and_colour_are_converted() -> None:
    red = Image.new("RGB", (8, 8), (255, 0, 0))
    assert (preprocess(red, Preprocessing(32, 1)) == round(0.299 * 255)).all()
    assert (preprocess(Image.new("L", (8, 8), 9), Preprocessing(32, 3)) == 9).all()


@pytest.mark.parametrize(
    "settings",
    [{"size": 63}, {"size": 64.0}, {"size": True}, {"channels": 2}, {"channels": True}, {"crop": "face"}],
)
def test_impossible_preprocessing_is_refused(settings: dict) -> None:
    with pytest.raises(ConfigError, match="expected one of"):
        # On a stand-in, because the dataclass's own types are checked before in tests.
        Preprocessing.__post_init__(
            SimpleNamespace(**{"size": 64, "channels": 3, "crop": "whole", "window": None} | settings)
        )


def test_all_256_levels_survive_the_way_to_floats_and_back() -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, 3)
    images = to_float(pixels)
    assert images.dtype == torch.float32
    assert torch.equal(images[0, 0].reshape(-1), torch.arange(256) / 255)
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert np.array_equal(to_pixels(images), pixels)


def test_read_only_pixels_are_taken_without_a_warning() -> None:
    pixels = np.zeros((1, 4, 4, 3), np.uint8)
    pixels.setflags(write=False)
    assert to_float(pixels).sum() == 0


def test_to_pixels_clamps_and_rounds() -> None:
    values = torch.tensor([-1.0, 0.0, 0.5 / 255 - 1e-4, 0.6 / 255, 1.0, 9.0, float("nan"), float("inf")])
    assert to_pixels(values.reshape(1, 1, 1, 8)).reshape(-1).tolist() == [0, 0, 0, 1, 255, 255, 0, 255]
