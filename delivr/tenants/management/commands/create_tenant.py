import json
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from delivr.tenants.models import User
from delivr.tenants.operations import create_tenant


class Command(BaseCommand):
    help = "Create a workspace and its owner (an existing user, or a new one with --password)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--name", required=True)
        parser.add_argument("--owner-email", required=True)
        parser.add_argument("--password")
        parser.add_argument("--json", action="store_true")

    @transaction.atomic
    def handle(self, **options: Any) -> None:
        email = options["owner_email"].strip().lower()
        owner = User.objects.filter(email=email).first()
        try:
            owner = owner or self._create_user(email, options["password"])
            tenant = create_tenant(name=options["name"], owner=owner)
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from None
        if options["json"]:
            self.stdout.write(json.dumps({"tenantId": tenant.pk, "ownerEmail": owner.email}))
        else:
            self.stdout.write(f"Workspace {tenant.name} ({tenant.pk}), owned by {owner.email}.")

    def _create_user(self, email: str, password: str | None) -> User:
        user = User(email=email)
        user.set_password(password)
        user.full_clean()
        user.save()
        return user
