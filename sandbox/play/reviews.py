"""Google's review of an app's changes, and managed publishing.

https://support.google.com/googleplay/android-developer/answer/9859654
"""

from __future__ import annotations

from sandbox.play import app as apps
from sandbox.play.app import App, Release
from sandbox.play.store import Play


def _those(app: App, lifecycle: str) -> list[tuple[str, Release]]:
    found = [
        (name, one)
        for name, releases in app.tracks.items()
        for one in releases
        if one["lifecycle"] == lifecycle
    ]
    if not found:
        raise ValueError(f"no release is {lifecycle}")
    return found


def approve(play: Play, app: App) -> None:
    """Raises ValueError if nothing is reviewed, as all of these do for what they need."""
    for track, release in _those(app, apps.IN_REVIEW):
        if app.managed_publishing:
            release["lifecycle"] = apps.APPROVED
        else:
            app.publish(track, release)
    play.record("review.ended", package=app.package, verdict="approve")


def reject(play: Play, app: App) -> None:
    for _track, release in _those(app, apps.IN_REVIEW):
        release["lifecycle"] = apps.REJECTED
    app.is_unsent = True
    play.record("review.ended", package=app.package, verdict="reject")


def publish(play: Play, app: App) -> None:
    """The button of managed publishing."""
    for track, release in _those(app, apps.APPROVED):
        app.publish(track, release)
    play.changed_in_console(app.package)


def send(play: Play, app: App) -> None:
    """Send what waits in Play Console, and what was rejected, for review."""
    waiting = [lifecycle for lifecycle in (apps.NOT_SENT, apps.REJECTED) if _has(app, lifecycle)]
    for lifecycle in waiting:
        for _track, release in _those(app, lifecycle):
            release["lifecycle"] = apps.IN_REVIEW
    app.is_unsent = False
    play.changed_in_console(app.package)


def _has(app: App, lifecycle: str) -> bool:
    return any(one["lifecycle"] == lifecycle for many in app.tracks.values() for one in many)
