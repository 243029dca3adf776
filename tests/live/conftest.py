"""Small models that have learned nothing, a server of one of them, and requests as hostile as they come."""

import http.client
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from untrained_run import make_untrained_run

from pellucid.anomaly.detector import Detector
from pellucid.anomaly.storage import save_detector
from pellucid.data.images import to_float
from pellucid.data.store import open_dataset
from pellucid.latents.activity import encode_dataset, measure_activity
from pellucid.latents.names import read_latents, with_activity, write_latents
from pellucid.latents.typical import measure_typical, write_typical
from pellucid.live.engine import Engine
from pellucid.model.predictor import load

Make = Callable[..., Path]


@pytest.fixture(scope="session")
def make_run(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Makes the run of an untrained model."""

    def make_run(
        *, channels: int = 3, latents: int = 6, crop: str = "center", source: str = "people"
    ) -> Path:
        run = tmp_path_factory.mktemp("runs") / "untrained"
        return make_untrained_run(run, channels=channels, latents=latents, crop=crop, source=source)

    return make_run


@pytest.fixture(scope="session")
def measured_run(make_run: Make) -> Path:
    """A run with measured latents, typical losses, and a detector of people against scenes."""
    run = make_run()
    model = load(run, device="cpu")
    people, scenes = (open_dataset(name, size=32, limit=80) for name in ("people", "scenes"))
    rows = people.rows("all")
    activity = measure_activity(encode_dataset(model, people, rows))
    write_latents(run, with_activity(read_latents(run, model.latents), activity))
    write_typical(run, measure_typical(model, people, rows, samples=5), model)
    detector = Detector(model).fit(people.batch(rows), to_float(scenes.fetch(scenes.rows("all"))))
    save_detector(detector, run)
    return run


@pytest.fixture
def engine(measured_run: Path) -> Engine:
    return Engine(measured_run, device="cpu")


@pytest.fixture
def pixels() -> np.ndarray:
    """One simulated person, uint8 [32 32 3]."""
    people = open_dataset("people", size=32, skip=1000, limit=1)
    return people.fetch(people.rows("all"))[0]


WATCHED = """
import os, sys
log = os.open(sys.argv.pop(1), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
told = {"open", "os.listdir", "os.scandir", "os.rename", "socket.connect", "socket.getaddrinfo",
        "socket.bind", "subprocess.Popen", "os.system", "os.exec", "urllib.Request", "ctypes.dlopen"}
def write(event, arguments):
    if event in told:
        os.write(log, (event + " " + ascii(arguments) + chr(10)).encode())
sys.addaudithook(write)
from pellucid.cli import main
main()
"""
"""The command line, with a list of every file that it opens and every address that it talks to."""


@dataclass
class Live:
    """`pellucid live` in a process of its own."""

    process: subprocess.Popen[str]
    port: int
    token: str
    run: Path
    watch: Path

    def done(self) -> list[str]:
        """Everything that Python has opened or connected to so far, an event a line (PEP 578)."""
        return self.watch.read_text().splitlines()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def own(self) -> dict[str, str]:
        """Headers of the tool's own page."""
        return {
            "Host": self.host,
            "Origin": f"http://{self.host}",
            "Cookie": f"pellucid_{self.port}={self.token}",
        }

    def ask(
        self, method: str, path: str, body: bytes = b"", *, without: tuple[str, ...] = (), **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and content of an answer; `headers` replace those of the page."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        sent = {**self.own, **{name.replace("_", "-"): value for name, value in headers.items()}}
        connection.putrequest(method, path, skip_host=True)
        for name, value in sent.items():
            if name not in without:
                connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body)))
        with suppress(BrokenPipeError, ConnectionResetError):  # refused before all of it was sent
            connection.endheaders(body)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, content

    def state(self) -> dict[str, Any]:
        status, _, content = self.ask("GET", "/state")
        assert status == 200
        found: dict[str, Any] = json.loads(content)
        return found

    @property
    def memory(self) -> int:
        """Bytes that the server keeps in memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(re.search(r"VmRSS:\s+(\d+)", status)[1])  # type: ignore[index]


@pytest.fixture(scope="session")
def live(measured_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A server that all tests share."""
    watch = tmp_path_factory.mktemp("watched") / "events"
    command = [sys.executable, "-c", WATCHED, str(watch), "live", str(measured_run), "--no-browser"]
    process = subprocess.Popen(
        [*command, "--port", "0", "--device", "cpu"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    found = re.search(r"http://127\.0\.0\.1:(\d+)/\?token=(\S+)", process.stdout.readline())
    assert found is not None, process.stderr.read()
    running = Live(process, int(found[1]), found[2], measured_run, watch)
    yield running
    assert process.poll() is None, "the server has died"
    process.terminate()
    output, errors = process.communicate(timeout=60)
    assert running.token not in output + errors
    assert "Traceback" not in errors
