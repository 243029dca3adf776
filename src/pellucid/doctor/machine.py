"""The machine: system, processor, memory, compiler, camera. Asks the system, imports nothing heavy."""

import ctypes
import os
import platform
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from pellucid.doctor.finding import Finding

TOPIC = "machine"
LITTLE_MEMORY = 2 * 2**30


def system() -> Finding:
    """The operating system and the architecture."""
    return Finding(TOPIC, "system", f"{platform.platform()} on {platform.machine() or 'an unknown machine'}")


def processor() -> Finding:
    """The processor's name, as its maker says it."""
    return Finding(TOPIC, "processor", _processor_name() or "unknown")


def cores() -> Finding:
    """How many cores there are, and how many this process may use."""
    there = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else there
    return Finding(TOPIC, "cores", f"{there}" if usable == there else f"{usable} of {there} may be used")


def memory() -> Finding:
    """The memory that this process may fill: the machine's, or less where a container has a limit."""
    size = _memory_bytes()
    if size is None:
        return Finding(TOPIC, "memory", "unknown")
    value = f"{size / 2**30:.1f} GiB"
    if size < LITTLE_MEMORY:
        return Finding(
            TOPIC, "memory", value, "lacking", "Little for training: lower --batch-size and --size."
        )
    return Finding(TOPIC, "memory", value)


def compiler() -> Finding:
    """Whether there is a C++ compiler, which torch.compile asks for. Pellucid itself works without."""
    names = [os.environ.get("CXX", ""), *(("cl",) if os.name == "nt" else ("g++", "clang++", "c++"))]
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    return Finding(TOPIC, "compiler", found or "none; only torch.compile would need one")


def camera(devices: Path = Path("/dev"), platform_name: str = sys.platform) -> Finding:
    """Whether there is a camera for the live tool. The browser opens it, not Pellucid."""
    if platform_name != "linux":
        return Finding(TOPIC, "camera", "the browser will ask")
    found = sorted(devices.glob("video*"))
    if not found:
        return Finding(
            TOPIC,
            "camera",
            "none found",
            "lacking",
            "The live tool works with pictures; a camera is optional.",
        )
    names = ", ".join(str(path) for path in found)
    if not any(os.access(path, os.R_OK | os.W_OK) for path in found):
        return Finding(
            TOPIC,
            "camera",
            f"{names}, which you may not use",
            "lacking",
            "Join the group 'video', log in anew.",
        )
    return Finding(TOPIC, "camera", names)


def _processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    with suppress(OSError):
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    if sys.platform == "darwin":
        with suppress(OSError, subprocess.SubprocessError):
            command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.check_output(command, text=True, timeout=5).strip()
    return platform.processor() or platform.machine()


def _memory_bytes(limit: Path = Path("/sys/fs/cgroup/memory.max")) -> int | None:
    sizes = []
    with suppress(AttributeError, ValueError, OSError):
        sizes.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with suppress(OSError, ValueError):
        sizes.append(int(limit.read_text()))  # "max" where there is no limit
    if os.name == "nt":
        kilobytes = ctypes.c_ulonglong()
        if ctypes.CDLL("kernel32").GetPhysicallyInstalledSystemMemory(ctypes.byref(kilobytes)):
            sizes.append(kilobytes.value * 1024)
    return min((size for size in sizes if size > 0), default=None)
