import json
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from delivr.tenants.models import Role, Tenant, User
from delivr.tenants.operations import create_token


class Command(BaseCommand):
    help = "Create an API token for a member of a workspace. It is shown only once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", required=True, help="the workspace's id")
        parser.add_argument("--email", required=True, help="the member it acts for")
        parser.add_argument("--role", required=True, choices=Role.values)
        parser.add_argument("--name", default="")
        parser.add_argument("--expires-days", type=int, default=None)
        parser.add_argument("--json", action="store_true")

    def handle(self, **options: Any) -> None:
        tenant = Tenant.objects.filter(pk=options["tenant"]).first()
        user = User.objects.filter(email=options["email"].strip().lower()).first()
        if tenant is None or user is None:
            raise CommandError("No such workspace or user.")
        try:
            _token, text = create_token(
                tenant=tenant,
                user=user,
                role=options["role"],
                name=options["name"],
                days=options["expires_days"],
            )
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from None
        self.stdout.write(json.dumps({"token": text}) if options["json"] else text)
