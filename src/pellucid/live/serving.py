"""Start the live tool: the address with its token, TLS if wanted, and the browser."""

import secrets
import socket
import sys
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path

import torch
import uvicorn

from pellucid.errors import ConfigError
from pellucid.live.app import create_app
from pellucid.live.browser import opened_in_browser
from pellucid.live.security import Door
from pellucid.live.stream import MOST_STREAMS
from pellucid.live.waiting import MOST_WAITING, protocol

MESSAGE_BYTES = 1 << 20
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_EVERYWHERE = ("", "0.0.0.0", "::")
_TOKEN_BYTES = 32
_SWITCH = 0.0005  # seconds that the model's thread keeps the line waiting: a tenth of Python's own
_CONNECTIONS = 64


def serve(
    run: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8420,
    allow_remote: bool = False,
    certfile: Path | None = None,
    keyfile: Path | None = None,
    device: str = "auto",
    threads: int = 1,
    browser: bool = True,
    say: Callable[[str], None] = print,
) -> None:
    """Serve until it is stopped.

    Args:
        run: A run directory.
        host: The address to listen on; other than this machine's own only with `allow_remote`.
        port: 0 takes a free one.
        allow_remote: Listen on an address that other machines reach.
        certfile: For TLS, with `keyfile`: browsers give the camera to secure origins only.
        keyfile: Likewise.
        device: auto, cpu, cuda, cuda:1 or mps.
        threads: Of the model; one is fastest for one picture at a time.
        browser: Open the page.
        say: Told the address.

    Raises:
        ConfigError: If the host is not this machine's own without `allow_remote`, or none at all; if one of
            certificate and key is missing, or the port is taken.
        RunError: If the directory is not a run, or something in it is damaged.
    """
    if host in _EVERYWHERE:
        raise ConfigError(
            f"--host: {host} stands for all addresses, but the page answers to one name. Give the address "
            "by which other machines know this one, such as 192.168.1.20, and --allow-remote."
        )
    if host not in _LOOPBACK and not allow_remote:
        raise ConfigError(
            f"--host: {host} can be reached from other machines: whoever has the address sees the pictures "
            "and can rename latents. Add --allow-remote if that is meant."
        )
    if not 0 <= port < 1 << 16:
        raise ConfigError(f"--port: expected 0 to 65535, got {port}. 0 takes a free one.")
    if (certfile is None) != (keyfile is None):
        raise ConfigError("expected --certfile and --keyfile together, got one. Give both, or none.")
    for file in (certfile, keyfile):
        if file is not None and not file.is_file():
            raise ConfigError(f"{file}: expected a file in PEM form. Check --certfile and --keyfile.")
    listening = _listen(host, port)
    with listening:
        port = listening.getsockname()[1]
        secure, shown = certfile is not None, f"[{host}]" if ":" in host else host
        door = Door.at(port, secrets.token_urlsafe(_TOKEN_BYTES), names=[shown], secure=secure)
        torch.set_num_threads(threads)
        sys.setswitchinterval(_SWITCH)
        app = create_app(run, door, device=device)
        address = f"{door.origin(f'{shown}:{port}')}/?token={door.token}"
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=protocol(door.waiting),
                log_level="error",
                access_log=False,
                server_header=False,
                ws="websockets-sansio",
                ws_max_size=MESSAGE_BYTES,
                ws_per_message_deflate=False,
                limit_concurrency=MOST_WAITING + _CONNECTIONS + MOST_STREAMS,
                timeout_graceful_shutdown=1,
                ssl_certfile=certfile,
                ssl_keyfile=keyfile,
            )
        )
        say(f"Open {address}")
        say("Ctrl-C ends it.")
        opened = opened_in_browser(address) if browser else nullcontext()
        with opened, suppress(KeyboardInterrupt):  # how a person ends it
            server.run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Elsewhere SO_REUSEADDR takes a port that has just been left; on Windows, one that is in use.
        option = getattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR)
        listening.setsockopt(socket.SOL_SOCKET, option, 1)
        listening.bind((host, port))
        listening.listen(128)
    except (OSError, OverflowError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(
            f"--port: {host}:{port} cannot be used ({reason}). Choose another one, or 0."
        ) from error
    return listening
