"""Who is let in, on a real server: every refusal over HTTP and WebSocket alike."""

from typing import Any

import pytest
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


@pytest.mark.torture(5_000, 50_000)
def test_a_flood_that_nobody_reads_leaves_memory_flat_and_others_served(live: Any, rounds: int) -> None:
    frame = pack({"kind": "frame", "number": 1, "side": 128, "held": {}, "judge": True}, bytes(3 * 128 * 128))
    headers = {"Cookie": live.own["Cookie"]}
    address, origin = f"ws://{live.host}/stream", live.own["Origin"]
    before = live.memory
    with connect(
        address, origin=origin, additional_headers=headers, compression=None, max_queue=1, close_timeout=0.1
    ) as flood:
        for _ in range(rounds):
            flood.send(frame)
        assert live.memory - before < 100_000_000
        with connect(address, origin=origin, additional_headers=headers, compression=None) as other:
            other.send(PICTURE)
            assert unpack(other.recv(timeout=20))[0]["kind"] == "seen"
    assert live.memory - before < 100_000_000
