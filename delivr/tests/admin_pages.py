"""URLs of Django's admin."""

from __future__ import annotations

from django.contrib.admin.utils import quote
from django.db.models import Model
from django.urls import reverse


def listing(model: type[Model], act: str = "changelist") -> str:
    """The model's list, or another page of it that needs no row (`add`)."""
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{act}")


def detail(row: Model, act: str = "change") -> str:
    """The page of one row. Its key is quoted, since the admin decodes `_3A` to a colon."""
    name = f"admin:{row._meta.app_label}_{row._meta.model_name}_{act}"
    return reverse(name, args=[quote(str(row.pk))])
