"""`manage.py reset_second_factor ada@example.com`: for users who lost phone, key and codes."""

from __future__ import annotations

from django.core.management.base import BaseCommand, CommandError, CommandParser

from delivr.signin.second_factor import reset_second_factor
from delivr.tenants.models import User


class Command(BaseCommand):
    help = (
        "Reset a user's second factors. First make sure that the request really comes from "
        "the user."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")

    def handle(self, **options: str) -> None:
        user = User.objects.filter(email=options["email"].strip().lower()).first()
        if user is None:
            raise CommandError("There is no such user.")
        count = reset_second_factor(user=user, actor=None)
        self.stdout.write(
            f"{user.email}: {count} removed. The password alone is now enough to sign in."
        )
