"""Sealed JSON: small files that carry their own checksum, so that damage is noticed and never believed."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pellucid.errors import RunError
from pellucid.storage.regular import read_regular
from pellucid.storage.strict_json import parse_json
from pellucid.storage.writing import replacing

MAX_BYTES = 4 << 20
SEAL = "sha256"


def _canonical(content: Mapping[str, Any]) -> bytes:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "surrogatepass")  # bytes of a path that are no UTF-8 are lone surrogates


def write_file(path: Path, content: bytes) -> None:
    """Write a small file; a kill or a full disk leaves the old one or the new one."""
    with replacing(path) as file:
        file.write(content)


def write_sealed(path: Path, content: Mapping[str, Any]) -> None:
    """Write `content` as JSON with the sha256 of its canonical form under the key "sha256"."""
    sealed = {**content, SEAL: hashlib.sha256(_canonical(content)).hexdigest()}
    text = json.dumps(sealed, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    # A lone surrogate becomes \udcff, which in JSON is an escape for that very character.
    write_file(path, text.encode("utf-8", "backslashreplace"))


def read_sealed(path: Path) -> dict[str, Any]:
    """Read what `write_sealed` wrote, without the seal.

    Raises:
        RunError: If the file is missing, too large, not JSON, or not what was written.
    """
    try:
        content = parse_json(read_regular(path, max_bytes=MAX_BYTES))
        seal = content.pop(SEAL, None) if isinstance(content, dict) else None
        intact = seal == hashlib.sha256(_canonical(content)).hexdigest() if seal is not None else False
    except OSError as error:
        raise RunError(
            f"{path}: cannot be read ({error.strerror or error}). Is it the folder of a run?"
        ) from error
    except ValueError as error:
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
