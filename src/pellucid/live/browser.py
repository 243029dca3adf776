"""Open the page in the browser without telling the token to whoever lists the processes of this machine."""

import os
import shutil
import tempfile
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path

_SECONDS = 60.0
"""That a browser has to start and to read the file."""
_PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="referrer" content="no-referrer">'
    '<meta http-equiv="refresh" content="0; url={address}"><title>Pellucid live</title>'
    '<p><a href="{address}">Go on to the page</a>'
)


@contextmanager
def opened_in_browser(address: str) -> Iterator[None]:
    """Have the browser open a file that only this user can read, and that leads to the address.

    What a browser is called with stands in the list of processes, which every user can read. The file is
    deleted after a minute, or at the end.

    Args:
        address: With the token.
    """
    folder = Path(tempfile.mkdtemp(prefix="pellucid-"))  # mode 0700
    timer = threading.Timer(_SECONDS, shutil.rmtree, (folder,), {"ignore_errors": True})
    timer.daemon = True
    try:
        page = folder / "open.html"
        descriptor = os.open(page, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(_PAGE.format(address=escape(address)))
        webbrowser.open(page.as_uri())
        timer.start()
        yield
    finally:
        timer.cancel()
        shutil.rmtree(folder, ignore_errors=True)
