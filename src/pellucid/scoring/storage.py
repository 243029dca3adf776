"""Scored parts on disk: each written whole or not at all, so that a scoring that was stopped goes on."""

import hashlib
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from pellucid.anomaly.features import Features
from pellucid.data.images import printable
from pellucid.errors import ConfigError, RunError
from pellucid.model.sealed import read_sealed, write_file, write_sealed
from pellucid.storage.regular import read_regular
from pellucid.storage.strict_json import parse_json

FORMAT, VERSION = "pellucid-scoring", 2
PLAN = "plan.json"
_MAX_PART_BYTES = 1 << 30
_FILE = re.compile("([0-9]{8})-([0-9a-f]{16})[.]safetensors")
_ABANDONED = re.compile("[.].+[.][0-9a-f]{16}[.]part")


def packed(features: Features) -> bytes:
    """Features of one part as bytes: safetensors with the numbers, and the texts as JSON."""
    texts = json.dumps([features.columns, features.names, features.problems]).encode()
    return bytes(save({"values": features.values, "texts": np.frombuffer(texts, np.uint8)}))


def unpacked(content: bytes) -> Features:
    """The features that `packed` was given.

    Raises:
        RunError: If these are none.
    """
    try:
        arrays = load(content)
        columns, names, problems = parse_json(arrays["texts"].tobytes())
        values = arrays["values"]
        if values.shape != (len(names), len(columns)) or len(names) != len(problems):
            raise ValueError("rows are missing")
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"expected the features of a part, but {error}.") from error
    return Features(tuple(columns), values, tuple(names), tuple(problems))


def _difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """What tells the parts that are there from those that are wanted."""
    there, plan = found.get("plan"), wanted["plan"]
    if (found.get("format"), found.get("version")) != (FORMAT, VERSION) or not isinstance(there, dict):
        return "cannot be read, or is of another version of Pellucid"
    differing = [name for name in plan if there.get(name) != plan[name]]
    return f"had other {' and '.join(differing)}" if differing else "had other settings"


class Parts:
    """A folder of scored parts, of which only one program at a time may make use.

    Args:
        folder: Made if it is not there. Files that a killed writer left in it are removed; so are parts
            without a plan, of which nobody can say any more what they belong to.
        plan: What is scored with what, by what people call it: parts of another plan are not mixed in.
        count: How many parts there are.

    Raises:
        ConfigError: If there are parts of another plan.
        OSError: If it cannot be written.
    """

    def __init__(self, folder: Path, plan: Mapping[str, str], count: int) -> None:
        self.folder, self.count = folder, count
        record = {"format": FORMAT, "version": VERSION, "plan": dict(plan), "parts": count}
        if (folder / PLAN).exists():
            try:
                found = read_sealed(folder / PLAN)
            except RunError:
                found = {}
            if found != record:
                raise ConfigError(
                    f"{printable(folder)}: holds parts of another scoring, which "
                    f"{_difference(found, record)}. Delete the folder, or choose another file to write."
                )
        elif folder.exists() and any(not _ours(file) for file in folder.iterdir()):
            raise ConfigError(
                f"{printable(folder)}: expected a folder of parts. Choose another file to write."
            )
        else:
            self._clear()
            write_sealed(folder / PLAN, record)
        for file in folder.iterdir():
            if _ABANDONED.fullmatch(file.name):
                file.unlink()

    def done(self) -> set[int]:
        """The numbers of the parts that are there and whole."""
        return {number for number in range(self.count) if self._content(number) is not None}

    def write(self, number: int, features: Features) -> None:
        """Keep a part."""
        content = packed(features)
        digest = hashlib.sha256(content).hexdigest()[:16]
        write_file(self.folder / f"{number:08d}-{digest}.safetensors", content)

    def read(self, number: int) -> Features:
        """A part that is done.

        Raises:
            RunError: If it is not there any more.
        """
        content = self._content(number)
        if content is None:
            raise RunError(
                f"{printable(self.folder)}: part {number} has been lost. Run the same command again."
            )
        return unpacked(content)

    def remove(self) -> None:
        """Delete all, once the table is written; the plan last, so that it can be repeated after a kill."""
        self._clear()
        (self.folder / PLAN).unlink(missing_ok=True)
        with suppress(OSError):  # something of somebody else's is in it
            self.folder.rmdir()

    def _clear(self) -> None:
        for file in self.folder.glob("*"):
            if _ours(file):
                file.unlink()

    def _content(self, number: int) -> bytes | None:
        for file in sorted(self.folder.glob(f"{number:08d}-*.safetensors")):
            match = _FILE.fullmatch(file.name)
            with suppress(OSError):  # one that cannot be read is scored anew
                content = read_regular(file, max_bytes=_MAX_PART_BYTES)
                if match and hashlib.sha256(content).hexdigest()[:16] == match[2]:
                    return content
        return None


def _ours(file: Path) -> bool:
    return bool(_FILE.fullmatch(file.name) or _ABANDONED.fullmatch(file.name))
