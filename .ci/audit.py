"""Look up what is installed among known weaknesses, and say how much of it really was looked up.

Where the service cannot be reached, or knows none of the packages, pip-audit ends well and has found nothing.
"""

import json
import subprocess
import sys
from pathlib import Path


def main(packages: str) -> None:
    """Ends with 1 if a weakness is known, or nothing could be looked up."""
    command = [
        str(Path(sys.executable).with_name("pip-audit")),
        "--progress-spinner",
        "off",
        "--format",
        "json",
    ]
    ran = subprocess.run([*command, "--path", packages], capture_output=True, text=True, check=False)
    try:
        found = json.loads(ran.stdout)["dependencies"]
    except (ValueError, KeyError):
        print(ran.stderr.strip().splitlines()[-1:] or "no answer")
        sys.exit(
            "NOTHING WAS AUDITED: the list of known weaknesses cannot be reached. Repeat with a network."
        )
    audited = [package for package in found if "vulns" in package]
    weak = [package for package in audited if package["vulns"]]
    for package in weak:
        for known in package["vulns"]:
            print(package["name"], package["version"], known["id"], "fixed in", *known["fix_versions"])
    skipped = [package["name"] for package in found if package not in audited]
    print(f"{len(audited)} of {len(found)} packages were looked up, {len(weak)} have known weaknesses.")
    if skipped:
        print(f"Not looked up: {', '.join(skipped)}.")
    if not audited:
        sys.exit("NOTHING WAS AUDITED: the service knows none of the packages, or cannot be reached.")
    sys.exit(bool(weak))


main(sys.argv[1])
