"""The live tool's server: the page, the line to it, and what it asks now and then."""

import asyncio
import mimetypes
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from pellucid.errors import PellucidError
from pellucid.live.engine import UPLOAD_BYTES, Engine
from pellucid.live.security import Door, Guard
from pellucid.live.stream import Streams
from pellucid.live.wire import WireError, pack, unpack
from pellucid.storage.strict_json import parse_json

_WISH_BYTES = 4 << 10
_BINARY = "application/octet-stream"
_ROOT = "index.html"


class _TooLargeError(PellucidError):
    """More bytes came than are taken."""


def create_app(run: str | Path, door: Door, *, device: str = "auto") -> Starlette:
    """The live tool for a run, as an ASGI application.

    Everything is served from the package and from memory: nothing that a client says becomes a path or an
    address. All work of the model is done in one thread, so that the event loop is always free.

    Args:
        run: A run directory.
        door: Who may talk to it.
        device: auto, cpu, cuda, cuda:1 or mps.

    Raises:
        RunError: If the directory is not a run, or something in it is damaged.
    """
    return _Live(Engine(Path(run), device=device)).app(door)


class _Live:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._streams = Streams(engine, self._work)
        self._state_at_start = engine.describe()
        self._shelf, self._mean = engine.shelf(), engine.mean()

    def app(self, door: Door) -> Starlette:
        @asynccontextmanager
        async def lifespan(app: Starlette) -> AsyncIterator[None]:
            yield
            self._thread.shutdown(wait=False, cancel_futures=True)

        routes: list[BaseRoute] = [
            *_page(),
            Route("/state", self._state),
            Route("/shelf.png", lambda request: Response(self._shelf, media_type="image/png")),
            Route("/mean.png", lambda request: Response(self._mean, media_type="image/png")),
            Route("/pictures", self._pictures, methods=["POST"]),
            Route("/latents", self._latents, methods=["POST"]),
            Route("/compare", self._compare, methods=["POST"]),
            Route("/explain", self._explain, methods=["POST"]),
            WebSocketRoute("/stream", self._streams.serve),
        ]
        return Starlette(
            routes=routes,
            middleware=[Middleware(Guard, door=door)],
            exception_handlers={
                _TooLargeError: lambda request, error: _refusal(error, 413),
                PellucidError: lambda request, error: _refusal(error, 400),
                ClientDisconnect: lambda request, error: Response(status_code=400),
            },
            lifespan=lifespan,
        )

    async def _work(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

    async def _state(self, request: Request) -> Response:
        return JSONResponse({**self._state_at_start, "latents": await self._work(self._engine.latents)})

    async def _pictures(self, request: Request) -> Response:
        content = await _body(request, UPLOAD_BYTES)
        return JSONResponse(await self._work(self._engine.take, content))

    async def _latents(self, request: Request) -> Response:
        try:
            wish = parse_json(await _body(request, _WISH_BYTES))
        except ValueError as error:
            raise WireError("expected a wish in JSON.") from error
        if not isinstance(wish, dict):
            raise WireError("expected a wish that is a JSON object.")
        return JSONResponse({"latents": await self._work(self._engine.change, wish)})

    async def _compare(self, request: Request) -> Response:
        picture = 3 * self._engine.size**2
        head, body = unpack(await _body(request, 2 * picture + _WISH_BYTES))
        if len(body) != 2 * picture:
            raise WireError(f"expected two pictures of {picture} bytes, got {len(body)} bytes.")
        record, pictures = await self._work(
            self._engine.compare, body[:picture], body[picture:], head.get("swap")
        )
        return Response(pack(record, *pictures), media_type=_BINARY)

    async def _explain(self, request: Request) -> Response:
        content = await _body(request, 3 * self._engine.size**2)
        return Response(await self._work(self._engine.explain, memoryview(content)), media_type="image/png")


def _page() -> list[BaseRoute]:
    """A route for each of the package's own files, which are read once."""
    routes: list[BaseRoute] = []
    for file in sorted(files("pellucid.live").joinpath("page").iterdir(), key=lambda file: file.name):
        kind = "text/javascript" if file.name.endswith(".js") else mimetypes.guess_type(file.name)[0]
        routes.append(_static(f"/{'' if file.name == _ROOT else file.name}", file.read_bytes(), kind))
    return routes


def _static(path: str, content: bytes, kind: str | None) -> Route:
    return Route(path, lambda request: Response(content, media_type=kind))


async def _body(request: Request, most: int) -> bytes:
    """A request's content, counted while it comes in."""
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > most:
            raise _TooLargeError(f"expected at most {most:,} bytes. Send less.")
    return bytes(content)


def _refusal(error: Exception, status: int) -> Response:
    return JSONResponse({"error": str(error)}, status)
