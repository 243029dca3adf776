"""Everything that `pellucid doctor` looks at, in the order in which it is shown."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from pellucid.doctor import computing, libraries, machine, places
from pellucid.doctor.finding import Finding

QUICK: tuple[Callable[[], Finding], ...] = (
    machine.system,
    machine.processor,
    machine.cores,
    machine.memory,
    machine.compiler,
    machine.camera,
    places.runs,
    places.cache,
)


def examine() -> list[Finding]:
    """Look at everything; what is slow to import is imported by two processes at once."""
    with ThreadPoolExecutor(2) as pool:
        asked = pool.submit(computing.ask)
        importing = pool.submit(libraries.imported, libraries.modules())
        quick = [looked(check) for check in QUICK]
        facts, outcomes = asked.result(), importing.result()
    if isinstance(facts, str):
        outcomes["torch"] = facts
    return [
        *libraries.versions(outcomes),
        *computing.findings(facts),
        *quick,
        *libraries.extras(outcomes),
    ]


def looked(check: Callable[[], Finding]) -> Finding:
    """What a check says; one that fails itself costs no other its say."""
    try:
        return check()
    except Exception as error:
        name = check.__name__
        return Finding(
            "machine", name, f"could not be looked at ({type(error).__name__}: {error})", "lacking"
        )
