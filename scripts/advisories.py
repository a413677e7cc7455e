"""`make audit`: known vulnerabilities of the packages in requirements*.lock, from pip-audit.

Exits with 1 if there are any, and with 2 if a package could not be audited: pip-audit itself skips
those, but a run without an answer must not look like a clean one.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LOCKS = (  # the second includes requirements.lock
    "requirements-pip.lock",
    "requirements-dev.lock",
    "requirements-tools.lock",
)
AUDIT = (sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "--format=json")


def audit(lock: str) -> list[dict[str, Any]] | None:
    """pip-audit's result for each package; None if it failed."""
    command = [*AUDIT, "--progress-spinner=off", "-r", str(ROOT / lock)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        found: list[dict[str, Any]] = json.loads(answer.stdout)["dependencies"]
    except (ValueError, KeyError):
        print((answer.stderr.strip().splitlines() or ["no answer"])[-1], file=sys.stderr)
        return None
    return found


def report(lock: str, packages: list[dict[str, Any]] | None) -> int:
    """Print the result; the exit code."""
    if packages is None:
        print(f"{lock}: NOT AUDITED, the advisory service gave no answer.")
        return 2
    unknown = [p["name"] for p in packages if "skip_reason" in p]
    found = [(p, v) for p in packages for v in p.get("vulns", ())]
    for package, vulnerability in found:
        fixed = ", ".join(vulnerability["fix_versions"]) or "no release yet"
        name = f"{package['name']} {package['version']}"
        print(f"{lock}: {name}: {vulnerability['id']}, fixed in {fixed}")
    if unknown:
        print(f"{lock}: NOT AUDITED, {len(unknown)} of {len(packages)} packages are not on PyPI:")
        print(f"  {', '.join(unknown)}")
        return 2
    print(f"{lock}: {len(packages)} packages, {len(found)} known vulnerabilities")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(max([report(lock, audit(lock)) for lock in LOCKS]))
