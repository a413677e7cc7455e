"""Template tags for the pages: icons, statuses, times, and components that wrap other markup."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from django import template
from django.contrib.staticfiles import finders
from django.forms import BoundField, PasswordInput
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from delivr.pages.icons import ICONS
from delivr.pages.names import NAMES
from delivr.pages.statuses import look_of
from delivr.tenants.models import User

register = template.Library()
TWO_DAYS = 2 * 24 * 60  # minutes


@register.simple_tag
def icon(name: str, label: str = "", size: str = "") -> SafeString:
    """An inline icon. Without `label` it is decoration, hidden from screen readers."""
    if name not in ICONS:
        raise template.TemplateSyntaxError(
            f"No icon is called {name!r} (see delivr/pages/icons.py)."
        )
    classes = f"icon icon--{name}" + (f" icon--{size}" if size else "")
    role = format_html('role="img" aria-label="{}"', label) if label else 'aria-hidden="true"'
    return format_html(
        '<svg class="{}" viewBox="0 0 16 16" {}>{}</svg>',
        classes,
        mark_safe(role),  # noqa: S308 # escaped by format_html just above, or a constant
        mark_safe(ICONS[name]),  # noqa: S308 # our own constants
    )


@register.inclusion_tag("components/badge.html")
def status_badge(value: str, kind: str = "", label: str = "") -> dict[str, Any]:
    """A status as words, icon and color.

    `kind` (verification, build, effect) distinguishes statuses that several kinds of objects share.
    """
    look = look_of(value, kind)
    return {"label": label or look.label, "tone": look.tone, "icon": look.icon, "value": value}


@register.simple_tag
def status_tone(value: str, kind: str = "") -> str:
    """Only the tone (neutral, info, success, warning, danger), for other components."""
    return look_of(value, kind).tone


@register.filter
def status_label(value: str, kind: str = "") -> str:
    """Only the words, for sentences and selects."""
    return str(look_of(value, kind).label)


TONE_ICONS = {
    "neutral": "dot",
    "info": "info",
    "success": "check-circle",
    "warning": "alert",
    "danger": "x-circle",
}


@register.simple_tag
def tone_icon(tone: str = "") -> SafeString:
    """The icon for a tone; an unknown or empty tone counts as neutral."""
    return icon(TONE_ICONS.get(tone, "dot"))


@register.filter
def message_tone(level_tag: str) -> str:
    """The tone of a message of django.contrib.messages."""
    return {"error": "danger", "debug": "neutral"}.get(level_tag, level_tag)


def _count_words(seconds: int) -> str:
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if minutes < 1:
        return ngettext("%d second", "%d seconds", seconds) % seconds
    if hours < 1:
        return ngettext("%d minute", "%d minutes", minutes) % minutes
    if days < 1:
        return ngettext("%d hour", "%d hours", hours) % hours
    return ngettext("%d day", "%d days", days) % days


def relative_words(moment: datetime, now: datetime) -> str:
    """`3 minutes ago`, `in 2 hours`; the date if it is more than a week away."""
    gap = moment - now
    if abs(gap) < timedelta(seconds=10):
        return _("just now")
    if abs(gap) >= timedelta(days=7):
        return date_format(timezone.localtime(moment), "j M Y")
    words = _count_words(int(abs(gap).total_seconds()))
    if gap > timedelta(0):
        return _("in %s") % words
    return _("%s ago") % words


@register.simple_tag
def relative_time(moment: datetime | None, empty: str = "–") -> str:
    """A time as `<time>`, relative in words, exact on hover. `empty` is shown if there is none."""
    if not moment:
        return empty
    return format_html(
        '<time datetime="{}" title="{}" data-relative>{}</time>',
        moment.isoformat(timespec="seconds"),
        _exact_words(moment),
        relative_words(moment, timezone.now()),
    )


@register.simple_tag
def exact_time(moment: datetime, words: str) -> str:
    """Other words for a time as `<time>`, exact on hover."""
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.isoformat(timespec="seconds"),
        _exact_words(moment),
        words,
    )


def _exact_words(moment: datetime) -> str:
    return date_format(timezone.localtime(moment), "j M Y, H:i:s e")


@register.filter
def duration(seconds: float | timedelta | None) -> str:
    """A duration, no more precise than useful: `42 s`, `4 min 12 s`, `20 min`, `1 h 03 min`, `2 d 3
    h`.

    Takes seconds or a timedelta.
    """
    if seconds is None:
        return "–"
    total = int(seconds.total_seconds() if isinstance(seconds, timedelta) else seconds)
    if total < 60:
        return _("%d s") % total
    if total < 600 and total % 60:
        return _("%(min)d min %(s)02d s") % {"min": total // 60, "s": total % 60}
    minutes = round(total / 60)
    if minutes < 60:
        return _("%d min") % minutes
    if minutes >= TWO_DAYS:
        return _("%(d)d d %(h)d h") % {"d": minutes // 1440, "h": minutes % 1440 // 60}
    if minutes % 60:
        return _("%(h)d h %(min)02d min") % {"h": minutes // 60, "min": minutes % 60}
    return _("%d h") % (minutes // 60)


@register.simple_tag
def person(user: User) -> SafeString:
    """Who somebody is: the name, with the email address on hover; the address if there is none."""
    if not user.name:
        return escape(user.email)
    return format_html('<span title="{}">{}</span>', user.email, user.name)


@register.filter
def initials(name: str) -> str:
    """One or two letters for an avatar: `Ada Lovelace` and `ada.lovelace@x.org` give `AL`."""
    words = str(name).split("@")[0].replace(".", " ").replace("-", " ").replace("_", " ").split()
    return "".join(word[0] for word in words[:2]).upper() or "?"


@cache
def _provider_file(choice: str) -> str:
    path = f"img/providers/{choice.lower()}.svg"
    return path if finders.find(path) else "img/providers/generic.svg"


@register.simple_tag
def provider_logo(choice: str) -> str:
    """The URL of a provider's logo; a plug if the provider has none."""
    return static(_provider_file(str(choice)))


@register.inclusion_tag("components/nav_item.html", takes_context=True)
def nav_item(
    context: template.Context, href: str, icon: str, label: str, failing: int = 0
) -> dict[str, Any]:
    """An entry of the main navigation, marked as current on its own page and those below it.

    `failing` is how many things there need attention.
    """
    request = context.get("request")
    path = request.path if request else ""
    below = href.rstrip("/") + "/"
    current = (path + "/").startswith(below)
    return {"href": href, "icon": icon, "label": label, "current": current, "failing": failing}


_SPELLED = {"api": "API", "url": "URL", "scm": "repository"}


@register.filter
def as_words(name: str) -> str:
    """A stored name for people: `issue_type` gives `Issue type`, `base_url` gives `Base URL`."""
    if known := NAMES.get(name):
        return str(known)
    words = " ".join(_SPELLED.get(word, word) for word in str(name).replace("_", " ").split())
    return words[:1].upper() + words[1:]


# --- Forms -----------------------------------------------------------------------------------


@register.simple_tag
def control(field: BoundField) -> SafeString:
    """The form control of a field. Browsers never fill in that of a secret."""
    attrs: dict[str, str | bool] = {}
    widget = field.field.widget
    if isinstance(widget, PasswordInput) and "autocomplete" not in widget.attrs:
        attrs = {"autocomplete": "off", "spellcheck": "false", "data-1p-ignore": True}
    return field.as_widget(attrs=attrs)


@register.filter
def widget_attr(field: BoundField, name: str) -> Any:
    """An attribute that the form gave to the field's widget, such as `data-picker-url`."""
    return field.field.widget.attrs.get(name, "")


# --- Components that wrap markup -----------------------------------------------------------------


def _wrap(name: str, content: str, values: Mapping[str, Any]) -> SafeString:
    return render_to_string(f"components/{name}.html", {**values, "content": content})


@register.simple_block_tag
def card(content: str, title: str = "", **values: Any) -> SafeString:
    """A framed part of the page. See components/card.html."""
    own_id = slugify(title, allow_unicode=True)
    return _wrap("card", content, {"title": title, "id": own_id, **values})


@register.simple_block_tag
def alert(content: str, tone: str = "info", title: str = "", **values: Any) -> SafeString:
    """A message on the page. See components/alert.html."""
    return _wrap("alert", content, {"tone": tone, "title": title, **values})


@register.simple_block_tag
def table(content: str, caption: str, **values: Any) -> SafeString:
    """A table that scrolls or folds into cards on a phone. See components/table.html."""
    return _wrap("table", content, {"caption": caption, **values})


@register.simple_block_tag
def dialog(content: str, **values: Any) -> SafeString:
    """A dialog over the page. See components/dialog.html."""
    return _wrap("dialog", content, values)


@register.simple_block_tag(takes_context=True)
def confirm(context: template.Context, content: str, **values: Any) -> SafeString:
    """A button that asks for confirmation before it posts. See components/confirm.html."""
    return _wrap("confirm", content, {"csrf_token": context.get("csrf_token"), **values})
