import json
import re
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection, transaction

from delivr.audit.protection import grants


class Command(BaseCommand):
    help = "Print (or --apply) the SQL that gives a PostgreSQL role what the application needs."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--role", required=True, help="an existing role, not the tables' owner")
        parser.add_argument("--apply", action="store_true", help="run it, as the tables' owner")
        parser.add_argument("--json", action="store_true")

    def handle(self, **options: Any) -> None:
        role = options["role"]
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_$-]{0,62}", role):
            raise CommandError("This is not the name of a role.")
        if connection.vendor != "postgresql":
            raise CommandError("Only PostgreSQL has roles.")
        statements = grants(role)
        if options["apply"]:
            with transaction.atomic(), connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
        if options["json"]:
            self.stdout.write(json.dumps({"applied": options["apply"], "sql": statements}))
        else:
            self.stdout.write(";\n".join([*statements, ""]))
