"""Each component has one template, one part of the stylesheet, and its place on /design."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from delivr.tenants.models import User
from delivr.tests.factories import MembershipFactory, give_second_factor, sign_in

ROOT = Path(settings.BASE_DIR)
HEADING = re.compile(r"/\* --- (.+?) --- \*/")
NAMED = re.compile(r"\b(\w+)\.html")

# Templates without a part of their own, and the template whose part they use.
WITHIN = {
    "check": "checks",
    "copy": "button",
    "field_errors": "field",
    "field_file": "field",
    "field_notes": "field",
    "form_errors": "alert",
    "step": "stepper",
}
NO_COMPONENT = {"gallery": "the page that shows them"}


def names() -> set[str]:
    return {path.stem for path in (ROOT / "templates/components").glob("*.html")}


def parts() -> Counter[str]:
    """How many parts refer to each template."""
    found: Counter[str] = Counter()
    for path in sorted((ROOT / "static/css").glob("*.css")):
        for heading in HEADING.findall(path.read_text()):
            found.update(NAMED.findall(heading))
    return found


def test_every_component_has_one_part_of_the_stylesheet() -> None:
    own = names() - set(WITHIN) - set(NO_COMPONENT)
    assert parts() == dict.fromkeys(own, 1)
    assert set(WITHIN) | set(NO_COMPONENT) <= names()
    assert set(WITHIN.values()) <= own


def test_every_stylesheet_of_components_is_in_parts() -> None:
    for name in ("shell", "forms", "basics", "blocks", "steps", "overlays"):
        text = (ROOT / f"static/css/{name}.css").read_text()
        start = text.index("{\n") + 2
        assert text[start:].lstrip().startswith("/* --- "), name


@pytest.mark.django_db
@pytest.mark.on_sqlite
def test_gallery_shows_every_component() -> None:
    staff = User.objects.create_superuser("staff@example.org")
    give_second_factor(staff)
    MembershipFactory(user=staff)
    shown = sign_in(Client(), staff).get("/design").templates
    used = {template.name for template in shown}
    assert {f"components/{name}.html" for name in names()} - used == set()
