"""What must hold after every fault, checked against the rows and the sandbox."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Protocol
from urllib.parse import quote

from django.db.models import Exists, F, OuterRef, Q

from builds.announcing import standing_of, words_of
from builds.models import Build, BuildEvent, Source, WebhookDelivery
from builds.updates.transitions import TABLE, Transition
from delivr.audit.models import AuditEvent
from delivr.effects import clock
from delivr.effects.handlers import handler_for
from delivr.effects.models import Effect, EffectState
from faults.once_in_stores import stores_once
from integrations.endpoints import EFFECT
from integrations.providers.chat import ChatProvider
from integrations.providers.ci import BuildStatus, Duplicate
from integrations.providers.slack.provider import Slack
from releases.messages.in_place import EDIT, POST, place_of
from releases.messages.notices import render, render_standing
from releases.models import (
    ChangeTicket,
    Release,
    ReleaseCommunication,
    ReleasePipeline,
    ReleaseStatus,
    ReleaseTarget,
    TicketPart,
)
from releases.operations import derive_status, derive_status_in_stores
from releases.repository.acts import CREATE_BRANCH, DRAFT_RELEASE, TAG, tag_of
from releases.tickets.acts import (
    COMMENT,
    IN_VERSION,
    LINK,
    MOVE,
    ON_EPIC,
    PLAN,
    RELEASE_VERSION,
    VERSION,
)

LEASE_GRACE = timedelta(seconds=10)
CHAT: type[ChatProvider] = Slack
ENDED = ("SUCCESS", "FAILURE", "UNSTABLE", "ABORTED")


class ProviderState(Protocol):
    """The providers' side: their side effects, and each build's result by job and number."""

    def ledger(self, kind: str) -> list[dict[str, Any]]: ...

    def builds(self) -> Mapping[tuple[str, int], str]: ...


def check(providers: ProviderState, *, settled: bool) -> list[str]:
    """Describe every broken invariant. `settled`: the faults are over and there was enough time, so
    that nothing may be unfinished."""
    broken = [
        *_effects_are_complete(),
        *_one_build_per_trigger(providers),
        *_messages_and_epics_once(providers),
        *_events_arrive(providers),
        *_repository_once(providers),
        *_tickets_once(providers),
        *stores_once(providers.ledger),
        *_release_follows_its_builds(),
        *_versions_are_held(),
        *_nothing_crosses_tenants(),
        *_attempts_are_bounded(),
        *_events_follow_the_table(),
        *_changes_are_audited(),
    ]
    if settled:
        broken += [
            *_messages_say_what_is_so(providers),
            *_nothing_is_open(),
            *_no_lease_is_forgotten(),
            *_status_is_the_truth(providers),
        ]
    return broken


def _effects_are_complete() -> Iterator[str]:
    """I1: a committed change has all its effects."""
    created = set(Effect.objects.values_list("dedupe_key", flat=True))
    for build_id in Build.objects.values_list("pk", flat=True):
        if f"build:{build_id}:trigger" not in created:
            yield f"I1 {build_id} has no effect for its trigger"
    for release in Release.objects.all():
        wanted = {
            f"release:{release.pk}:message:{one.pk}:{channel}:created"
            for one in release.communications
            if not one.is_endpoint
            for channel in one.channels
        }
        if not wanted <= created:
            yield f"I1 {release.pk} lacks some of its messages"
    for target in ReleaseTarget.objects.filter(release__ticket__isnull=False):
        if f"release:{target.release_id}:epic:{target.target_id}" not in created:
            yield f"I1 {target.release_id} lacks some of its epics"
    for part in TicketPart.objects.exclude(version_id=""):
        named = ChangeTicket.objects.filter(change__release=part.release_id)
        plans = Effect.objects.filter(kind=PLAN, release_id=part.release_id)
        asked = {key for plan in plans for key in plan.payload["keys"]}
        if not set(named.values_list("key", flat=True)) <= asked:
            yield f"I1 {part.release_id} lacks some tickets of its version"


def _one_build_per_trigger(providers: ProviderState) -> Iterator[str]:
    """I2: the provider has at most one build for each of ours; exactly one if the trigger is
    done."""
    sent = sent_builds(providers)
    for build_id, count in sent.items():
        if count > 1:
            yield f"I2 {build_id} was built {count} times"
    done = Effect.objects.filter(kind="build.trigger", state=EffectState.DONE)
    for build_id in done.values_list("build_id", flat=True):
        if sent[build_id] != 1:
            yield f"I2 {build_id} is done and was built {sent[build_id]} times"


def sent_builds(providers: ProviderState) -> Counter[str]:
    """How often the provider queued each of our builds; other builds do not carry an id of ours."""
    ids = (entry["parameters"].get("DELIVR_BUILD_ID") for entry in providers.ledger("build.queued"))
    return Counter(build_id for build_id in ids if build_id)


def _nothing_is_open() -> Iterator[str]:
    """I3: no effect or delivery is unfinished."""
    for effect in Effect.objects.open():
        yield f"I3 {effect} is still {effect.state}"
    for delivery in WebhookDelivery.objects.waiting():
        yield f"I3 {delivery} is still {delivery.state}"


def _no_lease_is_forgotten() -> Iterator[str]:
    """I4: no lease has expired without being taken over."""
    late = Effect.objects.filter(
        state=EffectState.LEASED, lease_until__lt=clock.now() - LEASE_GRACE
    )
    for effect in late:
        yield f"I4 the lease of {effect} ran out at {effect.lease_until}"


def _status_is_the_truth(providers: ProviderState) -> Iterator[str]:
    """I5: a build's status is the provider's."""
    known = providers.builds()
    for build in Build.objects.select_related("release_pipeline").exclude(number=None):
        job = build.release_pipeline.job_path.removeprefix("/job/").replace("/job/", "/")
        there = known.get((job, build.number)) or BuildStatus.RUNNING
        if build.status in (*ENDED, BuildStatus.RUNNING) and build.status != there:
            yield f"I5 {build.pk} is {build.status} here and {there} there"
        if build.status == BuildStatus.CANCELLED and there == BuildStatus.RUNNING:
            yield f"I5 {build.pk} was cancelled and is still running there"
    for build in Build.objects.filter(status__in=(BuildStatus.QUEUED, BuildStatus.TRIGGERING)):
        yield f"I5 {build.pk} never got past {build.status}"
    started = {e["parameters"].get("DELIVR_BUILD_ID") for e in providers.ledger("build.started")}
    for build in Build.objects.filter(status=BuildStatus.LOST, pk__in=started):
        yield f"I5 {build.pk} is lost here and was built there"


def _release_follows_its_builds() -> Iterator[str]:
    """I6: a release's status follows from its builds, and a pipeline shows its newest build."""
    for release in Release.objects.exclude(status=ReleaseStatus.CANCELLED):
        pipelines = release.pipelines.order_by("id")
        should = in_stores(release) or derive_status(
            list(pipelines.values_list("build_status", flat=True))
        )
        if release.status != should:
            yield f"I6 {release.pk} is {release.status}, but should be {should}"
    for pipeline in ReleasePipeline.objects.prefetch_related("builds"):
        newest = max(pipeline.builds.all(), key=lambda build: build.attempt, default=None)
        if newest and (pipeline.build_status, pipeline.build_number, pipeline.candidate) != (
            newest.status,
            newest.number,
            newest.candidate,
        ):
            yield f"I6 {pipeline.pk} does not show its newest build {newest.pk}"
        candidates = {build.candidate for build in pipeline.builds.all()}
        if candidates != set(range(1, len(candidates) + 1)):
            yield f"I6 {pipeline.pk} has the release candidates {sorted(candidates)}"


def in_stores(release: Release) -> ReleaseStatus | None:
    """The status by what the stores have of it; None without a submission."""
    there = release.submissions.filter(is_current=True, submitted_at__isnull=False)
    return derive_status_in_stores(list(there.values_list("state", flat=True)))


def _versions_are_held() -> Iterator[str]:
    """I14: a release holds its version for each of its apps unless it is cancelled."""
    for release in Release.objects.prefetch_related("targets"):
        parts = release.targets.all()
        held = {(t.store, t.app_identifier) for t in parts if t.held_version == release.version}
        apps = {(t.store, t.app_identifier) for t in parts}
        if held != (set() if release.status == ReleaseStatus.CANCELLED else apps):
            yield f"I14 {release.pk} is {release.status} and holds its version for {sorted(held)}"


REFERENCES: Sequence[tuple[Any, tuple[str, ...]]] = (
    (Release, ("scm", "ticket")),
    (ReleaseCommunication, ("release", "communication")),
    (ReleaseTarget, ("release", "target")),
    (ReleasePipeline, ("release", "pipeline")),
    (Build, ("release_pipeline",)),
    (BuildEvent, ("build", "delivery")),
    (WebhookDelivery, ("pipeline", "build")),
)


def _nothing_crosses_tenants() -> Iterator[str]:
    """I7: no row refers to a row of another tenant."""
    for model, names in REFERENCES:
        for name in names:
            strangers = ~Q(**{f"{name}__tenant": F("tenant")}) & Q(**{f"{name}__isnull": False})
            for row in model.objects.filter(strangers):
                yield f"I7 {model.__name__} {row.pk} refers to another tenant's {name}"
    for effect in Effect.objects.exclude(build_id=""):
        if not Build.objects.filter(pk=effect.build_id, tenant_id=effect.tenant_id).exists():
            yield f"I7 {effect} is of another tenant's build"


def _attempts_are_bounded() -> Iterator[str]:
    """I8: at most twice the handler's attempts to send, since some attempts only look."""
    for effect in Effect.objects.filter(attempts__gt=8):
        if effect.attempts > 2 * handler_for(effect.kind).max_attempts + 1:
            yield f"I8 {effect} was tried {effect.attempts} times"


def _events_follow_the_table() -> Iterator[str]:
    """I9: each status change of a build is a transition in the table, or it undoes a status that
    only a webhook reported, because the number turned out to belong to another build."""
    applied = BuildEvent.objects.filter(applied=True)
    from_jenkins = applied.filter(source__in=(Source.POLL, Source.WEBHOOK))
    reported = applied.filter(
        source=Source.WEBHOOK, build=OuterRef("build"), to_status=OuterRef("from_status")
    )
    undone = Q(Exists(reported), source=Source.POLL, to_status=BuildStatus.LOST)
    changes = from_jenkins.exclude(undone).order_by()
    for before, after in changes.values_list("from_status", "to_status").distinct():
        transition = TABLE.get((BuildStatus(before), BuildStatus(after)), Transition.IGNORE)
        if transition not in (Transition.APPLY, Transition.FILL, Transition.ASK):
            yield f"I9 a build went from {before} to {after}"


def _messages_and_epics_once(providers: ProviderState) -> Iterator[str]:
    """I10: at most one message or epic per effect."""
    posts = (e["metadata"] or {} for e in providers.ledger("message.posted"))
    ids = Counter(post.get("event_payload", {}).get("id") for post in posts)
    epics = Counter(label for e in providers.ledger("issue.created") for label in e["labels"])
    for name, count in [*ids.items(), *epics.items()]:
        if name and name != "delivr" and count > 1:
            yield f"I10 {name} was sent {count} times"


def _events_arrive(providers: ProviderState) -> Iterator[str]:
    """I17: an endpoint received every event that is done, and can tell each repeat."""
    taken = providers.ledger("event.received")
    first = Counter(entry["id"] for entry in taken if not entry["isRepeat"])
    done = Effect.objects.filter(kind=EFFECT, state=EffectState.DONE, payload__has_key="sequence")
    for effect_id in done.values_list("pk", flat=True):
        if not first[effect_id]:
            yield f"I17 {effect_id} is done and was never received"
    for effect_id, count in first.items():
        if count > 1:
            yield f"I17 {effect_id} was received {count} times as a new one"


def _messages_say_what_is_so(providers: ProviderState) -> Iterator[str]:
    """I16: a message that is edited says last how its release or its build stands."""
    there: dict[tuple[str, str], str] = {}
    entries = [*providers.ledger("message.posted"), *providers.ledger("message.updated")]
    for entry in sorted(entries, key=lambda one: one.get("seq", 0)):
        if "ts" in entry:
            there[(entry["channel"], entry["ts"])] = entry["text"]
    posts = Effect.objects.filter(kind=POST, payload__kept=True, state=EffectState.DONE)
    newest = {(*place_of(post), post.release_id, post.build_id): post for post in posts[::-1]}
    failed = Effect.objects.filter(kind=EDIT, state=EffectState.DEAD)
    shown = set(failed.values_list("payload__message", flat=True))  # to a person
    for post in newest.values():
        if "ts" not in post.result or post.pk in shown:
            continue
        said, wanted = there.get((post.payload["channel"], post.result["ts"])), _wanted(post)
        if wanted is not None and said != wanted:
            yield f"I16 {post} says “{said}” and should say “{wanted}”"


def _wanted(post: Effect) -> str | None:
    """What a message should say by the rows of its release or build alone."""
    release = Release.objects.get(pk=post.release_id)
    if not post.build_id:
        return render_standing(release, chat=CHAT).text
    build = Build.objects.get(pk=post.build_id)
    notice = standing_of(build)
    return notice and render(release, notice, words_of(build), chat=CHAT).text


def _repository_once(providers: ProviderState) -> Iterator[str]:
    """I15: a release's branch, its tag and its draft are created at most once; once if the effect
    is done. The scenarios give every release a version of its own."""
    created = Counter(entry["ref"] for entry in providers.ledger("ref.created"))
    drafted = Counter(entry["tag"] for entry in providers.ledger("release.created"))
    effects = Effect.objects.filter(kind__startswith="scm.")
    releases = Release.objects.in_bulk(effects.values_list("release_id", flat=True))
    for effect in effects:
        release = releases[effect.release_id]
        tag = tag_of(release.version)
        count = {
            CREATE_BRANCH: created[f"refs/heads/{release.branch}"],
            TAG: created[f"refs/tags/{tag}"],
            DRAFT_RELEASE: drafted[tag],
        }[effect.kind]
        if count > 1 or (count == 0 and effect.state == EffectState.DONE):
            yield f"I15 {effect.kind} of {release.pk} is {effect.state} and happened {count} times"


def _tickets_once(providers: ProviderState) -> Iterator[str]:
    """I16: what follows a release in its ticket system happens at most once; once if the effect is
    done. The scenarios give every release a version of its own."""
    effects = Effect.objects.filter(kind__in=(*ON_EPIC, *IN_VERSION))
    releases = Release.objects.in_bulk(effects.values_list("release_id", flat=True))
    for effect in effects:
        count = happened_there(providers, effect, releases[effect.release_id])
        if count > 1 or (count == 0 and effect.state == EffectState.DONE):
            yield f"I16 {effect.kind} {effect.pk} is {effect.state} and happened {count} times"


def happened_there(providers: ProviderState, effect: Effect, release: Release) -> int:
    """How often the act of an effect of the ticket system was carried out: for tickets of a
    version, at the one where it was carried out most often, or 0 if one of those that were added
    lacks it."""
    target = release.targets.filter(target_id=effect.payload.get("target")).first()
    key = target.epic_key if target else ""
    part = TicketPart.objects.filter(release=release).first()
    made = [v["id"] for v in providers.ledger("version.created") if v["name"] == release.version]
    version = (part.version_id if part else "") or next(iter(made), "")
    if effect.kind == PLAN:
        counts = Counter(
            entry["key"]
            for entry in providers.ledger("issue.planned")
            if entry["version"] == version and entry["key"] in effect.payload["keys"]
        )
        lacks = any(not counts[key] for key in effect.result.get("added", ()))
        return 0 if lacks else max(counts.values(), default=0)
    links, moves = providers.ledger("link.created"), providers.ledger("issue.moved")
    comments, released = providers.ledger("comment.created"), providers.ledger("version.released")
    counts_by_kind: dict[str, int] = {
        LINK: sum(e["key"] == key and e["globalId"].endswith(release.pk) for e in links),
        COMMENT: sum(f"#{effect.pk}" in entry["body"] for entry in comments),
        MOVE: sum(entry["key"] == key for entry in moves),
        VERSION: len(made),
        RELEASE_VERSION: sum(entry["id"] == version for entry in released),
    }
    return counts_by_kind[effect.kind]


def _changes_are_audited() -> Iterator[str]:
    """I11: one audit row for each release, trigger, cancel, retry, adopt and stopped duplicate."""
    rows = AuditEvent.objects.values_list("action", "subject_id")
    written = Counter(rows)
    for action, subject, times in _changes():
        if written[(action, subject)] != times:
            found = written[(action, subject)]
            yield f"I11 {action} of {subject} happened {times} times and was audited {found} times"


def _changes() -> Iterator[tuple[str, str, int]]:
    """What was done according to the rows: action, subject, how often."""
    triggers = Effect.objects.filter(kind="build.trigger")
    duplicates = Effect.objects.filter(kind="build.stop_repeat", result__outcome=Duplicate.STOPPED)
    stopped = Counter(duplicates.values_list("build_id", flat=True))
    retried = Counter(_by_people(to_status=BuildStatus.TRIGGERING))
    cancelled = Counter(_by_people(to_status=BuildStatus.CANCELLED))
    for effect in triggers:
        yield "build.triggered", effect.build_id, 1
        yield "effect.retried", effect.pk, retried[effect.build_id]
        yield "effect.adopted", effect.pk, int("adopted" in effect.result)
        yield "build.repeat_stopped", effect.build_id, stopped[effect.build_id]
        yield "build.cancelled", effect.build_id, cancelled[effect.build_id]
    for release_id in triggers.values_list("release_id", flat=True).distinct():
        yield "release.created", release_id, 1


def _by_people(**changes: str) -> Iterator[str]:
    events = BuildEvent.objects.filter(source=Source.PERSON, applied=True, **changes)
    return iter(events.values_list("build_id", flat=True))


def secrets_outside(secrets: Iterable[str], places: Mapping[str, bytes]) -> Iterator[str]:
    """I12: no secret appears outside its place in clear text, URL-quoted or in base64. Names only
    its first four characters."""
    for secret in secrets:
        for form, text in spellings(secret).items():
            for place, content in places.items():
                if text in content:
                    yield f"I12 {secret[:4]}… appears {form} in {place}"


def spellings(secret: str) -> dict[str, bytes]:
    """The forms in which a secret may appear. Within a longer text its base64 depends on the offset
    modulo 3, so all three forms are searched for without their edges."""
    raw = secret.encode()
    shifted = {
        f"in base64 ({n})": base64.b64encode(b"x" * n + raw)[4 if n else 0 : -4] for n in range(3)
    }
    return {"in clear": raw, "quoted": quote(secret, safe="").encode(), **shifted}


def answers_that_fail(statuses: Iterable[int], *, outage: bool = False) -> Iterator[str]:
    """I13: no 5xx and no missing answer (0), except 503 during an outage of the database."""
    for status, count in Counter(statuses).items():
        if (status >= 500 or status == 0) and not (outage and status == 503):
            yield f"I13 {count} requests were answered {status}"
