"""Who may talk to the live tool: whoever has the token, from the tool's own page, at an address of its own.

Without these checks any page that a person visits could read the camera's picture from the local server: by
a request of its own (refused by Origin), or by a name that it lets point to 127.0.0.1 (refused by Host).
"""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pellucid.live.waiting import Waiting

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_REFUSED = 4403
_WELCOME = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0; url=/">'
    '<title>Pellucid live</title><link rel="icon" href="data:,"><p><a href="/">Go on to the page</a>'
)
_HELP = "Open the address that `pellucid live` printed when it was started."


@dataclass(frozen=True)
class Door:
    """How the tool may be reached.

    Attributes:
        hosts: All allowed Host headers, exactly: `127.0.0.1:8420` ...
        token: Whoever has it is let in.
        secure: Whether it is served by TLS.
        cookie: Under which name a browser keeps the token: one for each port, because cookies know no ports.
        waiting: The connections that have not shown the token yet.
    """

    hosts: frozenset[str]
    token: str
    secure: bool
    cookie: str
    waiting: Waiting = field(default_factory=Waiting, compare=False)

    @classmethod
    def at(cls, port: int, token: str, *, names: Iterable[str] = (), secure: bool = False) -> "Door":
        """The door of a server on a port: this machine's own names, and others that are given."""
        standard = {443} if secure else {80}
        ends = [f":{port}"] + ([""] if port in standard else [])
        hosts = frozenset(f"{name.lower()}{end}" for name in (*LOOPBACK, *names) for end in ends)
        return cls(hosts, token, secure, f"pellucid_{port}")

    def origin(self, host: str) -> str:
        """The Origin of the tool's own page at a host."""
        return f"{'https' if self.secure else 'http'}://{host}"

    def headers(self, host: str) -> dict[str, str]:
        """What every answer carries, so that the page can load and reach nothing but this server."""
        stream = f"{'wss' if self.secure else 'ws'}://{host}"
        return {
            "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
            "img-src 'self' blob: data:; media-src 'self' blob:; "
            f"connect-src 'self' {stream}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
            "require-trusted-types-for 'script'",
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
            "cache-control": "no-store",
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
            "permissions-policy": "camera=(self), microphone=(), geolocation=()",
        }


class Guard:
    """Refuses before anything else is done, HTTP and WebSocket alike."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the class."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host = headers.get("host", "").lower()
        reason = self._foreign(scope, headers, host)
        if reason is None and not self._known(headers):
            if self._brings_token(scope):
                self._door.waiting.end(scope.get("client"))
                await self._guarded(self._welcome(), host)(scope, receive, send)
                return
            reason = f"The token is missing or of another start. {_HELP}"
        if reason is not None:
            await self._refuse(reason, host, scope, receive, send)
        else:
            self._door.waiting.end(scope.get("client"))
            await self._guarded(self._app, host)(scope, receive, send)

    def _foreign(self, scope: Scope, headers: Headers, host: str) -> str | None:
        """Why a request is not the tool's own page's, or None if it may be."""
        if len(headers.getlist("host")) != 1 or host not in self._door.hosts:
            return f"This is not a name of this server. {_HELP}"
        origins = headers.getlist("origin")
        reading = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
        if (origins or not reading) and origins != [self._door.origin(host)]:
            return "Another site has asked. Only the tool's own page may."
        site, mode = headers.get("sec-fetch-site"), headers.get("sec-fetch-mode")
        if site not in (None, "same-origin", "none") and mode != "navigate":
            return "Another site has asked. Only the tool's own page may."
        return None

    def _known(self, headers: Headers) -> bool:
        for cookie in headers.getlist("cookie"):
            try:
                morsel = SimpleCookie(cookie).get(self._door.cookie)
            except CookieError:
                continue
            if morsel is not None and self._same(morsel.value):
                return True
        return False

    def _brings_token(self, scope: Scope) -> bool:
        if scope["type"] != "http" or scope["method"] != "GET" or scope["path"] != "/":
            return False
        given = parse_qs(scope["query_string"].decode("latin-1")[:1000]).get("token", [])
        return len(given) == 1 and self._same(given[0])

    def _same(self, token: str) -> bool:
        return hmac.compare_digest(token.encode("utf-8", "surrogateescape"), self._door.token.encode())

    def _welcome(self) -> ASGIApp:
        """Keep the token in a cookie that no script can read, and take it out of the address.

        By a page that goes on to the next one, not by a redirect: where the address was clicked on some other
        site, such as a terminal in the browser, a redirect would still count as that site's request, and the
        browser would keep the cookie back.
        """
        response = HTMLResponse(_WELCOME)
        response.set_cookie(
            self._door.cookie,
            self._door.token,
            path="/",
            secure=self._door.secure,
            httponly=True,
            samesite="strict",
        )
        return response

    def _guarded(self, app: ASGIApp, host: str) -> ASGIApp:
        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            async def sending(message: Message) -> None:
                if message["type"] == "http.response.start":
                    MutableHeaders(scope=message).update(self._door.headers(host))
                await send(message)

            await app(scope, receive, sending if scope["type"] == "http" else send)

        return guarded

    async def _refuse(self, reason: str, host: str, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()  # the opening, which must be read before it can be refused
            await send({"type": "websocket.close", "code": _REFUSED})  # before accepting: 403
            return
        wants_page = scope["path"] == "/"
        response: Response = (
            PlainTextResponse(reason, 403) if wants_page else JSONResponse({"error": reason}, 403)
        )
        response.headers["connection"] = "close"  # nothing more is heard from a stranger
        known = host if host in self._door.hosts else next(iter(sorted(self._door.hosts)))
        await self._guarded(response, known)(scope, receive, send)
