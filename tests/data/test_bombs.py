"""Every bomb is read or refused within 512 MB, on which it runs into a limit of the operating system."""

import json
import os
import subprocess
import sys
from pathlib import Path

import bombs
import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")

SLOW = [name for name in bombs.BOMBS if name.endswith((".png", ".jpg", ".webp"))]
QUICK = [name for name in bombs.BOMBS if name not in SLOW] + ["RGBA turned.png", "turned.jpg", "RGBA.webp"]


def look_at(names: list[str], folder: Path) -> None:
    environment = {**os.environ, "PELLUCID_CACHE": str(folder / "cache")}
    command = [sys.executable, bombs.__file__, str(folder), *names]
    found = json.loads(subprocess.check_output(command, env=environment, timeout=900))
    assert list(found) == names
    for name, (size, said, grown) in found.items():
        assert size < 20e6, name
        assert grown < bombs.CAP == 512 << 20, name
        assert bombs.BOMBS[name][0] in said, name
        out_of_memory = ("out of memory", "enough memory", "MemoryError", "allocate", "killed", "bad_alloc")
        assert not [word for word in out_of_memory if word in said], f"{name}: {said}"


def test_no_small_file_takes_512_mb(tmp_path: Path) -> None:
    look_at(QUICK, tmp_path)


@pytest.mark.torture(0, 1)
def test_no_picture_takes_512_mb(tmp_path: Path, rounds: int) -> None:
    for _ in range(rounds):
        look_at(SLOW, tmp_path)
