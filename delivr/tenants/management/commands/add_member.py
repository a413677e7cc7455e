import json
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from delivr.tenants.models import Role, Tenant, User
from delivr.tenants.operations import add_member


class Command(BaseCommand):
    help = "Add a user who has signed up to a workspace."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", required=True, help="the workspace's id")
        parser.add_argument("--email", required=True)
        parser.add_argument("--role", required=True, choices=Role.values)
        parser.add_argument("--json", action="store_true")

    def handle(self, **options: Any) -> None:
        tenant = Tenant.objects.filter(pk=options["tenant"]).first()
        user = User.objects.filter(email=options["email"].strip().lower()).first()
        if tenant is None or user is None:
            raise CommandError("No such workspace, or no user with this address.")
        try:
            member = add_member(tenant=tenant, user=user, role=options["role"], actor=None)
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from None
        answer = {"tenantId": tenant.pk, "email": user.email, "role": member.role}
        in_words = f"{user.email} is {member.role} of {tenant.name}."
        self.stdout.write(json.dumps(answer) if options["json"] else in_words)
