"""Short descriptions of effects for people."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from delivr.effects.models import Effect
from integrations.providers.ci import Duplicate
from releases.messages.events import Notice
from releases.messages.rules import Rule
from releases.messages.standing import BUILDING, template_of
from releases.models import candidate_words

KINDS = {
    "build.trigger": gettext_lazy("Build trigger"),
    "build.cancel": gettext_lazy("Build stop"),
    "build.force_cancel": gettext_lazy("Build force-cancel"),
    "build.stop_repeat": gettext_lazy("Duplicate build stop"),
    "build.test": gettext_lazy("Test build"),
    "build.test_stop": gettext_lazy("Test build stop"),
    "message.post": gettext_lazy("Message"),
    "message.edit": gettext_lazy("Message edit"),
    "message.test": gettext_lazy("Test message"),
    "message.answer": gettext_lazy("Answer to a button"),
    "event.send": gettext_lazy("Event"),
    "ticket.create_epic": gettext_lazy("Epic"),
    "ticket.remote_link": gettext_lazy("Link at the epic"),
    "ticket.comment": gettext_lazy("Comment at the epic"),
    "ticket.move": gettext_lazy("Epic to done"),
    "ticket.version": gettext_lazy("Version"),
    "ticket.fix_version": gettext_lazy("Tickets of the version"),
    "ticket.release_version": gettext_lazy("Release of the version"),
    "scm.create_branch": gettext_lazy("Branch"),
    "scm.tag": gettext_lazy("Tag"),
    "scm.draft_release": gettext_lazy("Draft release"),
    "store.step": gettext_lazy("Submission"),
    "store.act": gettext_lazy("Submission changed"),
    "store.tell_testers": gettext_lazy("Testers told"),
    "mail.send": gettext_lazy("Invitation email"),
    "mail.refused": gettext_lazy("Email about refused credentials"),
    "mail.expiring": gettext_lazy("Email about an expiring credential"),
    "mail.release": gettext_lazy("Email to a member about a release"),
    "mail.digest": gettext_lazy("Daily digest by email"),
}

_NOTICES: dict[str, Any] = {
    BUILDING: gettext_lazy("%(complete)s of %(total)s builds complete"),
    Notice.BUILD_QUEUED: gettext_lazy("%(build)s queued"),
    Notice.BUILD_WAITING: gettext_lazy("%(build)s is waiting for approval"),
    Notice.RELEASE_CREATED: gettext_lazy("Release created"),
    Notice.RELEASE_COMPLETE: gettext_lazy("All builds complete"),
    Notice.RELEASE_FAILED: gettext_lazy("Not all builds succeeded"),
    Notice.RELEASE_CANCELLED: gettext_lazy("Release cancelled"),
    Notice.RELEASE_SUBMITTED: gettext_lazy("Submitted to the stores"),
    Notice.RELEASE_ROLLING_OUT: gettext_lazy("Rolling out"),
    Notice.RELEASE_RELEASED: gettext_lazy("Released"),
    Notice.RELEASE_NOT_SUBMITTED: gettext_lazy("No longer marked as submitted"),
    Notice.RELEASE_NOT_RELEASED: gettext_lazy("No longer marked as released"),
    Notice.SUBMISSION_REJECTED: gettext_lazy("Rejected by the store"),
    Notice.SUBMISSION_NEEDS_PERSON: gettext_lazy("The store needs a person"),
    "build_queued": gettext_lazy("%(build)s queued"),
    "build_waiting": gettext_lazy("%(build)s waiting for approval"),
    Notice.BUILD_STARTED: gettext_lazy("%(build)s started"),
    Notice.BUILD_COMPLETE: gettext_lazy("%(build)s complete"),
    Notice.BUILD_FAILED: gettext_lazy("%(build)s failed"),
    Notice.BUILD_NOT_STARTED: gettext_lazy("%(build)s could not be started"),
    Notice.BUILD_CANCELLED: gettext_lazy("%(build)s cancelled"),
}

_DUPLICATE = gettext_lazy("Stop duplicate build %(name)s")
_DUPLICATES = {
    Duplicate.STOPPED: gettext_lazy("Duplicate build %(name)s stopped"),
    Duplicate.ENDED: gettext_lazy("Duplicate build %(name)s had already finished"),
    Duplicate.FOREIGN: gettext_lazy(
        "Build %(name)s with the same parameters not stopped: someone else started it"
    ),
    Duplicate.GONE: gettext_lazy("The duplicate build %(name)s no longer exists on the CI server"),
}


_RULES = {
    Rule.ON: gettext_lazy("On"),
    Rule.OFF: gettext_lazy("Off"),
    Rule.THREAD: gettext_lazy("Only in the thread"),
}


def rule_words(rule: Rule) -> str:
    return str(_RULES[rule])


def describe_effect(effect: Effect) -> str:
    """One line about the effect: `Message “Release created” to #releases`."""
    if effect.kind == "message.post":
        words = {"notice": notice_words(effect.payload), "channel": channel_of(effect)}
        return _("Message “%(notice)s” to %(channel)s") % words
    if effect.kind == "event.send":
        words = {"event": event_name(effect), "endpoint": channel_of(effect)}
        if "attempt" in effect.payload:
            return _("Event sent again to %(endpoint)s") % words
        return _("Event %(event)s to %(endpoint)s") % words
    if effect.kind == "message.edit":
        words = {"notice": notice_words(effect.payload), "channel": channel_of(effect)}
        return _("Message in %(channel)s edited to “%(notice)s”") % words
    if effect.kind == "message.test":
        return _("Test message to %(channel)s") % {"channel": channel_of(effect)}
    if effect.kind == "ticket.create_epic":
        key = effect.result.get("key")
        return _("Epic %(key)s created") % {"key": key} if key else _("Epic")
    if effect.kind in _IN_TICKETS and effect.result:
        return str(_IN_TICKETS[effect.kind]) % _ticket_facts(effect.result)
    if effect.kind in _IN_REPOSITORY and effect.result:
        return str(_IN_REPOSITORY[effect.kind]) % _facts(effect.result)
    if effect.kind == "build.stop_repeat":
        template = _DUPLICATES.get(effect.result.get("outcome"), _DUPLICATE)
        return str(template) % {"name": _name_of_duplicate(effect.payload)}
    return str(KINDS.get(effect.kind, effect.kind))


_IN_REPOSITORY = {
    "scm.create_branch": gettext_lazy("Branch created at %(commit)s"),
    "scm.tag": gettext_lazy("Tag %(tag)s at %(commit)s"),
    "scm.draft_release": gettext_lazy("Release %(tag)s drafted"),
}


_IN_TICKETS = {
    "ticket.remote_link": gettext_lazy("Epic %(key)s linked to the release"),
    "ticket.comment": gettext_lazy("Comment at %(key)s"),
    "ticket.move": gettext_lazy("Epic %(key)s moved to %(status)s"),
    "ticket.version": gettext_lazy("Version %(name)s ready"),
    "ticket.fix_version": gettext_lazy("Version added to tickets: %(count)d"),
    "ticket.release_version": gettext_lazy("Version %(name)s released"),
}


def _ticket_facts(result: dict[str, Any]) -> dict[str, Any]:
    words = {name: str(result.get(name, "")) for name in ("key", "status", "name")}
    return {**words, "count": len(result.get("added", ()))}


def _facts(result: dict[str, Any]) -> dict[str, str]:
    return {"commit": str(result.get("commit", ""))[:7], "tag": str(result.get("tag", ""))}


def _name_of_duplicate(payload: dict[str, Any]) -> str:
    number = payload.get("number")
    if number:
        return f"#{number}"
    if queue_id := payload.get("queueId"):
        return _("(queue item %(id)s)") % {"id": queue_id}
    return _("(run %(id)s)") % {"id": str(payload.get("externalId", "")).partition("/")[0]}


def channel_of(effect: Effect) -> str:
    """The channel's name at the time of the message; its id if the name was unknown."""
    payload = effect.payload
    return str(payload.get("channel_name") or payload.get("channel", ""))


def event_name(effect: Effect) -> str:
    """`build.failed`; `test` for one that a person sends."""
    return str(effect.payload.get("name", "test"))


def notice_words(payload: dict[str, Any]) -> str:
    """The notice of a message's payload: `iOS build #245 started`."""
    notice, words = template_of(payload), payload.get("words") or {}
    template = _NOTICES.get(notice)
    if template is None:
        return str(notice)
    number = words.get("number")
    build = _("%(platform)s build") % {"platform": words.get("platform", "")}
    known = {"complete": words.get("complete", 0), "total": words.get("total", 0)}
    text = str(template) % {**known, "build": f"{build} #{number}" if number else build}
    candidates = words.get("candidates") or _later_candidate(words.get("candidate"))
    which = ", ".join(filter(None, (words.get("pipeline"), candidates)))
    return f"{text} ({which})" if which else text


def event_words(notice: Notice) -> str:
    """The event on its own: `Build started`."""
    return str(_NOTICES[notice]) % {"build": _("Build")}


def _later_candidate(candidate: int | None) -> str:
    """The name of a release candidate after the first; "" for the first."""
    return candidate_words(candidate) if candidate and candidate > 1 else ""


def web_address(url: object) -> str:
    """The URL if its scheme is http or https, else ""."""
    text = str(url or "")
    return text if text.startswith(("http://", "https://")) else ""
