"""A workspace connected to the sandbox, for tests of the requests that are sent."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from builds.models import Build
from builds.triggering import trigger_builds
from delivr.effects.models import Effect
from delivr.tenants.models import Tenant
from delivr.tests import factories
from releases.models import Release
from releases.operations import create_release
from sandbox import accounts
from sandbox.server import SandboxServer

JOBS = {"ios": "/job/ios-prod", "android": "/job/android-prod"}


@dataclass
class Wired:
    """The connections of one workspace; creates and triggers releases."""

    tenant: Tenant
    scm: Any
    targets: dict[str, Any]
    pipelines: dict[str, Any]
    slack: Any = None
    jira: Any = None
    versions: int = field(default=0)
    branch: str = ""  # of its releases, if not each has its own

    def release(
        self, *platforms: str, slack: bool = False, jira: bool = False, branch: str = ""
    ) -> Release:
        """A release of these platforms (default: all), with messages and epics if requested."""
        chosen = platforms or tuple(self.pipelines)
        self.versions += 1
        return create_release(
            tenant=self.tenant,
            actor=None,
            version=f"1.5.{self.versions}",
            scm_id=self.scm.pk,
            target_ids=[self.targets[name].pk for name in chosen],
            pipeline_ids=[self.pipelines[name].pk for name in chosen],
            communication_ids=[self.slack.pk] if slack else [],
            ticket_id=self.jira.pk if jira else None,
            branch=branch or self.branch,
        )

    def build(self, platform: str = "ios", **kwargs: Any) -> Build:
        """The build of a new release, just triggered; nothing was sent yet."""
        release = self.release(platform, **kwargs)
        return trigger_builds(release=release, actor=None)[0]


def wire(tenant: Tenant, url: str, jobs: dict[str, str] = JOBS) -> Wired:
    """Connect `tenant` to the sandbox at `url`."""
    scm = factories.ScmFactory(tenant=tenant, access_token=accounts.GITHUB_PUSH_TOKEN)
    targets = {
        "ios": factories.AppStoreFactory(tenant=tenant),
        "android": factories.PlayStoreFactory(tenant=tenant),
    }
    pipelines = {
        name: factories.PipelineFactory(
            tenant=tenant,
            scm=scm,
            target=targets[name],
            server_url=f"{url}/jenkins",
            username=accounts.JENKINS_USER,
            api_token=accounts.JENKINS_API_TOKEN,
            job=path,
        )
        for name, path in jobs.items()
    }
    return Wired(
        tenant=tenant,
        scm=scm,
        targets=targets,
        pipelines=pipelines,
        slack=factories.SlackFactory(
            tenant=tenant,
            token=accounts.SLACK_BOT_TOKEN,
            recipients=list(accounts.SLACK_CHANNELS),
        ),
        jira=factories.JiraFactory(
            tenant=tenant,
            server_url=f"{url}/jira",
            username=accounts.JIRA_EMAIL,
            api_token=accounts.JIRA_API_TOKEN,
        ),
    )


WORKFLOWS = {"ios": "ios.yml", "android": "android.yml"}


def wire_actions(tenant: Tenant, url: str, jobs: dict[str, str] = WORKFLOWS) -> Wired:
    """The same with GitHub Actions, by the token of the repository's connection."""
    wired = wire(tenant, url, {})
    wired.pipelines = {
        name: factories.PipelineFactory(
            tenant=tenant,
            scm=wired.scm,
            target=wired.targets[name],
            pipeline_type="GITHUB_ACTIONS",
            server_url="",
            username="",
            api_token=None,
            job=file,
        )
        for name, file in jobs.items()
    }
    return wired


def wire_pipelines(tenant: Tenant, url: str) -> Wired:
    """The same with GitLab CI, by the token of the project's connection."""
    wired = wire(tenant, url, {})
    wired.branch = "develop"  # the stand-in for GitLab creates no branch by itself
    wired.scm = factories.ScmFactory(
        tenant=tenant,
        scm_type="GITLAB",
        repository_url=f"{url}/gitlab/{accounts.GITLAB_PROJECT}",
        access_token=accounts.GITLAB_TOKEN,
        options={"server": f"{url}/gitlab"},
    )
    wired.pipelines = {
        name: factories.PipelineFactory(
            tenant=tenant,
            scm=wired.scm,
            target=target,
            pipeline_type="GITLAB_CI",
            server_url="",
            username="",
            api_token=None,
            job="",
        )
        for name, target in wired.targets.items()
    }
    return wired


def wire_any_ci(tenant: Tenant, url: str, *, has_status: bool = True) -> Wired:
    """The same with receivers of their own, which are asked for a build's status or cannot be."""
    wired = wire(tenant, url, {})
    wired.pipelines = {
        name: factories.PipelineFactory(
            tenant=tenant,
            scm=wired.scm,
            target=wired.targets[name],
            pipeline_type="WEBHOOK",
            server_url=f"{url}/anyci/hooks/{name}",
            username="",
            api_token=json.dumps({"Authorization": f"Bearer {accounts.ANY_CI_TOKEN}"}),
            job="",
            webhook_secret=accounts.ANY_CI_SECRET,
            options={"status_url": f"{url}/anyci/status/{{buildId}}"} if has_status else {},
        )
        for name in accounts.RECEIVERS
    }
    return wired


def wired_to(tenant: Tenant, sandbox: SandboxServer, **kwargs: Any) -> Wired:
    return wire(tenant, sandbox.url, **kwargs)


def trigger_of(build: Build) -> Effect:
    """The effect that triggers a build."""
    effect: Effect = Effect.objects.get(kind="build.trigger", build_id=build.pk)
    return effect


def fresh(row: Any) -> Any:
    """The row as it is in the database now."""
    return type(row).objects.get(pk=row.pk)
