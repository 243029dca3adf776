"""The one framing of the live tool: the length of a head, the head as JSON, then raw bytes."""

import json
from collections.abc import Mapping
from typing import Any

from pellucid.errors import PellucidError
from pellucid.storage.strict_json import parse_json

HEAD_BYTES = 64 << 10
_LENGTH = 4


class WireError(PellucidError):
    """A message that does not follow the framing, or asks for what there is not."""


def pack(head: Mapping[str, Any], *bodies: bytes) -> bytes:
    """A message: uint32 little endian, the length of the head; the head in JSON; the bodies one by one."""
    text = json.dumps(head, ensure_ascii=False, allow_nan=False).encode()
    return b"".join((len(text).to_bytes(_LENGTH, "little"), text, *bodies))


def unpack(message: bytes) -> tuple[dict[str, Any], memoryview]:
    """The head and the bytes behind it.

    Raises:
        WireError: If it is cut short, its head is longer than 64 KiB, or the head is no JSON object.
    """
    length = int.from_bytes(message[:_LENGTH], "little")
    if len(message) < _LENGTH or length > min(HEAD_BYTES, len(message) - _LENGTH):
        raise WireError(f"expected a head of at most {HEAD_BYTES} bytes within the message.")
    try:
        head = parse_json(message[_LENGTH : _LENGTH + length])
    except ValueError as error:
        raise WireError("expected a head in JSON.") from error
    if not isinstance(head, dict):
        raise WireError("expected a head that is a JSON object.")
    return head, memoryview(message)[_LENGTH + length :]
