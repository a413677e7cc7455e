"""The repository's part of a release as JSON."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from releases.models import Release
from releases.repository.models import Change


class KnownFieldsOnly(serializers.Serializer[Any]):
    """Refuses fields that it does not have."""

    def to_internal_value(self, data: Any) -> Any:
        unknown = set(data) - set(self.fields) if isinstance(data, dict) else set()
        if unknown:
            words = _("There is no such field: %(names)s.")
            raise serializers.ValidationError([words % {"names": ", ".join(sorted(unknown))[:200]}])
        return super().to_internal_value(data)


class StepsSerializer(KnownFieldsOnly):
    """What a release does in its repository. Omitted steps use the workspace's default."""

    createBranch = serializers.BooleanField(source="creates_branch", required=False)
    tag = serializers.BooleanField(source="makes_tag", required=False)
    draftRelease = serializers.BooleanField(source="drafts_release", required=False)


class PullRequestSerializer(serializers.Serializer[Any]):
    number = serializers.IntegerField(source="pull_number")
    title = serializers.CharField(source="pull_title")
    url = serializers.CharField(source="pull_url")


class ChangeSerializer(serializers.ModelSerializer[Change]):
    """A commit with its pull request (null if none is known) and the keys of the tickets that
    either of them names."""

    pullRequest = serializers.SerializerMethodField()
    tickets = serializers.ListField(child=serializers.CharField())

    class Meta:
        model = Change
        fields = ["sha", "title", "author", "url", "pullRequest", "tickets"]

    @extend_schema_field(PullRequestSerializer(allow_null=True))
    def get_pullRequest(self, change: Change) -> Any:
        return PullRequestSerializer(change).data if change.pull_number else None


class ReleaseOfChange(serializers.ModelSerializer[Release]):
    class Meta:
        model = Release
        fields = ["id", "version", "status"]


class FoundChangeSerializer(ChangeSerializer):
    """A change and the release that contains it."""

    release = ReleaseOfChange()

    class Meta:
        model = Change
        fields = [*ChangeSerializer.Meta.fields, "release"]


class ChangesSerializer(serializers.Serializer[Any]):
    """What is in the release but not in the previous one (`from`; null if there is none). `items`
    has the first changes, newest first; `/releases/{id}/changes` has the rest.

    `commits` is the repository's own count (null if not looked up yet). `complete` is false if not
    all commits or pull requests could be listed; `message` says why. `missing` is the number of
    commits of `from` that are not in this release.
    """

    fromVersion = serializers.CharField(allow_null=True)
    commits = serializers.IntegerField(allow_null=True)
    pullRequests = serializers.IntegerField()
    missing = serializers.IntegerField()
    complete = serializers.BooleanField()
    message = serializers.CharField()
    items = ChangeSerializer(many=True)

    def get_fields(self) -> dict[str, Any]:
        """`from` cannot be the name of a class attribute."""
        fields = super().get_fields()
        return {"from": fields.pop("fromVersion"), **fields}


def changes_of(release: Release, listed: list[Change]) -> dict[str, Any]:
    from releases.repository.acts import part_of

    part = part_of(release)
    return {
        "from": part.since or None,
        "commits": part.total,
        "pullRequests": part.pull_requests,
        "missing": part.missing,
        "complete": part.is_complete,
        "message": part.note,
        "items": ChangeSerializer(listed, many=True).data,
    }
