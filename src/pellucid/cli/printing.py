"""Results on stdout, where scripts look."""

import json
import sys
from collections.abc import Iterable
from textwrap import indent
from typing import Any


def print_json(content: Any) -> None:
    """Print what `--json` asked for; what stdout cannot encode (odd names of files) is escaped as in JSON."""
    print(_encoded(json.dumps(content, indent=2, ensure_ascii=False)))


def print_json_list(items: Iterable[Any]) -> None:
    """Print a JSON list item by item, so that it may be longer than memory."""
    print("[", end="")
    for number, item in enumerate(items):
        text = json.dumps(item, indent=2, ensure_ascii=False)
        print(("," if number else "") + "\n" + _encoded(indent(text, "  ")), end="", flush=True)
    print("\n]")


def _encoded(text: str) -> str:
    encoding = sys.stdout.encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return "".join(_encodable(character, encoding) for character in text)
    return text


def _encodable(character: str, encoding: str) -> str:
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return json.dumps(character)[1:-1]
    return character
