"""Parse JSON from outside: every way in which it can be wrong or out of range is a ValueError."""

import json
import math
from typing import Any

_LONGEST_INTEGER = 20  # characters of -(2**63) and of 2**64 - 1


def parse_json(text: str | bytes) -> Any:
    """Parse JSON whose numbers fit into 64 bits and in which no object has a duplicate key.

    Args:
        text: Its size is bounded by whoever read it; bytes are UTF-8.

    Raises:
        ValueError: If it is not such JSON.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    try:
        return json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_float,
            parse_int=_integer,
        )
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("it has a duplicate key")
    return content


def _constant(text: str) -> float:
    raise ValueError(f"{text} is not a number that JSON knows")


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is too large")
    return number


def _integer(text: str) -> int:
    if len(text) > _LONGEST_INTEGER or not -(2**63) <= (number := int(text)) < 2**64:
        raise ValueError(f"{text[:20]} is too large")
    return number
