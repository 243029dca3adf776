"""Read a picture, refuse what is not one, and bring it to the size and colour that a model sees."""

import io
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, Float32, Shaped, UInt8
from PIL import Image, ImageFile, UnidentifiedImageError
from torch import Tensor

from pellucid.data.paths import printable as printable
from pellucid.errors import ConfigError, ImageError, PellucidError
from pellucid.storage.regular import read_regular

Crop = Literal["whole", "center", "celeba"]
SIZES = (32, 64, 128, 256)
FORMATS = ("JPEG", "PNG", "WEBP")
MAX_PIXELS = 50_000_000
MAX_BYTES = 200_000_000
HEAD = 264
"""Bytes at the beginning of a file that tell what it is."""
_MAX_DECODING_BYTES = 480_000_000
_WEBP_BYTES = 16  # two canvases of its decoder, what they give, and Pillow's own
_MAX_SIDE = 65_535  # as JPEG has it
_BAND = 1 << 20  # pixels that are brought into another mode at once
_LARGEST = 1e30  # of the values that become black and white

RESAMPLING = Image.Resampling.LANCZOS
REDUCING_GAP = 3.0
"""Large images are first reduced by whole numbers: the same to the eye, bounded in memory, and faster."""
JPEG_REDUCTIONS = (8, 4, 2)
"""By which a large JPEG is reduced while it is decoded."""

_SIGNATURES = (
    (0, b"\xff\xd8\xff", "a JPEG that is damaged"),
    (0, b"\x89PNG", "a PNG that is damaged"),
    (8, b"WEBP", "a WEBP that is damaged"),
    (0, b"GIF8", "a GIF"),
    (0, b"BM", "a BMP"),
    (0, b"II*\0", "a TIFF"),
    (0, b"MM\0*", "a TIFF"),
    (4, b"ftypavif", "an AVIF"),
    (4, b"ftyphei", "a HEIC"),
    (4, b"ftypmif1", "a HEIC"),
    (4, b"jP  ", "a JPEG 2000"),
    (4, b"JXL ", "a JPEG XL"),
    (0, b"\xff\x0a", "a JPEG XL"),
    (0, b"8BPS", "a PSD"),
    (128, b"DICM", "a DICOM file"),
    (4, b"ftyp", "a video"),
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (257, b"ustar", "a tar archive"),
    (0, b"\x93NUMPY", "an array"),
    (0, b"%PDF", "a PDF"),
    (0, b"<svg", "an SVG"),
    (0, b"<?xml", "an XML file"),
)

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_ON_THE_SIDE = (5, 6, 7, 8)

_pillow = threading.RLock()


@dataclass(frozen=True)
class CropRule:
    """Which part of an image a crop takes.

    Attributes:
        box: Left, top, right and bottom in shares of width and height. None stands for the largest centered
            square, whose left and top are rounded down to whole pixels.
        proportion: Width / height of the images that the box is for; of others the largest centered square is
            taken. None: of all images.
        tolerance: How far, relatively, an image may be from that proportion.
    """

    box: tuple[float, float, float, float] | None = None
    proportion: float | None = None
    tolerance: float = 0.03

    def fits(self, width: int, height: int) -> bool:
        """Tell whether an image has the proportion that the box is for."""
        return self.proportion is None or abs(width / height / self.proportion - 1) <= self.tolerance


# Of CelebA, the square of 128 pixels around the face in an aligned photograph of 178 x 218: hairline to chin.
# Tighter than the usual 148, which gives a third more of its pixels to whatever is behind the head.
CROPS: dict[Crop, CropRule] = {
    "whole": CropRule((0, 0, 1, 1)),
    "center": CropRule(),
    "celeba": CropRule((25 / 178, 45 / 218, 153 / 178, 173 / 218), proportion=178 / 218),
}


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes the pixels of a model: saved with the model and used everywhere after.

    Attributes:
        size: Side of the square in pixels: 32, 64, 128 or 256.
        channels: 1 (grey, ITU-R 601 luma) or 3 (RGB).
        crop: `center` the largest centered square; `celeba` the face of an aligned CelebA photograph,
            whatever its resolution, and of images of other proportions the largest centered square; `whole`
            the whole image squeezed into a square.
        window: The values that become black and white; what lies beyond them is black or white as well. None:
            the ends of the data type, 0 and 1 for floats. A picture of 8 bits is left as it is by a window
            that reaches beyond 255.
    """

    size: int = 64
    channels: int = 3
    crop: Crop = "center"
    window: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.window is not None:
            object.__setattr__(self, "window", _checked_window(self.window))
        for name, choices in (("size", SIZES), ("channels", (1, 3)), ("crop", get_args(Crop))):
            value = getattr(self, name)
            if isinstance(value, bool) or value not in choices or type(value) is not type(choices[0]):
                expected = ", ".join(map(str, choices))
                raise ConfigError(f"{name}: expected one of {expected}, got {value!r}. Choose one of them.")


def parse_window(text: str) -> tuple[float, float]:
    """Read `0,4095`: the values that become black and white.

    Raises:
        ConfigError: If these are not two numbers, the smaller one first.
    """
    try:
        return _checked_window([float(part) for part in text.split(",")])
    except ValueError as error:
        raise _no_window(text) from error


def _checked_window(window: Any) -> tuple[float, float]:
    """A window from a config or a command line, as two numbers."""
    if not isinstance(window, list | tuple) or len(window) != 2:
        raise _no_window(window)
    if not all(type(value) in (int, float) and abs(value) <= _LARGEST for value in window):
        raise _no_window(window)
    low, high = map(float, window)
    if not low < high:
        raise _no_window(window)
    return low, high


def _no_window(got: Any) -> ConfigError:
    return ConfigError(
        f"window: expected two numbers, black and white, the smaller one first, got {str(got)[:60]!r}. For "
        "example 0,4095 for 12 bits."
    )


def decode(source: Path | bytes, window: tuple[float, float] | None = None) -> Image.Image:
    """Read a JPEG, PNG or WEBP picture: upright by its EXIF tag, transparency over white.

    Grey, palette, CMYK and 16-bit pictures are understood; of an animation, the first frame.
    Nothing is decoded before the size of the file (200 MB) and of the picture is known: 50 megapixels, or
    what is decoded in 480 MB (30 megapixels of WEBP, 48 of a progressive JPEG, 40 of one in CMYK).

    Args:
        source: A file, or the contents of one.
        window: As in `Preprocessing`.

    Returns:
        A picture in mode `RGB` or `L`, of 8 bits.

    Raises:
        ImageError: If it is no such picture, truncated, damaged or too large.
    """
    return _decoded(source, window)[0]


def _decoded(
    source: Path | bytes, window: tuple[float, float] | None, fitted: Preprocessing | None = None
) -> tuple[Image.Image, int]:
    """As `decode`, and by how much the picture is reduced, which only one is that is to be fitted."""
    label, data = _contents(source)
    with _reading(label, data):
        image, step, reduction = _opened(data, label, fitted)
        orientation = _orientation(image)
        # From here on, the picture as it was read is gone from memory: nothing else may hold it.
        image = _flatten(image, label, window, step)
        plain = _upright(image, orientation)
        plain.info = {}
        return plain, reduction


def value_range(source: Path | bytes) -> tuple[float, float, float]:
    """Find the least and the largest value of a picture's pixels, and the largest that there could be.

    Raises:
        ImageError: As `decode`.
    """
    label, data = _contents(source)
    with _reading(label, data):
        image, step, _ = _opened(data, label)
        deep = image.mode.startswith("I;16")
        pixels = np.asarray(image if deep else _flatten(image, label))
        unit = 1 if deep else step
        return float(pixels.min()) * unit, float(pixels.max()) * unit, 255.0 * step


def _opened(data: bytes, label: str, fitted: Preprocessing | None = None) -> tuple[Image.Image, int, int]:
    """A picture as Pillow reads it, how many of the file's values are one of 8 bits, and its reduction.

    These are 257 in a PNG of 16 bits, of which Pillow drops the lower 8 in color.
    """
    _check_webp(data, label)
    image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
    _check_pixels(*image.size, label, _bytes_a_pixel(image))
    step = _deep_step(image)
    reduction = 1 if fitted is None else _reduction(image, fitted)
    if reduction > 1:
        image.draft(None, (image.width // reduction, image.height // reduction))
    image.load()
    return image, step, reduction


def _reduction(image: Image.Image, fitted: Preprocessing) -> int:
    """By how much a picture is reduced while it is decoded; 1 for not at all.

    Of what the crop takes, `REDUCING_GAP` pixels for each of the model's are left. Width and height are
    divisible, so that no pixel at an edge is a part of one. A window is for pixels before they are mixed.
    """
    if image.format != "JPEG" or fitted.window is not None:
        return 1
    size = image.size[::-1] if _orientation(image) in _ON_THE_SIDE else image.size
    left, top, right, bottom = crop_box(*size, fitted.crop)
    most = min(right - left, bottom - top) / (fitted.size * REDUCING_GAP)
    return next((by for by in JPEG_REDUCTIONS if by <= most and not any(n % by for n in size)), 1)


def preprocess(image: Image.Image, preprocessing: Preprocessing) -> UInt8[np.ndarray, "height width channel"]:
    """Crop, resize (antialiased, Lanczos) and convert a picture to what the model sees.

    Args:
        image: A picture as Pillow opened it, in one of its 8-bit modes or in 16-bit grey. Of a PNG in color
            with 16 bits, or with a transparent color in less than 8, that can be told until it is loaded.
        preprocessing: Size, channels, crop and window.

    Raises:
        ImageError: If the picture's mode is not understood, or it cannot be loaded.
    """
    plain = type(image) is Image.Image and image.mode in ("L", "RGB") and not image.info
    if not plain or preprocessing.window is not None:
        with _reading("the image"):
            _check_pixels(*image.size, "the image")
            flat = _flatten(image, "the image", preprocessing.window, _deep_step(image))
            image = _upright(flat, _orientation(image))
    return fit(image, preprocessing)


def fit(
    image: Image.Image, preprocessing: Preprocessing, reduction: int = 1
) -> UInt8[np.ndarray, "height width channel"]:
    """Crop, resize and convert a picture that `decode` gave, with the same window.

    Args:
        image: The picture.
        preprocessing: Size, channels and crop.
        reduction: By how much it is smaller than the whole picture, which decides where it is cropped.
    """
    side = (preprocessing.size, preprocessing.size)
    whole = crop_box(image.width * reduction, image.height * reduction, preprocessing.crop)
    left, top, right, bottom = (edge / reduction for edge in whole)
    box = (left, top, right, bottom)
    resized = image.resize(side, RESAMPLING, box=box, reducing_gap=REDUCING_GAP)
    pixels = np.array(resized.convert("L" if preprocessing.channels == 1 else "RGB"))
    return pixels.reshape(*side, preprocessing.channels)


def read_image(
    source: Path | bytes, preprocessing: Preprocessing
) -> UInt8[np.ndarray, "height width channel"]:
    """Read a picture the way a model sees it: `decode`, then `fit`.

    A JPEG of which the crop takes much more pixels than the model sees is decoded at an eighth, a quarter or
    half of its size: several times as fast, and hardly another picture (docs/performance.md).
    """
    image, reduction = _decoded(source, preprocessing.window, preprocessing)
    return fit(image, preprocessing, reduction)


def levels(values: Shaped[np.ndarray, "*shape"], window: tuple[float, float]) -> UInt8[np.ndarray, "*shape"]:
    """Bring values from black to white to 0 to 255, rounded; what lies beyond is black or white.

    Args:
        values: Finite numbers.
        window: Which of them are black and white.
    """
    table = None
    if values.dtype.kind == "u" and values.dtype.itemsize <= 2:
        table = _levels(np.arange(256**values.dtype.itemsize), window)
    flat, shown = values.reshape(-1), np.empty(values.size, np.uint8)
    for at in range(0, flat.size, _BAND):
        some = flat[at : at + _BAND]
        shown[at : at + _BAND] = _levels(some, window) if table is None else table[some]
    return shown.reshape(values.shape)


def _levels(values: Shaped[np.ndarray, " value"], window: tuple[float, float]) -> UInt8[np.ndarray, " value"]:
    low, high = window
    shares = ((values.astype(np.float64) - low) / (high - low)).clip(0, 1)
    shown: UInt8[np.ndarray, " value"] = np.rint(shares * 255).astype(np.uint8)
    return shown


def to_float(
    pixels: UInt8[np.ndarray, "batch height width channel"],
) -> Float32[Tensor, "batch channel height width"]:
    """Pixels as the numbers in [0, 1] that a model takes, in channels-last memory."""
    writable = pixels if pixels.flags.writeable else pixels.copy()
    return torch.from_numpy(writable).permute(0, 3, 1, 2).to(torch.float32).div_(255)


def to_pixels(
    images: Float[Tensor, "batch channel height width"],
) -> UInt8[np.ndarray, "batch height width channel"]:
    """Numbers as pixels: clamped to [0, 1], rounded to the nearest of 256 levels, nan as black."""
    shown = torch.nan_to_num(images.detach().to("cpu", torch.float32)).clamp(0, 1).mul(255).round()
    return shown.to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def _contents(source: Path | bytes) -> tuple[str, bytes]:
    """What to call a picture, and its bytes."""
    label = "the image" if isinstance(source, bytes) else printable(source)
    if isinstance(source, bytes):
        data = source[: MAX_BYTES + 1]
    else:
        try:
            data = read_regular(source, max_bytes=MAX_BYTES)
        except OSError as error:
            raise ImageError(f"{label}: cannot be read ({error.strerror}). Check the path.") from error
    if len(data) > MAX_BYTES:
        limit = MAX_BYTES // 1_000_000
        raise ImageError(f"{label}: expected at most {limit} MB, got more. Save it smaller.")
    if not data:
        raise ImageError(f"{label}: expected a picture, got an empty file. Copy it again.")
    return label, data


@contextmanager
def _reading(label: str, data: bytes = b"") -> Iterator[None]:
    """Turn whatever Pillow raises into ImageError, and keep its warnings and global switches out."""
    with _pillow, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lenient, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
        try:
            yield
        except PellucidError:
            raise
        except UnidentifiedImageError as error:
            raise ImageError(
                f"{label}: expected a JPEG, PNG or WEBP picture, got {content_of(data)}. "
                "Convert it, or leave it out."
            ) from error
        except Image.DecompressionBombError as error:
            raise ImageError(f"{label}: {_too_large('far more')}") from error
        # Hostile bytes make Pillow raise nearly any type: struct.error, KeyError, MemoryError ...
        except Exception as error:
            reason = printable(str(error).partition("\n")[0][:200]) or type(error).__name__
            raise ImageError(
                f"{label}: is damaged or incomplete ({reason}). Copy it again, or leave it out."
            ) from error
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = lenient


def is_encoded_image(head: bytes) -> bool:
    """Tell by its first `HEAD` bytes whether something is a JPEG, PNG or WEBP, whatever it is called."""
    return head.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")) or (
        head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    )


def content_of(data: bytes) -> str:
    """Name what the content of a file is, by its first `HEAD` bytes, for people."""
    if not data:
        return "an empty file"
    names = (name for at, magic, name in _SIGNATURES if data[at : at + len(magic)] == magic)
    return next(names, "something else")


def _too_large(got: str, most: int = MAX_PIXELS) -> str:
    return f"expected at most {most // 1_000_000} megapixels, got {got}. Make it smaller."


def _bytes_a_pixel(image: Image.Image) -> int:
    """What Pillow and its decoder take for each pixel while the picture is read."""
    if image.format == "JPEG" and image.info.get("progressive"):
        return 4 + 2 * int(getattr(image, "layers", 4))  # all coefficients, 16 bits each
    return _WEBP_BYTES if image.format == "WEBP" else 4


def _check_pixels(width: int, height: int, label: str, bytes_a_pixel: int = 4) -> None:
    most = min(MAX_PIXELS, _MAX_DECODING_BYTES // bytes_a_pixel)
    if width * height > most:
        raise ImageError(f"{label}: {_too_large(f'{width}x{height}', most)}")
    if max(width, height) > _MAX_SIDE:  # a decoder keeps several lines
        raise ImageError(f"{label}: expected at most {_MAX_SIDE:,} pixels a side, got {width}x{height}.")
    if width < 1 or height < 1:
        raise ImageError(f"{label}: expected a picture, got one of {width}x{height} pixels. Leave it out.")


def _check_webp(data: bytes, label: str) -> None:
    """Pillow hands a WEBP to its decoder on opening, so the header is read here first."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or len(data) < 30:
        return
    if data[12:16] == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    elif data[12:16] == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = (size & 0x3FFF for size in struct.unpack_from("<HH", data, 26))
    _check_pixels(max(width, 1), max(height, 1), label, _WEBP_BYTES)


def _deep_step(image: Image.Image) -> int:
    """How many of a file's values are one of 8 bits, before the picture is loaded; later nobody can tell.

    A PNG's transparent colour is in the file's bit depth, and brought to that of Pillow's pixels.
    """
    tiles = getattr(image, "tile", None)
    if image.format != "PNG" or not tiles:
        return 1
    depth = _DEPTHS.get(str(tiles[0].args).partition(";")[2], 1 if image.mode == "1" else 8)
    key = image.info.get("transparency")
    if image.mode in ("1", "L", "RGB") and key is not None:
        scaled = [k >> 8 if depth == 16 else k * 255 // (2**depth - 1) for k in np.atleast_1d(key).tolist()]
        image.info["transparency"] = tuple(scaled)
    return 257 if depth == 16 else 1


_DEPTHS = {"2": 2, "4": 4, "16B": 16}
"""Bits of a PNG's values by what Pillow says of how they are packed."""


def _flatten(
    image: Image.Image, label: str, window: tuple[float, float] | None = None, step: int = 1
) -> Image.Image:
    """Opaque, 8-bit grey or RGB, between the values of a window, of which `step` are one of 8 bits.

    A large picture is brought to that band by band, so that few pixels are there twice.
    """
    image.load()
    mode, key = image.mode, image.info.get("transparency")
    if window is not None and step == 1 and window[1] > 255 and not mode.startswith("I;16"):
        window = None
    if mode in ("L", "RGB") and key is None and window is None:
        return image
    if mode not in _PLAIN and not mode.startswith("I;16"):
        raise ImageError(
            f"{label}: expected grey, palette, RGB or CMYK pixels, got Pillow's mode {mode}. "
            "Convert it to RGB."
        )
    width, height = image.size
    if width * height <= _BAND:
        return _flat(image, key, window, step)
    plain = Image.new(_PLAIN.get(mode, "L"), image.size)
    lines = max(1, _BAND // width)
    for left, top in product(range(0, width, _BAND), range(0, height, lines)):
        band = image.crop((left, top, min(left + _BAND, width), min(top + lines, height)))
        plain.paste(_flat(band, key, window, step), (left, top))
    return plain


_PLAIN = {
    **dict.fromkeys(("1", "L", "LA", "La"), "L"),
    **dict.fromkeys(("P", "PA", "RGB", "RGBA", "RGBa", "CMYK"), "RGB"),
}
"""What the modes of Pillow become; those of 16 bits become grey."""


def _flat(image: Image.Image, key: Any, window: tuple[float, float] | None, step: int) -> Image.Image:
    if image.mode.startswith("I;16"):
        return _from_16_bits(image, key, window or (0, 65_535))
    plain = _opaque(image, key)
    if window is None:
        return plain
    table = _levels(np.arange(256) * step, window).tolist()
    return plain.point(table * len(plain.getbands()))


def _opaque(image: Image.Image, key: Any) -> Image.Image:
    mode = image.mode
    if mode in ("1", "L", "RGB"):
        plain = image.convert("L") if mode == "1" else image
        return plain if key is None else _key_to_white(plain, key)
    if mode in ("LA", "La", "RGBA", "RGBa", "PA") or (mode == "P" and key is not None):
        return _over_white(image.convert("LA" if mode in ("LA", "La") else "RGBA"))
    return image.convert("RGB")


def _orientation(image: Image.Image) -> Any:
    """How the EXIF tag says that a picture is to be turned."""
    try:
        return image.getexif().get(0x0112)
    except Exception:  # a damaged tag is no reason to lose the picture
        return None


def _upright(image: Image.Image, orientation: Any) -> Image.Image:
    method = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return image if method is None else image.transpose(method)


def _key_to_white(image: Image.Image, key: Any) -> Image.Image:
    pixels = np.array(image)
    matches = pixels == np.asarray(key).reshape(-1)
    pixels[matches if image.mode == "L" else matches.all(axis=-1)] = 255
    return Image.fromarray(pixels)


def _from_16_bits(image: Image.Image, key: Any, window: tuple[float, float]) -> Image.Image:
    pixels = np.asarray(image)
    shown = levels(pixels, window)
    if key is not None:
        shown[pixels == key] = 255
    return Image.fromarray(shown)


def _over_white(image: Image.Image) -> Image.Image:
    colours = image.convert(image.mode.removesuffix("A"))
    white = Image.new(colours.mode, image.size, "white")
    white.paste(colours, mask=image.getchannel("A"))
    return white


def crop_box(width: int, height: int, crop: Crop) -> tuple[float, float, float, float]:
    """Compute the part of an image that a crop takes: left, top, right and bottom in pixels."""
    rule = CROPS[crop]
    if rule.box is not None and rule.fits(width, height):
        left, top, right, bottom = rule.box
        return left * width, top * height, right * width, bottom * height
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side
