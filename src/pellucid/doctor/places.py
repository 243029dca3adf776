"""The disk: whether the folders that Pellucid writes to can be written, and how much fits."""

import os
import shutil
import tempfile
from pathlib import Path

from pellucid.data.paths import cache_folder
from pellucid.doctor.finding import Finding, State

TOPIC = "disk"
NO_DISK, LITTLE_DISK = 200_000_000, 2_000_000_000
"""Free bytes below which a run does not fit, and below which many do not."""


def runs() -> Finding:
    """The folder in which the command was called: where runs go unless --out says another."""
    return _place("here", Path.cwd(), "work in another folder")


def cache() -> Finding:
    """The folder of decoded images."""
    return _place("cache", cache_folder(), "set PELLUCID_CACHE to a folder elsewhere")


def _place(name: str, folder: Path, change: str) -> Finding:
    there = _existing(folder)
    problem = _why_not_writable(there)
    if problem:
        return Finding(
            TOPIC, name, f"{folder}: cannot be written ({problem})", "broken", f"Allow it, or {change}."
        )
    free = shutil.disk_usage(there).free
    value = f"{folder}: {free / 1e9:.1f} GB free"
    if free < LITTLE_DISK:
        state: State = "broken" if free < NO_DISK else "lacking"
        return Finding(TOPIC, name, value, state, f"Free some space, or {change}.")
    return Finding(TOPIC, name, value)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there: nothing is created to find out."""
    return next((place for place in (folder, *folder.absolute().parents) if os.path.lexists(place)), folder)


def _why_not_writable(folder: Path) -> str:
    """Empty if a file can be written: tried, because permissions alone do not say."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"0" * 4096)
            file.flush()
    except OSError as error:
        return error.strerror or type(error).__name__
    return ""
