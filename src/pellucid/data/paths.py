"""Paths: where decoded images are kept, and how a path is shown. Light, so that `doctor` can ask."""

import os
from collections.abc import Iterable
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


def refuse_inside(place: Path | None, sources: Iterable[str | Path]) -> None:
    """Refuse to write into a folder whose images are read: the next command would take the output for images.

    Args:
        place: A file or folder that is written; None for none.
        sources: What is read: files, folders, `file://` URLs; what is not on this disk is passed over.

    Raises:
        ConfigError: If `place` is one of the sources, lies in one, or would have the name of one.
    """
    if place is None:
        return
    target = Path(os.path.realpath(os.path.expanduser(place)))  # noqa: PTH111 (raises nothing)
    for source in map(str, sources):
        path = source.removeprefix("file://").partition("*")[0]
        if "\0" in path:
            continue
        path = os.path.expanduser(path)  # noqa: PTH111
        if not os.path.lexists(path):  # a built-in set: in a folder of that name, both would be meant
            if target == Path(os.path.realpath(path)):
                raise ConfigError(f"{printable(place)}: is what is read called, too. Choose another name.")
            continue
        read = Path(os.path.realpath(path))
        if target == read and not read.is_dir():
            raise ConfigError(f"{printable(place)}: is read itself. Choose another file to write.")
        if target == read or read in target.parents:
            raise ConfigError(
                f"{printable(place)}: expected a place outside {printable(source)}, whose images are read: "
                "what is written there would be taken for images. Choose "
                f"{printable(read.parent / target.name)}, for example."
            )
