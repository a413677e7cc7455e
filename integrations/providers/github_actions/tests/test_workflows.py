"""Workflow files and inputs: what is read, what is sent, and what is refused before it is sent."""

from __future__ import annotations

import pytest

from integrations.providers.base import Outcome, ProviderError
from integrations.providers.github_actions.inputs import inputs_for
from integrations.providers.github_actions.paths import file_of, normalise_workflow
from integrations.providers.github_actions.workflows import MAX_NAME, Workflow, parse_workflow

INPUTS = """
on:
  workflow_dispatch:
    inputs:
      version: {required: true}
      delivr_build_id:
      debug: {type: boolean, default: false}
      parts: {type: number}
      track:
        type: choice
        required: true
        default: internal
        options: [internal, 1.10, yes]
"""


def workflow(text: str = INPUTS) -> Workflow:
    return parse_workflow(text.encode())


@pytest.mark.parametrize(
    ("text", "is_startable"),
    [
        ("on: workflow_dispatch", True),
        ("on: [push, workflow_dispatch]", True),
        ("on:\n  workflow_dispatch:", True),
        ("on:\n  workflow_dispatch: {}\n  push:", True),
        ('"on": workflow_dispatch', True),
        ("'on': {workflow_dispatch: null}", True),
        ("on: push", False),
        ("on: [push]", False),
        ("on:\n  push:\n    branches: [workflow_dispatch]", False),
        ("jobs: {}", False),
        ("true: workflow_dispatch", False),
    ],
)
def test_on_is_read_in_all_its_forms(text: str, is_startable: bool) -> None:
    assert workflow(text).is_startable is is_startable


def test_inputs_are_read_as_github_shows_them() -> None:
    found = workflow().inputs
    assert list(found) == ["version", "delivr_build_id", "debug", "parts", "track"]
    assert [one.kind for one in found.values()] == [
        "string",
        "string",
        "boolean",
        "number",
        "choice",
    ]
    assert (found["version"].is_required, found["debug"].default) == (True, "false")
    assert found["track"].options == ("internal", "1.10", "yes")


@pytest.mark.parametrize(
    ("run_name", "carries"),
    [
        ("Build ${{ inputs.delivr_build_id }}", True),
        ("Build ${{ github.event.inputs.delivr_build_id }}", True),
        ("Build ${{ inputs.version }} (${{inputs['delivr_build_id']}})", True),
        ("${{ format('{0}', inputs.delivr_build_id) }}", True),
        ("Build delivr_build_id", False),
        ("Build ${{ inputs.delivr_build_id_2 }}", False),
        ("", False),
    ],
)
def test_whether_a_runs_name_carries_our_id(run_name: str, carries: bool) -> None:
    text = f"run-name: {run_name!r}\n{INPUTS}"
    assert workflow(text).carries_build_id is carries
    assert not workflow(f"run-name: {run_name!r}\non: workflow_dispatch").carries_build_id


def test_only_the_beginning_of_a_long_name_is_searched() -> None:
    name = "${{" * 50_000
    found = workflow(f"run-name: {name!r}\n{INPUTS}")
    assert len(found.run_name) == MAX_NAME
    assert not found.carries_build_id


@pytest.mark.parametrize(
    ("concurrency", "is_constant"),
    [
        ("release", True),
        ("{group: release, cancel-in-progress: true}", True),
        ("'${{ github.ref }}'", False),
        ("{group: '${{ github.workflow }}-${{ github.ref }}'}", False),
        ("''", False),
    ],
)
def test_a_group_for_all_branches_is_noticed(concurrency: str, is_constant: bool) -> None:
    assert workflow(f"concurrency: {concurrency}").has_constant_group is is_constant


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{after}: &{after} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, after in zip("abcdefghijkl", "bcdefghijklm", strict=True)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"on: [", "not valid YAML"),
        (b"\xff\xfe", "not valid YAML"),
        (b"- a\n- b", "not a workflow"),
        (b"", "not a workflow"),
        (b"on: !!python/object/apply:os.system [ls]\nx: [", "not valid YAML"),
        (b"a: " + b"[" * 5000, "not valid YAML"),
        (b"# " + b"x" * (256 * 1024), "larger than 256 KiB"),
        (BOMB.encode(), "more than 100 YAML aliases"),
        (
            b"on: {workflow_dispatch: {inputs: {"
            + b", ".join(b"i%d: {}" % n for n in range(101))
            + b"}}}",
            "more than 100 inputs",
        ),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_file_that_is_none_or_too_much_is_refused(text: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_workflow(text)


def test_tags_make_no_objects() -> None:
    found = workflow("run-name: !!python/object/apply:os.getcwd []\non: workflow_dispatch")
    assert (found.run_name, found.is_startable) == ("", True)


def test_anchors_are_followed() -> None:
    text = "x: &names {type: string}\non:\n  workflow_dispatch:\n    inputs: {a: *names, b: *names}"
    assert list(workflow(text).inputs) == ["a", "b"]


# --- Inputs ---------------------------------------------------------------------------------------

GIVEN = {"VERSION": "1.5.0", "BRANCH": "release/1.5.0", "parts": "3"}


def sent(**own: str) -> dict[str, str]:
    return inputs_for(workflow(), {**GIVEN, **own}, build_id="bld_1")


def test_ours_are_sent_where_they_are_declared_and_own_ones_as_they_are() -> None:
    assert sent(debug="True", track="yes") == {
        "version": "1.5.0",
        "delivr_build_id": "bld_1",
        "parts": "3",
        "debug": "true",
        "track": "yes",
    }
    assert inputs_for(workflow("on: workflow_dispatch"), {"VERSION": "1"}, build_id="b") == {}


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ({"debug": "maybe"}, "debug must be true or false"),
        ({"parts": "three"}, "parts must be a number"),
        ({"parts": "1e999x"}, "parts must be a number"),
        ({"track": "beta"}, "track does not offer the option"),
        ({"VERSION": ""}, "version is required, but is empty"),
        ({"colour": "red"}, "does not declare the input colour"),
        ({"version2": "x", "debug": "x"}, "debug must be true or false"),
    ],
)
def test_what_github_would_refuse_is_refused_before(own: dict[str, str], words: str) -> None:
    with pytest.raises(ProviderError) as caught:
        sent(**own)
    assert (caught.value.code, caught.value.outcome) == ("inputs_refused", Outcome.REFUSED)
    assert words in caught.value.message


def test_all_complaints_come_at_once() -> None:
    with pytest.raises(ProviderError) as caught:
        sent(debug="x", parts="y", colour="z")
    assert all(word in caught.value.message for word in ("debug", "parts", "colour"))


def test_the_length_counts_characters_of_compact_json() -> None:
    declared = "on: {workflow_dispatch: {inputs: {a: {}}}}"
    fits = {"a": "é" * (65_535 - len('{"a":""}'))}
    assert inputs_for(workflow(declared), fits, build_id="b") == fits
    with pytest.raises(ProviderError, match="65,536 characters"):
        inputs_for(workflow(declared), {"a": fits["a"] + "é"}, build_id="b")


def test_a_required_input_that_nobody_sets_is_told() -> None:
    text = "on: {workflow_dispatch: {inputs: {key: {required: true}}}}"
    with pytest.raises(ProviderError, match="key is required, but has no value"):
        inputs_for(workflow(text), {}, build_id="b")


@pytest.mark.parametrize(("count", "most", "fits"), [(25, 25, True), (26, 25, False)])
def test_the_number_of_inputs_is_limited(count: int, most: int, fits: bool) -> None:
    names = ", ".join(f"i{n}: {{}}" for n in range(count))
    declared = workflow(f"on: {{workflow_dispatch: {{inputs: {{{names}}}}}}}")
    if fits:
        assert inputs_for(declared, {}, build_id="b", most=most) == {}
    else:
        with pytest.raises(ProviderError, match="allows 25"):
            inputs_for(declared, {}, build_id="b", most=most)


# --- Names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entered", "name"),
    [
        ("ios.yml", "ios.yml"),
        (" .github/workflows/ios-release.yaml ", "ios-release.yaml"),
        ("https://github.com/o/r/actions/workflows/ios.yml?query=x", "ios.yml"),
        ("https://github.com/o/r/blob/main/.github/workflows/ios.yml#L3", "ios.yml"),
    ],
)
def test_a_workflow_is_named_by_its_file(entered: str, name: str) -> None:
    assert normalise_workflow(entered) == name


@pytest.mark.parametrize(
    "entered", ["", "ios", "../ios.yml/..", "a/../b.yml", "x.yml\n/y", "é.yml"]
)
def test_what_names_no_file_is_refused(entered: str) -> None:
    with pytest.raises(ValueError, match=r"ends in \.yml"):
        normalise_workflow(entered)


@pytest.mark.parametrize(
    ("path", "file"),
    [
        (".github/workflows/ios.yml", "ios.yml"),
        (".github/workflows/ios.yml@refs/heads/main", "ios.yml"),
        ("dynamic/github-code-scanning/codeql", ""),
        (None, ""),
        (7, ""),
    ],
)
def test_the_path_of_a_run_names_its_file(path: object, file: str) -> None:
    assert file_of(path) == file
