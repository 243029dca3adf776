"""Results on stdout, where scripts look."""

import json
import sys
from typing import Any


def print_json(content: Any) -> None:
    """Print what `--json` asked for; what stdout cannot encode (odd names of files) is escaped as in JSON."""
    text = json.dumps(content, indent=2, ensure_ascii=False)
    encoding = sys.stdout.encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = "".join(_encodable(character, encoding) for character in text)
    print(text)


def _encodable(character: str, encoding: str) -> str:
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return json.dumps(character)[1:-1]
    return character
