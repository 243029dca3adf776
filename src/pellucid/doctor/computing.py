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

    from pellucid.model.architecture import Architecture
    from pellucid.objective.objectives import Objective
    from pellucid.training.defaults import defaults_for
    from pellucid.training.precision import race_precision

    devices = ["cpu"]
    if torch.backends.mps.is_available():
        devices.insert(0, "mps (Apple)")
    names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    devices = [f"cuda:{number} ({name})" for number, name in enumerate(names)] + devices
    here = torch.device(devices[0].partition(" ")[0])
    usual = defaults_for("folder", 3)
    race = race_precision(
        Architecture(usual.preset, 64, 3, usual.latents), Objective(losses=usual.losses), here
    )
    facts = {
        "devices": devices,
        "rates": {str(dtype).removeprefix("torch."): rate for dtype, rate in race.images_per_second.items()},
        "precision": str(race.winner).removeprefix("torch."),
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
        precision(facts["precision"], facts["rates"], facts["vectors"]),
        threads(facts["threads"]),
    ]


def devices(names: list[str]) -> Finding:
    """Where training and everything else computes, the one that `--device auto` takes first."""
    return Finding(TOPIC, "devices", ", ".join(names))


def precision(winner: str, rates: dict[str, float], vectors: str) -> Finding:
    """The format that training uses here, and the race that says so, of the networks for photographs."""
    if not rates:
        return Finding(TOPIC, "precision", f"float32; no bfloat16 here ({vectors})")
    raced = ", ".join(f"{name} {rate:.0f}" for name, rate in rates.items())
    return Finding(TOPIC, "precision", f"{winner} (images/s on one thread: {raced}; {vectors})")


def threads(count: int) -> Finding:
    """Threads that torch computes with, unless --threads says another number."""
    return Finding(TOPIC, "threads", str(count))
