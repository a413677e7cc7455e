"""The fields of the fake providers in these tests: none."""

FIELDS = ()
NEEDS = ""
CHECKS: dict[str, str] = {}
