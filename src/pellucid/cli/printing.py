"""Results on stdout, where scripts look."""

import json
from typing import Any


def print_json(content: Any) -> None:
    """Print what `--json` asked for."""
    print(json.dumps(content, indent=2, ensure_ascii=False))
