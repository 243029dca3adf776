"""`pellucid live`: the page in the browser that looks through a camera and lets latents be moved."""

from pathlib import Path

from pellucid.cli.opening import Run
from pellucid.errors import ConfigError
from pellucid.terminal import say


def live(
    run: Run,
    /,
    *,
    port: int = 8420,
    host: str = "127.0.0.1",
    allow_remote: bool = False,
    certfile: Path | None = None,
    keyfile: Path | None = None,
    browser: bool = True,
    device: str = "auto",
    threads: int = 1,
) -> None:
    """Open a page in the browser: a picture or the camera, latents to move, what the model makes of it.

    Prints the page's address, which holds a token that is new at each start. Ctrl-C ends it.

    Args:
        run: A run directory, or `people`, the model that comes with Pellucid.
        port: The port to listen on; 0 takes a free one.
        host: The address to listen on, one by which this machine is known; not 0.0.0.0.
        allow_remote: Listen on an address that other machines reach. Whoever has the page's address sees the
            pictures.
        certfile: A certificate for TLS, in PEM form; browsers give the camera to secure pages only, or to
            those of the same machine.
        keyfile: The private key of that certificate, in PEM form.
        browser: Open the page; --no-browser only prints its address.
        device: auto, cpu, cuda, cuda:1 or mps.
        threads: Of the model; one is fastest for one picture at a time.
    """
    from pellucid.live.serving import serve

    if threads < 1:
        raise ConfigError(f"--threads: expected 1 or more, got {threads}. Leave it out.")
    if allow_remote:
        say("Other machines can reach this page: whoever has its address sees pictures and renames latents.")
        if certfile is None:
            say("Without --certfile and --keyfile browsers give them no camera, and all can be overheard.")
    serve(
        run,
        host=host,
        port=port,
        allow_remote=allow_remote,
        certfile=certfile,
        keyfile=keyfile,
        device=device,
        threads=threads,
        browser=browser,
        say=lambda line: print(line, flush=True),
    )
