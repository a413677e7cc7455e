"""Emails to members about releases: to whom a message goes, at once or in a daily digest."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from delivr import mail
from delivr.effects import clock
from delivr.effects.operations import create_effects
from delivr.pages.timezones import zone_of
from delivr.tenants.inviting import MAIL_SERVER
from delivr.tenants.mail_choices import MailClass, Pace, pace_for
from delivr.tenants.models import Membership
from releases.messages.models import ReleaseNotice

if TYPE_CHECKING:
    from releases.models import Release

# By the names of `notices.Notice`, which imports this module.
FAILURES = {"build_failed", "build_not_started", "release_failed", "submission_rejected"}
MILESTONES = {
    "release_created",
    "release_complete",
    "release_failed",
    "release_cancelled",
    "release_submitted",
    "release_rolling_out",
    "release_released",
    "release_not_submitted",
    "release_not_released",
}
NEEDS_A_PERSON = {*FAILURES, "build_waiting", "release_complete", "submission_needs_person"}
DIGEST_AT = time(9)  # by the member's own clock
CUT = timedelta(minutes=2)  # what happened just before may not be committed when a digest is made
DIGEST_LIFE = timedelta(hours=12)  # afterwards the next one tells it


def classes_of(notice: str, *, is_mine: bool) -> list[MailClass]:
    """The classes of a message, the narrowest first; `is_mine`: the member created the release."""
    found = [MailClass.NEEDS_ME] if is_mine and notice in NEEDS_A_PERSON else []
    found += [MailClass.FAILURES] if notice in FAILURES else []
    found += [MailClass.MILESTONES] if notice in MILESTONES else []
    return [*found, MailClass.EVERYTHING]


def mail_members(release: Release, notice: str, words: Mapping[str, Any], *, key: str) -> None:
    """Create the emails to members in the caller's transaction, in as many queries for one member
    as for a thousand. `key` identifies the message within the workspace."""
    if not mail.is_set_up():
        return
    members = Membership.objects.for_tenant(release.tenant_id).filter(user__is_active=True)
    by_pace: dict[Pace, list[Membership]] = {pace: [] for pace in Pace}
    for member in members.select_related("user"):
        pace, _by = pace_for(member, classes_for(member, release, notice))
        by_pace[pace].append(member)
    payload = {"release": release.pk, "notice": notice, "words": dict(words)}
    create_effects(
        tenant=release.tenant,
        kind="mail.release",
        effects=[
            {
                "integration_id": MAIL_SERVER,
                "dedupe_key": f"{key}:{member.public_id}",
                "payload": {**payload, "member": member.public_id},
            }
            for member in by_pace[Pace.INSTANT]
        ],
    )
    if by_pace[Pace.DAILY]:
        _keep_for_digests(release, notice, words, key, by_pace[Pace.DAILY])


def classes_for(member: Membership, release: Release, notice: str) -> list[MailClass]:
    return classes_of(notice, is_mine=member.user_id == release.created_by_id)


def _keep_for_digests(
    release: Release, notice: str, words: Mapping[str, Any], key: str, members: list[Membership]
) -> None:
    now = clock.now()
    row = ReleaseNotice(
        tenant=release.tenant,
        release_id=release.pk,
        notice=notice,
        words=dict(words),
        dedupe_key=key,
        at=now,
    )
    ReleaseNotice.objects.bulk_create([row], ignore_conflicts=True)
    create_effects(
        tenant=release.tenant,
        kind="mail.digest",
        effects=[_digest(member, now) for member in members],
    )


def _digest(member: Membership, now: datetime) -> dict[str, Any]:
    """The next digest of the member, at most one a day."""
    zone = zone_of(member.user)
    day = day_of(zone, now)
    due = digest_time(zone, day)
    return {
        "integration_id": MAIL_SERVER,
        "dedupe_key": f"digest:{member.public_id}:{day.isoformat()}",
        "payload": {"member": member.public_id, "until": (due - CUT).isoformat()},
        "next_at": due,
        "expires_at": due + DIGEST_LIFE,
        "enqueued_at": None,
    }


def day_of(zone: ZoneInfo, moment: datetime) -> date:
    """The day on whose digest something is that happens now."""
    local = (moment + CUT).astimezone(zone)
    return local.date() if local.time() < DIGEST_AT else local.date() + timedelta(days=1)


def digest_time(zone: ZoneInfo, day: date) -> datetime:
    """When the day's digest is due: at nine, whatever the clock was changed by that night."""
    return datetime.combine(day, DIGEST_AT, tzinfo=zone).astimezone(UTC)
