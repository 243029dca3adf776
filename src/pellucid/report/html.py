"""report.html: one file, without a script or a request, for somebody who has never heard of a VAE."""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from jaxtyping import UInt8
from jinja2 import Environment, StrictUndefined, Template
from matplotlib.figure import Figure
from PIL import Image

from pellucid.data.dataset import Dataset
from pellucid.latents.cards import Card
from pellucid.latents.caution import cautions
from pellucid.latents.names import LatentRecord, LatentTable
from pellucid.model.predictor import Model
from pellucid.model.sealed import write_file
from pellucid.report.card import (
    COLORS,
    attribute_name,
    authorship,
    direction,
    histogram_figure,
    interval,
    response_picture,
    strip_columns,
)
from pellucid.report.curves import Metrics, curve_figure, drawn_curves, series
from pellucid.report.ink import DARK, encode, signed
from pellucid.report.mosaic import CELL, fitted, mosaic
from pellucid.report.wording import LIMITS, command, provenance, story, training_facts, without_folders

REPORT = "report.html"
_PAIRS = 12
_MAX_ROWS = 4


def write_report(
    run: Path, model: Model, table: LatentTable, cards: Sequence[Card], dataset: Dataset, metrics: Metrics
) -> Path:
    """Write report.html into the run: what was trained on what, how it went, and what every latent does.

    The file holds all its pictures, asks for nothing from anywhere, and runs no script.

    Args:
        run: The run directory.
        model: Its model.
        table: Its latents: names, evidence, activity.
        cards: Of the active latents.
        dataset: Where the reconstructed images come from: held-out ones, if it has any.
        metrics: The rows of metrics.jsonl.

    Returns:
        The path of the report.
    """
    path = run / REPORT
    page = render_report(run.resolve().name, model, table, cards, dataset, metrics)
    write_file(path, page.encode("utf-8", "backslashreplace"))  # names of files may be no UTF-8
    return path


def load_template(package: str, name: str, **filters: Callable[..., Any]) -> Template:
    """A page's template, which escapes every name and text, with `csp_hash` and other filters."""
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"csp_hash": _csp_hash, **filters}
    return environment.from_string(files(package).joinpath(name).read_text(encoding="utf-8"))


def render_report(
    name: str, model: Model, table: LatentTable, cards: Sequence[Card], dataset: Dataset, metrics: Metrics
) -> str:
    """The report as a string; every name and description in it is escaped."""
    template = load_template("pellucid.report", "report.html.jinja", signed=signed)
    active = table.active()
    rank = {latent: place for place, latent in enumerate(table.order())}
    held_out = dataset.rows("held-out")
    card_of = {card.latent: card for card in cards}
    return template.render(
        name=name,
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        model=model,
        story=story(model, dataset, len(active)),
        facts=training_facts(model, dataset),
        held_out=len(held_out),
        bands=_reconstructions(model, dataset, held_out if len(held_out) else dataset.rows("all")),
        curves=[_curve(curve, metrics) for curve in drawn_curves(metrics)],
        active=[_row(table, latent, card_of.get(latent)) for latent in active],
        named=sum(table.records[latent].name is not None for latent in active),
        silent=[_row(table, latent) for latent in table.order() if latent not in active],
        highest=max((table.records[latent].kl or 0 for latent in active), default=1) or 1,
        cards=[
            _card(card, table.records[card.latent]) for card in sorted(cards, key=lambda c: rank[c.latent])
        ],
        measured=int(cards[0].counts.sum()) if cards else 0,
        scale=_webp(_color_scale()),
        limits=LIMITS,
        cautions=cautions(model, table),
        provenance=provenance(model, dataset),
        settings=json.dumps(_settings(model), indent=1, ensure_ascii=False, sort_keys=True, default=str),
        command=command(model.config, name),
    )


def _csp_hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return "sha256-" + base64.b64encode(digest).decode()


@dataclass(frozen=True)
class _Column:
    head: str
    picture: str
    apart: bool
    minor: bool  # left out on a narrow screen


@dataclass(frozen=True)
class _Track:
    attribute: str
    direction: str
    value: str
    images: str
    share: float
    low: float
    high: float


def _row(table: LatentTable, latent: int, card: Card | None = None) -> Mapping[str, Any]:
    ends = [] if card is None else [_webp(end) for end in fitted(card.strip.images[0, [0, -1]], CELL // 2)]
    return {"record": table.records[latent], "label": table.label(latent), "ends": ends}


def _card(card: Card, record: LatentRecord) -> Mapping[str, Any]:
    size = len(card.response)
    return {
        "card": card,
        "active": record.active is not False,
        "nuisance": record.nuisance,
        "authorship": authorship(card),
        "rows": card.strip.labels[:_MAX_ROWS],
        "columns": _columns(card),
        "response": _webp(response_picture(card, size * max(1, 256 // size))),
        "change": float(card.response.max()),
        "histogram": _light_and_dark(histogram_figure(card), histogram_figure(card, ink=DARK)),
        "tracks": [_track(track) for track in card.tracks],
    }


def _columns(card: Card) -> list[_Column]:
    columns, heads = strip_columns(card, CELL)
    columns = columns[:, :_MAX_ROWS]
    first = len(columns) - len(card.strip.values)
    middle = first + len(card.strip.values) // 2
    pictures = [_webp(mosaic(column[:, None], CELL // 32, [])) for column in columns]
    return [
        _Column(head, picture, apart=i < first, minor=i >= first and (i - middle) % 2 == 1)
        for i, (head, picture) in enumerate(zip(heads, pictures, strict=True))
    ]


def _track(track: Any) -> _Track:
    share, low, high = (round(100 * part, 1) for part in interval(track))
    having = "" if track.positives is None else f", {track.positives:,}\u00a0with\u00a0it"
    return _Track(
        attribute_name(track),
        direction(track),
        f"{track.statistic} {track.value:.2f} ({track.low:.2f}–{track.high:.2f})",
        f"{track.images:,}{having}",
        share,
        low,
        high,
    )


def _reconstructions(model: Model, dataset: Dataset, rows: np.ndarray) -> list[list[Mapping[str, str]]]:
    """Evenly chosen images beside what the model makes of them, six to a band."""
    chosen = rows[np.linspace(0, len(rows) - 1, min(_PAIRS, len(rows))).astype(int)]
    if not len(chosen):
        return []
    images = dataset.batch(chosen)
    both = (fitted(images, CELL), fitted(model.reconstruct(images), CELL))
    pairs = [
        {"name": str(dataset.names[int(row)]), "original": _webp(before), "reconstruction": _webp(after)}
        for row, before, after in zip(chosen, *both, strict=True)
    ]
    return [pairs[i : i + 6] for i in range(0, len(pairs), 6)]


def _curve(curve: Any, metrics: Metrics) -> Mapping[str, Any]:
    line = series(metrics, curve.held_out if len(series(metrics, curve.held_out)) else curve.training)
    light, dark = curve_figure(curve, metrics), curve_figure(curve, metrics, ink=DARK)
    return {
        "curve": curve,
        "picture": _light_and_dark(light, dark),
        "alt": f"{curve.title}, {curve.unit}: from {line[0, 1]:.4g} at step {line[0, 0]:,.0f} "
        f"to {line[-1, 1]:.4g} at step {line[-1, 0]:,.0f}.",
    }


def _settings(model: Model) -> Mapping[str, Any]:
    data = {key: without_folders(v) if key == "source" else v for key, v in model.config.data.items()}
    return {"data": data, "training": {k: v for k, v in model.config.training.items() if k != "command"}}


def _color_scale() -> UInt8[np.ndarray, "height width 3"]:
    ramp = matplotlib.colormaps[COLORS](np.linspace(0, 1, 128), bytes=True)
    return np.asarray(ramp[None, :, :3])


def _light_and_dark(light: Figure, dark: Figure) -> Mapping[str, str]:
    return {"light": _few_colors(light), "dark": _few_colors(dark)}


def _few_colors(figure: Figure) -> str:
    """A chart as a PNG of 48 colours, a third of the size."""
    chart = Image.open(BytesIO(encode(figure, "png"))).convert("RGB").quantize(48, dither=Image.Dither.NONE)
    buffer = BytesIO()
    chart.save(buffer, "PNG", optimize=True)
    return _data_uri(buffer.getvalue(), "png")


def _webp(pixels: UInt8[np.ndarray, "height width channel"]) -> str:
    """A picture as WEBP: exact where that is the smaller (drawings), else at high quality (photographs)."""
    image = Image.fromarray(pixels)

    def encoded(**settings: Any) -> bytes:
        buffer = BytesIO()
        image.save(buffer, "WEBP", **settings)
        return buffer.getvalue()

    close, quickly = encoded(quality=88), encoded(lossless=True, quality=0, method=0)
    # Thoroughly takes twenty times as long, and is an eighth smaller: it would not make up for more.
    exact = encoded(lossless=True, quality=50) if len(quickly) < len(close) else quickly
    return _data_uri(min(exact, close, key=len), "webp")


def _data_uri(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
