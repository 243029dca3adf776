"""`python -m pellucid` is the command line: what torchrun starts in every process of a run."""

import os
import sys
import traceback

from pellucid.cli import main


def _end(code: int) -> None:
    """End at once, so that the other processes notice.

    An interpreter that ends in order would wait for messages from processes that wait for this one.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    alone = os.environ.get("WORLD_SIZE", "1") == "1"
    try:
        main()
    except SystemExit as end:
        if not alone and isinstance(end.code, int) and end.code:
            _end(end.code)
        raise
    except BaseException:
        if not alone:
            traceback.print_exc()
            _end(1)
        raise
