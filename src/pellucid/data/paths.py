"""Paths: where decoded images are kept, and how a path is shown. Light, so that `doctor` can ask."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """The folder of all caches: $PELLUCID_CACHE, else ~/.cache/pellucid."""
    return Path(os.environ.get("PELLUCID_CACHE") or Path.home() / ".cache" / "pellucid").expanduser()


def printable(path: Path | str) -> str:
    """A path as one line of text, with whatever cannot be printed escaped."""
    text = str(path)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
