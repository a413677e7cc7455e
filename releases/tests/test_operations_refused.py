"""Why a release is refused: all errors at once, in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from delivr.tests import factories
from delivr.tests.wired import Wired, wire
from integrations import operations as integrations
from releases.models import Release
from releases.operations import create_release
from releases.tests.new_release import NOWHERE, VERSION_WORDS, errors_of, invalid, values_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def wired(tenant: Any) -> Wired:
    return wire(tenant, NOWHERE)


def release_of(target: Any) -> Release:
    part = factories.ReleaseTargetFactory(
        release__tenant=target.tenant, target=target, release__version="9.9", held_version="9.9"
    )
    found: Release = part.release
    return found


UNKNOWN = "There is no connection “%s”."
NOT_VERIFIED = "%s is not verified. Verify it first."
# name -> (wired -> changes, wired -> errors)
CHECKS: dict[str, tuple[Callable[[Wired], dict[str, Any]], Callable[[Wired], dict[str, Any]]]] = {
    "no scm": (
        lambda w: {"scm_id": ""},
        lambda w: {"scm": ["Choose a repository."]},
    ),
    "unknown scm": (
        lambda w: {"scm_id": "scm_github_none"},
        lambda w: {"scm": [UNKNOWN % "scm_github_none"]},
    ),
    "unverified scm": (
        lambda w: {"scm_id": invalid(w.scm).pk},
        lambda w: {"scm": [NOT_VERIFIED % w.scm]},
    ),
    "expired scm": (
        lambda w: {"scm_id": invalid(w.scm, "EXPIRED").pk},
        lambda w: {"scm": [NOT_VERIFIED % w.scm]},
    ),
    "no targets": (
        lambda w: {"target_ids": [], "pipeline_ids": []},
        lambda w: {"targets": ["Choose at least one."], "pipelines": ["Choose at least one."]},
    ),
    "no pipelines": (
        lambda w: {"pipeline_ids": []},
        lambda w: {"pipelines": ["Choose at least one."]},
    ),
    "unknown target": (
        lambda w: {"target_ids": [*(t.pk for t in w.targets.values()), "target_x"]},
        lambda w: {"targets": [UNKNOWN % "target_x"]},
    ),
    "unverified targets": (
        lambda w: {"target_ids": [invalid(t, "PENDING").pk for t in w.targets.values()]},
        lambda w: {"targets": [NOT_VERIFIED % t for t in w.targets.values()]},
    ),
    "unknown pipelines": (
        lambda w: {"pipeline_ids": ["pipeline_x", "pipeline_y"]},
        lambda w: {"pipelines": [UNKNOWN % "pipeline_x", UNKNOWN % "pipeline_y"]},
    ),
    "pipeline of another repository": (
        lambda w: {"scm_id": factories.ScmFactory(tenant=w.tenant).pk},
        lambda w: {"pipelines": [f"{p} builds another repository." for p in w.pipelines.values()]},
    ),
    "pipeline for another target": (
        lambda w: {"target_ids": [w.targets["ios"].pk]},
        lambda w: {
            "pipelines": [
                f"{w.pipelines['android']} builds for a target that this release does not have."
            ]
        },
    ),
    "unknown communication": (
        lambda w: {"communication_ids": ["comm_x"]},
        lambda w: {"communications": [UNKNOWN % "comm_x"]},
    ),
    "unknown ticket": (
        lambda w: {"ticket_id": "ticket_x"},
        lambda w: {"ticket": [UNKNOWN % "ticket_x"]},
    ),
    "an id of another family": (
        lambda w: {"communication_ids": [w.jira.pk]},
        lambda w: {"communications": [UNKNOWN % w.jira.pk]},
    ),
    "no version": (lambda w: {"version": ""}, lambda w: {"version": [VERSION_WORDS]}),
    "version taken": (
        lambda w: {"version": release_of(w.targets["android"]).version},
        lambda w: {
            "version": [f"Release {Release.objects.get()} of com.dream11.app already exists."]
        },
    ),
    "illegal branch": (
        lambda w: {"branch": "no branch"},
        lambda w: {"branch": ["This is not a valid git branch name."]},
    ),
    "illegal branch after the version": (
        lambda w: {"version": "1..0"},
        lambda w: {"branch": ["This is not a valid git branch name."]},
    ),
    "known errors": (
        lambda w: {"known_errors": {"targets": ["Not a list."]}, "target_ids": []},
        lambda w: {
            "targets": ["Not a list."],
            "pipelines": [
                f"{p} builds for a target that this release does not have."
                for p in w.pipelines.values()
            ],
        },
    ),
}


@pytest.mark.parametrize("name", CHECKS)
def test_each_check_has_its_own_error(wired: Wired, name: str) -> None:
    changes, words = CHECKS[name]
    wish = changes(wired)
    assert errors_of(wired, **wish) == words(wired)


def test_everything_that_is_wrong_comes_at_once(wired: Wired) -> None:
    found = errors_of(
        wired,
        version="-bad",
        branch="bad branch",
        scm_id="scm_x",
        target_ids=["target_x"],
        pipeline_ids=["pipeline_x"],
        communication_ids=["comm_x"],
        ticket_id="ticket_x",
    )
    assert set(found) == {
        "version",
        "branch",
        "scm",
        "targets",
        "pipelines",
        "communications",
        "ticket",
    }


@pytest.mark.parametrize("version", ["1", "1.5.0", "1.5.0-rc.1+b_2", "v2", "9" * 64])
def test_a_legal_version_is_taken(wired: Wired, version: str) -> None:
    assert create_release(**values_of(wired, version=version)).version == version


@pytest.mark.parametrize(
    "version", ["-1", ".1", "+1", "_1", "1 0", "1/0", "1\n0", "é1", "1é", "１", "9" * 65, "1\x00"]
)
def test_an_illegal_version_is_refused_without_a_word_about_the_branch(
    wired: Wired, version: str
) -> None:
    assert errors_of(wired, version=version) == {"version": [VERSION_WORDS]}


def test_blanks_around_a_version_do_not_make_another_one(wired: Wired) -> None:
    create_release(**values_of(wired))
    assert errors_of(wired, version=" 1.5.0 ") == {
        "version": ["Release 1.5.0 of com.dream11.app already exists."]
    }


def test_versions_of_other_tenants_are_free(wired: Wired) -> None:
    factories.ReleaseFactory(version="1.5.0")
    create_release(**values_of(wired))
    assert Release.objects.filter(version="1.5.0").count() == 2


STRANGERS: dict[str, Callable[[Wired], dict[str, Any]]] = {
    "scm": lambda theirs: {"scm_id": theirs.scm.pk},
    "targets": lambda theirs: {"target_ids": [theirs.targets["ios"].pk]},
    "pipelines": lambda theirs: {"pipeline_ids": [theirs.pipelines["ios"].pk]},
    "communications": lambda theirs: {"communication_ids": [theirs.slack.pk]},
    "ticket": lambda theirs: {"ticket_id": theirs.jira.pk},
}


@pytest.mark.parametrize("field", STRANGERS)
def test_another_tenants_id_is_answered_as_an_unknown_one(wired: Wired, field: str) -> None:
    changes = STRANGERS[field](wire(factories.TenantFactory(), NOWHERE))
    (name, theirs), *_rest = changes.items()
    pk = theirs[0] if isinstance(theirs, list) else theirs
    unknown = pk[:-4] + "none"
    said = errors_of(wired, **changes)
    of_nobody = errors_of(wired, **{name: [unknown] if isinstance(theirs, list) else unknown})
    assert said[field] == [UNKNOWN % pk]
    assert str(said).replace(pk, "X") == str(of_nobody).replace(unknown, "X")


def test_a_disconnected_connection_is_unknown(wired: Wired) -> None:
    integrations.disconnect(wired.slack, actor=None)
    assert errors_of(wired) == {"communications": [UNKNOWN % wired.slack.pk]}
