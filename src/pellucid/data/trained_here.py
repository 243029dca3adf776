"""Which images this user has trained on here: a run may name any folder, but has no right to it.

For each training an empty file lies in `trained` in the folder of caches, named by a hash of where the
images come from, how they are prepared and what they are.
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pellucid.data.dataset import Dataset
from pellucid.data.images import Preprocessing
from pellucid.data.paths import cache_folder
from pellucid.errors import ConfigError


def remember_training(dataset: Dataset) -> None:
    """Note that a training on these images was started here; where nothing can be written, nothing is."""
    with suppress(OSError, ConfigError):
        mark = _mark({**dataset.origin, "fingerprint": dataset.fingerprint}, dataset.preprocessing)
        mark.parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        mark.parent.mkdir(mode=0o700, exist_ok=True)
        mark.touch(mode=0o600)


def trained_here(data: Mapping[str, Any], preprocessing: Preprocessing) -> bool:
    """Whether this user has trained on these very images here.

    Args:
        data: What a run's config says of them: `source`, `skip`, `limit` and `fingerprint`.
        preprocessing: The run's.
    """
    with suppress(OSError, ConfigError):
        return _mark(data, preprocessing).is_file()
    return False


def _mark(data: Mapping[str, Any], preprocessing: Preprocessing) -> Path:
    told = [data.get(key) for key in ("source", "skip", "limit", "fingerprint")]
    text = json.dumps([told, asdict(preprocessing)])
    return cache_folder() / "trained" / hashlib.sha256(text.encode()).hexdigest()
