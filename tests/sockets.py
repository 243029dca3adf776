"""See which addresses a command and all its processes listen on and talk to, on Linux, from outside."""

import ipaddress
import os
import re
import subprocess
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_MARK = "PELLUCID_TESTED_AS"
_LISTENING = "0A"
_KINDS = ("tcp", "tcp6", "udp", "udp6")


def watch(
    command: Sequence[str], environment: Mapping[str, str], *, timeout: float
) -> tuple[set[str], set[str]]:
    """Run a command to its end, looking ten times a second.

    Returns:
        The addresses that it listened on, and those that it was or tried to be connected to.

    Raises:
        CalledProcessError: If it fails.
    """
    mark = f"{_MARK}={uuid.uuid4().hex}"
    name, _, value = mark.partition("=")
    listened, reached = set[str](), set[str]()
    end = time.monotonic() + timeout
    with subprocess.Popen(
        command, env={**environment, name: value}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as running:
        while running.poll() is None:
            if time.monotonic() > end:
                running.kill()
                raise TimeoutError(" ".join(command))
            owned = _sockets_of(mark.encode())
            for local, remote, state, socket in _all_sockets():
                if socket in owned:
                    waits = state == _LISTENING or ipaddress.ip_address(remote).is_unspecified
                    (listened if waits else reached).add(local if waits else remote)
            time.sleep(0.1)
        assert running.stdout is not None
        said = running.stdout.read()
    if running.returncode:
        raise subprocess.CalledProcessError(running.returncode, command, said)
    return listened, reached


def _sockets_of(mark: bytes) -> set[str]:
    """The numbers of the sockets of all processes that have inherited a mark."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark not in (process / "environ").read_bytes().split(b"\0"):
                continue
            for descriptor in (process / "fd").iterdir():
                with suppress(OSError):
                    match = re.fullmatch(r"socket:\[(\d+)\]", str(descriptor.readlink()))
                    found |= {match[1]} if match else set()
    return found


def _all_sockets() -> list[tuple[str, str, str, str]]:
    """Local and remote address, state and number of each TCP and UDP socket of this machine."""
    rows = []
    for kind in _KINDS:
        with suppress(OSError):
            for line in Path(f"/proc/net/{kind}").read_text().splitlines()[1:]:
                cells = line.split()
                rows.append((_address(cells[1]), _address(cells[2]), cells[3], cells[9]))
    return rows


def _address(text: str) -> str:
    """`0100007F:1F90` -> 127.0.0.1; the kernel writes words in the machine's byte order."""
    words = bytes.fromhex(text.partition(":")[0])
    raw = b"".join(words[at : at + 4][::-1] for at in range(0, len(words), 4))
    address = ipaddress.ip_address(raw)
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def all_loopback(addresses: set[str]) -> bool:
    """Whether no other machine is or can be reached by them."""
    return all(ipaddress.ip_address(address).is_loopback for address in addresses)


def clean_environment(*left_out: str) -> dict[str, str]:
    """This process's environment without some variables."""
    return {name: value for name, value in os.environ.items() if name not in left_out}
