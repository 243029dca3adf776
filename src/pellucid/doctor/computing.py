"""How torch computes here. It is asked in another process, as every library is (see `libraries`)."""

import json
from typing import Any

from pellucid.doctor.finding import Finding
from pellucid.doctor.libraries import run_python

TOPIC = "computing"
_ASK = "from pellucid.doctor.computing import answer; answer()"


def answer() -> None:
    """Print what torch says of itself, as the last line."""
    import torch

    from pellucid.training.precision import resolve_precision

    devices = ["cpu"]
    if torch.backends.mps.is_available():
        devices.insert(0, "mps (Apple)")
    names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    devices = [f"cuda:{number} ({name})" for number, name in enumerate(names)] + devices
    here = torch.device(devices[0].partition(" ")[0])
    facts = {
        "devices": devices,
        "precision": str(resolve_precision("auto", here)).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "vectors": torch.backends.cpu.get_cpu_capability(),
    }
    print("\n" + json.dumps(facts), flush=True)


def ask() -> dict[str, Any] | str:
    """What `answer` printed; or why there was no answer, in one line."""
    ended, output, errors = run_python(_ASK)
    if ended:
        lines = errors.strip().splitlines()
        return lines[-1] if lines and "signal" not in ended else ended
    facts: dict[str, Any] = json.loads(output.splitlines()[-1])
    return facts


def findings(facts: dict[str, Any] | str) -> list[Finding]:
    """Devices, precision and threads; nothing to say where torch gave no answer."""
    if isinstance(facts, str):
        return []
    return [
        devices(facts["devices"]),
        precision(facts["precision"], facts["vectors"]),
        threads(facts["threads"]),
    ]


def devices(names: list[str]) -> Finding:
    """Where training and everything else computes, the one that `--device auto` takes first."""
    return Finding(TOPIC, "devices", ", ".join(names))


def precision(numbers: str, vectors: str) -> Finding:
    """Whether the device computes in bfloat16: what `--precision auto` decides by."""
    if numbers == "bfloat16":
        return Finding(TOPIC, "bfloat16", f"yes, training uses it ({vectors})")
    return Finding(TOPIC, "bfloat16", f"no, training computes in {numbers} ({vectors})")


def threads(count: int) -> Finding:
    """Threads that torch computes with, unless --threads says another number."""
    return Finding(TOPIC, "threads", str(count))
