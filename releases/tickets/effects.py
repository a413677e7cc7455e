"""The effects in the ticket system: epics, what follows a release at them, and its version.

All but the epic and the comment may be repeated: they look first, or what they write has a natural
key there. So after a lost response they are simply done again.
"""

from __future__ import annotations

from abc import abstractmethod
from datetime import timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from delivr.effects import clock
from delivr.effects.handlers import EffectHandler, Postpone, Unneeded, wait_for
from delivr.effects.models import Effect, EffectState
from delivr.effects.operations import wake
from delivr.failures import Outcome, ProviderError
from integrations.models import TicketIntegration
from integrations.providers.registry import provider_for
from integrations.providers.tickets import Epic, Ticket, Version
from releases.models import Mark, Release, ReleaseStatus, ReleaseTarget
from releases.of_effects import connection_of, release_of
from releases.tickets.acts import RELEASE_VERSION, VERSION, epic_created, look_soon, plan_tickets
from releases.tickets.models import TicketPart
from releases.tickets.texts import comment_for, epic_for, link_of

INDEX_LAG = timedelta(seconds=10)  # until a search knows which tickets a version has


def tickets_of(effect: Effect) -> Any:
    return provider_for(connection_of(effect, TicketIntegration))


def target_of(effect: Effect) -> Any:
    return ReleaseTarget.objects.for_tenant(effect.tenant_id).filter(
        release_id=effect.release_id, target_id=effect.payload["target"]
    )


class InTicketSystem(EffectHandler):
    cap = timedelta(minutes=15)
    max_attempts = 30
    expires_after = timedelta(hours=24)


class CreateEpic(EffectHandler):
    """Creates one epic for one target of a release."""

    cap = timedelta(minutes=30)
    max_attempts = 30
    expires_after = timedelta(hours=24)
    settle = timedelta(seconds=180)  # a search index lags behind
    look_twice = timedelta(seconds=60)

    def send(self, effect: Effect) -> dict[str, Any]:
        return self._result(tickets_of(effect).create(self._epic(effect), correlation=effect.pk))

    def find(self, effect: Effect) -> dict[str, Any] | None:
        found = tickets_of(effect).find(self._epic(effect), correlation=effect.pk)
        return self._result(found) if found else None

    def lock(self, effect: Effect) -> None:
        """A milestone either finds the epic, or is found by `finish`."""
        mine = Release.objects.for_tenant(effect.tenant_id).select_for_update(of=("self",))
        mine.filter(pk=effect.release_id).values_list("pk").first()

    def finish(self, effect: Effect, result: dict[str, Any]) -> None:
        target_of(effect).update(epic_key=result["key"], epic_url=result["url"])
        epic_created(release_of(effect), target_of(effect).get())

    def _result(self, ticket: Ticket) -> dict[str, Any]:
        return {"key": ticket.key, "url": ticket.url}

    def _epic(self, effect: Effect) -> Epic:
        part = target_of(effect).select_related("target").get()
        return epic_for(release_of(effect), part.target, app=part.app_identifier)


# --- At the epic ----------------------------------------------------------------------------------


class OnEpic(InTicketSystem):
    """One thing at an epic, after what was to be done there before: the last status wins."""

    def prepare(self, effect: Effect) -> None:
        ahead = self._others(effect).open().filter(created_at__lt=effect.created_at)
        first = ahead.order_by("created_at").first()
        if first is not None:
            raise wait_for(first, clock.now())

    def finish(self, effect: Effect, result: dict[str, Any]) -> None:
        self._wake_next(effect)

    def gave_up(self, effect: Effect) -> None:
        self._wake_next(effect)

    def _others(self, effect: Effect) -> Any:
        return Effect.objects.for_tenant(effect.tenant_id).filter(
            kind=effect.kind,
            release_id=effect.release_id,
            payload__target=effect.payload["target"],
        )

    def _wake_next(self, effect: Effect) -> None:
        waiting = self._others(effect).filter(
            state=EffectState.PENDING, created_at__gt=effect.created_at, last_error_code=""
        )
        following = waiting.order_by("created_at").first()
        if following is not None:
            wake(Effect.objects.filter(pk=following.pk))

    def _key(self, effect: Effect) -> str:
        return str(target_of(effect).values_list("epic_key", flat=True).get())

    def _result(self, effect: Effect, **facts: Any) -> dict[str, Any]:
        key, url = target_of(effect).values_list("epic_key", "epic_url").get()
        return {"key": key, "url": url, **facts}


class Repeatable(InTicketSystem):
    """An effect that leaves things as they are if it is repeated: nothing about it is ever
    uncertain."""

    @abstractmethod
    def act(self, effect: Effect) -> dict[str, Any]: ...

    def send(self, effect: Effect) -> dict[str, Any]:
        try:
            return self.act(effect)
        except ProviderError as error:
            if error.outcome is Outcome.UNCERTAIN:
                error.outcome = Outcome.NOT_SENT
            raise

    def find(self, effect: Effect) -> dict[str, Any] | None:
        return self.send(effect)


class LinkRelease(Repeatable, OnEpic):
    """Links an epic to the release's page, or changes the link there."""

    def act(self, effect: Effect) -> dict[str, Any]:
        tickets_of(effect).put_link(self._key(effect), link_of(release_of(effect)))
        return self._result(effect)


class CommentEpic(OnEpic):
    def send(self, effect: Effect) -> dict[str, Any]:
        comment = comment_for(release_of(effect), effect.payload["text"])
        made = tickets_of(effect).comment(self._key(effect), comment, correlation=effect.pk)
        return self._result(effect, comment=made)

    def find(self, effect: Effect) -> dict[str, Any] | None:
        found = tickets_of(effect).find_comment(self._key(effect), correlation=effect.pk)
        return self._result(effect, comment=found) if found else None


class MoveEpic(OnEpic):
    """Moves an epic to a status that counts as done, unless a person was faster."""

    def prepare(self, effect: Effect) -> None:
        super().prepare(effect)
        release = release_of(effect)
        if release.released_at is None and (
            release.submitted_at is None or effect.payload["mark"] != Mark.SUBMITTED.upper()
        ):
            raise Unneeded  # the mark was removed

    def send(self, effect: Effect) -> dict[str, Any]:
        return self._result(effect, status=tickets_of(effect).finish_ticket(self._key(effect)))

    def find(self, effect: Effect) -> dict[str, Any] | None:
        status = tickets_of(effect).finished_as(self._key(effect))
        return self._result(effect, status=status) if status else None


# --- The version ----------------------------------------------------------------------------------


def part_of(effect: Effect) -> Any:
    return TicketPart.objects.for_tenant(effect.tenant_id).filter(release_id=effect.release_id)


class CreateVersion(Repeatable):
    """Creates the release's version in the connection's project, or finds it there by its name."""

    def prepare(self, effect: Effect) -> None:
        if release_of(effect).status == ReleaseStatus.CANCELLED:
            raise Unneeded

    def act(self, effect: Effect) -> dict[str, Any]:
        release = release_of(effect)
        version: Version = tickets_of(effect).create_version(
            release.version, description=f"Prepared with delivr from {release.branch}."
        )
        if version.is_archived:
            raise ProviderError.refused(
                "version_archived",
                _("The version %(name)s is archived.") % {"name": version.name},
                _("Unarchive it in the ticket system and retry, or cancel this."),
            )
        return {"id": version.id, "name": version.name, "url": version.url}

    def lock(self, effect: Effect) -> None:
        part_of(effect).select_for_update(of=("self",)).values_list("pk").first()

    def finish(self, effect: Effect, result: dict[str, Any]) -> None:
        part_of(effect).update(
            version_id=result["id"], version_name=result["name"], version_url=result["url"]
        )
        plan_tickets(release_of(effect))
        look_soon(effect.release_id)
        self._wake_release(effect)

    def gave_up(self, effect: Effect) -> None:
        self._wake_release(effect)

    def _wake_release(self, effect: Effect) -> None:
        mine = Effect.objects.for_tenant(effect.tenant_id)
        wake(mine.filter(kind=RELEASE_VERSION, release_id=effect.release_id))


class PlanTickets(Repeatable):
    """Adds the version to some of the tickets that the release's changes name."""

    def prepare(self, effect: Effect) -> None:
        if release_of(effect).status == ReleaseStatus.CANCELLED:
            raise Unneeded

    def act(self, effect: Effect) -> dict[str, Any]:
        version_id = part_of(effect).values_list("version_id", flat=True).get()
        planned = tickets_of(effect).plan(version_id, effect.payload["keys"])
        return {
            "added": list(planned.added),
            "elsewhere": list(planned.elsewhere),
            "unknown": list(planned.unknown),
            "refused": dict(planned.refused),
        }

    def finish(self, effect: Effect, result: dict[str, Any]) -> None:
        look_soon(effect.release_id, after=INDEX_LAG)


class ReleaseVersion(Repeatable):
    """Marks the version as released on the day on which the release was."""

    def prepare(self, effect: Effect) -> None:
        if release_of(effect).released_at is None:
            raise Unneeded  # the mark was removed
        mine = Effect.objects.for_tenant(effect.tenant_id).filter(release_id=effect.release_id)
        version = mine.filter(kind=VERSION).first()
        if version is None or version.state == EffectState.CANCELLED:
            raise Unneeded
        if version.is_open:
            raise wait_for(version, clock.now())
        if version.state == EffectState.DEAD:
            raise Postpone(self.expires_after, version)  # until a person retries or cancels that

    def act(self, effect: Effect) -> dict[str, Any]:
        released_at = release_of(effect).released_at
        if released_at is None:
            raise ProviderError.refused("unmarked", _("The release is not marked as released."))
        version_id = part_of(effect).values_list("version_id", flat=True).get()
        day = timezone.localdate(released_at)
        version = tickets_of(effect).release_version(version_id, on=day)
        return {"id": version.id, "name": version.name, "url": version.url}

    def finish(self, effect: Effect, result: dict[str, Any]) -> None:
        part_of(effect).update(version_released=True)
        look_soon(effect.release_id)
