"""What a person does in the sandbox in the place of Google, or in Play Console by hand: for the
page and for the control API alike. Each act takes a dict of facts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from sandbox import accounts as known
from sandbox.play import reviews
from sandbox.play.app import DECLARATIONS, PUBLISHED, App, Release
from sandbox.play.base import RIGHTS
from sandbox.play.store import Play

Facts = dict[str, Any]
SWITCHES = {
    "draft": "The app is a draft: it was never published by hand",
    "managed": "Managed publishing is on",
    "unsent": "A change was rejected, or waits to be sent for review",
    "countries": "Production targets no countries",
    **{name: f"Not declared: {name.replace('_', ' ')}" for name in DECLARATIONS},
    "ci": "CI does not upload its bundles",
    "summaries": "Releases cannot be listed without an edit",
}


def _app(play: Play) -> App:
    return play.apps[known.APP_IDENTIFIER]


def approve(play: Play, _facts: Facts) -> None:
    reviews.approve(play, _app(play))


def reject(play: Play, _facts: Facts) -> None:
    reviews.reject(play, _app(play))


def publish(play: Play, _facts: Facts) -> None:
    """Publish what managed publishing holds back."""
    reviews.publish(play, _app(play))


def send(play: Play, _facts: Facts) -> None:
    reviews.send(play, _app(play))


def change(play: Play, _facts: Facts) -> None:
    """Change something in Play Console, no matter what."""
    play.changed_in_console()


def fraction(play: Play, facts: Facts) -> None:
    """Change the share of users of a release by hand: `fraction`, 1 for all of them; `track`."""
    app, track = _app(play), facts.get("track") or "production"
    share = float(facts["fraction"])
    if not 0 < share <= 1:
        raise ValueError("a fraction is above 0 and not above 1")
    release = _staged(app, track, "inProgress", "halted")
    release.pop("userFraction", None)
    release["status"] = "completed" if share == 1 else "inProgress"
    if share < 1:
        release["userFraction"] = share
    if share == 1:
        app.tracks[track] = [release]
    app.publish(track, release)
    play.changed_in_console()


def halt(play: Play, facts: Facts) -> None:
    app, track = _app(play), facts.get("track") or "production"
    release = _staged(app, track, "inProgress")
    release["status"] = "halted"
    app.publish(track, release)
    play.changed_in_console()


def _staged(app: App, track: str, *statuses: str) -> Release:
    for one in app.tracks[track]:
        if one["status"] in statuses and one["lifecycle"] == PUBLISHED:
            return one
    raise LookupError(f"no release on {track} is {' or '.join(statuses)}")


def upload(play: Play, facts: Facts) -> None:
    """A CI build's bundle on the internal track: `version`, `number`."""
    play.upload_from_ci(str(facts["version"]), int(facts["number"]))


def switch(play: Play, facts: Facts) -> None:
    """Turn something of the console on or off: `name`, `on`."""
    app, name, is_on = _app(play), facts["name"], bool(facts.get("on", True))
    SWITCHES[name]
    if name == "draft":
        app.is_draft = is_on
    elif name == "managed":
        app.managed_publishing = is_on
    elif name == "unsent":
        app.is_unsent = is_on
    elif name == "countries":
        app.countries["production"] = [] if is_on else ["IN", "GB", "US"]
    elif name == "ci":
        play.settings.ci_uploads = not is_on
    elif name == "summaries":
        play.settings.has_summaries = not is_on
    else:
        app.undeclared = [one for one in app.undeclared if one != name] + [name] * is_on
    play.changed_in_console()


def is_on(play: Play, name: str) -> bool:
    app = _app(play)
    states = {
        "draft": app.is_draft,
        "managed": app.managed_publishing,
        "unsent": app.is_unsent,
        "countries": not app.countries["production"],
        "ci": not play.settings.ci_uploads,
        "summaries": not play.settings.has_summaries,
    }
    return states.get(name, name in app.undeclared)


def rights(play: Play, facts: Facts) -> None:
    """Give an account these `rights` alone: `user` by its email."""
    wanted = list(facts.get("rights", RIGHTS))
    if facts["user"] not in play.rights or not set(wanted) <= set(RIGHTS):
        raise LookupError("an unknown account or right")
    play.rights[facts["user"]] = wanted


def configure(play: Play, facts: Facts) -> None:
    for name, value in facts.items():
        asdict(play.settings)[name]
        setattr(play.settings, name, value)


ACTS: dict[str, Callable[[Play, Facts], None]] = {
    "approve": approve,
    "reject": reject,
    "publish": publish,
    "send": send,
    "change": change,
    "fraction": fraction,
    "halt": halt,
    "upload": upload,
    "switch": switch,
    "rights": rights,
    "settings": configure,
}
