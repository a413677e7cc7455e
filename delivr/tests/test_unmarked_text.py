"""Every text of a template can be translated: it stands in `translate` or `blocktranslate`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR) / "templates"
# Text for programs, or already marked.
NO_TEXT = re.compile(
    r"{%-?\s*comment.*?endcomment\s*%}|{#.*?#}|<!--.*?-->"
    r"|{%\s*block page_class\s*%}.*?{%\s*endblock[^%]*%}"
    r"|{%\s*blocktrans(?:late)?\b.*?%}.*?{%\s*endblocktrans(?:late)?\s*%}"
    r"|<(script|style|code|pre|svg|kbd)\b.*?</\1>",
    re.DOTALL,
)
SPOKEN = re.compile(
    r"""\s(?:title|alt|aria-label|placeholder|data-confirm)=(?:"([^"]*)"|'([^']*)')"""
)
TEMPLATE = re.compile(r"{%.*?%}|{{.*?}}", re.DOTALL)
ENTITY = re.compile(r"&\w+;|&#\d+;")
WORD = re.compile(r"[^\W\d_]{2,}")
HANDED_ON = re.compile(
    r"""\b(?:\w*label|title|text|caption)=(?:"([^"]*)"|'([^']*)')"""
)  # to a component
NAMES = {"delivr", "CSV", "JSON", "HTTP", "URL", "Jenkinsfile"}  # the same in every language
# Words of a template that are names, or need no other language.
LITERAL = {
    "components/gallery.html": "for designers",
    "integrations/help/jenkins_webhook.txt": "a program",
    "integrations/help/github_actions_workflow.txt": "a program",
    "integrations/help/any_ci_webhook.txt": "a program",
    "integrations/help/github_actions_webhook.html": "what stands on GitHub's page of a webhook",
    "integrations/help/gitlab_ci_file.txt": "a program",
    "integrations/help/gitlab_ci_webhook.html": "what stands on GitLab's page of a webhook",
    "integrations/test_build.html": "names of parameters",
    "integrations/help/jenkins_webhook.html": "what stands in the form of a plugin for Jenkins",
}
SENT_AWAY = "messages/"  # sent to channels, in one language: releases/messages/notices.py


def unmarked(source: str) -> list[str]:
    """Words of a template that cannot be translated, in its text and in attributes that are shown
    or read by screen readers."""
    source = NO_TEXT.sub(" ", source)
    bare = TEMPLATE.sub(" ", source)
    shown = [
        *SPOKEN.findall(bare),
        *(f for t in TEMPLATE.findall(source) for f in HANDED_ON.findall(t)),
    ]
    spoken = " ".join("".join(found) for found in shown)
    text = re.sub(r"<[^>]*>", " ", bare)
    words = WORD.findall(ENTITY.sub(" ", f"{text} {spoken}"))
    return [word for word in words if word not in NAMES]


def templates() -> list[str]:
    found = (str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file())
    return sorted(name for name in found if not name.startswith(SENT_AWAY))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("<p>Not marked</p>", ["Not", "marked"]),
        ('<a title="Shown">{{ x }}</a>', ["Shown"]),
        ("<a aria-label=\"{% translate 'Read' %} aloud\"></a>", ["aloud"]),
        ('{% include "x.html" with label="Go on" only %}', ["Go", "on"]),
        ("{% if a > b %}Yes{% endif %}", ["Yes"]),
        ('{% translate "Marked" %} – {{ number }} · #1', []),
        ("{% blocktranslate with a=b %}Marked {{ a }}{% endblocktranslate %}", []),
        ("{% comment %}For us{% endcomment %}<code>make run</code>&nbsp;<b>delivr</b>", []),
    ],
)
def test_unmarked_words_are_found(source: str, words: list[str]) -> None:
    assert unmarked(source) == words


def test_every_text_can_be_translated() -> None:
    found = {name: unmarked((ROOT / name).read_text()) for name in templates()}
    assert {name: words for name, words in found.items() if words and name not in LITERAL} == {}
    assert all(found[name] for name in LITERAL), "an exception that nothing needs"
    assert len(found) > 150
