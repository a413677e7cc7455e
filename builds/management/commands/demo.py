import json
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from builds.demo import workspace as demo
from delivr.run.up import begin_again
from delivr.tenants.models import Tenant

NO_SANDBOX = (
    "There is no sandbox: start `make run` first. If it uses another DELIVR_DATA_DIR, set that "
    "here, too."
)
NOT_PREPARED = (
    "The database has no tables yet: wait until `make run` has prepared it, or run "
    "`python manage.py migrate` first."
)


class Command(BaseCommand):
    help = "Create the demo workspace if it is missing, and print its logins."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--connected",
            action="store_true",
            help="also connect the sandbox, create release 1.5.0 and trigger its builds",
        )
        parser.add_argument(
            "--history",
            action="store_true",
            help="with --connected: also build some releases of the past weeks",
        )
        parser.add_argument(
            "--releases",
            type=int,
            default=0,
            metavar="N",
            help="with --history: copy those until there are N releases",
        )
        parser.add_argument(
            "--if-empty", action="store_true", help="create nothing if there are other workspaces"
        )
        parser.add_argument("--json", action="store_true")

    def handle(self, **options: Any) -> None:
        if options["connected"] and not settings.SANDBOX_URL:
            begin_again(settings.DELIVR_DATA_DIR)
            raise CommandError(NO_SANDBOX)
        if Tenant._meta.db_table not in connection.introspection.table_names():
            raise CommandError(NOT_PREPARED)
        tenant = demo.find_demo()
        if tenant is None and (demo.is_empty() or not options["if_empty"]):
            tenant = demo.ensure_demo()
        answer: dict[str, Any] = {"tenantId": tenant and tenant.pk, "logins": {}}
        if tenant is not None:
            answer["logins"] = demo.logins()
        if tenant is not None and options["connected"]:
            self._say("Connecting the sandbox")
            connections = demo.ensure_connected(tenant)
            answer["connections"] = {c.pk: c.verification_status for c in connections}
            if options["history"]:
                demo.ensure_past(tenant, wanted=options["releases"], say=self._say)
            answer["releaseId"] = demo.ensure_release(tenant).pk
        self.stdout.write(json.dumps(answer) if options["json"] else _in_words(answer))

    def _say(self, words: str) -> None:
        """Progress goes to stderr, so that --json stays one document."""
        self.stderr.write(f"{words} …")
        self.stderr.flush()


def _in_words(answer: dict[str, Any]) -> str:
    lines = [f"Demo workspace: {answer['tenantId'] or 'none'}"]
    for label, login in answer["logins"].items():
        lines.append(f"{label}: {login['email']}  {login['password'] or '(changed)'}")
    lines += [f"{pk}: {status}" for pk, status in answer.get("connections", {}).items()]
    if "releaseId" in answer:
        lines.append(f"Release: {answer['releaseId']}")
    return "\n".join(lines)
