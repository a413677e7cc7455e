"""The checks of a Jenkins connection. None of them changes anything on the server."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..base import Check, Level, Outcome, ProviderError
from ..http import garbage, parse_object
from .client import LABEL, JenkinsClient, is_jenkins, not_jenkins
from .paths import full_name
from .reading import BUILD_ID, JOB_TREE, PLAIN_JOB_TREE, Job, read_job

REQUIRED = ("VERSION", "BRANCH")
_CHOICE = ("ChoiceParameterDefinition", "BooleanParameterDefinition")
_WHO_TREE = "name,anonymous,authenticated"


class Verification:
    def __init__(self, client: JenkinsClient, job_path: Callable[[], str]) -> None:
        self._client = client
        self._job_path = job_path
        self._name = ""
        self._job = Job(kind="", buildable=False, parameters={}, queued=None)

    def sign_in(self) -> list[Check]:
        """`address` and `credentials`: one request, and mended in two places.

        An anonymous visitor is answered with 200 and "authenticated", too.
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
        """Jenkins tells the user's id; ids differ in nothing but case at most."""
        expected = self._client.username
        if self._name.casefold() == expected.casefold():
            return [Check(name="account", ok=True, message=f"Signed in as {expected}.")]
        raise ProviderError(
            "wrong_account",
            f"Jenkins knows these credentials under another name than {expected}.",
            "Enter the user's id as Jenkins shows it under People.",
            outcome=Outcome.CREDENTIALS,
        )

    def job(self) -> list[Check]:
        path = self._job_path()
        self._job = job_at(self._client, path)
        check_buildable(self._job, path)
        return []

    def permission(self) -> list[Check]:
        words = "Jenkins tells only at the first build whether this user may start the job."
        return [Check.untested("permission", words)]

    def parameters(self) -> list[Check]:
        declared = self._job.parameters
        if not declared:
            return [_no_parameters()]
        check_parameters(self._job)
        closed = [name for name in REQUIRED if declared[name].kind in _CHOICE]
        return [_closed_choice(closed)] if closed else []

    def correlation(self) -> list[Check]:
        """Whether a build whose answer was lost can be found again."""
        carrier = self._job.parameters.get(BUILD_ID)
        if carrier is not None and carrier.kind not in _CHOICE:
            return []
        return [
            Check(
                name="correlation",
                ok=False,
                code="no_build_id",
                level=Level.WARNING,
                message=f"The job has no text parameter {BUILD_ID}: when Jenkins' answer to a "
                "trigger gets lost, delivr cannot tell whether the build started, and a person "
                "must look.",
                hint=f"Add a string parameter {BUILD_ID} to the job, empty by default.",
            )
        ]


def _known(anonymous: object) -> Check:
    if anonymous is False:
        return Check(name="credentials", ok=True)
    return Check(
        name="credentials",
        ok=False,
        code="anonymous",
        message="Jenkins took no notice of the user and token and treats us as a stranger.",
        hint="A proxy in front of Jenkins may drop the Authorization header.",
    )


def _no_parameters() -> Check:
    return Check(
        name="parameters",
        ok=False,
        code="no_parameters",
        level=Level.WARNING,
        message="The job declares no parameters: it builds without knowing version and branch.",
        hint="Declare VERSION and BRANCH. If they stand in the Jenkinsfile, run the job once by "
        "hand: Jenkins learns them from the first run.",
    )


def _closed_choice(names: list[str]) -> Check:
    return Check(
        name="parameters",
        ok=False,
        code="closed_choice",
        level=Level.WARNING,
        message=f"{' and '.join(names)} can take only the values that the job lists.",
        hint="Make it a string parameter: Jenkins refuses every other value.",
    )


def job_at(client: JenkinsClient, path: str) -> Job:
    """Raises ProviderError where there is none, or what is shown is none: one that tells of no
    parameters would be built without them."""
    document = client.get_fitting(path, JOB_TREE, PLAIN_JOB_TREE)
    if document is None:
        raise job_not_found(path, client.username)
    if not isinstance(document.get("_class", document.get("buildable")), str | bool):
        raise garbage(LABEL)
    return read_job(document)


def job_not_found(path: str, username: str) -> ProviderError:
    return ProviderError(
        "job_not_found",
        f"Jenkins has no job {full_name(path)}, or {username} may not see it.",
        "Check the path, and that the user has Job/Read.",
        outcome=Outcome.REFUSED,
    )


def check_buildable(job: Job, path: str) -> None:
    """Raises ProviderError (REFUSED) for a folder and for a disabled job."""
    if job.is_container:
        raise ProviderError(
            "not_a_job",
            f"{full_name(path)} is a folder of jobs.",
            "Enter one of the jobs in it; of a multibranch project, one of its branches.",
            outcome=Outcome.REFUSED,
        )
    if not job.buildable:
        raise ProviderError(
            "disabled",
            f"The job {full_name(path)} is disabled.",
            "Enable it in Jenkins.",
            outcome=Outcome.REFUSED,
        )


def check_parameters(job: Job) -> None:
    """Raises ProviderError (REFUSED) where the job would build something else than it was told:
    Jenkins drops what is not declared, without a word."""
    missing = [name for name in REQUIRED if name not in job.parameters]
    if job.parameters and missing:
        raise ProviderError(
            "parameters_missing",
            f"The job does not declare the parameter {' and '.join(missing)}.",
            "Add it to the job as a string parameter, under exactly this name.",
            outcome=Outcome.REFUSED,
        )


def check_choices(job: Job, form: Mapping[str, str]) -> None:
    """Raises ProviderError (REFUSED) for a value that the job's list lacks: Jenkins would answer
    with a page that names no reason."""
    for name, value in form.items():
        allowed = job.parameters[name].choices
        if allowed and value not in allowed:
            raise ProviderError(
                "illegal_choice",
                f"The parameter {name} does not allow the value that was to be sent.",
                f"Make {name} a string parameter, or add the value to its choices in Jenkins.",
                outcome=Outcome.REFUSED,
            )
