"""Template tags and components: every status has a look, every component can be rendered."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django import forms
from django.contrib.auth.models import AnonymousUser
from django.http import Http404
from django.template import Context, Template, TemplateSyntaxError
from django.test import RequestFactory
from django.utils import timezone

from delivr.pages.gallery import gallery_context, ui_gallery
from delivr.pages.icons import ICONS
from delivr.pages.statuses import LOOKS, LOOKS_OF_KIND, look_of
from delivr.templatetags.browsers import browser_words
from delivr.templatetags.ui import (
    TONE_ICONS,
    as_words,
    duration,
    initials,
    relative_words,
)
from integrations.providers.ci import BuildStatus

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=timezone.get_default_timezone())
TEMPLATES = Path(__file__).parents[2] / "templates"
STATIC = Path(__file__).parents[2] / "static"


def rendered(source: str, **context: object) -> str:
    return Template("{% load ui %}" + source).render(Context(context))


@pytest.mark.parametrize("word", list(BuildStatus))
def test_every_status_of_a_build_has_a_look(word):
    assert look_of(word, "build").label != word


@pytest.mark.parametrize("look", [*LOOKS.values(), *LOOKS_OF_KIND.values()])
def test_every_look_has_a_known_icon_and_tone(look):
    assert look.icon in ICONS
    assert look.tone in TONE_ICONS


def test_unknown_status_is_shown_unchanged():
    assert "NEWFANGLED" in rendered("{% status_badge 'NEWFANGLED' %}")


def test_badge_of_a_connection_differs_from_that_of_a_build():
    assert "Not verified yet" in rendered("{% status_badge 'PENDING' 'verification' %}")
    assert "Not started" in rendered("{% status_badge 'PENDING' kind='build' %}")


def test_label_of_a_badge_is_escaped():
    assert "<b>" not in rendered("{% status_badge 'DONE' label=label %}", label="<b>")


def test_icon_is_hidden_from_readers_unless_it_has_a_label():
    assert 'aria-hidden="true"' in rendered("{% icon 'check' %}")
    labelled = rendered("{% icon 'check' label=label %}", label='Done "now"')
    assert 'role="img" aria-label="Done &quot;now&quot;"' in labelled


def test_unknown_icon_is_an_error():
    with pytest.raises(TemplateSyntaxError):
        rendered("{% icon 'nonsense' %}")


@pytest.mark.parametrize(
    ("gap", "words"),
    [
        (timedelta(seconds=-3), "just now"),
        (timedelta(seconds=-30), "30 seconds ago"),
        (timedelta(minutes=-1), "1 minute ago"),
        (timedelta(hours=2), "in 2 hours"),
        (timedelta(days=-6), "6 days ago"),
        (timedelta(days=-7), "15 Nov 2026"),
    ],
)
def test_relative_time_in_words(gap, words):
    assert relative_words(NOW + gap, NOW) == words


def test_relative_time_has_its_exact_time():
    html = rendered("{% relative_time moment %}", moment=NOW)
    assert 'datetime="2026-11-22T12:00:00+00:00"' in html
    assert "22 Nov 2026, 12:00:00 UTC" in html


def test_missing_time_is_a_dash():
    assert rendered("{% relative_time none %}") == "–"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (42, "42 s"),
        (252, "4 min 12 s"),
        (240, "4 min"),
        (1200, "20 min"),
        (1250, "21 min"),
        (3599, "1 h"),
        (timedelta(hours=1, minutes=3), "1 h 03 min"),
        (timedelta(days=2, hours=3), "2 d 3 h"),
        (timedelta(hours=2), "2 h"),
        (None, "–"),
    ],
)
def test_duration_in_words(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("name", "letters"),
    [("Ada Lovelace", "AL"), ("ada.lovelace@example.org", "AL"), ("x", "X"), ("", "?")],
)
def test_initials(name, letters):
    assert initials(name) == letters


class SecretForm(forms.Form):
    token = forms.CharField(widget=forms.PasswordInput, help_text="From your profile.")


def test_secret_is_never_filled_in_or_echoed():
    html = rendered(
        "{% include 'components/form.html' %}", form=SecretForm({"token": "tok-canary"})
    )
    assert 'autocomplete="off"' in html
    assert "tok-canary" not in html


def test_errors_and_help_are_joined_to_the_control():
    html = rendered("{% include 'components/form.html' %}", form=SecretForm({}))
    assert 'aria-describedby="id_token_helptext id_token_error"' in html
    assert 'id="id_token_error"' in html
    assert 'id="id_token_helptext"' in html


def test_confirmed_form_has_the_csrf_token():
    html = rendered(
        "{% confirm id='x' label='Delete…' title='Sure?' action='/x' %}Text{% endconfirm %}",
        csrf_token="csrf-value",
    )
    assert 'value="csrf-value"' in html


def test_provider_without_a_logo_gets_a_plug():
    assert rendered("{% provider_logo 'JENKINS' %}").endswith("img/providers/jenkins.svg")
    assert rendered("{% provider_logo 'NEW_ONE' %}").endswith("img/providers/generic.svg")


@pytest.mark.parametrize(
    ("path", "is_current"), [("/releases", 1), ("/releases/rel_1", 1), ("/releasesx", 0)]
)
def test_navigation_marks_the_current_page(path, is_current):
    html = rendered(
        "{% nav_item '/releases' 'releases' 'Releases' %}", request=RequestFactory().get(path)
    )
    assert html.count('aria-current="page"') == is_current


def test_gallery_renders_every_sample():
    html = Template("{% extends 'components/gallery.html' %}").render(
        Context(gallery_context(timezone.now()))
    )
    assert "The CI server refused the token." in html
    assert html.count('class="badge') > len(LOOKS)


def test_gallery_only_exists_for_staff(rf):
    request = rf.get("/design")
    request.user = AnonymousUser()
    with pytest.raises(Http404):
        ui_gallery(request)


@pytest.mark.parametrize("name", ["400", "403", "404", "500"])
def test_error_page_needs_no_request(name):
    assert "<h1>" in Template(f"{{% include '{name}.html' %}}").render(Context())


def test_pages_hold_no_inline_style_or_script():
    """The content security policy would block both, without an error for the developer."""
    emails = {TEMPLATES / "mails/letter.html"}  # mail programs load no stylesheet
    for path in {*TEMPLATES.rglob("*.html")} - emails:
        text = path.read_text()
        assert " style=" not in text, path
        assert "<style" not in text, path
        assert " onclick=" not in text, path
        assert "<script>" not in text, path


def test_every_logo_is_a_self_contained_image():
    for path in (STATIC / "img").rglob("*.svg"):
        assert path.read_text().startswith("<svg xmlns="), path


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("issue_type", "Issue type"),
        ("jenkins_api_token", "Jenkins API token"),
        ("jira_url", "Jira URL"),
        ("scm", "Repository"),
    ],
)
def test_stored_name_is_shown_in_words(stored: str, shown: str) -> None:
    assert as_words(stored) == shown


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/1 Safari/1", "Chrome on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/1 Safari/1 Edg/1", "Edge on Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15) Gecko/1 Firefox/1", "Firefox on macOS"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17 like Mac OS X) Safari/1", "Safari on iPhone"),
        ("Mozilla/5.0 (Linux; Android 14) Chrome/1 Safari/1", "Chrome on Android"),
        ("curl/8.0", "curl/8.0"),
        ("", "–"),
    ],
)
def test_browsers_have_their_common_names(said, words):
    assert browser_words(said) == words
