"""Look up what is installed among known weaknesses, and fail unless it really was looked up.

pip-audit ends well where the service cannot be reached, knows none of the packages, or is a mirror that
knows packages but no weaknesses. So a version that is known to be weak is looked up first.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

KNOWN_TO_BE_WEAK = "jinja2==2.11.2"
_NOTHING = "NOTHING WAS AUDITED: "


def look_up(*arguments: str) -> list[dict[str, Any]]:
    """What pip-audit says of each package: `name`, and `vulns`, or `skip_reason`."""
    command = [
        str(Path(sys.executable).with_name("pip-audit")),
        "--progress-spinner",
        "off",
        "--format",
        "json",
    ]
    ran = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    try:
        found: list[dict[str, Any]] = json.loads(ran.stdout)["dependencies"]
    except (ValueError, KeyError):
        print(*(ran.stderr.strip().splitlines()[-1:] or ["no answer"]))
        sys.exit(f"{_NOTHING}the list of known weaknesses cannot be reached. Repeat with a network.")
    return found


def check_the_service() -> None:
    """End with 1 unless a known weakness is found."""
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "requirements.txt"
        listed.write_text(KNOWN_TO_BE_WEAK + "\n")
        found = look_up("--requirement", str(listed), "--no-deps", "--disable-pip")
    if not any(package.get("vulns") for package in found):
        sys.exit(f"{_NOTHING}the service does not know that {KNOWN_TO_BE_WEAK} is weak. Use PyPI's own.")


def main(packages: str) -> None:
    """End with 1 if a weakness is known, or something that PyPI has was not looked up."""
    check_the_service()
    found = look_up("--path", packages)
    audited = [package for package in found if "vulns" in package]
    weak = [package for package in audited if package["vulns"]]
    for package in weak:
        for known in package["vulns"]:
            print(package["name"], package["version"], known["id"], "fixed in", *known["fix_versions"])
    skipped = [package for package in found if package not in audited]
    print(f"{len(audited)} of {len(found)} packages were looked up, {len(weak)} have known weaknesses.")
    for package in skipped:
        print(f"Not looked up: {package['name']}: {package['skip_reason']}")
    # PyPI has neither Pellucid from this folder nor local builds such as torch 2.13.0+cpu.
    missed = [p["name"] for p in skipped if p["name"] != "pellucid" and "+" not in p["skip_reason"]]
    if missed or not audited:
        sys.exit(f"{_NOTHING if not audited else 'NOT ALL WAS AUDITED: '}see above. Repeat later.")
    sys.exit(bool(weak))


if __name__ == "__main__":
    main(sys.argv[1])
