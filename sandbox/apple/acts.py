"""What a person does in the sandbox in the place of Apple, or in App Store Connect by hand: for the
page and for the control API alike. Each act takes a dict of facts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from sandbox.apple import (
    builds,
    drafts,
    gaps,
    notifications,
    phased,
    reviews,
    standing,
    testflight,
    versions,
)
from sandbox.apple.records import Record
from sandbox.apple.seed import APP, PLATFORM
from sandbox.apple.store import AppStore

Facts = dict[str, Any]
PERSON = "priya.nair@sandbox.example"  # who works in App Store Connect beside delivr
IN_THE_WAY = "1.4.9"


def _found(store: AppStore, kind: str, facts: Facts) -> Record:
    """The resource by its id, or the newest one. Raises LookupError."""
    every = store.records.all(kind)
    wanted = facts.get("id")
    found = [one for one in every if wanted in (None, "", one.id)]
    if not found:
        raise LookupError(f"no {kind} {wanted or 'yet'}")
    return found[-1]


def _submission(store: AppStore, facts: Facts) -> Record:
    return _found(store, "reviewSubmissions", facts)


def _version(store: AppStore, facts: Facts) -> Record:
    if facts.get("id"):
        return _found(store, "appStoreVersions", facts)
    found = standing.open_version(store, facts.get("platform", PLATFORM))
    if found is None:
        raise LookupError("no version is being prepared or reviewed")
    return found


def _phased(store: AppStore, facts: Facts) -> Record:
    return _found(store, "appStoreVersionPhasedReleases", facts)


def upload(store: AppStore, facts: Facts) -> Record:
    """A build: `version`, `number`, and `platform`, `audience` and `encryption` if they differ."""
    if not facts.get("version") or not facts.get("number"):
        raise ValueError("a build needs a version and a number")
    return builds.upload(
        store,
        str(facts["version"]),
        str(facts["number"]),
        platform=facts.get("platform") or PLATFORM,
        audience=facts.get("audience") or builds.AUDIENCES[0],
        encryption=facts.get("encryption", store.default_encryption),
    )


def process(store: AppStore, facts: Facts) -> Record:
    """End the processing of a build, with the `result` VALID, FAILED or INVALID."""
    build = _found(store, "builds", facts)
    builds.finish(store, build, facts.get("result") or "VALID")
    return build


def expire(store: AppStore, facts: Facts) -> Record:
    build = _found(store, "builds", facts)
    builds.change(store, build, {"expired": True})
    return build


def start_review(store: AppStore, facts: Facts) -> Record:
    submission = _submission(store, facts)
    reviews.start(store, submission)
    return submission


def decide(store: AppStore, facts: Facts) -> Record:
    """End a review with a `verdict`."""
    submission = _submission(store, facts)
    reviews.decide(store, submission, str(facts.get("verdict")))
    return submission


def beta_review(store: AppStore, facts: Facts) -> Record:
    """Move a beta review to a `state`: IN_REVIEW, APPROVED or REJECTED."""
    review = _found(store, "betaAppReviewSubmissions", facts)
    testflight.rule(store, review, str(facts.get("state")))
    return review


def next_day(store: AppStore, facts: Facts) -> Record:
    found = _phased(store, facts)
    phased.next_day(store, found)
    return found


def set_phased(store: AppStore, facts: Facts) -> Record:
    """Pause, resume or complete by hand: `state`."""
    found = _phased(store, facts)
    phased.change(store, found, str(facts.get("state")))
    return found


def create_version(store: AppStore, facts: Facts) -> Record:
    values = {"platform": facts.get("platform") or PLATFORM}
    values["versionString"] = facts.get("version") or IN_THE_WAY
    return drafts.create(store, values, None)


def delete_version(store: AppStore, facts: Facts) -> Record:
    version = _version(store, facts)
    versions.delete(store, version)
    return version


def submit(store: AppStore, facts: Facts) -> Record:
    """Submit the open version by hand, with everything that is in its way taken as it is."""
    version = _version(store, facts)
    submission = reviews.current(store, version)
    if submission is None or submission["state"] == "COMPLETE":
        submission = reviews.create(store, version["platform"])
        reviews.add_item(store, submission, "appStoreVersion", version.key)
    version.private["ready_at"] = store.now
    reviews.settle_version(store, version)
    reviews.submit(store, submission, store.actor(PERSON))
    return submission


def cancel(store: AppStore, facts: Facts) -> Record:
    submission = _submission(store, facts)
    reviews.cancel(store, submission, store.actor(PERSON))
    return submission


def release(store: AppStore, facts: Facts) -> Record:
    version = _version(store, facts)
    versions.request_release(store, version)
    return version


def items_only(store: AppStore, facts: Facts) -> Record:
    """Submit an in-app event without a version: it is in nobody's way."""
    submission = reviews.create(store, facts.get("platform") or PLATFORM)
    reviews.add_item(store, submission, "appEvent", store.records.add("appEvents").key)
    reviews.submit(store, submission, store.actor(PERSON))
    return submission


def add_event(store: AppStore, facts: Facts) -> Record:
    """Put an in-app event into a submission that has a version."""
    submission = _submission(store, facts)
    reviews.add_item(store, submission, "appEvent", store.records.add("appEvents").key)
    return submission


def switch(store: AppStore, facts: Facts) -> Record:
    """Take something away that a submission needs, or give it back: `name`, `missing`."""
    gaps.switch(store, str(facts["name"]), bool(facts.get("missing", True)))
    return store.records.get("apps", APP)


def configure(store: AppStore, facts: Facts) -> Record:
    """Change settings, by the names of `Settings`."""
    known = asdict(store.settings)
    for name in facts:
        if name not in known or name == "missing":
            raise KeyError(name)
    for name, value in facts.items():
        setattr(store.settings, name, value)
    return store.records.get("apps", APP)


def forget_history(store: AppStore, _facts: Facts) -> Record:
    """The app was never in the store: the next version is its first."""
    store.forget_history()
    return store.records.get("apps", APP)


def webhook(store: AppStore, facts: Facts) -> Record:
    """Add a webhook, or change its secret: `url`, `secret`."""
    if not facts.get("url") or not facts.get("secret"):
        raise ValueError("a webhook needs an address and a secret")
    return notifications.connect(store, str(facts["url"]), str(facts["secret"]))


def ping(store: AppStore, facts: Facts) -> Record:
    """Send a test delivery to a webhook, the newest one if no `id` is given."""
    return notifications.ping(store, _found(store, "webhooks", facts))


ACTS: dict[str, Callable[[AppStore, Facts], Record]] = {
    "upload": upload,
    "process": process,
    "expire": expire,
    "start-review": start_review,
    "decide": decide,
    "beta-review": beta_review,
    "next-day": next_day,
    "phased": set_phased,
    "create-version": create_version,
    "delete-version": delete_version,
    "submit": submit,
    "cancel": cancel,
    "release": release,
    "items-only": items_only,
    "add-event": add_event,
    "switch": switch,
    "settings": configure,
    "forget-history": forget_history,
    "webhook": webhook,
    "ping": ping,
}
