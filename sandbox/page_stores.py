"""The page on which a person plays Apple and Google: builds, reviews, roll-outs, and what a
release needs that can be taken away. The forms do the acts that the control API has, too."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, render_template, request

from sandbox.apple import acts as apple_acts
from sandbox.apple import gaps, standing
from sandbox.apple.records import Record
from sandbox.apple.reviews import REVIEWING, WAITING, items_of, version_of
from sandbox.apple.seed import PLATFORM
from sandbox.apple.store import AppStore
from sandbox.apple.testflight import WAITS
from sandbox.apple.trouble import Trouble
from sandbox.context import state, to_page
from sandbox.control import guard
from sandbox.page import headers
from sandbox.play import acts as play_acts
from sandbox.play.app import APPROVED, IN_REVIEW, NOT_SENT, REJECTED, App
from sandbox.play.store import Play

blueprint = Blueprint("page_stores", __name__)
blueprint.before_request(guard)
blueprint.after_request(headers)
SHOWN = 8
PERCENT = (1, 2, 5, 10, 20, 50, 100)  # of each day of a phased release
LOOKS = {  # the classes of a badge, as elsewhere on the sandbox's pages
    **dict.fromkeys(("VALID", "READY_FOR_DISTRIBUTION", "PUBLISHED", "COMPLETE"), "success"),
    **dict.fromkeys(("FAILED", "INVALID", "REJECTED", "METADATA_REJECTED"), "failure"),
    **dict.fromkeys(("INVALID_BINARY", "NOT_APPROVED", "UNRESOLVED_ISSUES"), "failure"),
    **dict.fromkeys(("PROCESSING", "IN_REVIEW", "WAITING_FOR_REVIEW", "ACTIVE"), "running"),
    **dict.fromkeys(("PAUSED", "CANCELING", "NOT_SENT_FOR_REVIEW"), "aborted"),
}


@blueprint.get("/stores")
def stores() -> str:
    return render_template("sandbox/stores.html", said=request.args.get("said", ""), **_shown())


@blueprint.get("/stores/board")
def board() -> str:
    """The part of the page that is refreshed."""
    return render_template("sandbox/_stores.html", **_shown())


def _shown() -> dict[str, Any]:
    found = state().stores
    return {"apple": _apple(found.apple), "play": _play(found.play)}


def badge(word: str) -> dict[str, str]:
    return {"word": word.replace("_", " ").capitalize(), "look": LOOKS.get(word, "quiet")}


# Apple


def _apple(store: AppStore) -> dict[str, Any]:
    records = store.records
    newest = {kind: records.all(kind)[: -SHOWN - 1 : -1] for kind in ("builds", "appStoreVersions")}
    return {
        "builds": [_build(store, build) for build in newest["builds"]],
        "versions": [_version(store, version) for version in newest["appStoreVersions"]],
        "submissions": [
            _submission(store, one) for one in records.all("reviewSubmissions")[: -SHOWN - 1 : -1]
        ],
        "switches": [
            {"name": name, "words": words, "on": name in store.settings.missing}
            for name, words in gaps.SWITCHES.items()
        ],
        "in_the_way": standing.open_version(store, PLATFORM) is not None,
        "verdicts": _VERDICTS,
    }


_VERDICTS = {
    "approve": "Approve",
    "reject": "Reject",
    "reject_metadata": "Reject the metadata",
    "bad_binary": "Invalid binary",
    "reject_complete": "Reject and close",
    "reject_other": "Reject another item",
}


def _build(store: AppStore, build: Record) -> dict[str, Any]:
    train = store.records.one(build, "preReleaseVersion")
    detail = store.records.one(build, "buildBetaDetail")
    review = store.records.one(build, "betaAppReviewSubmission")
    return {
        "id": build.id,
        "name": f"{train['version'] if train else ''} ({build['version']})",
        "platform": train["platform"] if train else "",
        "badge": badge("EXPIRED" if build["expired"] else build["processingState"]),
        "is_processing": build["processingState"] == "PROCESSING",
        "testing": badge(detail["externalBuildState"])["word"] if detail else "",
        "review": review.id if review and review["betaReviewState"] in WAITS else "",
        "encryption": {None: "not said", True: "yes", False: "exempt"}[
            build["usesNonExemptEncryption"]
        ],
    }


def _version(store: AppStore, version: Record) -> dict[str, Any]:
    build = store.records.one(version, "build")
    state_now = version["appVersionState"]
    return {
        "id": version.id,
        "name": version["versionString"],
        "platform": version["platform"],
        "badge": badge(state_now),
        "release": badge(version["releaseType"])["word"],
        "build": build["version"] if build else "",
        "may_release": state_now == "PENDING_DEVELOPER_RELEASE",
        "may_submit": state_now in standing.EDITABLE,
        "phased": _phased(store.records.one(version, "appStoreVersionPhasedRelease")),
    }


def _phased(found: Record | None) -> dict[str, Any] | None:
    if found is None:
        return None
    day = found["currentDayNumber"] or 0
    now = found["phasedReleaseState"]
    share = 100 if now == "COMPLETE" else PERCENT[min(day, 7) - 1] if day else 0
    return {"id": found.id, "badge": badge(now), "state": now, "day": min(day, 7), "share": share}


def _submission(store: AppStore, submission: Record) -> dict[str, Any]:
    version = version_of(store, submission)
    actor = store.records.one(submission, "submittedByActor")
    return {
        "id": submission.id,
        "name": f"Version {version['versionString']}" if version else "Without a version",
        "badge": badge(submission["state"]),
        "items": len(items_of(store, submission)),
        "by": actor["userEmail"] or actor["apiKeyId"] if actor else "",
        "may_start": submission["state"] == WAITING,
        "may_decide": submission["state"] in (WAITING, REVIEWING),
        "may_cancel": submission["state"] in (WAITING, REVIEWING, "UNRESOLVED_ISSUES"),
    }


# Google


def _play(play: Play) -> dict[str, Any]:
    app = next(iter(play.apps.values()))
    states = {one["lifecycle"] for many in app.tracks.values() for one in many}
    return {
        "tracks": [_track(app, name) for name in app.tracks],
        "edits": [{"id": one.id, "user": one.user} for one in play.edits.open.values()],
        "may_review": IN_REVIEW in states,
        "may_publish": APPROVED in states,
        "may_send": bool(states & {NOT_SENT, REJECTED}) or app.is_unsent,
        "switches": [
            {"name": name, "words": words, "on": play_acts.is_on(play, name)}
            for name, words in play_acts.SWITCHES.items()
        ],
    }


def _track(app: App, name: str) -> dict[str, Any]:
    releases = [
        {
            "name": one["name"],
            "codes": ", ".join(one["versionCodes"]),
            "badge": badge(one["lifecycle"]),
            "status": one["status"],
            "share": round(one.get("userFraction", 0) * 100, 2) or None,
        }
        for one in app.known(name)
    ]
    is_staged = any(one["status"] in ("inProgress", "halted") for one in releases)
    return {"name": name, "releases": releases, "is_staged": is_staged}


# Acts


@blueprint.post("/stores/apple/<act>")
def act_on_apple(act: str) -> Response:
    if act not in apple_acts.ACTS or act in ("settings", "forget-history"):
        abort(400)
    facts: dict[str, Any] = request.form.to_dict()
    if act == "switch":
        facts["missing"] = facts.get("missing") == "1"
    try:
        apple_acts.ACTS[act](state().stores.apple, facts)
    except Trouble as trouble:
        return _done(gaps.in_words(trouble))
    except (LookupError, ValueError) as error:
        return _done(str(error))
    return _done()


@blueprint.post("/stores/play/<act>")
def act_on_play(act: str) -> Response:
    if act not in play_acts.ACTS or act in ("settings", "rights"):
        abort(400)
    facts: dict[str, Any] = request.form.to_dict()
    if act == "switch":
        facts["on"] = facts.get("on") == "1"
    try:
        if act == "fraction":
            facts["fraction"] = float(facts.get("percent", "")) / 100
        play_acts.ACTS[act](state().stores.play, facts)
    except (LookupError, ValueError) as error:
        return _done(str(error))
    return _done()


def _done(said: str = "") -> Response:
    """Back to the page, which says what was refused."""
    state().touch()
    state().settle()
    return to_page("page_stores.stores", said=said) if said else to_page("page_stores.stores")
