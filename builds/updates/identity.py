"""Checks whether a report or a state is about our build: its number alone is not enough.

Numbers restart when a job is recreated or the CI server is restored from a backup, several jobs may
report to one address, and people start builds manually. So information about a number is used only
if it does not contradict anything that we know about our build.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from builds.models import Build, TestBuild
from integrations.providers.ci import BuildReport, BuildState
from integrations.providers.scm import short_branch
from releases.models import ReleasePipeline

CLOCK_SKEW = timedelta(minutes=10)  # between the CI server's clock and the database's
SAME_START = timedelta(seconds=2)  # servers report the start in seconds or in milliseconds


def why_not_reported(build: Build, report: BuildReport) -> str:
    """Why a webhook is not about this build, in words; "" if nothing contradicts it."""
    # A CI server may accept job names in any case, and report them as they were created.
    if report.job_path and report.job_path.casefold() != build.job_path.casefold():
        return _("It is for a different job than %(build)s.") % {"build": build}
    if build.handle.is_another(report):
        name = f"#{report.number}" if report.number else report.build_id
        return _("Build %(name)s is another run with the same parameters.") % {"name": name}
    # What was adopted may have started before.
    began = min(build.created_at, build.server_started_at or build.created_at)
    if not report.build_id and report.at and report.at < began - CLOCK_SKEW:
        return _("It reports a time before %(build)s was triggered.") % {"build": build}
    return ""


def why_not_found(build: Build | TestBuild, state: BuildState) -> str:
    """Why the CI server's state is not of this build, in words; "" if nothing contradicts it.

    States are read by number, so this checks that the number still belongs to our build.
    """
    words = {"number": state.number}
    # What was adopted carries the id that it was started with.
    ids = ("", build.pk, build.parameters.get("DELIVR_BUILD_ID", ""))
    if reason := _why_contradicted(ids, build.parameters.get("VERSION", state.version), state):
        return reason
    if build.handle.is_another(state):
        return _("#%(number)s came from another queue item.") % words
    if _started_at_another_time(build, state):
        return _("#%(number)s started at a different time: its job was created again.") % words
    return ""


def why_not_adopted(part: ReleasePipeline, ours: Sequence[Build], state: BuildState) -> str:
    """Why a person cannot adopt this state for a release, in words; "" if nothing contradicts it.
    `ours` are our builds of its pipeline, the newest first: their numbers may differ from it."""
    release, newest = part.release, next(iter(ours), None)
    words = {"number": state.number, "build": newest, "release": release, "branch": state.branch}
    ids = ["", *(build.pk for build in ours)]
    if reason := _why_contradicted(ids, release.version, state):
        return reason
    if state.branch not in ("", short_branch(release.branch)):
        return _("#%(number)s was built from the branch %(branch)s.") % words
    if newest is not None and _started_before(newest.created_at, state):
        return _("#%(number)s started before %(build)s was triggered.") % words
    if _started_before(release.created_at, state):
        return _("#%(number)s started before release %(release)s was created.") % words
    return ""


def _why_contradicted(ids: Collection[str], version: str, state: BuildState) -> str:
    words = {"number": state.number, "version": state.version}
    if state.carried_id not in ids:
        return _("#%(number)s was started for another delivr build.") % words
    if state.version not in ("", version):
        return _("#%(number)s is for version %(version)s.") % words
    return ""


def _started_before(moment: datetime, state: BuildState) -> bool:
    return state.started_at is not None and state.started_at < moment - CLOCK_SKEW


def _started_at_another_time(build: Build | TestBuild, state: BuildState) -> bool:
    if build.server_started_at is None or state.started_at is None:
        return _started_before(build.created_at, state)
    return abs(state.started_at - build.server_started_at) > SAME_START
