"""Create, recompute and cancel releases."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from delivr.audit.operations import record
from delivr.effects import clock
from delivr.effects.queue import enqueue_on_commit
from delivr.tenants.models import Tenant, User
from delivr.tenants.roles import lock_tenant
from integrations.models import (
    CommunicationIntegration,
    Connection,
    PipelineIntegration,
    ScmIntegration,
    TargetIntegration,
    TicketIntegration,
)
from integrations.providers.ci import BuildStatus
from integrations.providers.stores import HAS_USERS, IS_PUBLIC, SubmissionState
from releases.holding import app_of, draft_targets, holders, version_taken
from releases.in_stores import Stores, stores_of
from releases.marks import MARKED, clear_marks, follow_stores
from releases.messages.notices import Notice, notify, refresh
from releases.messages.standing import candidates_of
from releases.models import (
    IN_STORES,
    MOVING,
    Release,
    ReleaseCommunication,
    ReleasePipeline,
    ReleaseStatus,
    ReleaseTarget,
)
from releases.repository.acts import begin, complete
from releases.repository.changes import look_soon
from releases.repository.steps import NO_WISHES, Wishes, draft_part, settings_of
from releases.tickets import acts as tickets
from releases.tickets.steps import draft_ticket_part
from releases.tickets.texts import OF_STATUS

VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,63}")
_BAD_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|$)")
MAX_JOB = 300  # characters of a job's path
Errors = dict[str, list[str]]


def create_release(
    *,
    tenant: Tenant,
    actor: User | None,
    version: str,
    scm_id: str,
    target_ids: Sequence[str],
    pipeline_ids: Sequence[str],
    communication_ids: Sequence[str] = (),
    ticket_id: str | None = None,
    branch: str = "",
    wishes: Wishes = NO_WISHES,
    known_errors: Errors | None = None,
) -> Release:
    """Create a release with its targets and pipelines, and the effects for its epics, its messages
    and what it does in the repository.

    One transaction; no provider is called before it commits. Raises ValidationError with all
    errors, under `version`, `branch`, `base_branch`, `repository`, `scm`, `targets`, `pipelines`,
    `communications` and `ticket`, including the caller's `known_errors` (of the shape: text instead
    of a list, for example).
    """
    plan = ReleasePlan(
        tenant=tenant,
        version=version,
        branch=branch,
        scm_id=scm_id,
        target_ids=target_ids,
        pipeline_ids=pipeline_ids,
        communication_ids=communication_ids,
        ticket_id=ticket_id,
        wishes=wishes,
        known_errors=known_errors,
    )
    try:
        return plan.create(actor)
    except IntegrityError:
        # Two concurrent requests for one version: the database lets one through.
        raise ValidationError({"version": version_taken(plan.version, plan.holders())}) from None


class ReleasePlan:
    """Everything that makes up a new release, validated as a whole."""

    def __init__(
        self,
        *,
        tenant: Tenant,
        version: str,
        branch: str,
        scm_id: str,
        target_ids: Sequence[str],
        pipeline_ids: Sequence[str],
        communication_ids: Sequence[str],
        ticket_id: str | None,
        wishes: Wishes = NO_WISHES,
        known_errors: Errors | None = None,
    ) -> None:
        self.tenant = tenant
        self.version = version.strip()
        self.branch = branch.strip() or _default_branch(self.version)
        defaults = settings_of(tenant)
        self.repository = draft_part(tenant, defaults, wishes)
        self.ticket_part = draft_ticket_part(tenant, defaults, wishes.ticket_steps)
        self.errors: Errors = dict(known_errors or {})
        self.scm = self._one(ScmIntegration, scm_id, "scm")
        self.targets = self._many(TargetIntegration, target_ids, "targets")
        self.pipelines = self._many(PipelineIntegration, pipeline_ids, "pipelines")
        self.communications = self._many(
            CommunicationIntegration, communication_ids, "communications"
        )
        self.ticket = self._one(TicketIntegration, ticket_id, "ticket")

    @transaction.atomic
    def create(self, actor: User | None) -> Release:
        if lock_tenant(self.tenant, actor=None).closed_at is not None:
            raise ValidationError({"tenant": [_("This workspace was deleted.")]})
        self._lock_connections()
        release = self.draft(actor)
        release.save(force_insert=True)
        ReleaseTarget.objects.bulk_create(draft_targets(release, self.targets))
        ReleasePipeline.objects.bulk_create(self.draft_pipelines(release))
        ReleaseCommunication.objects.bulk_create(
            ReleaseCommunication(tenant=self.tenant, release=release, communication=one)
            for one in self.communications
        )
        self.repository.release = release
        self.repository.save(force_insert=True)
        if self.ticket is not None:
            self.ticket_part.release = release
            self.ticket_part.save(force_insert=True)
        changes = {"branch": [None, release.branch], "status": [None, release.status]}
        record(actor=actor, action="release.created", subject=release, changes=changes)
        self._create_effects(release)
        if release.branch_look_at is not None:
            enqueue_on_commit("branch", release.pk)
        return release

    def _lock_connections(self) -> None:
        """Keep the connections from being disconnected until the commit; adds an error for each
        that is already gone."""
        chosen: dict[str, list[Any]] = {
            "scm": [self.scm],
            "targets": self.targets,
            "pipelines": self.pipelines,
            "communications": self.communications,
            "ticket": [self.ticket],
        }
        for field, connections in chosen.items():
            wanted = {c.pk: c for c in connections if c is not None}
            for pk in wanted.keys() - _lock_connected(wanted):
                self._add_error(field, _no_connection(pk))

    def draft(self, actor: User | None = None) -> Release:
        """The release, validated but not saved. Raises ValidationError."""
        self.check()
        release = Release(
            tenant=self.tenant,
            version=self.version,
            branch=self.branch,
            scm=self.scm,
            ticket=self.ticket,
            created_by=actor,
            # A branch that is still to be created is not looked for.
            branch_look_at=None if self.repository.creates_branch else clock.now(),
        )
        release.full_clean(exclude=["id", "created_by"])  # no user: delivr creates it itself
        return release

    def draft_pipelines(self, release: Release) -> list[ReleasePipeline]:
        """Its pipelines with their current job and parameters, not saved."""
        platform_of = {target.pk: target.platform for target in self.targets}
        return [
            ReleasePipeline(
                tenant=self.tenant,
                release=release,
                pipeline=p,
                platform=platform_of[p.target_id],
                job_path=job_of_branch(p, release.branch),
                parameters=p.parameters,
            )
            for p in self.pipelines
        ]

    def check(self) -> None:
        """Raises ValidationError with all errors."""
        self._check_names()
        self._check_repository()
        self._check_connections()
        if self.errors:
            raise ValidationError(self.errors)

    def _check_names(self) -> None:
        if "version" not in self.errors:
            self._check_version()
        named = self.branch != _default_branch(self.version)
        if "branch" in self.errors or (not named and "version" in self.errors):
            return  # the branch is derived from the version: one error is enough
        if not is_legal_branch(self.branch):
            self._add_error("branch", _("This is not a valid git branch name."))

    def _check_repository(self) -> None:
        base = self.repository.base_branch
        if base and "base_branch" not in self.errors:
            if not is_legal_branch(base):
                self._add_error("base_branch", _("This is not a valid git branch name."))
            elif self.repository.creates_branch and base == self.branch:
                self._add_error("base_branch", _("The branch cannot be its own base."))
        host: Any = self.scm.provider_class if self.scm else None
        if self.repository.drafts_release and host and not host.has_releases:
            words = _("%(host)s has no releases, only tags.") % {"host": host.label}
            self._add_error("repository", words)

    def _check_version(self) -> None:
        if not VERSION.fullmatch(self.version):
            self._add_error(
                "version",
                _("Use up to 64 letters, digits and . + _ - and begin with a letter or digit."),
            )
        elif taken := self.holders():
            self.errors["version"] = version_taken(self.version, taken)

    def holders(self) -> list[Release]:
        """The releases that already hold the version for one of the apps."""
        return holders(self.tenant, self.version, map(app_of, self.targets))

    def _check_connections(self) -> None:
        if self.scm is None and "scm" not in self.errors:
            self._add_error("scm", _("Choose a repository."))
        for field, found in (("targets", self.targets), ("pipelines", self.pipelines)):
            if not found and field not in self.errors:
                self._add_error(field, _("Choose at least one."))
        for target in self.targets:
            self._require_verified("targets", target)
        if self.scm is not None:
            self._require_verified("scm", self.scm)
        for pipeline in self.pipelines:
            self._check_pipeline(pipeline)

    def _check_pipeline(self, pipeline: PipelineIntegration) -> None:
        if self.scm is not None and pipeline.scm_id != self.scm.pk:
            self._add_error(
                "pipelines", _("%(name)s builds another repository.") % {"name": pipeline}
            )
        if pipeline.target_id not in {target.pk for target in self.targets}:
            self._add_error(
                "pipelines",
                _("%(name)s builds for a target that this release does not have.")
                % {"name": pipeline},
            )
        if is_legal_branch(self.branch):
            self._check_job(pipeline)

    def _check_job(self, pipeline: PipelineIntegration) -> None:
        try:
            job_of_branch(pipeline, self.branch)
        except ValueError as error:
            self._add_error("branch", f"{pipeline}: {error}")

    def _require_verified(self, field: str, connection: Connection) -> None:
        if not connection.is_valid:
            self._add_error(
                field, _("%(name)s is not verified. Verify it first.") % {"name": connection}
            )

    def _one(self, model: type[Any], wanted: str | None, field: str) -> Any:
        return next(iter(self._many(model, [wanted] if wanted else [], field)), None)

    def _many(self, model: type[Any], wanted: Iterable[str], field: str) -> list[Any]:
        ids = list(dict.fromkeys(str(pk) for pk in wanted))
        found = {c.pk: c for c in model.objects.for_tenant(self.tenant).filter(pk__in=ids)}
        for pk in ids:
            if pk not in found:
                self._add_error(field, _no_connection(pk))
        return [found[pk] for pk in ids if pk in found]

    def _add_error(self, field: str, words: str) -> None:
        self.errors.setdefault(field, []).append(words)

    def _create_effects(self, release: Release) -> None:
        if self.ticket is not None:
            tickets.begin(release, self.ticket_part, self.targets)
        notify(release, Notice.RELEASE_CREATED)
        begin(release, self.repository)


def job_of_branch(pipeline: PipelineIntegration, branch: str) -> str:
    """See `CiProvider.job_of_branch`. Raises ValueError."""
    ci: Any = pipeline.provider_class
    job: str = ci.job_of_branch(pipeline, branch)
    if len(job) > MAX_JOB:
        raise ValueError(_("The branch's name is too long for the path of its job."))
    return job


def _lock_connected(wanted: Mapping[str, Connection]) -> set[str]:
    """Lock those that are still connected until the end of the transaction; returns their ids."""
    if not wanted:
        return set()
    one = next(iter(wanted.values()))
    rows = type(one).objects.for_tenant(one.tenant_id).select_for_update(no_key=True)
    return set(rows.filter(pk__in=wanted).order_by("pk").values_list("pk", flat=True))


def _no_connection(pk: str) -> str:
    return _("There is no connection “%(id)s”.") % {"id": pk[:60]}


def _default_branch(version: str) -> str:
    return f"release/{version}"


def is_legal_branch(name: str) -> bool:
    """True if git accepts the name as a branch name.

    https://git-scm.com/docs/git-check-ref-format
    """
    return not (
        not name
        or len(name) > 200
        or _BAD_REF.search(name)
        or name.startswith(("-", "/", "."))
        or name.endswith(("/", "."))
        or name == "@"
    )


def lock_release(release_id: str) -> Release:
    """The locked release. The lock order is always release, release pipeline, build, effect."""
    locked: Release = Release.objects.select_for_update(of=("self",)).get(pk=release_id)
    return locked


def mirror_build(pipeline: ReleasePipeline, *, build: Any) -> None:
    """Copy the newest build to the release pipeline. These columns are written nowhere else."""
    _copy_build(pipeline, build)
    pipeline.save(update_fields=MIRRORED)


def mirror_builds(builds: Sequence[Any]) -> None:
    """`mirror_build` for the newest builds of several pipelines, in one query."""
    for build in builds:
        _copy_build(build.release_pipeline, build)
    ReleasePipeline.objects.bulk_update([build.release_pipeline for build in builds], MIRRORED)


MIRRORED = [
    "triggered",
    "build_number",
    "build_url",
    "build_status",
    "artifact_url",
    "candidate",
]
_NOT_SENT = (BuildStatus.TRIGGERING, BuildStatus.TRIGGER_FAILED)


def _copy_build(pipeline: ReleasePipeline, build: Any) -> None:
    pipeline.triggered = pipeline.triggered or build.status not in _NOT_SENT
    pipeline.build_number = build.number
    pipeline.build_url = build.url
    pipeline.build_status = build.status
    pipeline.artifact_url = build.artifact_url
    pipeline.candidate = build.candidate


def recompute(
    release: Release, *, cause: str, event_id: int | None = None, of_store: bool = False
) -> None:
    """Derive the status from the pipelines and the submissions, and have the messages about the
    release say so. The caller holds the release's lock, and says `of_store` if a submission
    changed: submissions count only from the first one that a store has.

    `cause` is the id of the build that changed: it makes the message of a second failure differ
    from that of the first. `event_id` is the build event.
    """
    _derive(release, cause=cause, event_id=event_id, of_store=of_store)
    refresh(release)


def _derive(release: Release, *, cause: str, event_id: int | None, of_store: bool) -> None:
    before = release.status
    if before == ReleaseStatus.CANCELLED:
        return
    statuses = list(release.pipelines.order_by("id").values_list("build_status", flat=True))
    of_builds = derive_status(statuses)
    is_asked = of_store or before in IN_STORES
    status = (_status_in_stores(release) if is_asked else None) or of_builds
    _note_whether_built(release, of_builds, cause=cause)
    if status == before:
        return
    release.status = status
    is_in_stores = status in IN_STORES
    unmarked = follow_stores(release) if is_in_stores else clear_marks(release)
    stores = stores_of(release, before) if is_in_stores else Stores()
    release.save(update_fields=["status", "updated_at", *MARKED])
    record(
        actor=None,
        action="release.status",
        subject=release,
        changes={"status": [before, status], **unmarked, **stores.changes},
    )
    if status == ReleaseStatus.BUILD_COMPLETE and before in IN_STORES:
        return  # the last submission was withdrawn; all builds were complete before
    notice = Notice.RELEASE_SUBMITTED if stores.followed else _STATUS_NOTICES.get(status)
    if notice:
        words = {**candidates_of(release), **stores.words}
        notify(release, notice, cause=cause, event_id=event_id, words=words)
    if status in OF_STATUS and stores.is_first:
        tickets.follow(release, OF_STATUS[status], cause=cause)


def _note_whether_built(release: Release, of_builds: ReleaseStatus, *, cause: str) -> None:
    """Keep when all builds became complete, and create what follows from it."""
    is_built = of_builds == ReleaseStatus.BUILD_COMPLETE
    if is_built == (release.completed_at is not None):
        return
    release.completed_at = timezone.now() if is_built else None
    release.save(update_fields=["completed_at", "updated_at"])
    if is_built:
        look_soon(release.pk)  # at the changes in the commit that was built
        complete(release, cause=cause)
        import_string(settings.BUILDS_COMPLETE)(release)


_STATUS_NOTICES = {
    ReleaseStatus.BUILD_COMPLETE: Notice.RELEASE_COMPLETE,
    ReleaseStatus.BUILD_FAILED: Notice.RELEASE_FAILED,
    ReleaseStatus.SUBMITTED: Notice.RELEASE_SUBMITTED,
    ReleaseStatus.ROLLING_OUT: Notice.RELEASE_ROLLING_OUT,
    ReleaseStatus.RELEASED: Notice.RELEASE_RELEASED,
}


def _status_in_stores(release: Release) -> ReleaseStatus | None:
    """The status by the submissions that a store has; None without one."""
    current = release.submissions.filter(is_current=True, submitted_at__isnull=False)
    return derive_status_in_stores(list(current.values_list("state", flat=True)))


def derive_status_in_stores(submissions: Sequence[str]) -> ReleaseStatus | None:
    """The status of a release from the states of the submissions that the stores have."""
    states = {SubmissionState(state) for state in submissions} - {SubmissionState.WITHDRAWN}
    if not states:
        return None
    if states <= IS_PUBLIC:
        return ReleaseStatus.RELEASED
    return ReleaseStatus.ROLLING_OUT if states & HAS_USERS else ReleaseStatus.SUBMITTED


def derive_status(builds: Sequence[str]) -> ReleaseStatus:
    """The status of a release, from the build statuses of its pipelines alone."""
    if all(status == BuildStatus.SUCCESS for status in builds):
        return ReleaseStatus.BUILD_COMPLETE
    if all(status == BuildStatus.PENDING for status in builds):
        return ReleaseStatus.KICKOFF_PENDING
    if any(status in MOVING or status == BuildStatus.PENDING for status in builds):
        return ReleaseStatus.BUILDING
    return ReleaseStatus.BUILD_FAILED


def unfinished_using(connection: Connection) -> list[str]:
    """The unfinished releases that use a connection, in words."""
    through = {
        "scm": {"scm": connection.pk},
        "targets": {"targets__target": connection.pk},
        "pipelines": {"pipelines__pipeline": connection.pk},
        "communication": {"communication_rows__communication": connection.pk},
        "tickets": {"ticket": connection.pk},
        "health": {"submissions__rules__source": connection.pk},
    }[connection.family]
    found = Release.objects.for_tenant(connection.tenant).unfinished().filter(**through)
    return [_("release %(version)s") % {"version": r.version} for r in found.distinct()]


def unfinished_of(tenant: Tenant) -> list[str]:
    """The unfinished releases of a tenant, in words."""
    found = Release.objects.for_tenant(tenant).unfinished()
    return [_("release %(version)s") % {"version": r.version} for r in found]
