"""The line to the page, on a real server."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from pellucid.live.engine import Engine, rgb
from pellucid.live.stream import MOST_STREAMS
from pellucid.live.wire import pack, unpack


def dial(live: Any) -> connect:
    return connect(
        f"ws://{live.host}/stream",
        origin=live.own["Origin"],
        additional_headers={"Cookie": live.own["Cookie"]},
        compression=None,
    )


@pytest.fixture
def line(live: Any) -> Iterator[ClientConnection]:
    with dial(live) as line:
        yield line


def ask(line: ClientConnection, head: dict[str, Any], body: bytes = b"") -> tuple[dict[str, Any], bytes]:
    line.send(pack(head, body))
    answer, rest = unpack(line.recv(timeout=20))
    return answer, bytes(rest)


def test_a_frame_is_answered_with_what_was_seen_and_drawn_and_then_with_numbers(
    line: ClientConnection, engine: Engine, pixels: np.ndarray
) -> None:
    frame = {"kind": "frame", "number": 7, "side": 32, "held": {"1": 2.0}, "judge": True}
    head, body = ask(line, frame, pixels.tobytes())
    image = engine.frame(32, memoryview(pixels.tobytes()))
    expected = engine.look(image, {1: 2.0})
    assert head == {
        "kind": "seen",
        "number": 7,
        "mean": expected.mean.tolist(),
        "deviation": expected.deviation.tolist(),
    }
    assert body == pixels.tobytes() + rgb(expected.reconstruction)
    head, rest = unpack(line.recv(timeout=20))
    assert head == {"kind": "judged", "number": 7, **json.loads(json.dumps(engine.judge(expected)))}
    assert not rest


def test_numbers_come_only_where_they_are_wanted(line: ClientConnection, pixels: np.ndarray) -> None:
    frame = {"kind": "frame", "side": 32, "held": {}}
    for number in (1, 2):
        assert ask(line, {**frame, "number": number}, pixels.tobytes())[0]["number"] == number


def test_a_move_is_decoded_and_scored_against_the_picture_at_hand(
    line: ClientConnection, engine: Engine
) -> None:
    z = [0.5] * 6
    head, body = ask(line, {"kind": "move", "number": 1, "z": z, "judge": True})
    assert head == {"kind": "moved", "number": 1}  # there is no picture yet to score against
    assert body == rgb(engine.move(z))
    assert ask(line, {"kind": "picture", "number": 2, "id": 3})[0]["kind"] == "seen"
    assert ask(line, {"kind": "move", "number": 3, "z": z, "judge": True})[0]["kind"] == "moved"
    head, _ = unpack(line.recv(timeout=20))
    assert head["losses"] == engine.losses(engine.picture(3), engine.move(z))


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\xff\xff\xff\xff",
        pack({}),
        pack({"number": 1}),
        pack({"number": 1, "kind": "open", "path": "/etc/passwd"}),
        pack({"number": 1.5, "kind": "picture", "id": 0}),
        pack({"number": 10**30, "kind": "picture", "id": 0}),
        pack({"number": 1, "kind": "picture", "id": 999}),
        pack({"number": 1, "kind": "picture", "id": "0"}),
        pack({"number": 1, "kind": "frame", "side": 32}, b"short"),
        pack({"number": 1, "kind": "move", "z": [1e300] * 6}),
        pack({"number": 1, "kind": "move"}),
    ],
)
def test_a_message_that_is_not_understood_is_refused_and_the_line_stays(
    line: ClientConnection, message: bytes
) -> None:
    line.send(message)
    head, _ = unpack(line.recv(timeout=20))
    assert head["kind"] == "refused"
    assert head["error"]
    assert ask(line, {"kind": "picture", "number": 9, "id": 0})[0]["kind"] == "seen"


def test_text_and_huge_messages_end_the_line_and_not_the_server(live: Any) -> None:
    for message in ("text", bytes(2 << 20)):
        with dial(live) as line:
            with suppress(ConnectionClosed):  # the server may hang up before it has been given all
                line.send(message)
            with pytest.raises(ConnectionClosed):
                line.recv(timeout=20)
    assert live.ask("GET", "/state")[0] == 200


def test_of_many_messages_the_newest_is_answered(line: ClientConnection) -> None:
    for number in range(200):
        line.send(pack({"kind": "picture", "number": number, "id": 0, "judge": True}))
    answered = []
    while not answered or answered[-1] != 199:
        answered.append(unpack(line.recv(timeout=20))[0]["number"])
    assert answered == sorted(answered)
    assert len(answered) < 150  # those in between have made way


def test_more_pages_than_it_answers_are_told_so(live: Any) -> None:
    with ExitStack() as lines:
        for _ in range(MOST_STREAMS):
            lines.enter_context(dial(live))
        with dial(live) as more, pytest.raises(ConnectionClosed) as closed:
            more.recv(timeout=20)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1013
    with dial(live) as again:
        assert ask(again, {"kind": "picture", "number": 1, "id": 0})[0]["kind"] == "seen"
