import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from delivr.audit.chain import ChainReport, Head, as_heads, check_all
from delivr.audit.sealing import seal_everything


class Command(BaseCommand):
    help = "Check that no row of the audit log was changed, removed, inserted, moved or cut off."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", help="one workspace's id; all without it")
        parser.add_argument(
            "--heads", type=Path, metavar="FILE", help="an earlier output of --json to hold against"
        )
        parser.add_argument("--seal", action="store_true", help="seal what is not sealed yet first")
        parser.add_argument("--json", action="store_true")

    def handle(self, **options: Any) -> None:
        heads = _read(options["heads"])
        if options["seal"]:
            seal_everything()
        checked = check_all(heads, tenant_id=options["tenant"])
        say = self._json if options["json"] else self._in_words
        if not say(checked):
            raise CommandError("The audit log was changed.")

    def _in_words(self, reports: Iterable[ChainReport]) -> bool:
        intact = True
        for checked in reports:
            head, found = checked.head, checked.findings
            verdict = f"{len(found)} findings" if found else "intact"
            self.stdout.write(f"{checked.tenant}: {verdict}, up to {head.seq} {head.hash}")
            for one in found:
                self.stdout.write(f"  {one.seq or '-'} {one.code}: {one.detail}")
            intact = intact and not found
        return intact

    def _json(self, reports: Iterable[ChainReport]) -> bool:
        heads, found = {}, []
        for checked in reports:
            heads[checked.tenant] = {"seq": checked.head.seq, "hash": checked.head.hash}
            found += [vars(one) for one in checked.findings]
        self.stdout.write(json.dumps({"intact": not found, "heads": heads, "findings": found}))
        return not found


def _read(path: Path | None) -> dict[str, Head]:
    """The heads in a file. Raises CommandError if it contains none."""
    if path is None:
        return {}
    try:
        return as_heads(json.loads(path.read_text()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise CommandError(f"{path} is not the output of audit_verify --json.") from None
