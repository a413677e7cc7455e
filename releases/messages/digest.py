"""The effect that emails a member once a day what happened: `mail.digest`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from delivr.effects.handlers import Unneeded
from delivr.effects.models import Effect
from delivr.pages.timezones import zone_of
from delivr.tenants.mail_choices import Pace, pace_for
from delivr.tenants.models import Membership
from integrations.providers.email.client import Letter, Section
from integrations.providers.email.provider import Email, deliver
from releases.messages.member_effects import MemberMail, end_of
from releases.messages.member_mail import DIGEST_LIFE, classes_for
from releases.messages.models import ReleaseNotice
from releases.models import Release
from releases.wording import notice_words

FURTHEST = timedelta(days=3)  # back, if earlier digests could not be sent
MOST = 500  # notices of a digest


class Digest(MemberMail):
    """What happened since the digest before, as far as the member wants it daily: nothing is told
    twice, and what a failed digest did not tell is in the next one."""

    expires_after = DIGEST_LIFE

    def prepare(self, effect: Effect) -> None:
        if not self._sections(effect, self.member(effect)):
            raise Unneeded

    def send(self, effect: Effect) -> dict[str, Any]:
        member = self.member(effect)
        workspace = member.tenant.name
        with timezone.override(zone_of(member.user)):
            day = date_format(timezone.localtime(_until(effect)), "j M Y")
            sections = self._sections(effect, member)
        words = {"workspace": workspace, "day": day}
        letter = Letter(
            to=member.user.email,
            subject=_("[%(workspace)s] What happened until %(day)s, 9:00") % words,
            sections=sections,
            reason=_("You get this once a day because you chose so in %(workspace)s.") % words,
            end=end_of(member, Pace.DAILY),
            unique=effect.pk,
            list_label=f"daily.{member.tenant_id}".lower(),
        )
        return {"ts": deliver(letter)}

    def finish(self, effect: Effect, result: dict[str, Any]) -> None:
        """The next digest begins where this one ended."""
        until = _until(effect)
        rows = Membership.objects.for_tenant(effect.tenant_id)
        rows.filter(public_id=effect.payload["member"]).update(digest_until=until)
        old = ReleaseNotice.objects.for_tenant(effect.tenant_id)
        old.filter(at__lt=until - 2 * FURTHEST).delete()

    def _sections(self, effect: Effect, member: Membership) -> list[Section]:
        notices = list(_notices(member, _until(effect)))
        releases = _releases(effect.tenant_id, {one.release_id for one in notices})
        wanted: dict[str, list[ReleaseNotice]] = {}
        for one in notices:
            release = releases.get(one.release_id)
            if release and _is_daily(member, release, one.notice):
                wanted.setdefault(one.release_id, []).append(one)
        return [_section(releases[key], found) for key, found in wanted.items()]


def _until(effect: Effect) -> datetime:
    return datetime.fromisoformat(effect.payload["until"])


def _notices(member: Membership, until: datetime) -> Iterable[ReleaseNotice]:
    since = max(member.digest_until or member.created_at, until - FURTHEST)
    rows = ReleaseNotice.objects.for_tenant(member.tenant_id)
    found: Iterable[ReleaseNotice] = rows.filter(at__gte=since, at__lt=until)[:MOST]
    return found


def _releases(tenant_id: str, ids: set[str]) -> dict[str, Release]:
    rows = Release.objects.for_tenant(tenant_id).filter(pk__in=ids)
    found: dict[str, Release] = {r.pk: r for r in rows.prefetch_related("targets__target")}
    return found


def _is_daily(member: Membership, release: Release, notice: str) -> bool:
    pace, _by = pace_for(member, classes_for(member, release, notice))
    return pace == Pace.DAILY


def _section(release: Release, notices: list[ReleaseNotice]) -> Section:
    page = f"{settings.BASE_URL}/releases/{release.pk}"
    words = {"version": release.version, "apps": release.apps}
    title = _("Release %(version)s of %(apps)s") if release.apps else _("Release %(version)s")
    return Section(
        title=Email.escape(title % words),
        lines=[*map(_line, notices), Email.link(page, _("Open the release"))],
    )


def _line(one: ReleaseNotice) -> str:
    at = date_format(timezone.localtime(one.at), "j M, H:i")
    return Email.escape(f"{at}: {notice_words({'notice': one.notice, 'words': one.words})}")
