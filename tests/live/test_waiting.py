"""Who says nothing, slowly or the wrong thing locks nobody out."""

import asyncio
import socket
import time
from contextlib import ExitStack
from typing import Any

import pytest
from in_a_loop import in_a_loop

from pellucid.live import waiting as module
from pellucid.live.waiting import MOST_WAITING, Waiting


class Transport(asyncio.Transport):
    """Knows only whether it was closed."""

    closed = False

    def abort(self) -> None:
        self.closed = True


def begun(waiting: Waiting, count: int) -> list[Transport]:
    transports = [Transport() for _ in range(count)]
    for port, transport in enumerate(transports, start=1000):
        waiting.begin(("127.0.0.1", port), transport)
    return transports


def test_one_too_many_makes_the_oldest_go() -> None:
    async def work() -> list[bool]:
        return [transport.closed for transport in begun(Waiting(), MOST_WAITING + 2)]

    assert in_a_loop(work()) == [True, True] + [False] * MOST_WAITING


def test_who_has_shown_the_token_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.05)

    async def work() -> list[bool]:
        waiting = Waiting()
        known, silent = begun(waiting, 2)
        waiting.end(("127.0.0.1", 1000))
        begun(waiting, 0)
        await asyncio.sleep(0.3)
        return [known.closed, silent.closed]

    assert in_a_loop(work()) == [False, True]


def test_an_address_that_comes_back_is_counted_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.2)

    async def work() -> list[bool]:
        waiting = Waiting()
        (gone,) = begun(waiting, 1)
        await asyncio.sleep(0.15)
        (again,) = begun(waiting, 1)
        await asyncio.sleep(0.1)
        return [gone.closed, again.closed]  # the first one's timer does not end the second

    assert in_a_loop(work()) == [False, False]


def closed(connection: socket.socket) -> bool:
    """Whether the server has ended it, at the latest within seconds."""
    try:
        while connection.recv(1000):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    return True


@pytest.mark.parametrize("said", [b"", b"GET /state HTTP/1.1\r\nHost: "], ids=["silent", "slow"])
def test_many_silent_connections_lock_nobody_out(live: Any, said: bytes) -> None:
    with ExitStack() as stack:
        opened = []
        for _ in range(200):
            opened.append(stack.enter_context(socket.create_connection(("127.0.0.1", live.port), timeout=20)))
            opened[-1].sendall(said)
        began = time.monotonic()
        assert live.ask("GET", "/state")[0] == 200
        assert time.monotonic() - began < 5
        # the one request was a connection, too
        assert all(closed(old) for old in opened[: 200 - MOST_WAITING - 1])


def test_a_stranger_is_heard_once(live: Any) -> None:
    status, headers, _ = live.ask("GET", "/state", Cookie="pellucid=wrong")
    assert status == 403
    assert headers["connection"] == "close"
    assert live.ask("GET", "/state")[1].get("connection") != "close"
