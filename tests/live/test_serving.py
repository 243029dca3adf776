import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from in_a_loop import in_a_loop

from pellucid.errors import ConfigError, RunError
from pellucid.live import security, serving
from pellucid.live.security import Door
from pellucid.live.serving import serve


def test_other_machines_are_let_in_only_if_that_is_meant(tmp_path: Path) -> None:
    for host in ("192.0.2.1", "example.org"):
        with pytest.raises(ConfigError, match="--allow-remote"):
            serve(tmp_path, host=host)
    for host in ("0.0.0.0", "::", ""):  # no page can be asked for by these names
        with pytest.raises(ConfigError, match="Give the address"):
            serve(tmp_path, host=host, allow_remote=True)


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"127.0.0.1:{port} cannot be used"):
            serve(tmp_path, port=port)
    for port in (99_999, -1):
        with pytest.raises(ConfigError, match="expected 0 to 65535"):
            serve(tmp_path, port=port)


def test_certificate_and_key_come_together(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="together"):
        serve(tmp_path, certfile=tmp_path / "cert.pem")
    with pytest.raises(ConfigError, match="PEM"):
        serve(tmp_path, certfile=tmp_path / "cert.pem", keyfile=tmp_path / "key.pem")


def test_a_folder_that_is_no_run_is_named_and_its_port_is_free_again(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for _ in range(2):
        with pytest.raises(RunError):
            serve(tmp_path, port=port, browser=False)


def test_every_start_has_a_token_of_its_own_that_is_compared_in_constant_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    doors: list[Door] = []
    monkeypatch.setattr(serving, "create_app", lambda run, door, device: doors.append(door))
    monkeypatch.setattr(serving.uvicorn.Server, "run", lambda server, sockets: None)
    for _ in range(3):
        serving.serve(tmp_path, port=0, browser=False, say=said.append)
    tokens = [door.token for door in doors]
    assert len(set(tokens)) == 3
    assert all(re.fullmatch(r"[\w-]{43}", token) for token in tokens)  # 32 bytes
    assert [line for line in said if "token" in line] == [
        f"Open http://127.0.0.1:{next(iter(door.hosts)).rpartition(':')[2]}/?token={door.token}"
        for door in doors
    ]

    compared: list[tuple[bytes, bytes]] = []

    def compare(a: bytes, b: bytes) -> bool:
        compared.append((a, b))
        return False

    async def nothing(*message: object) -> dict[str, object]:
        return {}

    monkeypatch.setattr(security.hmac, "compare_digest", compare)
    door = doors[0]
    host = next(iter(door.hosts)).encode()
    for query, headers in (
        (f"token={door.token}", []),
        ("", [(b"cookie", f"{door.cookie}={door.token}".encode())]),
    ):
        scope = {"type": "http", "method": "GET", "path": "/", "query_string": query.encode()}
        given = {**scope, "headers": [(b"host", host), *headers]}
        in_a_loop(security.Guard(nothing, door)(given, nothing, nothing))
    assert compared == [(door.token.encode(),) * 2] * 2


def test_a_door_knows_its_own_names_only() -> None:
    door = Door.at(8420, "t")
    assert door.hosts == {"127.0.0.1:8420", "localhost:8420", "[::1]:8420"}
    assert "localhost" in Door.at(80, "t").hosts
    assert "localhost" not in Door.at(80, "t", secure=True).hosts
    remote = Door.at(443, "t", names=["Lab.example"], secure=True)
    assert {"lab.example", "lab.example:443"} <= remote.hosts
    assert remote.origin("lab.example") == "https://lab.example"
    assert "wss://lab.example" in remote.headers("lab.example")["content-security-policy"]


def test_with_a_certificate_everything_is_encrypted_and_ctrl_c_ends_it(
    measured_run: Path, tmp_path: Path
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    made = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    subprocess.run([*made, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    command = [sys.executable, "-m", "pellucid", "live", str(measured_run), "--port", "0", "--no-browser"]
    with subprocess.Popen(
        [*command, "--certfile", str(cert), "--keyfile", str(key), "--device", "cpu"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:
        assert process.stdout is not None
        address = re.search(r"https://127\.0\.0\.1:\d+/\?token=\S+", process.stdout.readline())
        assert address is not None
        unchecked = ssl.create_default_context()
        unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
        with urllib.request.urlopen(address[0], context=unchecked, timeout=20) as answer:
            assert "secure" in answer.headers["set-cookie"].lower()
            assert "wss://127.0.0.1:" in answer.headers["content-security-policy"]
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
