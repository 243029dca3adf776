"""A server that does what it likes: what it sends is counted, within 512 MB and a few seconds."""

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from pellucid.data.images import Preprocessing
from pellucid.scoring import part as module
from pellucid.scoring.inputs import find_inputs
from pellucid.scoring.part import read

PREPROCESSING = Preprocessing(32, 3, "center")


class Endless(http.server.BaseHTTPRequestHandler):
    """Sends letters until nobody takes them, whatever range it is asked for."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.send_response(200)
        if "small" in self.path:
            self.send_header("Content-Length", "1000")
            self.send_header("Accept-Ranges", "bytes")
        self.end_headers()

    def do_GET(self) -> None:
        self.send_response(206 if "partial" in self.path else 200)
        self.send_header("Content-Type", "text/html" if self.path.endswith("/") else "image/png")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.close_connection = True
        try:
            while True:
                self.wfile.write(b"100000\r\n" + b"x" * (1 << 20) + b"\r\n")
        except OSError:
            pass

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def endless() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endless) as serving:
        serving.daemon_threads = True
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()
        thread.join()


CLIENT = """
import json, resource, sys
from pathlib import Path
from pellucid.data.images import Preprocessing
from pellucid.errors import PellucidError
from pellucid.scoring.inputs import find_inputs
from pellucid.scoring.part import prepared
import aiohttp, fsspec.implementations.http, pyarrow.parquet
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + (768 << 20),) * 2)  # threads reserve what they never use
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
preprocessing, said = Preprocessing(32, 3, "center"), []
for url in sys.argv[1:]:
    try:
        for part in find_inputs([url], preprocessing).parts:
            said += [str(found)[:200] for _, found in prepared(part, preprocessing)]
    except PellucidError as error:
        said.append(str(error)[:300])
print(json.dumps([said, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
def test_an_endless_answer_is_cut(endless: str) -> None:
    expected = {
        "a.png": "expected at most 200 MB",
        "small.png": "expected at most 200 MB",
        "partial.png": "expected at most 200 MB",
        "a.tar": "cannot be read",
        "small.tar": "cannot be read",
        "partial small.tar": "cannot be read",
        "a.tar.gz": "cannot be read",
        "a.parquet": "is no readable Parquet",
        "small.parquet": "is no readable Parquet",
        "partial small.parquet": "is no readable Parquet",
        "listing/": "cannot be listed",
    }
    command = [sys.executable, "-c", CLIENT, *(f"{endless}/{name}" for name in expected)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    said, grown = json.loads(done.stdout)
    for name, found in zip(expected, said, strict=True):
        assert expected[name] in found, name
    assert grown << 10 < 512 << 20


@pytest.mark.filterwarnings("default")
def test_images_that_are_larger_than_what_is_fetched_at_once_are_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for at in range(3):
        Image.effect_noise((200, 200), 60 + at).save(tmp_path / f"{at}.png")
    monkeypatch.setattr(module, "_FETCHED_BYTES", 1000)

    class Quiet(http.server.SimpleHTTPRequestHandler):  # ignores ranges
        def __init__(self, *rest: object) -> None:
            super().__init__(*rest, directory=str(tmp_path))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        (part,) = find_inputs([f"http://127.0.0.1:{serving.server_port}/"], PREPROCESSING).parts
        rows = dict(read(part))
        serving.shutdown()
        thread.join()
    assert [rows[name] for name in sorted(rows)] == [(tmp_path / f"{at}.png").read_bytes() for at in range(3)]


def test_addresses_of_local_files_are_opened_as_paths_are(tmp_path: Path) -> None:
    for name in ("a.png", "a.tar", "a.parquet"):
        os.mkfifo(tmp_path / name)
    (part,) = find_inputs([f"file://{tmp_path}/a.png"], PREPROCESSING).parts
    assert dict(read(part)) == {f"file://{tmp_path}/a.png": tmp_path / "a.png"}
    (part,) = find_inputs([f"file://{tmp_path}/a.tar"], PREPROCESSING).parts
    ((_, reason),) = read(part)
    assert "it is not a regular file" in str(reason)
