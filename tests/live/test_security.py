"""Who is let in, on a real server: every refusal over HTTP and WebSocket alike."""

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from websockets.sync.client import connect

from pellucid.live.wire import pack, unpack

EVIL = [
    "http://evil.example",
    "null",
    "http://127.0.0.1:1",
    "http://localhost:{port}",
    "https://127.0.0.1:{port}",
    "http://127.0.0.1:{port}.evil.example",
    "http://127.0.0.1.evil.example:{port}",
    "http://127.0.0.1:{port}/",
    "file://",
    "",
]
FOREIGN = [
    "evil.example",
    "evil.example:{port}",
    "127.0.0.1",
    "127.0.0.1:1",
    "127.0.0.1:{port}.evil.example",
    "0.0.0.0:{port}",
    "127.1:{port}",
    "[::ffff:127.0.0.1]:{port}",
    "",
]
PICTURE = pack({"kind": "picture", "number": 1, "id": 0, "held": {}, "judge": True})


def knock(live: Any, *, without: tuple[str, ...] = (), **changed: str) -> int:
    """The status that a WebSocket's opening is answered with; 101 is let in."""
    opening = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec_WebSocket_Version": "13",
        "Sec_WebSocket_Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    status: int = live.ask("GET", "/stream", without=without, **opening, **changed)[0]
    return status


def dial(live: Any) -> connect:
    headers = {"Cookie": live.own["Cookie"]}
    return connect(f"ws://{live.host}/stream", origin=live.own["Origin"], additional_headers=headers)


def test_the_tools_own_page_is_let_in(live: Any) -> None:
    assert live.ask("GET", "/state")[0] == 200
    assert live.ask("GET", "/state", without=("Origin",))[0] == 200
    assert live.ask("POST", "/latents", b'{"latent": 0, "name": null}')[0] == 200
    assert knock(live) == 101


@pytest.mark.parametrize("origin", EVIL)
def test_other_origins_are_refused(live: Any, origin: str) -> None:
    origin = origin.format(port=live.port)
    assert live.ask("GET", "/state", Origin=origin)[0] == 403
    assert live.ask("POST", "/latents", b'{"latent": 0, "name": null}', Origin=origin)[0] == 403
    assert knock(live, Origin=origin) == 403


def test_a_missing_origin_is_refused_where_something_is_changed_or_streamed(live: Any) -> None:
    for path in ("/pictures", "/latents", "/compare", "/explain"):
        assert live.ask("POST", path, b"{}", without=("Origin",))[0] == 403
    assert knock(live, without=("Origin",)) == 403


@pytest.mark.parametrize("host", FOREIGN)
def test_other_names_of_the_server_are_refused(live: Any, host: str) -> None:
    host = host.format(port=live.port)
    for origin in (live.own["Origin"], f"http://{host}"):
        assert live.ask("GET", "/state", Host=host, Origin=origin)[0] in (400, 403)
    assert live.ask("GET", "/", Host=host)[0] in (400, 403)
    assert knock(live, Host=host, Origin=f"http://{host}") in (400, 403)


@pytest.mark.parametrize("token", ["", "wrong", "x" * 43, "é"])
def test_a_wrong_token_is_refused(live: Any, token: str) -> None:
    cookie = f"pellucid_{live.port}={token}"
    assert live.ask("GET", "/state", Cookie=cookie)[0] == 403
    assert live.ask("GET", "/", Cookie=cookie)[0] == 403
    assert knock(live, Cookie=cookie) == 403


def test_no_token_is_refused_everywhere_but_what_to_do_is_said(live: Any) -> None:
    for path in ("/", "/page.js", "/page.css", "/state", "/shelf.png", "/mean.png", "/nothing", "/stream"):
        status, _, content = live.ask("GET", path, without=("Cookie",))
        assert status == 403
        assert b"Open the address that `pellucid live` printed" in content
    for path in ("/pictures", "/latents", "/compare", "/explain"):
        assert live.ask("POST", path, b"{}", without=("Cookie",))[0] == 403
    assert knock(live, without=("Cookie",)) == 403


def test_the_token_counts_as_the_cookie_of_this_port_or_in_the_first_address_only(live: Any) -> None:
    assert live.ask("GET", "/state", Cookie=f"pellucid_1={live.token}")[0] == 403
    assert live.ask("GET", f"/state?token={live.token}", without=("Cookie",))[0] == 403
    assert live.ask("POST", f"/?token={live.token}", without=("Cookie",))[0] == 403
    assert live.ask("GET", f"/?token={live.token}&token=x", without=("Cookie",))[0] == 403
    status, headers, content = live.ask("GET", f"/?token={live.token}", without=("Cookie", "Origin"))
    assert status == 200
    assert b'content="0; url=/"' in content  # the token leaves the address at once
    assert live.token.encode() not in content
    cookie = headers["set-cookie"].lower()
    assert all(word in cookie for word in ("httponly", "samesite=strict", "path=/"))


def test_a_request_that_the_browser_marks_as_another_sites_is_refused(live: Any) -> None:
    for site in ("cross-site", "same-site"):
        assert live.ask("GET", "/shelf.png", Sec_Fetch_Site=site, Sec_Fetch_Mode="no-cors")[0] == 403
    assert live.ask("GET", "/shelf.png", Sec_Fetch_Site="same-origin", Sec_Fetch_Mode="no-cors")[0] == 200


def test_every_answer_forbids_whatever_the_page_does_not_need(live: Any) -> None:
    for path, cookie in (("/", True), ("/state", True), ("/state", False), ("/nothing", True)):
        _, headers, _ = live.ask("GET", path, without=() if cookie else ("Cookie",))
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert f"connect-src 'self' ws://{live.host};" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers


def test_paths_are_a_table_and_nothing_else(live: Any) -> None:
    for path in ("/../app.py", "/%2e%2e/app.py", "/page/index.html", "//etc/passwd", "/page.js/..", "/.."):
        assert live.ask("GET", path)[0] == 404
    assert live.ask("DELETE", "/state")[0] == 405


def test_it_listens_on_this_machine_only(live: Any) -> None:
    assert [line for line in live.done() if line.startswith("socket.bind")] == [
        line for line in live.done() if line.startswith("socket.bind") and "('127.0.0.1', 0)" in line
    ]
    rows = [
        row.split()
        for file in ("tcp", "tcp6")
        for row in Path("/proc/net", file).read_text().split("\n")[1:-1]
    ]
    listening = [row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{live.port:04X}")]
    assert listening == [f"0100007F:{live.port:04X}"]


PLACES = (
    "/etc/passwd",
    "../../../etc/passwd",
    "file:///etc/passwd",
    "http://evil.example/x.png",
    "\\\\evil.example\\share",
    "//evil.example/x",
)


def test_nothing_that_a_client_says_is_opened_or_called(live: Any) -> None:
    assert live.ask("POST", "/explain", bytes(3 * 32 * 32))[0] == 200  # what is imported late is imported now
    assert live.ask("POST", "/pictures", b"no picture")[0] == 400
    before = len(live.done())
    svg = '<svg xmlns="http://www.w3.org/2000/svg"><image href="{}"/></svg>'
    for place in PLACES:
        for path in (f"/{place}", f"/?file={place}", f"/pictures?url={place}", f"/state?run={place}"):
            assert live.ask("GET", path.replace("\\", "%5C"))[0] in (200, 404, 405)
        for content in (place, svg.format(place), f'{{"path": "{place}"}}'):
            assert live.ask("POST", "/pictures", content.encode())[0] == 400
        for wish in ({"latent": place, "name": "x"}, {"latent": 0, "name": "x", "run": place}):
            assert live.ask("POST", "/latents", json.dumps(wish).encode())[0] == 400
        assert live.ask("POST", "/compare", pack({"swap": place}, bytes(2 * 3 * 32 * 32)))[0] == 400
        assert live.ask("POST", "/explain", place.encode())[0] == 400
        with dial(live) as line:
            for head in ({"kind": "picture", "id": place}, {"kind": place}, {"kind": "frame", "side": place}):
                line.send(pack({"number": 1, "path": place, "url": place, **head}))
                assert unpack(line.recv(timeout=20))[0]["kind"] == "refused"
    after = live.done()[before:]
    assert not [event for event in after if "passwd" in event or "evil" in event]
    assert not [event for event in after if event.startswith(("socket", "subprocess", "os.system", "urllib"))]
    opened = [event for event in after if re.match(r"open \(\D", event)]  # no descriptors
    assert {event.split("'")[1] for event in opened} <= {str(live.run / "latents.json")}


def test_pictures_and_camera_frames_stay_in_memory(live: Any) -> None:
    def files() -> dict[str, tuple[int, int]]:
        found = (path.stat() for path in sorted(live.run.rglob("*")))
        return {str(at): (status.st_size, status.st_mtime_ns) for at, status in enumerate(found)}

    file = io.BytesIO()
    Image.fromarray(np.full((50, 50, 3), 200, np.uint8)).save(file, "PNG")
    assert live.ask("POST", "/explain", bytes(3 * 32 * 32))[0] == 200  # matplotlib writes its own cache once
    before, opened = files(), len(live.done())
    with dial(live) as line:
        for number in range(20):
            line.send(
                pack({"kind": "frame", "number": number, "side": 128, "judge": True}, bytes(3 * 128 * 128))
            )
            assert unpack(line.recv(timeout=20))[0]["kind"] == "seen"
            assert unpack(line.recv(timeout=20))[0]["kind"] == "judged"
    assert live.ask("POST", "/pictures", file.getvalue())[0] == 200
    assert live.ask("POST", "/compare", pack({"swap": None}, bytes(2 * 3 * 32 * 32)))[0] == 200
    assert live.ask("POST", "/explain", bytes(3 * 32 * 32))[0] == 200
    written = [
        event
        for event in live.done()[opened:]
        if event.startswith("open ") and any(mode in event for mode in ("'w", "'a", "'x", "+"))
    ]
    assert not written
    assert files() == before


def test_the_server_talks_to_nobody(live: Any) -> None:
    assert live.ask("GET", "/state")[0] == 200
    calls = ("socket.connect", "socket.getaddrinfo", "urllib", "subprocess", "os.system", "os.exec")
    assert not [event for event in live.done() if event.startswith(calls)]


@pytest.mark.parametrize(
    "name", ["\ud800", "\x1b[2J", "a\nb", "\u202e", "<script>" * 20, "x" * 61, "z1", "\0", " "]
)
def test_a_hostile_name_is_refused_in_json(live: Any, name: str) -> None:
    status, _, answer = live.ask("POST", "/latents", json.dumps({"latent": 0, "name": name}).encode())
    assert status == 400
    assert json.loads(answer)["error"]


@pytest.mark.torture(1, 10)
def test_a_flood_that_nobody_reads_leaves_memory_flat_and_others_served(live: Any, rounds: int) -> None:
    frame = pack({"kind": "frame", "number": 1, "side": 128, "held": {}, "judge": True}, bytes(3 * 128 * 128))
    headers = {"Cookie": live.own["Cookie"]}
    address, origin = f"ws://{live.host}/stream", live.own["Origin"]
    before = live.memory
    for _ in range(rounds):  # not one that goes on: who answers no ping for 40 seconds is hung up on
        with connect(
            address,
            origin=origin,
            additional_headers=headers,
            compression=None,
            max_queue=1,
            close_timeout=0.1,
        ) as flood:
            for _ in range(5000):
                flood.send(frame)
            assert live.memory - before < 100_000_000
            with connect(address, origin=origin, additional_headers=headers, compression=None) as other:
                other.send(PICTURE)
                assert unpack(other.recv(timeout=20))[0]["kind"] == "seen"
    assert live.memory - before < 100_000_000
