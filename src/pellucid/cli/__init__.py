"""The command line: parses, calls the library, prints. Everything it does is a library call.

Each command is the function of its module's name. They are light: what is heavy is imported when one runs.
"""

import sys
from collections.abc import Sequence

from cyclopts import App

from pellucid import __version__
from pellucid.cli import (
    compare,
    demo,
    detect,
    detector,
    gallery,
    latents,
    live,
    metrics,
    name,
    reproduce,
    same,
    sweep,
    train,
    traverse,
)
from pellucid.errors import PellucidError

_LONGEST = 2_000

app = App(
    name="pellucid",
    version=__version__,
    help="Train autoencoders whose latents a person can name, and justify decisions about images by them. "
    "--debug before or after any command shows the whole trace of an error.",
    default_parameter=None,
)
app.command(train.train)
app.command(latents.latents)
app.command(name.name)
app.command(traverse.traverse)
app.command(metrics.metrics)
app.command(detector.detector)
app.command(detect.detect)
app.command(compare.compare)
app.command(live.live)
app.command(gallery.gallery)
app.command(same.same)
app.command(sweep.sweep)
app.command(reproduce.reproduce)
app.command(demo.demo)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; a `PellucidError` is one line on stderr and exit code 2."""
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in tokens
    try:
        app([token for token in tokens if token != "--debug"])
    except PellucidError as error:
        if debug:
            raise
        _complain(str(error))
        sys.exit(2)
    except OSError as error:  # a full disk, a folder that may not be written
        if debug:
            raise
        _complain(f"{error.filename or 'a file'}: {error.strerror or error}.")
        sys.exit(2)
    except KeyboardInterrupt:
        print("\npellucid: stopped.", file=sys.stderr)
        sys.exit(130)


def _complain(text: str) -> None:
    """One line whatever a file of somebody else's has put into it: names may move a terminal's cursor."""
    if not text.isprintable():
        from pellucid.data.images import printable

        text = printable(text)
    print(f"pellucid: {text if len(text) <= _LONGEST else text[:_LONGEST] + ' …'}", file=sys.stderr)
