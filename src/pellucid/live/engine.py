"""All that the live tool asks of a model: look at a picture, move its code, compare two, say why."""

import base64
import io
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from PIL import Image
from torch import Tensor

import pellucid
from pellucid.anomaly.detector import Detector
from pellucid.anomaly.features import LOSS_COLUMNS, Features, columns_of, values_of
from pellucid.anomaly.storage import detector_of
from pellucid.anomaly.verdict import COLUMN_LABELS
from pellucid.comparison.compare import compare, population_deviation
from pellucid.comparison.known import read_known
from pellucid.data.builtin import BUILTIN, open_builtin
from pellucid.data.images import (
    CROPS,
    Preprocessing,
    crop_box,
    decode,
    preprocess,
    printable,
    read_image,
    to_float,
    to_pixels,
)
from pellucid.errors import LatentError
from pellucid.latents.caution import cautions, warned
from pellucid.latents.names import LatentTable, change_latents, mark, read_latents, rename
from pellucid.latents.typical import Typical, average_picture, read_typical
from pellucid.live.wire import WireError
from pellucid.model.predictor import load
from pellucid.objective.reconstruction import LOSSES, reconstruction_losses
from pellucid.report.outlines import outlines

UPLOAD_BYTES = 16_000_000
_KEPT = 16  # opened pictures that are remembered
_LONGEST_SIDE = 1024
_SMALLEST_FRAME, _FRAME = 11, 128
_FURTHEST = 100.0  # a code beyond is nonsense
_SHELF = 24

Pixels = UInt8[np.ndarray, "height width channel"]


@dataclass(frozen=True)
class Look:
    """What the model makes of one picture.

    Attributes:
        image: As the encoder sees it, float32 [1 channel height width] in [0, 1].
        mean: Of the posterior, float32 [latent].
        deviation: Of the posterior, float32 [latent].
        reconstruction: With the held latents set, float32 [1 channel height width] in [0, 1].
        own: With nothing held, likewise.
    """

    image: Float32[Tensor, "1 channel height width"]
    mean: Float32[Tensor, " latent"]
    deviation: Float32[Tensor, " latent"]
    reconstruction: Float32[Tensor, "1 channel height width"]
    own: Float32[Tensor, "1 channel height width"]


class Engine:
    """A run's model with all that the run knows. Used by one thread at a time.

    Args:
        run: The run directory.
        device: auto, cpu, cuda, cuda:1 or mps.

    Attributes:
        frame_side: Pixels a side of a frame before it is brought to the model's size.

    Raises:
        RunError: If the directory is not a run, or something in it is damaged.
    """

    def __init__(self, run: Path, *, device: str = "auto") -> None:
        model = load(run, device=device)
        self.run = run
        self.model = model
        self.table: LatentTable = read_latents(run, model.latents)
        self.typical: Typical | None = read_typical(model)
        self.detector: Detector | None = detector_of(model, self.table)
        self.size = model.config.preprocessing.size
        self.frame_side = max(_FRAME, 2 * self.size)
        shelf = self._shelf()
        self.shelf_names = tuple(name for name, _ in shelf)
        self._pictures: OrderedDict[int, Pixels] = OrderedDict((i, p) for i, (_, p) in enumerate(shelf))
        self._next = len(shelf)
        self.average = average_picture(model, self.typical)

    def _shelf(self) -> list[tuple[str, Pixels]]:
        """Pictures to begin with: those kept with the run, else built-in ones."""
        if self.typical is not None and len(self.typical.pixels):
            return list(zip(self.typical.names, self.typical.pixels, strict=True))
        architecture = self.model.config.architecture
        trained = str(self.model.config.data.get("source"))
        fitting = "people" if architecture.channels == 3 else "sprites"
        source = trained if trained in BUILTIN else fitting
        sizes = BUILTIN[source].sizes
        size = self.size if self.size in sizes else sizes[0]
        pictures = open_builtin(source, size=size, channels=None, crop=None, skip=0, limit=None)
        rows = np.linspace(0, len(pictures) - 1, _SHELF).round().astype(int)
        return [
            (f"{source} {row}", self._colored(pixels))
            for row, pixels in zip(rows, pictures.fetch(rows), strict=True)
        ]

    def _colored(
        self, pixels: Pixels, window: tuple[float, float] | None = None
    ) -> UInt8[np.ndarray, "size size color"]:
        """With the size and channels that the model takes."""
        channels = self.model.config.architecture.channels
        return preprocess(_as_image(pixels), Preprocessing(self.size, channels, "whole", window))

    # what the page is told

    def describe(self) -> dict[str, Any]:
        """Everything that the page has to know before the first picture."""
        model = self.model
        training = model.config.training
        objective = training.get("objective")
        name = objective.get("name") if isinstance(objective, Mapping) else objective
        about = (
            f"{str(name)[:40]}, {model.latents} latents, {self.size}×{self.size}, trained on "
            f"{str(model.config.data.get('description', 'unknown images'))[:120]}"
        )
        doubts = cautions(model, self.table) if self.detector is None else self.detector.cautions
        return {
            "version": pellucid.__version__,
            "run": printable(self.run.resolve().name),
            "fingerprint": model.fingerprint,
            "size": self.size,
            "channels": model.config.architecture.channels,
            "crop": asdict(CROPS[model.config.preprocessing.crop]),
            "frame_side": self.frame_side,
            "upload_bytes": UPLOAD_BYTES,
            "about": warned(f"{about}.", doubts) if doubts else about,
            "latents": self._records(),
            "order": self.table.order(),
            "losses": [
                {"name": name, "label": COLUMN_LABELS[name], "unit": loss.unit}
                for name, loss in LOSSES.items()
            ],
            "detector": self.detector is not None,
            "shelf": {"names": list(self.shelf_names), "own": self.typical is not None},
            "overlay": {"lines": outlines(self.average[0].numpy())},
            "comparable": self._incomparable(),
        }

    def latents(self) -> list[dict[str, Any]]:
        """What is known of each latent, with how it is called and how far it spreads over images.

        Read anew: another program may have given names meanwhile.
        """
        self._take(read_latents(self.run, self.model.latents))
        return self._records()

    def _take(self, table: LatentTable) -> None:
        self.table = table
        if self.detector is not None:
            self.detector.table = table

    def _records(self) -> list[dict[str, Any]]:
        return [
            asdict(record)
            | {
                "label": self.table.label(record.index),
                "deviation": None if record.variance is None else record.variance**0.5,
            }
            for record in self.table.records
        ]

    def _incomparable(self) -> str | None:
        try:
            population_deviation(self.table)
        except LatentError as error:
            return str(error)
        return None

    def shelf(self) -> bytes:
        """All pictures of the shelf side by side, PNG."""
        shown = [self._pictures[number] for number in range(len(self.shelf_names))]
        return _png(np.concatenate(shown, axis=1)) if shown else _png(to_pixels(self.average)[0])

    def mean(self) -> bytes:
        """The average picture, PNG."""
        return _png(to_pixels(self.average)[0])

    # pictures

    def take(self, content: bytes) -> dict[str, Any]:
        """Open a picture's file and remember what the model sees of it.

        Returns:
            JSON's types: `id`; `box`, the part of the picture that the model sees, [left top right bottom] in
            shares of it; whether the crop is meant for its proportions (`exact`); `type` and base64 `data` of
            the upright picture, at most 1024 pixels a side.

        Raises:
            ImageError: If it is no picture, damaged or too large.
        """
        pre = self.model.config.preprocessing
        image = decode(content, pre.window)
        number, self._next = self._next, self._next + 1
        self._pictures[number] = read_image(content, pre)  # which reduces a large JPEG as it is decoded
        opened = [known for known in self._pictures if known >= len(self.shelf_names)]
        for old in opened[:-_KEPT]:
            del self._pictures[old]
        left, top, right, bottom = crop_box(*image.size, pre.crop)
        kind, data = _small(image)
        return {
            "id": number,
            "box": [left / image.width, top / image.height, right / image.width, bottom / image.height],
            "exact": CROPS[pre.crop].fits(*image.size),
            "type": kind,
            "data": base64.b64encode(data).decode(),
        }

    def picture(self, number: object) -> Float32[Tensor, "1 channel height width"]:
        """A picture of the shelf, or one that was opened.

        Raises:
            WireError: If there is none of that number, or not any more.
        """
        if type(number) is not int or number not in self._pictures:
            raise WireError("expected the number of a picture that is still here. Open it again.")
        return to_float(self._pictures[number][None])

    def frame(
        self, side: object, body: memoryview, *, camera: bool = False
    ) -> Float32[Tensor, "1 channel height width"]:
        """What the model sees of RGB bytes: as they are at the model's own size, else resized.

        Frames of a camera have not been through the model's window yet; parts of a picture that was opened
        have.

        Raises:
            WireError: If they are not as many as a square of that side has.
        """
        if type(side) is not int or not (side == self.size or _SMALLEST_FRAME <= side <= self.frame_side):
            raise WireError(f"expected a frame of {self.size} pixels a side, or up to {self.frame_side}.")
        if len(body) != 3 * side * side:
            raise WireError(f"expected {3 * side * side} bytes of a frame, got {len(body)}.")
        pixels = np.frombuffer(body, np.uint8).reshape(side, side, 3)
        window = self.model.config.preprocessing.window if camera else None
        if side == self.size and self.model.config.architecture.channels == 3 and window is None:
            return to_float(pixels[None])
        return to_float(self._colored(pixels, window)[None])

    # what the model says

    def look(self, image: Float[Tensor, "1 channel height width"], held: Mapping[int, float]) -> Look:
        """Encode a picture, and decode its code with some latents held at other values."""
        posterior = self.model.encode(image)
        z = posterior.mean
        if held:
            z = z.repeat(2, 1)
            for latent, value in held.items():
                z[0, latent] = value
        decoded = self.model.decode(z)
        drawn, deviation = decoded[:1], (0.5 * posterior.log_variance[0]).exp()
        return Look(image, posterior.mean[0], deviation, drawn, decoded[1:] if held else drawn)

    def held(self, given: object) -> dict[int, float]:
        """Latents and the values that they are held at, checked.

        Raises:
            WireError: If it is not that.
        """
        if not isinstance(given, Mapping) or len(given) > self.model.latents:
            raise WireError("expected held latents and their values.")
        held = {}
        for latent, value in given.items():
            if not (
                latent.isascii() and latent.isdigit() and len(latent) < 5 and int(latent) < self.model.latents
            ):
                raise WireError(f"expected latents from 0 to {self.model.latents - 1} to be held.")
            held[int(latent)] = _within(value)
        return held

    def move(self, z: object) -> Float32[Tensor, "1 channel height width"]:
        """Decode a code that the page has made.

        Raises:
            WireError: If it is not one of the model's.
        """
        if not isinstance(z, Sequence) or isinstance(z, str) or len(z) != self.model.latents:
            raise WireError(f"expected a code of {self.model.latents} numbers.")
        return self.model.decode(torch.tensor([[_within(value) for value in z]], dtype=torch.float32))

    def losses(
        self,
        image: Float[Tensor, "1 channel height width"],
        reconstruction: Float[Tensor, "1 channel height width"],
    ) -> dict[str, dict[str, float | None]]:
        """All six losses, each with its rank among images of the training data."""
        found = reconstruction_losses(image, reconstruction)
        return {name: self._ranked(name, float(loss[0])) for name, loss in found.items()}

    def _ranked(self, loss: str, value: float) -> dict[str, float | None]:
        return {"value": value, "quantile": self.typical.rank(loss, value) if self.typical else None}

    def judge(self, seen: Look) -> dict[str, Any]:
        """The losses of what is shown, and the detector's verdict on the picture itself with its reasons."""
        if self.detector is None:
            return {"losses": self.losses(seen.image, seen.reconstruction)}
        columns = columns_of("losses+texture+latents", self.model.latents)
        values = values_of(seen.image, seen.mean[None], seen.own, columns)
        if seen.own is seen.reconstruction:  # the losses are among them
            losses = {name: self._ranked(name, float(values[0, at])) for at, name in enumerate(LOSS_COLUMNS)}
        else:
            losses = self.losses(seen.image, seen.reconstruction)
        (judged,) = self.detector.judge(Features(columns, values, ("this picture",), ("",)))
        reasons = [asdict(reason) for reason in judged.reasons]
        return {"losses": losses, "verdict": judged.record() | {"reasons": reasons}}

    # what a person changes and asks

    def change(self, wish: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Rename a latent or mark it as nuisance, in the run's file, too; names given meanwhile are kept.

        Raises:
            WireError: If the wish is not understood.
            LatentError: If there is no such latent, or the name is refused.
            RunError: If the run's file is damaged.
            BusyError: If another program does not let go of it.
        """
        latent, keys = wish.get("latent"), set(wish)
        name, nuisance = wish.get("name"), wish.get("nuisance")
        if type(latent) is not int or keys not in ({"latent", "name"}, {"latent", "nuisance"}):
            raise WireError("expected a latent with a name or a mark.")
        if "name" in keys and not isinstance(name, str | None):
            raise WireError("expected a name or nothing.")
        if "nuisance" in keys and not isinstance(nuisance, bool):
            raise WireError("expected a mark that is true or false.")

        def changed(table: LatentTable) -> LatentTable:
            if isinstance(nuisance, bool):
                return mark(table, latent, nuisance=nuisance)
            return rename(table, latent, name)

        self._take(change_latents(self.run, self.model.latents, changed))
        return self._records()

    def compare(
        self, a: memoryview, b: memoryview, swap: object
    ) -> tuple[dict[str, Any], tuple[bytes, bytes, bytes]]:
        """What differs between two pictures; then A with a latent of B's, A rebuilt and B rebuilt.

        Raises:
            WireError: If `swap` is no number.
            LatentError: If the latents have not been measured, or that one is not active.
        """
        if swap is not None and type(swap) is not int:
            raise WireError("expected the number of a latent to swap, or nothing.")
        known = read_known(self.model)
        found = compare(
            self.model,
            self.frame(self.size, a),
            self.frame(self.size, b),
            table=self.table,
            same=known.identity if known is not None and known.fits(self.table) else None,
            detector=self.detector,
            swap=swap,
        )
        pictures = (found.counterfactual, found.reconstruction_a, found.reconstruction_b)
        first, second, third = (rgb(picture) for picture in pictures)
        return found.record(), (first, second, third)

    def explain(self, body: memoryview) -> bytes:
        """Every reason for the verdict on a picture, as a figure in PNG.

        Raises:
            WireError: If there is no detector.
        """
        from pellucid.report.explanation import explanation_figure
        from pellucid.report.ink import encode

        if self.detector is None:
            raise WireError("there is no detector yet. Make one: pellucid detector RUN.")
        (explanation,) = self.detector.explain(self.frame(self.size, body), names=["this picture"])
        return encode(explanation_figure(explanation), "png")


def rgb(image: Float[Tensor, "1 channel height width"]) -> bytes:
    """A picture as RGB bytes, row by row; grey three times."""
    pixels = to_pixels(image)[0]
    return bytes((pixels if pixels.shape[2] == 3 else pixels.repeat(3, axis=2)).tobytes())


def _within(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _FURTHEST:
        raise WireError(f"expected values from -{_FURTHEST:g} to {_FURTHEST:g}.")
    return float(value)


def _as_image(pixels: Pixels) -> Image.Image:
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def _png(pixels: Pixels) -> bytes:
    file = io.BytesIO()
    _as_image(pixels).save(file, "PNG")
    return file.getvalue()


def _small(image: Image.Image) -> tuple[str, bytes]:
    """The picture to be shown: small ones as they are, large ones smaller and as JPEG."""
    file = io.BytesIO()
    if max(image.size) <= _LONGEST_SIDE // 2:
        image.save(file, "PNG")
        return "image/png", file.getvalue()
    shown = image.copy()
    shown.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE), Image.Resampling.LANCZOS)
    shown.save(file, "JPEG", quality=95, subsampling=0)
    return "image/jpeg", file.getvalue()
