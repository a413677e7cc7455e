"""Helpers for the tests of the release pages: a finished setup, and the text of responses."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from delivr.tenants.models import Tenant, User
from delivr.tests import factories
from releases.models import Release
from releases.operations import create_release


@dataclass
class Setup:
    """A workspace with all providers connected: two stores, two jobs, Slack and Jira."""

    tenant: Tenant
    scm: Any = field(init=False)
    ios: Any = field(init=False)
    android: Any = field(init=False)
    ios_job: Any = field(init=False)
    android_job: Any = field(init=False)
    slack: Any = field(init=False)
    jira: Any = field(init=False)

    def __post_init__(self) -> None:
        tenant = self.tenant
        self.scm = factories.ScmFactory(tenant=tenant)
        self.ios = factories.AppStoreFactory(tenant=tenant)
        self.android = factories.PlayStoreFactory(tenant=tenant)
        self.ios_job = factories.PipelineFactory(tenant=tenant, scm=self.scm, target=self.ios)
        self.android_job = factories.PipelineFactory(
            tenant=tenant, scm=self.scm, target=self.android, job="/job/android"
        )
        self.slack = factories.SlackFactory(tenant=tenant)
        self.jira = factories.JiraFactory(tenant=tenant)

    def form(self, **changes: Any) -> dict[str, Any]:
        """The posted values of the form of a new release."""
        return {
            "version": "1.5.0",
            "branch": "",
            "scm": self.scm.pk,
            "targets": [self.ios.pk, self.android.pk],
            "pipelines": [self.ios_job.pk, self.android_job.pk],
            "communications": [self.slack.pk],
            "ticket": self.jira.pk,
            **changes,
        }

    def release(self, version: str = "1.5.0", actor: User | None = None) -> Release:
        return create_release(
            tenant=self.tenant,
            actor=actor,
            version=version,
            scm_id=self.scm.pk,
            target_ids=[self.ios.pk, self.android.pk],
            pipeline_ids=[self.ios_job.pk, self.android_job.pk],
            communication_ids=[self.slack.pk],
            ticket_id=self.jira.pk,
        )


def text_of(response: Any) -> str:
    """The text of the page's main part, without markup; entities are kept."""
    html = response.content.decode()
    main = re.search(r"<main.*?</main>", html, re.S)
    bare = re.sub(r"<[^>]+>", " ", main[0] if main else html)
    return re.sub(r"\s+", " ", bare)


def message_of(response: Any) -> str:
    """The message at the top of the page after a followed redirect."""
    return " ".join(str(message) for message in response.context["messages"])
