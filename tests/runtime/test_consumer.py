"""docs/how-to/detect_with_onnx.py, which has nothing of Pellucid, decides as `pellucid detect` does."""

import importlib.util
import io
import json
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from exported_case import Case
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pellucid.cli import app
from pellucid.data.images import CROPS, Crop, Preprocessing, read_image
from pellucid.runtime.export import preprocessing_record

EXAMPLE = Path(__file__).parents[2] / "docs" / "how-to" / "detect_with_onnx.py"
PILLOW = (
    *("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", "LAB"),
    *("I", "F", "I;16"),
)
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("detect_with_onnx", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def noise(*shape: int, most: int = 256, kind: type[np.generic] = np.uint8) -> np.ndarray:
    """Blocks of 9 pixels, so that resizing does not make everything grey."""
    blocks = RNG.integers(0, most, (-(-shape[0] // 9), -(-shape[1] // 9), *shape[2:])).astype(kind)
    return blocks.repeat(9, 0).repeat(9, 1)[: shape[0], : shape[1]]


def saved(image: Image.Image, kind: str, **how: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **how)  # type: ignore[arg-type]
    return file.getvalue()


def palette(*, alpha: bool = False) -> Image.Image:
    image = Image.fromarray(noise(70, 90, most=16))
    image.putpalette(RNG.integers(0, 256, 3 * 16, np.uint8).tobytes())
    if alpha:
        image.info["transparency"] = bytes(range(0, 256, 16))
    return image


def png(
    bits: int, color: int, rows: list[bytes], size: tuple[int, int], *chunks: tuple[bytes, bytes]
) -> bytes:
    """A PNG of a depth that Pillow does not write."""
    header = size[0].to_bytes(4, "big") + size[1].to_bytes(4, "big") + bytes([bits, color, 0, 0, 0])
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))]
    content = b"\x89PNG\r\n\x1a\n"
    for name, data in [*parts, (b"IEND", b"")]:
        content += len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")
    return content


def deep(color: int, channels: int, *, key: bool) -> bytes:
    """16 bits a channel, with or without a transparent color."""
    values = noise(70, 90, channels, most=65536, kind=np.uint16)
    chunks = [(b"tRNS", values[0, 0].astype(">u2").tobytes())] if key else []
    return png(16, color, [row.astype(">u2").tobytes() for row in values], (90, 70), *chunks)


def shallow(bits: int, *, key: bool) -> bytes:
    """1, 2 or 4 bits of grey."""
    values = noise(70, 96, most=2**bits)
    packed = np.packbits(np.unpackbits(values[..., None], axis=-1)[..., 8 - bits :].reshape(70, -1), axis=1)
    chunks = [(b"tRNS", int(values[0, 0]).to_bytes(2, "big"))] if key else []
    return png(bits, 0, [row.tobytes() for row in packed], (96, 70), *chunks)


def keyed(mode: str) -> bytes:
    image = Image.fromarray(noise(70, 90, 3) if mode == "RGB" else noise(70, 90))
    key = image.getpixel((0, 0))
    return saved(image, "PNG", transparency=key)


def turned(kind: str, orientation: int, height: int = 60, width: int = 100) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(Image.fromarray(noise(height, width, 3)), kind, exif=exif)


SAVED: dict[str, Callable[[], bytes]] = {
    "1": lambda: saved(Image.fromarray(noise(70, 90)).convert("1"), "PNG"),
    "L": lambda: saved(Image.fromarray(noise(70, 90)), "PNG"),
    "LA": lambda: saved(Image.fromarray(noise(70, 90, 2)), "PNG"),
    "I;16": lambda: saved(Image.fromarray(noise(70, 90, most=65536, kind=np.uint16)), "PNG"),
    "12 of 16 bits": lambda: saved(Image.fromarray(noise(70, 90, most=4096, kind=np.uint16)), "PNG"),
    "P": lambda: saved(palette(), "PNG"),
    "P with alpha": lambda: saved(palette(alpha=True), "PNG"),
    "P with one clear": lambda: saved(palette(), "PNG", transparency=3),
    "RGB": lambda: saved(Image.fromarray(noise(70, 90, 3)), "PNG"),
    "RGBA": lambda: saved(Image.fromarray(noise(70, 90, 4)), "PNG"),
    "L with a key": lambda: keyed("L"),
    "RGB with a key": lambda: keyed("RGB"),
    "16-bit grey with a key": lambda: deep(0, 1, key=True),
    "16-bit grey and alpha": lambda: deep(4, 2, key=False),
    "16-bit RGB": lambda: deep(2, 3, key=False),
    "16-bit RGB with a key": lambda: deep(2, 3, key=True),
    "16-bit RGBA": lambda: deep(6, 4, key=False),
    **{f"{bits}-bit grey": lambda bits=bits: shallow(bits, key=False) for bits in (1, 2, 4)},  # type: ignore[misc]
    **{f"{bits}-bit grey with a key": lambda bits=bits: shallow(bits, key=True) for bits in (1, 2, 4)},  # type: ignore[misc]
    "JPEG L": lambda: saved(Image.fromarray(noise(70, 90)), "JPEG"),
    "JPEG RGB": lambda: saved(Image.fromarray(noise(70, 90, 3)), "JPEG"),
    "JPEG CMYK": lambda: saved(Image.fromarray(noise(70, 90, 4), "CMYK"), "JPEG"),
    "WEBP RGB": lambda: saved(Image.fromarray(noise(70, 90, 3)), "WEBP"),
    "WEBP RGBA": lambda: saved(Image.fromarray(noise(70, 90, 4)), "WEBP", lossless=True, exact=True),
    **{f"turned {n}": lambda n=n: turned("JPEG", n) for n in range(2, 9)},  # type: ignore[misc]
    **{
        f"a large JPEG turned {n}": lambda n=n: turned("JPEG", n, 872, 648)  # type: ignore[misc]
        for n in (1, 3, 6, 7)
    },
    "a large JPEG of odd width": lambda: turned("JPEG", 1, 400, 801),
    "a large JPEG CMYK": lambda: saved(Image.fromarray(noise(300, 404, 4), "CMYK"), "JPEG"),
    "a large JPEG L": lambda: saved(Image.fromarray(noise(872, 712)), "JPEG", progressive=True),
    "turned PNG": lambda: turned("PNG", 6),
    "a damaged EXIF": lambda: saved(Image.fromarray(noise(60, 99, 3)), "JPEG", exif=b"Exif\0\0MM\0*\xff"),
    "large": lambda: saved(Image.fromarray(noise(900, 1300, 3)), "PNG"),
    "CelebA": lambda: saved(Image.fromarray(noise(218, 178, 3)), "PNG"),
    "narrow": lambda: saved(Image.fromarray(noise(7, 900, 3)), "PNG"),
    "animated": lambda: saved(
        Image.fromarray(noise(70, 90, 3)),
        "WEBP",
        save_all=True,
        append_images=[Image.fromarray(noise(70, 90, 3))],
    ),
}


@pytest.mark.parametrize("window", [None, (0, 4095), (30, 200), (-500.5, 70_000)])
@pytest.mark.parametrize("name", SAVED)
def test_the_script_sees_the_same_pixels(
    script: ModuleType, name: str, window: tuple[float, float] | None
) -> None:
    content = SAVED[name]()
    crops: list[Crop] = list(CROPS)
    for crop in crops:
        for channels in (1, 3):
            pre = Preprocessing(32, channels, crop, window)
            rule = json.loads(json.dumps(preprocessing_record(pre)))
            np.testing.assert_array_equal(
                script.pixels_of(content, rule)[0], read_image(content, pre), f"{crop}"
            )


def test_every_mode_that_pillow_reads_from_these_formats_is_among_them() -> None:
    read = {Image.open(io.BytesIO(make())).mode for make in SAVED.values()}
    writable = set()
    for mode in PILLOW:
        for kind in ("PNG", "JPEG", "WEBP"):
            try:
                writable.add(Image.open(io.BytesIO(saved(Image.new(mode, (8, 8)), kind))).mode)
            except (OSError, ValueError, KeyError):
                continue
    assert writable <= read


@settings(max_examples=60)
@given(
    width=st.integers(1, 400),
    height=st.integers(1, 400),
    crop=st.sampled_from(list(CROPS)),
    size=st.sampled_from((32, 64, 128)),
)
def test_the_script_takes_the_same_part_of_every_proportion(
    script: ModuleType, width: int, height: int, crop: Crop, size: int
) -> None:
    slope = np.add.outer(np.arange(height) * 3, np.arange(width)) % 256
    content, pre = saved(Image.fromarray(slope.astype(np.uint8)), "PNG"), Preprocessing(size, 1, crop)
    found = script.pixels_of(content, json.loads(json.dumps(preprocessing_record(pre))))[0]
    np.testing.assert_array_equal(found, read_image(content, pre))


def test_the_script_and_detect_decide_alike(
    case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for at, make in enumerate(SAVED.values()):
        content = make()
        (tmp_path / f"{at:02d}.{Image.open(io.BytesIO(content)).format.lower()}").write_bytes(content)  # type: ignore[union-attr]
    files = sorted(str(file) for file in tmp_path.iterdir())
    command = [sys.executable, str(EXAMPLE), str(case.run / "onnx" / "detector.onnx"), *files]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    app(["detect", str(case.run), str(tmp_path), "--json", "--device", "cpu"], result_action="return_value")
    judged = {record["image"]: record for record in json.loads(capsys.readouterr().out)}
    assert len(printed) == len(judged) == len(SAVED)
    for file, line in zip(files, printed, strict=True):
        (record,) = [record for name, record in judged.items() if name.endswith(Path(file).name)]
        verdict, score = line.removeprefix(f"{file}: ").split(", ")[:2]
        assert verdict == record["verdict"]
        assert line.endswith(". Caution: without any network, PCA tells these images apart as well")
        size = max(1, sum(abs(part["contribution"]) for part in record["contributions"]))
        assert abs(float(score.removeprefix("score ")) - record["score"]) < 1e-4 + 1e-5 * size
    assert "pellucid" not in EXAMPLE.read_text().replace('"pellucid"', "").replace("Pellucid", "")
