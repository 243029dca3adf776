"""What the page asks now and then, on a real server."""

import io
import json
from typing import Any

import numpy as np
from PIL import Image

from pellucid.live.engine import UPLOAD_BYTES, Engine, rgb
from pellucid.live.wire import pack, unpack


def test_the_page_and_all_that_it_names_is_served(live: Any) -> None:
    status, headers, content = live.ask("GET", "/")
    assert status == 200
    assert headers["content-type"].startswith("text/html")
    text = content.decode()
    assert 'src="/page.js"' in text
    for path, kind in (
        ("/page.js", "text/javascript"),
        ("/page.css", "text/css"),
        ("/wire.js", "text/javascript"),
    ):
        status, headers, content = live.ask("GET", path)
        assert (status, headers["content-type"].split(";")[0]) == (200, kind)
        assert content


def test_nothing_in_the_page_builds_markup_from_text(live: Any) -> None:
    for name in (
        "page",
        "answer",
        "camera",
        "comparison",
        "crop",
        "keeping",
        "latents",
        "making",
        "stage",
        "wire",
    ):
        script = live.ask("GET", f"/{name}.js")[2].decode()
        assert not [
            word
            for word in ("innerHTML", "outerHTML", "insertAdjacent", "eval(", "http:", "https:/")
            if word in script
        ]


def test_a_picture_is_taken_and_shown(live: Any) -> None:
    file = io.BytesIO()
    Image.fromarray(np.full((50, 80, 3), 200, np.uint8)).save(file, "JPEG")
    status, _, content = live.ask("POST", "/pictures", file.getvalue())
    taken = json.loads(content)
    assert status == 200
    assert taken["box"] == [15 / 80, 0.0, 65 / 80, 1.0]


def test_more_bytes_than_are_taken_are_refused_while_they_come(live: Any) -> None:
    status, _, content = live.ask("POST", "/pictures", bytes(UPLOAD_BYTES + 4_000_000))
    assert status == 413
    assert "expected at most 16,000,000 bytes" in json.loads(content)["error"]
    assert live.ask("POST", "/latents", bytes(5000))[0] == 413
    assert live.ask("GET", "/state")[0] == 200


def test_a_bomb_and_a_text_are_named(live: Any) -> None:
    bomb = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(bomb, "PNG")
    for content, words in ((bomb.getvalue(), "megapixels"), (b"plain text", "JPEG, PNG or WEBP")):
        status, _, answer = live.ask("POST", "/pictures", content)
        assert status == 400
        assert words in json.loads(answer)["error"]


def test_wishes_are_checked(live: Any) -> None:
    for wish in (b"", b"[]", b"{", b'"x"', b'{"latent": 99, "name": "x"}', b"[" * 3000):
        status, _, answer = live.ask("POST", "/latents", wish)
        assert status == 400
        assert json.loads(answer)["error"]


def test_two_pictures_are_compared(live: Any, engine: Engine) -> None:
    a, b = (rgb(engine.picture(number)) for number in (0, 1))
    status, _, answer = live.ask("POST", "/compare", pack({"swap": None}, a, b))
    assert status == 200
    head, body = unpack(answer)
    record, pictures = engine.compare(memoryview(a), memoryview(b), None)
    assert head == json.loads(json.dumps(record))
    assert bytes(body) == b"".join(pictures)
    for content in (pack({"swap": None}, a), pack({"swap": "1"}, a, b), pack({"swap": 77}, a, b), b"x"):
        assert live.ask("POST", "/compare", content)[0] == 400


def test_reasons_are_drawn(live: Any, engine: Engine) -> None:
    status, headers, content = live.ask("POST", "/explain", rgb(engine.picture(0)))
    assert (status, headers["content-type"]) == (200, "image/png")
    assert np.asarray(Image.open(io.BytesIO(content)).convert("L")).std() > 10
    assert live.ask("POST", "/explain", b"short")[0] == 400
