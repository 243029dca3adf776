"""Connections that have not shown the token yet: few, and not for long, so that they lock nobody out."""

import asyncio
from collections import OrderedDict

from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_WAITING = 32
SECONDS = 10.0
"""From a connection's begin until its first request with the token has come in whole."""

Client = tuple[str, int]


class Waiting:
    """The connections of strangers, the oldest first. The one that is too many makes the oldest go.

    A browser that has the token shows it within milliseconds. Whoever opens connections and says nothing, or
    says it slowly, or asks again and again without the token, only pushes out others of that kind.
    """

    def __init__(self) -> None:
        self._open: OrderedDict[Client, tuple[asyncio.Transport, asyncio.TimerHandle]] = OrderedDict()

    def begin(self, client: Client | None, transport: asyncio.Transport) -> None:
        """Count a new connection; without an address to know it by, it is closed."""
        if client is None:
            transport.abort()
            return
        self.end(client)  # a transport that is being closed may still have the address
        while len(self._open) >= MOST_WAITING:
            self._close(next(iter(self._open)))
        timer = asyncio.get_running_loop().call_later(SECONDS, self._close, client)
        self._open[client] = (transport, timer)

    def end(self, client: Client | None) -> None:
        """Count a connection no longer: it has shown the token, or is gone."""
        found = None if client is None else self._open.pop(client, None)
        if found is not None:
            found[1].cancel()

    def _close(self, client: Client) -> None:
        transport, _ = self._open[client]
        self.end(client)
        transport.abort()


def protocol(waiting: Waiting) -> type[H11Protocol]:
    """Give uvicorn's HTTP protocol, whose connections wait until `waiting.end` is told of them."""

    class Protocol(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            waiting.begin(self.client, transport)

        def connection_lost(self, exc: Exception | None) -> None:
            waiting.end(self.client)
            super().connection_lost(exc)

    return Protocol
