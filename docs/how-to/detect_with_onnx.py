"""Judge images without Pellucid: python detect_with_onnx.py detector.onnx IMAGES"""

import io
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def levels(values: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """8 bits of values: black and white at the ends of a window."""
    black, white = window
    shares = ((values.astype(np.float64) - black) / (white - black)).clip(0, 1)
    return np.rint(shares * 255).astype(np.uint8)


def box_of(width: int, height: int, crop: dict) -> tuple[float, float, float, float]:
    """The part of an image that a crop takes: left, top, right, bottom."""
    fits = crop["proportion"] is None or abs(width / height / crop["proportion"] - 1) <= crop["tolerance"]
    if crop["box"] is not None and fits:
        left, top, right, bottom = crop["box"]
        return left * width, top * height, right * width, bottom * height
    side = min(width, height)  # the largest centered square
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side


def reduction_of(image: Image.Image, rule: dict) -> int:
    """By how much an image is reduced while it is decoded."""
    if image.format != "JPEG":
        return 1
    try:
        on_the_side = image.getexif().get(0x0112) in (5, 6, 7, 8)
    except Exception:  # a damaged tag
        on_the_side = False
    size = image.size[::-1] if on_the_side else image.size
    left, top, right, bottom = box_of(*size, rule["crop"])
    most = min(right - left, bottom - top) / (rule["size"] * rule["resize"]["reducing_gap"])
    return next((n for n in rule["jpeg_reductions"] if n <= most and not any(side % n for side in size)), 1)


def opened(content: bytes, rule: dict) -> tuple[Image.Image, int]:
    """An image as Pellucid opens it: upright, over white, 8 bits a channel; and by how much it is reduced."""
    image = Image.open(io.BytesIO(content), formats=("JPEG", "PNG", "WEBP"))
    reduction = reduction_of(image, rule)
    if reduction > 1:
        image.draft(None, (image.width // reduction, image.height // reduction))
    return plain(image, content, rule["window"]), reduction


def plain(image: Image.Image, content: bytes, window: tuple[float, float] | None) -> Image.Image:
    """An opened image in 8-bit RGB."""
    image.load()
    png = image.format == "PNG"
    key = image.info.get("transparency")  # of a PNG: a color, in the file's bit depth, that means transparent
    if png and image.mode in ("1", "L", "RGB") and key is not None:
        depth = content[24]
        keys = [k >> 8 if depth == 16 else k * 255 // (2**depth - 1) for k in np.atleast_1d(key).tolist()]
        image.info["transparency"] = tuple(keys) if image.mode == "RGB" else keys[0]
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):  # 16-bit grey: Pillow's own conversion would clip it
        values = np.asarray(image)
        grey = np.where(values == key, 255, levels(values, window or (0, 65_535)))
        return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image.convert("RGB"), mask=image.getchannel("A"))
        image = white
    image = image.convert("RGB")
    deep = png and content[24] == 16  # Pillow gives the upper 8 bits of color
    if window is None or (window[1] > 255 and not deep):
        return image
    return image.point(levels(np.arange(256) * (257 if deep else 1), window).tolist() * 3)


def pixels_of(content: bytes, rule: dict) -> np.ndarray:
    """What the model sees, uint8 [1 height width channel]; `rule` is the file's `preprocessing`."""
    image, reduction = opened(content, rule)
    whole = box_of(image.width * reduction, image.height * reduction, rule["crop"])
    box = tuple(edge / reduction for edge in whole)
    assert rule["resize"]["filter"] == "lanczos", rule["resize"]
    gap = rule["resize"]["reducing_gap"]
    shape = (1, rule["size"], rule["size"], rule["channels"])
    image = image.resize(shape[1:3], Image.Resampling.LANCZOS, box=box, reducing_gap=gap)
    image = image.convert("RGB" if rule["channels"] == 3 else "L")
    return np.asarray(image, np.uint8).reshape(shape)


def main(detector: str, *paths: str) -> None:
    """Print a line for each image."""
    session = onnxruntime.InferenceSession(detector, providers=["CPUExecutionProvider"])
    about = json.loads(session.get_modelmeta().custom_metadata_map["pellucid"])
    columns = about["detector"]["columns"]
    caution = f". Caution: {'; '.join(about['cautions'])}" if about["cautions"] else ""
    for path in paths:
        pixels = pixels_of(Path(path).read_bytes(), about["preprocessing"])
        answers = session.run(about["outputs"], {"pixels": pixels})
        found = dict(zip(about["outputs"], answers, strict=True))
        verdict = "normal" if found["normal"][0] else "anomalous"
        reason = columns[int(np.abs(found["contributions"][0]).argmax())]["label"]
        print(f"{path}: {verdict}, score {found['score'][0]:.4f}, most by {reason}{caution}")


if __name__ == "__main__":
    main(*sys.argv[1:])
