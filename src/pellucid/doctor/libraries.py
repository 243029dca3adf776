"""The libraries: which versions there are, and whether they can be imported.

They are imported in another process. A library that takes its process with it, as one made for another
processor does, is then found out like any other, and what is sound is still seen.
"""

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata

from pellucid import __version__
from pellucid.doctor.finding import Finding

NEEDED = {
    "torch": "torch",
    "numpy": "numpy",
    "pillow": "PIL",
    "scikit-learn": "sklearn",
    "scipy": "scipy",
    "threadpoolctl": "threadpoolctl",
    "matplotlib": "matplotlib",
    "contourpy": "contourpy",
    "safetensors": "safetensors",
    "cyclopts": "cyclopts",
    "rich": "rich",
    "jinja2": "jinja2",
    "jaxtyping": "jaxtyping",
    "starlette": "starlette",
    "uvicorn": "uvicorn",
    "websockets": "websockets",
}
"""What is always installed: the name to install it by, and to import it by."""

EXTRAS: dict[str, dict[str, str]] = {
    "parquet": {"pyarrow": "pyarrow"},
    "onnx": {"onnx": "onnx", "onnxruntime": "onnxruntime", "onnxscript": "onnxscript"},
    "remote": {"fsspec": "fsspec", "aiohttp": "aiohttp"},
    "ray": {"ray": "ray"},
}
"""What `pip install 'pellucid[name]'` adds, in the same way."""

PATIENCE = 60.0
"""Seconds after which an import is taken for one that never ends."""

_IMPORT = """
import importlib, json, sys
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
        why = ""
    except BaseException as error:
        why = (type(error).__name__ + ": " + str(error)).splitlines()[0]
    print("\\n" + json.dumps([name, why]), flush=True)
"""


def modules() -> list[str]:
    """Everything that is imported to see whether it can be, but for torch, which `computing` asks itself."""
    extra = [module for distributions in EXTRAS.values() for module in distributions.values()]
    return [*(module for module in NEEDED.values() if module != "torch"), *extra]


def imported(names: Iterable[str]) -> dict[str, str]:
    """Import each in another process; why it cannot be, by its name: empty if it can."""
    waiting, outcomes = list(names), dict[str, str]()
    while waiting:
        ended, output, _ = run_python(_IMPORT, waiting)
        outcomes |= _told(output, waiting)
        waiting = [name for name in waiting if name not in outcomes]
        if waiting:  # the next one ended the process; the others get another
            outcomes[waiting.pop(0)] = ended or "it ends Python"
    return outcomes


def run_python(program: str, arguments: Sequence[str] = ()) -> tuple[str, str, str]:
    """Run a program with the modules that this process has; never with those of the folder it is in.

    Returns:
        Why it did not end well, or nothing; its output; its errors.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-P", "-c", program, *arguments]
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, timeout=PATIENCE, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        return f"no end after {PATIENCE:g} s", (error.stdout or b"").decode(errors="replace"), ""
    code = done.returncode
    ended = f"it ends Python with {f'signal {-code}' if code < 0 else f'code {code}'}" if code else ""
    return ended, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def _told(output: str, names: Sequence[str]) -> dict[str, str]:
    """What the program of `imported` printed, among whatever the libraries did."""
    told = {}
    for line in output.splitlines():
        if not line.startswith("["):
            continue
        try:
            name, why = json.loads(line)
        except (ValueError, TypeError):
            continue
        if name in names:
            told[str(name)] = str(why)
    return told


def versions(outcomes: Mapping[str, str]) -> list[Finding]:
    """Pellucid, Python and everything that is always installed; `outcomes` are those of `imported`."""
    found = [Finding("versions", "pellucid", __version__), python()]
    minimum = _minimum_versions()
    return found + [
        _needed(distribution, outcomes.get(module, ""), minimum.get(distribution, ""))
        for distribution, module in NEEDED.items()
    ]


def python(version: tuple[int, ...] = tuple(sys.version_info[:3])) -> Finding:
    """Python, which is to be 3.11 or newer."""
    value = f"{'.'.join(map(str, version))} ({platform.python_implementation()})"
    if version < (3, 11):
        return Finding("versions", "python", value, "broken", "Install Python 3.11 or newer.")
    return Finding("versions", "python", value)


def extras(outcomes: Mapping[str, str]) -> list[Finding]:
    """What each extra adds; `outcomes` are those of `imported`."""
    return [_extra(name, distributions, outcomes) for name, distributions in EXTRAS.items()]


def _needed(distribution: str, why_not: str, minimum: str) -> Finding:
    version = version_of(distribution)
    install = f"Run: pip install --upgrade '{distribution}{'>=' if minimum else ''}{minimum}'"
    if version is None and why_not:
        return Finding("versions", distribution, "not installed", "broken", install)
    if why_not:
        advice = f"Run: pip install --force-reinstall {distribution}"
        return Finding(
            "versions", distribution, f"{version}: cannot be imported ({why_not})", "broken", advice
        )
    if version is not None and minimum and _numbers(version) < _numbers(minimum):
        return Finding("versions", distribution, f"{version}, expected {minimum} or newer", "broken", install)
    return Finding("versions", distribution, version or "of unknown version")


def _extra(name: str, distributions: Mapping[str, str], outcomes: Mapping[str, str]) -> Finding:
    there = [f"{distribution} {version_of(distribution)}" for distribution in distributions]
    absent = [distribution for distribution in distributions if version_of(distribution) is None]
    install = f"Run: pip install 'pellucid[{name}]'"
    if absent:
        return Finding("extras", name, f"without {', '.join(absent)}", "lacking", install)
    faults = [
        f"{distribution} cannot be imported ({outcomes[module]})"
        for distribution, module in distributions.items()
        if outcomes.get(module)
    ]
    if faults:
        advice = f"Run: pip install --force-reinstall {' '.join(distributions)}"
        return Finding("extras", name, "; ".join(faults), "lacking", advice)
    return Finding("extras", name, ", ".join(there))


def version_of(distribution: str) -> str | None:
    """The installed version, or None if it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _minimum_versions() -> dict[str, str]:
    """From what Pellucid was installed with; nothing where it runs from a folder."""
    try:
        requirements = metadata.requires("pellucid") or []
    except metadata.PackageNotFoundError:
        return {}
    matches = (re.match(r"([\w.-]+)>=([\d.]+)$", requirement.strip()) for requirement in requirements)
    return {match[1].lower(): match[2] for match in matches if match}


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version.partition("+")[0])]
