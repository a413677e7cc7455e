"""The parameters of one build."""

from __future__ import annotations

from collections.abc import Mapping

from integrations.providers.templates import COMMIT, fill_templates


def parameters_of(
    own: Mapping[str, str],
    *,
    version: str,
    branch: str,
    build_id: str,
    platform: str,
    commit: str | None,
) -> dict[str, str]:
    """The pipeline's own with their templates filled in, then ours, which take precedence. As long
    as the commit is unknown (None), its template stays as it is."""
    values = {
        "release.version": version,
        "release.branch": branch,
        "build.id": build_id,
        "platform": platform,
    }
    if commit is not None:
        values[COMMIT] = commit
    ours = {"VERSION": version, "BRANCH": branch, "DELIVR_BUILD_ID": build_id}
    return {**fill_templates(own, values), **ours}
