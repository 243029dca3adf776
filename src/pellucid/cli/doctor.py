"""`pellucid doctor`: what is here, and what is in the way."""

import sys
from typing import TYPE_CHECKING

from pellucid.cli.printing import print_json

if TYPE_CHECKING:
    from pellucid.doctor.finding import Finding

_MARKS = {"fine": " ", "lacking": "-", "broken": "!"}


def doctor(*, json: bool = False) -> None:
    """Say which versions, devices, disk and extras are here, and what to do about what is not.

    Exits with 0 if everything essential works, with 1 if something does not. Please add its output when
    you report a fault.

    Args:
        json: Print everything as JSON.
    """
    from dataclasses import asdict

    from pellucid.doctor.examination import examine

    findings = examine()
    broken = sum(finding.state == "broken" for finding in findings)
    if json:
        print_json({"works": not broken, "findings": [asdict(finding) for finding in findings]})
    else:
        _print(findings)
        print(_summary(broken))
    if broken:
        sys.exit(1)


def _print(findings: "list[Finding]") -> None:
    from pellucid.data.paths import printable

    topic = ""
    for finding in findings:
        if finding.topic != topic:
            topic = finding.topic
            print(topic)
        print(f"{_MARKS[finding.state]} {finding.name:<14} {printable(finding.value)}")
        if finding.advice:
            print(f"{'':17}{finding.advice}")


def _summary(broken: int) -> str:
    if not broken:
        return "\nEverything essential works."
    what = "1 thing is" if broken == 1 else f"{broken} things are"
    return f"\n{what} in the way of Pellucid, marked with !."
