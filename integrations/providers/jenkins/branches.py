"""Multibranch projects: one job for each branch, which a scan of the repository creates.

https://www.jenkins.io/doc/book/pipeline/multibranch/
"""

from __future__ import annotations

import re

from ..base import Outcome, ProviderError
from ..http import dicts
from .client import JenkinsClient
from .paths import child_path, full_name, path_below
from .reading import PARAMETERS_TREE, Job, is_multibranch, read_job

HAS_BRANCHES = "job"  # the check that has a message for a multibranch project, and none else
MAX_BRANCHES = 50  # that are looked through for declared parameters
SCAN_TIME = 60.0  # seconds until a branch is looked for again; each time a scan is asked for
FIRST_RUN_TIME = 20.0
# What stands in a branch's job for characters of its name, which addresses quote once more:
# https://github.com/jenkinsci/branch-api-plugin (NameEncoder)
_QUOTED = re.compile(r"[#%/?\[\]\\]")


def branch_job(project: str, branch: str) -> str:
    """The path of a branch's job, whether it exists or not."""
    return project + child_path(_QUOTED.sub(lambda c: f"%{ord(c[0]):02X}", branch))


def project_of(path: str) -> str:
    """The path of the project or folder in which a job is; "" at the top."""
    return path.rpartition("/job/")[0]


def branch_jobs(client: JenkinsClient, project: str) -> dict[str, Job]:
    """The first jobs of a multibranch project with their parameters, by path; none of a folder."""
    names, most = "name,buildable", f"{{0,{MAX_BRANCHES}}}"
    trees = (f"jobs[{names},{PARAMETERS_TREE}]{most}", f"jobs[{names}]{most}")
    document = client.get_fitting(project, *trees) or {}
    if not is_multibranch(str(document.get("_class"))):
        return {}
    named = ((path_below(project, job), job) for job in dicts(document.get("jobs")))
    return {path: read_job(job) for path, job in named if path}


def missing_branch(client: JenkinsClient, path: str) -> ProviderError | None:
    """The error for a job that is not there, if it is that of a branch: a scan is started, and
    finds the branch. None for any other job."""
    project = project_of(path)
    found = client.get_or_none(project, tree="name") if project else None
    if found is None or not is_multibranch(str(found.get("_class"))):
        return None
    answer = client.post(f"{project}/build?delay=0")
    words = {"branch": full_name(path).removeprefix(full_name(project) + "/")}
    is_started = answer.status_code in (200, 201, 204, 302, 303)
    return ProviderError(
        "branch_job_missing",
        f"{full_name(project)} has no job for the branch {words['branch']} yet.",
        _SCANNED if is_started else _NOT_SCANNED,
        outcome=Outcome.NOT_YET,
        retry_after=SCAN_TIME,
    )


_SCANNED = (
    "Jenkins was asked to scan the repository. If the job does not appear, the branch has no "
    "Jenkinsfile, or the project leaves the branch out."
)
_NOT_SCANNED = (
    "delivr may not start a scan: start “Scan Multibranch Pipeline Now” in Jenkins, or give its "
    "user Job/Build on the project."
)


def check_first_run(client: JenkinsClient, job: Job, path: str) -> None:
    """Raises ProviderError (NOT_YET) for the job of a new branch that does not know its parameters
    yet, if those of other branches have some: it would be built without a version. Jenkins learns
    them from the first run, which usually starts when the branch is found."""
    if job.parameters or not project_of(path):
        return
    others = branch_jobs(client, project_of(path))
    if not any(other.parameters for other in others.values()):
        return
    raise ProviderError(
        "first_run_missing",
        f"Jenkins does not know the parameters of {full_name(path)} yet.",
        "It learns them from the branch's first run. If Jenkins does not start that by itself, "
        "start it there by hand.",
        outcome=Outcome.NOT_YET,
        retry_after=FIRST_RUN_TIME,
    )
