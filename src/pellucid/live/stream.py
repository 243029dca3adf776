"""The line to the page: the newest message wins, one is at work at a time, and nothing piles up."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from pellucid.errors import PellucidError
from pellucid.live.engine import Engine, rgb
from pellucid.live.wire import WireError, pack, unpack

MOST_STREAMS = 8
_BUSY = 1013
_NOT_BYTES = 1003
_PER_SECOND = 500  # messages that are read; beyond, the sender has to wait

Work = Callable[..., Awaitable[Any]]
"""Runs a function of the engine in its thread: `await work(function, *arguments)`."""

_Answer = tuple[bytes, Callable[[], dict[str, Any]] | None]


class Streams:
    """All open lines of a server."""

    def __init__(self, engine: Engine, work: Work) -> None:
        self._engine = engine
        self._work = work
        self._open = 0

    async def serve(self, socket: WebSocket) -> None:
        """Answer one page until it goes away."""
        if self._open >= MOST_STREAMS:
            await socket.accept()
            await socket.close(_BUSY, "This server has as many pages open as it answers.")
            return
        self._open += 1
        try:
            await socket.accept()
            await _Line(self._engine, self._work, socket).run()
        finally:
            self._open -= 1


class _Line:
    """One page: what it asked last, and the picture that it looks at."""

    def __init__(self, engine: Engine, work: Work, socket: WebSocket) -> None:
        self._engine = engine
        self._work = work
        self._socket = socket
        self._newest: bytes | None = None
        self._came = asyncio.Event()
        self._image: Any = None

    async def run(self) -> None:
        reader = asyncio.create_task(self._read())
        writer = asyncio.create_task(self._answer())
        try:
            await asyncio.wait((reader, writer), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (reader, writer):
                task.cancel()
            ended = await asyncio.gather(reader, writer, return_exceptions=True)
        for end in ended:
            if isinstance(end, Exception) and not isinstance(end, WebSocketDisconnect):
                raise end

    async def _read(self) -> None:
        """Keep the newest message; what has not been looked at yet makes way for it."""
        allowed, then = float(_PER_SECOND), time.monotonic()
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            content = message.get("bytes")
            if content is None:
                await self._socket.close(_NOT_BYTES, "Messages are binary here.")
                return
            self._newest = content
            self._came.set()
            now = time.monotonic()
            allowed = min(float(_PER_SECOND), allowed + (now - then) * _PER_SECOND) - 1
            then = now
            if allowed < 0:
                await asyncio.sleep(-allowed / _PER_SECOND)

    async def _answer(self) -> None:
        while True:
            await self._came.wait()
            self._came.clear()
            message, self._newest = self._newest, None
            if message is None:
                continue
            answer, rest = await self._work(self._reply, message)
            await self._socket.send_bytes(answer)
            if rest is not None:  # the picture goes first: numbers may come some milliseconds later
                await self._socket.send_bytes(await self._work(rest))

    def _reply(self, message: bytes) -> tuple[bytes, Callable[[], bytes] | None]:
        """In the engine's thread: the picture, and what computes the numbers if they are wanted."""
        number: object = None
        try:
            head, body = unpack(message)
            number = head.get("number")
            if type(number) is not int or abs(number) > 2**53:
                number = None
                raise WireError("expected a numbered message.")
            answer = self._move if head.get("kind") == "move" else self._look
            picture, judge = answer(head, body, number)
        except PellucidError as error:
            return pack({"kind": "refused", "number": number, "error": str(error)}), None
        if head.get("judge") is not True or judge is None:
            return picture, None
        return picture, lambda: pack({"kind": "judged", "number": number, **judge()})

    def _look(self, head: Mapping[str, Any], body: memoryview, number: int) -> _Answer:
        engine, kind = self._engine, head.get("kind")
        if kind == "picture":
            image = engine.picture(head.get("id"))
        elif kind == "frame":
            image = engine.frame(head.get("side"), body, camera=head.get("camera") is True)
        else:
            raise WireError("expected a frame, a picture or a move.")
        seen = engine.look(image, engine.held(head.get("held", {})))
        self._image = image
        answer = {
            "kind": "seen",
            "number": number,
            "mean": seen.mean.tolist(),
            "deviation": seen.deviation.tolist(),
        }
        return pack(answer, rgb(image), rgb(seen.reconstruction)), lambda: engine.judge(seen)

    def _move(self, head: Mapping[str, Any], body: memoryview, number: int) -> _Answer:
        engine, image = self._engine, self._image
        drawn = engine.move(head.get("z"))
        picture = pack({"kind": "moved", "number": number}, rgb(drawn))
        return picture, None if image is None else lambda: {"losses": engine.losses(image, drawn)}
