"""The checks of a Jenkins connection. None of them changes anything on the server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..base import Check, Outcome, ProviderError
from ..http import garbage, parse_object
from .branches import HAS_BRANCHES, branch_jobs
from .client import LABEL, JenkinsClient, is_jenkins, not_jenkins
from .paths import full_name
from .reading import (
    BUILD_ID,
    JOB_TREE,
    PLAIN_JOB_TREE,
    SHUTTING_DOWN,
    Job,
    is_multibranch,
    one_line,
    read_job,
)

REQUIRED = ("VERSION", "BRANCH")
_CHOICE = ("ChoiceParameterDefinition", "BooleanParameterDefinition")
_WHO_TREE = "name,anonymous,authenticated"


class Verification:
    def __init__(
        self, client: JenkinsClient, job_path: Callable[[], str], own: Mapping[str, str]
    ) -> None:
        self._client = client
        self._job_path = job_path
        self._own = own  # the pipeline's own parameters
        self._name = ""
        self._job = Job(kind="", buildable=False, parameters={}, queued=None)

    def sign_in(self) -> list[Check]:
        """`address` and `credentials`, from one request.

        Jenkins also answers an anonymous request with 200 and "authenticated".
        """
        answer = self._client.fetch("/whoAmI", tree=_WHO_TREE)
        if answer.status_code != 200:
            error = self._client.error(answer)
            if error.outcome is not Outcome.CREDENTIALS:
                raise error
            return [Check(name="address", ok=True), Check.from_error("credentials", error)]
        who = parse_object(answer.content) if is_jenkins(answer) else None
        if who is None or not isinstance(who.get("name"), str):
            raise not_jenkins()
        self._name = str(who.get("name") or "")
        return [Check(name="address", ok=True), _known(who.get("anonymous"))]

    def account(self) -> list[Check]:
        """Jenkins returns the user's id, whose case may differ."""
        expected = self._client.username
        if self._name.casefold() == expected.casefold():
            return [Check(name="account", ok=True, message=f"Signed in as {expected}.")]
        raise ProviderError(
            "wrong_account",
            f"Jenkins knows these credentials under a name other than {expected}.",
            "Enter the user's id as Jenkins shows it under People.",
            outcome=Outcome.CREDENTIALS,
        )

    def availability(self) -> list[Check]:
        """A server that is shutting down takes builds into its queue, and starts none."""
        answer = self._client.fetch("", tree="quietingDown,quietDownReason")
        document = parse_object(answer.content) if answer.status_code == 200 else None
        if document is None or document.get("quietingDown") is not True:
            return []  # or it does not tell
        reason = document.get("quietDownReason")
        said = f"Jenkins says: “{one_line(reason)}”" if isinstance(reason, str) and reason else ""
        return [Check.warning("availability", "shutting_down", SHUTTING_DOWN, said)]

    def job(self) -> list[Check]:
        path = self._job_path()
        self._job = job_at(self._client, path)
        if not is_multibranch(self._job.kind):
            check_buildable(self._job, path)
            return []
        self._job = self._some_branch(path)
        words = "Each branch has its own job: a release uses that of its branch."
        return [Check(name=HAS_BRANCHES, ok=True, message=words)]

    def _some_branch(self, project: str) -> Job:
        """A job of the project that declares parameters, or else any. Raises ProviderError."""
        found = [job for job in branch_jobs(self._client, project).values() if job.buildable]
        if not found:
            raise ProviderError.refused(
                "no_branches",
                f"{full_name(project)} has no branches yet, or {self._client.username} may not see "
                "them.",
                "Scan the repository in Jenkins, and check that the user has Job/Read.",
            )
        return next((job for job in found if job.parameters), found[0])

    def permission(self) -> list[Check]:
        words = "Only the first build shows whether this user may start the job."
        return [Check.untested("permission", words)]

    def parameters(self) -> list[Check]:
        declared = self._job.parameters
        if not declared:
            return [_no_parameters()]
        check_parameters(self._job)
        closed = [name for name in REQUIRED if declared[name].kind in _CHOICE]
        return [_closed_choice(closed)] if closed else []

    def own_parameters(self) -> list[Check]:
        """Jenkins drops what the job does not declare without a word."""
        declared = self._job.parameters
        if not self._own or not declared:
            return []
        known = {n: text for n, text in self._own.items() if n in declared and "{{" not in text}
        check_choices(self._job, known)
        unknown = [name for name in self._own if name not in declared]
        return [_undeclared(unknown)] if unknown else []

    def correlation(self) -> list[Check]:
        """Whether a build can be found again after a lost response."""
        carrier = self._job.parameters.get(BUILD_ID)
        if carrier is not None and carrier.kind not in _CHOICE:
            return []
        return [
            Check.warning(
                "correlation",
                "no_build_id",
                f"The job has no text parameter {BUILD_ID}: if Jenkins' response to a "
                "trigger is lost, delivr cannot tell whether the build started, and someone has "
                "to check.",
                f"Add a string parameter {BUILD_ID} to the job, empty by default.",
            )
        ]


def _known(anonymous: object) -> Check:
    if anonymous is False:
        return Check(name="credentials", ok=True)
    return Check.failed(
        "credentials",
        "anonymous",
        "Jenkins ignored the user and token and treats delivr as anonymous.",
        "A proxy in front of Jenkins may drop the Authorization header.",
    )


def _no_parameters() -> Check:
    return Check.warning(
        "parameters",
        "no_parameters",
        "The job declares no parameters: it builds without knowing the version and the branch.",
        "Declare VERSION and BRANCH. If the Jenkinsfile declares them, run the job once "
        "manually: Jenkins learns them from the first run.",
    )


def _closed_choice(names: list[str]) -> Check:
    return Check.warning(
        "parameters",
        "closed_choice",
        f"{' and '.join(names)} accepts only the values that the job lists.",
        "Make it a string parameter: Jenkins refuses every other value.",
    )


def _undeclared(names: list[str]) -> Check:
    return Check.warning(
        "own_parameters",
        "undeclared",
        f"The job does not declare {' and '.join(names)}: Jenkins would drop it.",
        "Declare it in the job, or remove it here.",
    )


def job_at(
    client: JenkinsClient, path: str, trees: Sequence[str] = (JOB_TREE, PLAIN_JOB_TREE)
) -> Job:
    """The job. Raises ProviderError if there is none, or if the response is not a job, which would
    be built without parameters."""
    document = client.get_fitting(path, *trees)
    if document is None:
        raise job_not_found(path, client.username)
    if not isinstance(document.get("_class", document.get("buildable")), str | bool):
        raise garbage(LABEL)
    return read_job(document)


def job_not_found(path: str, username: str) -> ProviderError:
    return ProviderError.refused(
        "job_not_found",
        f"Jenkins has no job {full_name(path)}, or {username} may not see it.",
        "Check the path, and that the user has Job/Read.",
    )


def check_buildable(job: Job, path: str) -> None:
    """Raises ProviderError (REFUSED) for a folder and for a disabled job."""
    if job.is_container:
        raise ProviderError.refused(
            "not_a_job",
            f"{full_name(path)} is a folder of jobs.",
            "Enter one of the jobs in it.",
        )
    if not job.buildable:
        raise ProviderError.refused(
            "disabled", f"The job {full_name(path)} is disabled.", "Enable it in Jenkins."
        )


def check_parameters(job: Job) -> None:
    """Raises ProviderError (REFUSED) if the job does not declare our parameters: Jenkins silently
    drops undeclared ones."""
    missing = [name for name in REQUIRED if name not in job.parameters]
    if job.parameters and missing:
        raise ProviderError.refused(
            "parameters_missing",
            f"The job does not declare the parameter {' and '.join(missing)}.",
            "Add it to the job as a string parameter with exactly this name.",
        )


def check_choices(job: Job, form: Mapping[str, str]) -> None:
    """Raises ProviderError (REFUSED) for a value that a choice does not list: Jenkins' own response
    would not give the reason."""
    for name, value in form.items():
        allowed = job.parameters[name].choices
        if allowed and value not in allowed:
            raise ProviderError.refused(
                "illegal_choice",
                f"The parameter {name} does not allow the value that would be sent.",
                f"Make {name} a string parameter, or add the value to its choices in Jenkins.",
            )
