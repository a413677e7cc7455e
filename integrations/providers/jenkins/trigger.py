"""Jenkins' responses to a trigger, as sent by hudson.model.ParameterizedJobMixIn and Queue:
https://github.com/jenkinsci/jenkins/blob/master/core/src/main/java/jenkins/model/ParameterizedJobMixIn.java
"""

from __future__ import annotations

import re

import requests

from ..base import Outcome, ProviderError
from ..ci import BuildState, BuildStatus
from .client import JenkinsClient
from .lookup import job_unreadable
from .paths import full_name
from .reading import Job

_QUEUE_ID = re.compile(r"/queue/item/(\d{1,18})/?$", re.ASCII)
_CHOICE = re.compile(rb"Illegal choice for parameter ([A-Za-z0-9_.-]{1,100})")
# The job's parameters changed after they were read and before the trigger.
_CHANGED = (b"is not parameterized", b"Nothing is submitted", b"expects a form submission")


def queued_build(answer: requests.Response, job: Job) -> BuildState:
    """The queue item that a 201 or 303 names. Raises ProviderError (UNCERTAIN) if it names none.

    Only the number is taken from `Location`: its host is often wrong behind a proxy.
    """
    found = _QUEUE_ID.search(answer.headers.get("Location", ""))
    if found is None:
        raise ProviderError(
            "no_queue_id",
            "Jenkins accepted the build but did not say where it is queued.",
            "A proxy may have removed the Location header. delivr looks for the build.",
            outcome=Outcome.UNCERTAIN,
        )
    queue_id = int(found[1])
    # 303: merged into an equal item. For a job without parameters that is also a 201.
    was_merged = answer.status_code == 303 or queue_id == job.queued
    return BuildState(
        status=BuildStatus.QUEUED,
        queue_id=queue_id,
        is_shared=was_merged and not job.carries_build_id,
    )


def trigger_error(client: JenkinsClient, answer: requests.Response, path: str) -> ProviderError:
    """The error for any other response."""
    status, body = answer.status_code, answer.content
    if status in (400, 500) and any(words in body for words in _CHANGED):
        return ProviderError(
            "parameters_changed",
            "The job's parameters have just been changed.",
            "delivr retries automatically.",
            outcome=Outcome.NOT_SENT,
        )
    if status == 500 and (choice := _CHOICE.search(body)):
        return ProviderError.refused(
            "illegal_choice",
            f"The parameter {choice[1].decode()} does not allow the value that was sent.",
            "Make it a string parameter, or send one of the values that the job lists.",
        )
    if 300 <= status < 400 and client.error(answer).outcome is Outcome.CREDENTIALS:
        return client.error(answer)
    if 300 <= status < 400:
        return ProviderError.refused(
            "not_scheduled",
            "Jenkins refused to queue the build.",
            "A plugin of this Jenkins blocks new builds: ask its administrator.",
        )
    if status == 404:
        return job_unreadable(path, client.username, outcome=Outcome.NOT_SENT)
    if status == 409:
        return ProviderError.refused(
            "disabled", f"The job {full_name(path)} is disabled.", "Enable it in Jenkins."
        )
    if status < 300:
        return ProviderError(
            "garbage",
            f"Jenkins returned an unexpected response to the trigger (HTTP {status}).",
            "There may be a proxy or a login page in between. delivr looks for the build.",
            outcome=Outcome.UNCERTAIN,
        )
    return client.error(answer)
