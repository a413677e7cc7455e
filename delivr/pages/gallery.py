"""A page that shows every component in every state, for developers of pages."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django import forms
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from delivr.pages.icons import ICONS
from delivr.pages.statuses import LOOKS

SAMPLE_CODE = """pipeline {
  post { always { httpRequest url: env.DELIVR_WEBHOOK_URL, customHeaders: [] } }
}"""


class SampleForm(forms.Form):
    name = forms.CharField(label="Name", help_text="As people in the workspace know it.")
    repository_url = forms.URLField(
        label="Repository",
        assume_scheme="https",
        help_text="A picker offers what the token may see.",
        widget=forms.URLInput(
            attrs={"data-picker-url": "/design/options", "data-picker-label": "Load repositories"}
        ),
    )
    token = forms.CharField(label="Access token", widget=forms.PasswordInput(render_value=False))
    platform = forms.ChoiceField(label="Platform", choices=[("IOS", "iOS"), ("ANDROID", "Android")])
    notes = forms.CharField(label="Notes", required=False, widget=forms.Textarea(attrs={"rows": 3}))
    key = forms.CharField(
        label="Key",
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "data-drop": ".p8"}),
    )
    channels = forms.MultipleChoiceField(
        label="Channels",
        choices=[("C1", "#releases"), ("C2", "#mobile")],
        widget=forms.CheckboxSelectMultiple,
    )
    agree = forms.BooleanField(label="Notify the channel", help_text="One message per build.")


@require_GET
def ui_gallery(request: HttpRequest) -> HttpResponse:
    """Only for staff; for all others the page does not exist."""
    if not request.user.is_staff:
        raise Http404
    return render(request, "components/gallery.html", gallery_context(timezone.now()))


def gallery_context(now: datetime) -> dict[str, Any]:
    """Sample values for all components."""
    return {
        "icons": sorted(ICONS),
        "tones": ["neutral", "info", "success", "warning", "danger"],
        "statuses": list(LOOKS),
        "moments": [
            now - timedelta(**{unit: 3}) for unit in ("seconds", "minutes", "hours", "days")
        ]
        + [now + timedelta(hours=2, seconds=5), now - timedelta(days=30)],
        "form": SampleForm(initial={"name": "Mobile app"}),
        "wrong_form": SampleForm({"name": "", "repository_url": "x"}, prefix="wrong"),
        "tabs": _tabs(),
        "steps": _steps(),
        "checks": _checks(),
        "events": _events(now),
        "providers": _providers(),
        "pairs": [("Version", "1.5.0"), ("Branch", "release/1.5.0"), ("Builds", "2")],
        "code": SAMPLE_CODE,
    }


def _tabs() -> list[dict[str, Any]]:
    return [
        {"label": "Active", "href": "?tab=active", "current": True, "count": 3},
        {"label": "Completed", "href": "?tab=completed", "count": 0},
        {"label": "All", "href": "?tab=all"},
    ]


def _steps() -> list[dict[str, Any]]:
    return [
        {"label": "Connect a repository", "state": "DONE", "url": "#scm"},
        {"label": "Select targets", "state": "DONE", "url": "#targets"},
        {"label": "Configure pipelines", "state": "CURRENT", "url": "#pipelines"},
        {"label": "Messages", "state": "SKIPPED", "optional": True},
        {"label": "Tickets", "state": "TODO", "optional": True},
    ]


def _checks() -> list[dict[str, Any]]:
    return [
        {"label": "Address answers", "state": "PASSED", "message": "https://ci.example.org"},
        {
            "label": "Job parameters",
            "state": "WARNING",
            "message": "The job does not declare DELIVR_BUILD_ID.",
            "hint": "Add it: then a build whose answer was lost is found again.",
        },
        {
            "label": "Permission to start the job",
            "state": "NOT_TESTABLE",
            "message": "The CI server shows this only at the first build.",
        },
        {
            "label": "Credentials",
            "state": "FAILED",
            "message": "The CI server refused the token.",
            "hint": "Create a new one under User > Security.",
        },
    ]


def _events(now: datetime) -> list[dict[str, Any]]:
    return [
        {"at": now - timedelta(minutes=24), "title": "Release 1.5.0 created", "icon": "releases"},
        {
            "at": now - timedelta(minutes=20),
            "title": "iOS build #245 started",
            "detail": "/job/ios-prod",
            "tone": "info",
            "icon": "play",
        },
        {
            "at": now - timedelta(minutes=8),
            "title": "iOS build #245 failed",
            "detail": "The webhook said: failed.",
            "tone": "danger",
            "url": "#timeline",
        },
        {"at": now, "title": "iOS build #246 complete", "tone": "success"},
    ]


def _providers() -> list[tuple[str, str]]:
    marks = (Path(settings.BASE_DIR) / "static/img/providers").glob("*.svg")
    named = ((mark.stem.upper(), mark.stem.replace("_", " ").title()) for mark in marks)
    return sorted(named)
