"""What a command does to the machine: every file, socket and process of it and its workers, by audit events.

The hook is put into each Python process as `sitecustomize`, which those that are started inherit.
"""

import ast
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_HOOK = """
import os, sys
_log = os.open(os.environ["PELLUCID_FOOTPRINT"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
_told = {"open", "os.listdir", "os.scandir", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link",
         "os.symlink", "os.truncate", "os.chmod", "shutil.rmtree", "socket.bind", "socket.connect",
         "socket.sendto", "socket.getaddrinfo", "subprocess.Popen", "os.posix_spawn", "os.exec", "os.fork",
         "os.forkpty", "os.system", "urllib.Request", "webbrowser.open"}
def _plain(value):
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, bytes):
        value = os.fsdecode(value)
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value[:3]]
    return value if isinstance(value, (str, int, type(None))) else None
def _hear(event, arguments):
    if event in _told:
        line = ascii((event, [_plain(one) for one in arguments])) + chr(10)
        os.write(_log, line.encode())
sys.addaudithook(_hear)
os.write(_log, ascii(("process", [os.getpid()])).encode() + b"\\n")
"""
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
_CHANGES = {
    *("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod"),
    "shutil.rmtree",
}


@dataclass
class Footprint:
    """What was seen.

    Attributes:
        read: Files and folders that were opened for reading or listed.
        written: Files and folders that were opened for writing, or changed in another way.
        addresses: Of the network: bound to, connected to, or looked up.
        programs: Base names of other programs that were started.
        processes: How many of Python's there were, the command's own counted.
        output: What the command printed.
    """

    read: set[Path] = field(default_factory=set)
    written: set[Path] = field(default_factory=set)
    addresses: set[str] = field(default_factory=set)
    programs: set[str] = field(default_factory=set)
    processes: int = 0
    output: str = ""


def footprint(
    command: Sequence[object], folder: Path, environment: Mapping[str, str], *, timeout: float = 300
) -> Footprint:
    """Run `pellucid` with these arguments in a folder, and give all that it did.

    Raises:
        AssertionError: If it fails.
    """
    hooks = folder / ".hooks"
    hooks.mkdir(exist_ok=True)
    (hooks / "sitecustomize.py").write_text(_HOOK)
    log = hooks / "events"
    log.unlink(missing_ok=True)
    told = {
        **environment,
        "PELLUCID_FOOTPRINT": str(log),
        "PYTHONPATH": os.pathsep.join([str(hooks), *sys.path]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "pellucid", *map(str, command)],
        cwd=folder,
        env=told,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    seen = Footprint(output=done.stdout + done.stderr)
    for line in log.read_text().splitlines():
        _note(seen, *ast.literal_eval(line), folder)
    for paths in (seen.read, seen.written):
        paths -= {path for path in paths if path.is_relative_to(hooks)}
    return seen


def _note(seen: Footprint, event: str, told: list[object], folder: Path) -> None:
    if event == "open":
        path, mode, flags = told
        if isinstance(path, str):  # a number is of what is open already
            writes = (isinstance(flags, int) and flags & _WRITING) or (
                isinstance(mode, str) and set(mode) & set("wax+")
            )
            (seen.written if writes else seen.read).add(folder / path)
    elif event in ("os.listdir", "os.scandir"):
        seen.read.add(folder / str(told[0] or "."))
    elif event in _CHANGES:
        count = 2 if event in ("os.rename", "os.link", "os.symlink") else 1
        seen.written |= {folder / path for path in told[:count] if isinstance(path, str)}
    elif event.startswith("socket."):
        address = told[-1] if event != "socket.getaddrinfo" else told[0]
        if isinstance(address, str) and event != "socket.getaddrinfo":  # a socket in the file system
            seen.written.add(folder / address.lstrip("\0"))
        else:
            seen.addresses.add(str(address[0] if isinstance(address, list) else address))
    elif event in ("subprocess.Popen", "os.posix_spawn", "os.exec"):
        name = Path(str(told[0])).name
        seen.programs |= set() if name.startswith("python") else {name}
    elif event == "process":  # that multiprocessing starts one is no event of its own
        seen.processes += 1
    elif event not in ("os.fork", "os.forkpty"):
        seen.addresses.add(f"{event} {told}")
