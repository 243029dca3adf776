"""`python -m pellucid` is the command line: what torchrun starts in every process of a run."""

import os
import sys

from pellucid.cli import main

if __name__ == "__main__":
    try:
        main()
    except SystemExit as end:
        if isinstance(end.code, int) and end.code and os.environ.get("WORLD_SIZE", "1") != "1":
            # One of several that has failed ends at once, so that the others notice: an interpreter that
            # ends in order would wait for messages from processes that wait for this one.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(end.code)
        raise
