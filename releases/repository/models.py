"""What a release does in its repository, the results, and the changes in the release."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.db import models
from django.db.models import Q

from delivr.tenants.models import TenantOwned, TenantQuerySet, unique_per_tenant
from releases.tickets.models import MoveAt, TicketSteps

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager


class RepositorySteps(TenantOwned):
    """The steps in the repository, each of which is on or off."""

    creates_branch = models.BooleanField(default=False)
    makes_tag = models.BooleanField(default=False)
    drafts_release = models.BooleanField(default=False)

    class Meta:
        abstract = True


class ReleaseSettings(RepositorySteps, TicketSteps):
    """A workspace's defaults for new releases; without a row, each step's own default."""

    class Meta:
        db_table = "release_settings"
        verbose_name_plural = "release settings"
        constraints = [
            unique_per_tenant("release_settings"),
            models.UniqueConstraint(fields=["tenant"], name="release_settings_once"),
            models.CheckConstraint(
                condition=Q(moves_epics__in=MoveAt.values), name="release_settings_move_known"
            ),
        ]

    def __str__(self) -> str:
        return "Release settings"


class RepositoryPart(RepositorySteps):
    """The repository's part in one release. A release without a row, created by an older version of
    delivr, does nothing in the repository.

    `base_commit` is the plan: the commit at which to cut the branch. It is looked up once and kept,
    so that after a lost response our branch can be told from someone else's. `commit` is where the
    branch was cut.
    """

    release = models.OneToOneField(
        "releases.Release", on_delete=models.CASCADE, related_name="repository_part"
    )
    base_branch = models.CharField(max_length=255, blank=True)
    base_commit = models.CharField(max_length=64, blank=True)
    commit = models.CharField(max_length=64, blank=True)
    tag = models.CharField(max_length=100, blank=True)
    tag_url = models.CharField(max_length=500, blank=True)
    tagged_commit = models.CharField(max_length=64, blank=True)
    release_url = models.CharField(max_length=500, blank=True)  # at the repository's host

    # The changes since an earlier release, written only by `releases.repository.changes`. `total`
    # is null until they are looked up; `missing` counts commits of the earlier release that are not
    # in this one.
    since = models.CharField(max_length=64, blank=True)
    since_commit = models.CharField(max_length=64, blank=True)
    head_commit = models.CharField(max_length=64, blank=True)
    total = models.PositiveIntegerField(null=True, blank=True)
    listed = models.PositiveIntegerField(default=0)
    pull_requests = models.PositiveIntegerField(default=0)
    missing = models.PositiveIntegerField(default=0)
    is_complete = models.BooleanField(default=False)
    note = models.CharField(max_length=500, blank=True)
    look_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "release_repository"
        constraints = [unique_per_tenant("release_repository")]
        indexes = [
            models.Index(
                fields=["look_at"],
                condition=Q(look_at__isnull=False),
                name="release_changes_due",
            )
        ]

    def __str__(self) -> str:
        return f"{self.release} in its repository"


class ChangeQuerySet(TenantQuerySet):
    def with_ticket(self, key: str) -> Self:
        # With the tenant, which its index begins with.
        return self.filter(ticket_keys__tenant=models.F("tenant"), ticket_keys__key=key)

    def with_sha(self, start: str) -> Self:
        """Commits whose id begins with `start`; as a range, so that every collation uses the
        index."""
        return self.filter(sha__gte=start, sha__lt=f"{start}g")


class Change(TenantOwned):
    """One commit of a release, with its pull request. Position 1 is the newest."""

    release = models.ForeignKey(
        "releases.Release", on_delete=models.CASCADE, related_name="changes"
    )
    position = models.PositiveIntegerField()
    sha = models.CharField(max_length=64)
    title = models.CharField(max_length=300)
    author = models.CharField(max_length=100, blank=True)
    url = models.CharField(max_length=500)
    pull_number = models.PositiveIntegerField(null=True, blank=True)
    pull_title = models.CharField(max_length=300, blank=True)
    pull_url = models.CharField(max_length=500, blank=True)
    tickets = models.JSONField(default=list, blank=True)  # keys, as `ticket_keys` has them

    objects: ClassVar[Any] = ChangeQuerySet.as_manager()

    if TYPE_CHECKING:
        ticket_keys: RelatedManager[ChangeTicket]

    class Meta:
        db_table = "release_changes"
        ordering = ["release_id", "position"]
        constraints = [
            unique_per_tenant("release_change"),
            models.UniqueConstraint(fields=["release", "position"], name="change_position_once"),
        ]
        indexes = [models.Index(fields=["tenant", "sha"], name="change_by_sha")]

    def __str__(self) -> str:
        return f"{self.sha[:7]} {self.title}"

    @property
    def short_sha(self) -> str:
        return self.sha[:7]


class ChangeTicket(TenantOwned):
    """A ticket's key that a change names."""

    change = models.ForeignKey(Change, on_delete=models.CASCADE, related_name="ticket_keys")
    key = models.CharField(max_length=60)

    class Meta:
        db_table = "release_change_tickets"
        constraints = [
            unique_per_tenant("change_ticket"),
            models.UniqueConstraint(fields=["change", "key"], name="change_ticket_once"),
        ]
        indexes = [models.Index(fields=["tenant", "key"], name="change_by_ticket")]

    def __str__(self) -> str:
        return self.key
