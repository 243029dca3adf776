"""Sealed JSON: small files that carry their own checksum, so that damage is noticed and never believed."""

import hashlib
import json
import math
import os
import secrets
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pellucid.errors import RunError

MAX_BYTES = 4 << 20
SEAL = "sha256"


def _canonical(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a key stands twice")
    return content


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is not a number that JSON knows")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is too large")
    return number


def read_file(path: Path, most: int) -> bytes:
    """All that a plain file holds; a pipe or a device, such as a link to /dev/zero, is not waited for.

    Args:
        path: The file.
        most: How many bytes it may hold.

    Raises:
        RunError: If it is no plain file, or holds more.
        OSError: If it cannot be read.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise RunError(f"{path}: expected a plain file, got something else. Restore it from a copy.")
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise RunError(f"{path}: expected at most {most:,} bytes, got more. Restore it from a copy.")
    return content


def write_file(path: Path, content: bytes) -> None:
    """Write to a temporary name, sync, rename: a kill or a full disk leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None:  # tells of the file that was meant
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def write_sealed(path: Path, content: Mapping[str, Any]) -> None:
    """Write `content` as JSON with the sha256 of its canonical form under the key "sha256"."""
    sealed = {**content, SEAL: hashlib.sha256(_canonical(content)).hexdigest()}
    write_file(path, (json.dumps(sealed, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())


def read_sealed(path: Path) -> dict[str, Any]:
    """Read what `write_sealed` wrote, without the seal.

    Raises:
        RunError: If the file is missing, too large, not JSON, or not what was written.
    """
    try:
        text = read_file(path, MAX_BYTES).decode("utf-8")
        content = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite
        )
        seal = content.pop(SEAL, None) if isinstance(content, dict) else None
        intact = seal == hashlib.sha256(_canonical(content)).hexdigest() if seal is not None else False
    except OSError as error:
        raise RunError(
            f"{path}: cannot be read ({error.strerror or error}). Is it the folder of a run?"
        ) from error
    except (ValueError, RecursionError) as error:
        raise RunError(
            f"{path}: expected JSON, but {error}. Restore it from a copy, or train again."
        ) from error
    if isinstance(content, dict) and seal is None:
        raise RunError(f"{path}: expected a file of Pellucid's, which has a checksum, got one without.")
    if not intact:
        raise RunError(
            f"{path}: its checksum does not fit its content. Restore it from a copy, or train again."
        )
    return dict(content)
