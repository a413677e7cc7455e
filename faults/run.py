"""`make faults`: start the product, inject faults, check the outcome.

python faults/run.py                          all scenarios
python faults/run.py --only F2 --triggers 60  one, shorter
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import textwrap
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from faults.stack import NEW, OLD, Stack

WIDTH = 110  # of the figures in the closing table
SCENARIOS = {
    "F1": "faults.killing.crash_points",
    "F1b": "faults.recovery.recovery_times",
    "F1c": "faults.repository.crash_points",
    "F1d": "faults.tickets.crash_points",
    "F1e": "faults.mails.crash_points",
    "F1f": "faults.stores.crash_points",
    "F2": "faults.killing.random_kills",
    "F2b": "faults.killing.random_kills_of_runs",
    "F2c": "faults.killing.random_kills_of_receivers",
    "F2d": "faults.killing.random_kills_of_pipelines",
    "F2e": "faults.repository.random_kills",
    "F2f": "faults.tickets.random_kills",
    "F2h": "faults.events.random_kills",
    "F2i": "faults.stores.random_kills",
    "F2g": "faults.killing.random_kills_of_messages",
    "F3": "faults.outages.broken_broker",
    "F4": "faults.outages.database_restarts",
    "F5": "faults.answers.odd_answers",
    "F6": "faults.concurrency.shuffled_webhooks",
    "F6b": "faults.concurrency.shuffled_reports_of_receivers",
    "F6c": "faults.concurrency.shuffled_reports_of_runs",
    "F7": "faults.hostile.hostile_reports",
    "F8": "faults.concurrency.many_clicks",
    "F9": "faults.concurrency.last_pairs",
    "F9b": "faults.concurrency.last_pairs_of_runs",
    "F9c": "faults.concurrency.last_pairs_of_receivers",
    "F10": "faults.clocks.clocks_apart",
    "F11": "faults.freezing.frozen_in_mid_call",
    "F11b": "faults.freezing.late_arrival",
    "F12": "faults.operators.keys_change",
    "F13": "faults.neighbours.one_hangs",
    "F14": "faults.operators.migration_under_load",
    "F15": "faults.operators.restored_from_a_dump",
    "F16": "faults.jenkins_restarts.restarts",
    "F17": "faults.jenkins_restarts.numbers_of_others",
    "F18": "faults.store_races.doubled_clicks",
    "F19": "faults.store_races.edits_ended_by_others",
    "F20": "faults.store_races.halts_among_slow_looks",
    "F20b": "faults.store_races.halts_past_an_open_breaker",
    "F21": "faults.freezing.frozen_in_a_store",
    "F22": "faults.uploads.uploads",
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--only", nargs="+", choices=SCENARIOS, default=list(SCENARIOS))
    parser.add_argument("--triggers", type=int, default=400)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each outage")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, default=Path(".data/faults.json"))
    parser.add_argument("--keep-logs", type=Path, help="a folder for the processes' logs")
    return parser.parse_args()


def main() -> int:
    chosen = arguments()
    with Stack() as stack:
        os.environ.update(stack.env, FERNET_KEYS=f"{OLD},{NEW}")  # the checks read everything
        setup()
        found = {name: run(name, stack, chosen) for name in chosen.only}
        if chosen.keep_logs:
            stack.copy_logs(chosen.keep_logs)
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    report = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "scenarios": found}
    chosen.json.write_text(json.dumps(report, indent=2))
    print_table(found)
    print(f"\nWritten to {chosen.json}.")
    return int(any(result["broken"] for result in found.values()))


def setup() -> None:
    """Set up Django, once the environment names the database."""
    import logging

    import django

    django.setup()
    logging.getLogger().setLevel(logging.ERROR)


def run(name: str, stack: Stack, chosen: argparse.Namespace) -> dict[str, Any]:
    from django.utils.module_loading import import_string

    from faults.outcome import Options, Outcome

    scenario: Callable[[Stack, Options], Outcome] = import_string(SCENARIOS[name])
    title = (scenario.__doc__ or name).strip()
    print(f"\n{title}", flush=True)
    start = time.monotonic()
    try:
        outcome = scenario(stack, Options(chosen.triggers, chosen.seconds, chosen.seed))
    except Exception as error:
        traceback.print_exc()
        outcome = Outcome(broken=[f"{type(error).__name__}: {error}"])
    stack.sandbox.no_faults()
    result = {"figures": outcome.figures, "broken": outcome.broken[:50]}
    show(outcome.figures, outcome.broken, time.monotonic() - start)
    return {**result, "seconds": round(time.monotonic() - start, 1)}


def show(figures: dict[str, Any], broken: list[str], seconds: float) -> None:
    for label, value in figures.items():
        print(f"    {label:<22} {value}")
    for words in broken[:20]:
        print(f"    BROKEN  {words}")
    print(f"  {'FAILED' if broken else 'passed'} in {seconds:.0f} s", flush=True)


def print_table(found: dict[str, dict[str, Any]]) -> None:
    """All scenarios again, one line each."""
    print()
    for name, result in found.items():
        figures = " · ".join(f"{label} {value}" for label, value in result["figures"].items())
        verdict = "FAILED" if result["broken"] else "PASSED"
        short = textwrap.shorten(figures, WIDTH, placeholder=" …")
        print(f"{name:<5} {verdict}  {result['seconds']:>5.0f} s  {short}")


if __name__ == "__main__":
    sys.exit(main())
