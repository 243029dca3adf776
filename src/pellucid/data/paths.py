"""Paths: where decoded images are kept, and how a path is shown. Light, so that `doctor` can ask."""

import os
from pathlib import Path

from pellucid.errors import ConfigError


def cache_folder() -> Path:
    """Find the folder of all caches: $PELLUCID_CACHE, else ~/.cache/pellucid.

    Raises:
        ConfigError: If that is in the home of a user who has none, as in some containers.
    """
    folder = expanded(os.environ.get("PELLUCID_CACHE") or "~/.cache/pellucid")
    if folder.parts[:1] == ("~",):
        raise ConfigError(
            "PELLUCID_CACHE: expected a folder for decoded images, because this user has no home folder. "
            "Set it, or HOME."
        )
    return folder


def expanded(path: str | Path) -> Path:
    """Replace `~` and `~name` by a home folder; where there is none, that is a name like any other."""
    return Path(os.path.expanduser(path))  # noqa: PTH111  # Path.expanduser raises RuntimeError there


def printable(path: Path | str) -> str:
    """A path as one line of text, with whatever cannot be printed escaped."""
    text = str(path)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
