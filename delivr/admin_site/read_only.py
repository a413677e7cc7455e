"""Django admin for rows that only operations may change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import models
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext as _

from delivr.admin_site.latest import NewestFirst
from delivr.admin_site.panels import row_url
from delivr.encryption.fields import secret_fields
from delivr.failures import Conflict
from delivr.pages.statuses import look_of

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
    TabularInline = admin.TabularInline[Any, Any]
else:
    ModelAdmin = admin.ModelAdmin
    TabularInline = admin.TabularInline


def state_of(field: str, kind: str = "") -> Callable[[Any], str]:
    """A column that shows a status by its words and tone."""

    def shown(row: Any) -> str:
        stored = getattr(row, field)
        look = look_of(stored, kind)
        words = getattr(row, f"get_{field}_display")() if kind != "build" else look.label
        return format_html('<span class="state state--{}">{}</span>', look.tone, words)

    column = admin.display(ordering=field, description=field.replace("_", " "))
    return column(shown)


def link_to(row: models.Model | None, text: str = "") -> str:
    """A link to a row's page, or only its id if the row is gone."""
    return format_html('<a href="{}">{}</a>', row_url(row), row) if row is not None else text or "-"


class NamedValuesFilter(admin.AllValuesFieldListFilter):
    """Like Django's, with a label for the empty text."""

    def choices(self, changelist: Any) -> Iterator[Any]:
        for choice in super().choices(changelist):
            yield {**choice, "display": choice["display"] or _("None")}


class ReadOnly:
    """Rows can only be viewed. `hidden` lists columns to leave out; encrypted ones always are."""

    model: type[models.Model]
    hidden: tuple[str, ...] = ()

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        secret = {field.name for field in secret_fields(self.model)}
        return [
            field.name
            for field in self.model._meta.concrete_fields
            if field.name not in self.hidden and field.name not in secret
        ]

    get_readonly_fields = get_fields


class ReadOnlyAdmin(ReadOnly, NewestFirst):
    list_per_page = 50
    show_full_result_count = False

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """For actions (`permissions=["operate"]`): users with the permission to change the rows."""
        return super(ReadOnly, self).has_change_permission(request)

    def operate(
        self, request: HttpRequest, rows: models.QuerySet[Any], operation: Callable[[Any], object]
    ) -> None:
        """Call the operation for each row; report how many succeeded, and why others did not."""
        done = 0
        for row in rows:
            try:
                operation(row)
                done += 1
            except (ValidationError, Conflict) as error:
                reasons = [error.message] if isinstance(error, Conflict) else error.messages
                self.message_user(request, f"{row}: {' '.join(reasons)}", messages.WARNING)
        self.message_user(request, _("Done for %d.") % done)


class ReadOnlyInline(ReadOnly, TabularInline):
    extra = 0
    show_change_link = True
