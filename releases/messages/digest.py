"""The effect that emails a member once a day what happened: `mail.digest`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Case, Q, When
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from delivr.effects.handlers import Unneeded
from delivr.effects.models import Effect
from delivr.pages.timezones import zone_of
from delivr.tenants.mail_choices import Pace, pace_for
from delivr.tenants.models import Membership
from integrations.providers.email.client import Letter, Section
from integrations.providers.email.provider import Email, deliver
from releases.messages.events import Notice
from releases.messages.member_effects import MemberMail, end_of
from releases.messages.member_mail import DIGEST_LIFE, FAILURES, classes_of
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
        if not _wanted(self.member(effect), _until(effect)).exists():
            raise Unneeded

    def send(self, effect: Effect) -> dict[str, Any]:
        member = self.member(effect)
        workspace = member.tenant.name
        with timezone.override(zone_of(member.user)):
            day = date_format(timezone.localtime(_until(effect)), "j M Y")
            sections = _sections(member, _until(effect))
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


def _until(effect: Effect) -> datetime:
    return datetime.fromisoformat(effect.payload["until"])


def _wanted(member: Membership, until: datetime) -> Any:
    """What the member wants daily of releases that are not muted. The query itself selects, so that
    what others want takes no place in the digest."""
    since = max(member.digest_until or member.created_at, until - FURTHEST)
    releases = Release.objects.for_tenant(member.tenant_id).filter(muted_at=None)
    mine = releases.filter(created_by=member.user_id).values("pk")
    others = releases.exclude(pk__in=mine).values("pk")
    of_mine = Q(release_id__in=mine, notice__in=_daily(member, is_mine=True))
    of_others = Q(release_id__in=others, notice__in=_daily(member, is_mine=False))
    rows = ReleaseNotice.objects.for_tenant(member.tenant_id)
    return rows.filter(of_mine | of_others, at__gte=since, at__lt=until)


def _daily(member: Membership, *, is_mine: bool) -> list[str]:
    paces = {one: pace_for(member, classes_of(one, is_mine=is_mine))[0] for one in Notice}
    return [one.value for one, pace in paces.items() if pace == Pace.DAILY]


def _sections(member: Membership, until: datetime) -> list[Section]:
    wanted = _wanted(member, until)
    by_release: dict[str, list[ReleaseNotice]] = {}
    failures_first = Case(When(notice__in=FAILURES, then=0), default=1)
    chosen = wanted.order_by(failures_first, "at", "pk")[:MOST]
    for one in sorted(chosen, key=lambda one: (one.at, one.pk)):
        by_release.setdefault(one.release_id, []).append(one)
    rows = Release.objects.for_tenant(member.tenant_id).filter(pk__in=by_release)
    releases = {one.pk: one for one in rows.prefetch_related("targets__target")}
    found = [_section(releases[key], its) for key, its in by_release.items() if key in releases]
    left_out = wanted.count() - MOST
    return [*found, _rest(left_out)] if left_out > 0 else found


def _rest(count: int) -> Section:
    words = ngettext("%(count)d more thing happened.", "%(count)d more things happened.", count)
    link = Email.link(f"{settings.BASE_URL}/releases", _("Open the releases"))
    return Section(title=Email.escape(words % {"count": count}), lines=[link])


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
