"""The command line: parses, calls the library, prints. Everything it does is a library call.

Each command is the function of its module's name. They are light: what is heavy is imported when one runs.
"""

import sys
from collections.abc import Sequence

from cyclopts import App

from pellucid import __version__
from pellucid.cli import (
    compare,
    completion,
    demo,
    detect,
    detector,
    doctor,
    export,
    features,
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
from pellucid.cli.mistakes import in_one_line
from pellucid.cli.printing import print_anything, write_nowhere
from pellucid.cli.stopping import stopped_in_order

app = App(
    name="pellucid",
    version=__version__,
    help="Train autoencoders whose latents a person can name, and justify decisions about images by them. "
    "--debug before or after any command shows the whole trace of an error.",
    default_parameter=None,
    suppress_keyboard_interrupt=False,  # `main` says that it has stopped
)
app.command(train.train)
app.command(latents.latents)
app.command(name.name)
app.command(traverse.traverse)
app.command(metrics.metrics)
app.command(detector.detector)
app.command(detect.detect)
app.command(features.features)
app.command(compare.compare)
app.command(live.live)
app.command(gallery.gallery)
app.command(same.same)
app.command(sweep.sweep)
app.command(export.export)
app.command(reproduce.reproduce)
app.command(demo.demo)
app.command(doctor.doctor)
app.command(completion.completion)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; a mistake, or what the system refuses, is one line on stderr and exit code 2."""
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in tokens
    print_anything()
    try:
        with stopped_in_order():
            try:
                app([token for token in tokens if token != "--debug"], exit_on_error=False, print_error=False)
            finally:
                sys.stdout.flush()
    except KeyboardInterrupt:
        print("\npellucid: stopped.", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        write_nowhere()
        sys.exit(141)  # as a shell says of a program that SIGPIPE ended
    except Exception as error:
        line = in_one_line(error)
        if line is None or debug:
            raise
        print(f"pellucid: {line}", file=sys.stderr)
        sys.exit(2)
