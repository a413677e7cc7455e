"""What a pipeline of a branch takes: the project's settings, its CI file, and GitLab's version.

https://docs.gitlab.com/api/repository_files/
https://docs.gitlab.com/ci/variables/#restrict-pipeline-variables
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any

from ..base import ProviderError
from ..gitlab.addresses import enc
from ..gitlab.project import Project, access_level
from ..http import garbage
from .config import MAX_FILE, CiFile, parse_ci_file
from .reading import LABEL

USUAL_PATH = ".gitlab-ci.yml"
OLDEST = (14, 0)
INPUTS_SINCE = (17, 10)  # https://docs.gitlab.com/api/pipelines/#create-a-new-pipeline
NAMES_SINCE = (16, 3)  # https://docs.gitlab.com/api/pipelines/#list-project-pipelines
# Who may set variables, by the role that it takes; nobody's role is as high as the last one.
_ROLES = {"developer": 30, "maintainer": 40, "owner": 50, "no_one_allowed": 1000}
_VERSION = re.compile(r"(\d{1,3})\.(\d{1,3})")
_ELSEWHERE = re.compile(r"(?P<path>[^@:]+)@(?P<project>[^@:]+)(?::(?P<ref>.+))?")


@dataclass(frozen=True, kw_only=True)
class Setup:
    """`may_set_variables` is None where GitLab does not tell: it tells maintainers alone."""

    file: CiFile
    version: tuple[int, int]
    may_set_variables: bool | None

    @property
    def names_build_id(self) -> bool:
        """True if a pipeline is found by its name."""
        return self.file.names_build_id and self.version >= NAMES_SINCE

    @property
    def carries_build_id(self) -> bool:
        """True if a pipeline of ours is certainly found by our id. Where a file takes variables,
        none is created without ours."""
        may_set = self.may_set_variables
        return (
            self.names_build_id or bool(may_set) or (may_set is None and not self.file.takes_inputs)
        )


class Source:
    def __init__(self, project: Project) -> None:
        self._project = project

    def version(self) -> tuple[int, int]:
        """https://docs.gitlab.com/api/version/"""
        data = self._project.client.get("/version").data
        found = _VERSION.match(str(data.get("version")) if isinstance(data, dict) else "")
        if found is None:
            raise garbage(LABEL)
        return int(found[1]), int(found[2])

    def setup(self, branch: str = "") -> Setup:
        """Of the branch, or the default branch. Raises ProviderError."""
        about = self._project.read()
        if about.get("builds_access_level") == "disabled" or about.get("jobs_enabled") is False:
            raise ProviderError.refused(
                "ci_disabled",
                f"CI/CD is switched off in {self._project.path}.",
                "Switch it on in GitLab under Settings > General > Visibility.",
            )
        setup = Setup(
            file=self._file(about, branch or str(about.get("default_branch") or "HEAD")),
            version=self.version(),
            may_set_variables=_may_set_variables(about),
        )
        if setup.file.takes_inputs and setup.version < INPUTS_SINCE:
            raise _too_old_for_inputs(setup.version)
        return setup

    def _file(self, about: dict[str, Any], branch: str) -> CiFile:
        path = str(about.get("ci_config_path") or USUAL_PATH)
        if "://" in path:
            return CiFile()  # of another server, which is not ours to ask: it takes variables
        elsewhere = _ELSEWHERE.fullmatch(path)
        if elsewhere is None:
            return self._read(self._project, path, branch)
        other = Project(self._project.client, elsewhere["project"])
        return self._read(other, elsewhere["path"], elsewhere["ref"] or "HEAD")

    def _read(self, project: Project, path: str, branch: str) -> CiFile:
        try:
            data = project.get(f"/repository/files/{enc(path)}", ref=branch)
        except ProviderError as error:
            failure = error
        else:
            return _parsed(data, path, branch)
        if failure.code != "not_found":
            raise failure
        raise ProviderError.refused(
            "ci_file_missing",
            f"The branch {branch} of {project.path} has no {path}, or the token may not read it.",
            "Bring the file to this branch: a pipeline takes it from there. GitLab asks for its "
            "path under Settings > CI/CD > General pipelines.",
        )


def _parsed(data: Any, path: str, branch: str) -> CiFile:
    content = data.get("content") if isinstance(data, dict) else None
    try:
        raw = base64.b64decode(str(content or ""))
        if len(raw) <= MAX_FILE:
            return parse_ci_file(raw)
        words = f"It is larger than {MAX_FILE // 1024} KiB."
    except binascii.Error:
        words = "It cannot be read."
    except ValueError as error:
        words = str(error)
    raise ProviderError.refused(
        "ci_file_unreadable",
        f"{path} on {branch} cannot be used. {words}",
        "Mend the file on this branch: GitLab checks it under Build > Pipeline editor.",
    )


def _may_set_variables(about: dict[str, Any]) -> bool | None:
    needed, level = about.get("ci_pipeline_variables_minimum_override_role"), access_level(about)
    if needed not in _ROLES or level is None:
        return None
    return level >= _ROLES[needed]


def _too_old_for_inputs(version: tuple[int, int]) -> ProviderError:
    return ProviderError.refused(
        "too_old_for_inputs",
        f"The CI file declares inputs, and GitLab {version[0]}.{version[1]} takes them by its API "
        f"since {INPUTS_SINCE[0]}.{INPUTS_SINCE[1]} only: it would ignore them.",
        "Update GitLab, or use variables in the CI file.",
    )
