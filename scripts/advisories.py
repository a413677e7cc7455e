"""`make audit`: known weaknesses of what requirements*.lock pin, asked of PyPI by pip-audit.

Ends with 1 if there are any, and with 2 if some package could not be asked about: pip-audit itself
passes over those, and a run without an answer must not look like a clean one.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LOCKS = (  # the second holds requirements.lock
    "requirements-pip.lock",
    "requirements-dev.lock",
    "requirements-tools.lock",
)
AUDIT = (sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "--format=json")


def ask(lock: str) -> list[dict[str, Any]] | None:
    """pip-audit's answer for each package; None if it has none."""
    command = [*AUDIT, "--progress-spinner=off", "-r", str(ROOT / lock)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        found: list[dict[str, Any]] = json.loads(answer.stdout)["dependencies"]
    except (ValueError, KeyError):
        print((answer.stderr.strip().splitlines() or ["no answer"])[-1], file=sys.stderr)
        return None
    return found


def report(lock: str, packages: list[dict[str, Any]] | None) -> int:
    """Say what was found; the exit code."""
    if packages is None:
        print(f"{lock}: NOT AUDITED, the advisory service gave no answer.")
        return 2
    unknown = [p["name"] for p in packages if "skip_reason" in p]
    weak = [(p, w) for p in packages for w in p.get("vulns", ())]
    for package, weakness in weak:
        fixed = ", ".join(weakness["fix_versions"]) or "no release yet"
        print(
            f"{lock}: {package['name']} {package['version']}: {weakness['id']}, mended in {fixed}"
        )
    if unknown:
        print(f"{lock}: NOT AUDITED, {len(unknown)} of {len(packages)} packages are unknown there:")
        print(f"  {', '.join(unknown)}")
        return 2
    print(f"{lock}: {len(packages)} packages, {len(weak)} known weaknesses")
    return int(bool(weak))


if __name__ == "__main__":
    sys.exit(max([report(lock, ask(lock)) for lock in LOCKS]))
