"""Which lines of a log explain why a build failed."""

from __future__ import annotations

import time

import pytest

from builds.logs.excerpt import GAP, LAST_LINES, MAX_CHARACTERS, MAX_LINE_LENGTH, MAX_LINES, excerpt

NOTE = "\x1b[8mha:////4CAcNmf/bZ9y+AAAAlh+LCAAAAAAAAP9b85aBtbiIQTGjNKU4P08v==\x1b[0m"
FILLER = [f"Compiling module {n}" for n in range(40)]


def log(*lines: str) -> str:
    """A log with those lines in the middle."""
    return "\n".join([*FILLER, *lines, *FILLER, "[Pipeline] }", "Finished: FAILURE", ""])


@pytest.mark.parametrize(
    "expected",
    [
        [
            "Shop/Cart.swift:12:5: error: cannot find 'Tax' in scope",
            "  let a = Tax()",
            "       ^~~",
        ],
        ["error: No profiles for 'com.example.shop' were found"],
        ["ld: error: framework not found Payments"],
        ["Undefined symbols for architecture arm64:", '  "_foo", referenced from:', "      main.o"],
        ["e: app/src/main/kotlin/Cart.kt:3:9 Unresolved reference 'Tax'."],
        ["* What went wrong:", "Execution failed for task ':app:lint'.", "> Lint found errors"],
        ["app/src/Cart.java:7: error: ';' expected", "  int a = 1", "           ^"],
        ["src/cart.ts(3,9): error TS2304: Cannot find name 'Tax'."],
        ["fatal: could not read from remote repository."],
        ["[!] Error building the application"],
        ["npm ERR! missing script: build"],
        ["java.lang.OutOfMemoryError: Java heap space"],
        ["/tmp/script.sh: line 3: fastlane: command not found"],
        ["shop.CartTest > voucher FAILED", "    AssertionFailedError: expected: <1>"],
        ["Caused by: java.net.UnknownHostException: repo.example.com"],
        ["Aborted by ada"],
        ["Cancelling nested steps due to timeout"],
        ["Tests run: 12, Failures: 1, Errors: 0, Skipped: 0"],
        ["> Task :app:mergeReleaseResources FAILED"],
        ["** ARCHIVE FAILED **"],
        ["ERROR: script returned exit code 65"],
        ["Something could not be signed: failure"],
    ],
    ids=lambda expected: expected[0][:30],
)
def test_relevant_lines_are_found(expected: list[str]) -> None:
    found = excerpt(log(*expected)).splitlines()
    assert found[: len(expected)] == expected
    assert len(found) <= len(expected) + 4


@pytest.mark.parametrize(
    "line",
    [
        "Build succeeded with 0 errors and no failures",
        "clang -Wno-error=deprecated -c Cart.m",
        "Cart.swift:3:1: warning: 'failed' was never used",
        "214 tests completed, 0 failed",
    ],
)
def test_harmless_lines_are_not_taken_for_a_cause(line: str) -> None:
    assert line not in excerpt(log(line, "ERROR: script returned exit code 1"))


def test_the_cause_pushes_out_what_only_follows_from_it() -> None:
    cause = "Cart.swift:12:5: error: cannot find 'Tax' in scope"
    found = excerpt(log(cause, *FILLER, "ERROR: script returned exit code 65", "then a failure"))
    assert cause in found
    assert "script returned" not in found


def test_the_first_errors_are_kept_where_there_are_too_many() -> None:
    found = excerpt("\n".join(f"Cart.swift:{n}:1: error: number {n}" for n in range(500)))
    assert "error: number 0" in found
    assert len(found.splitlines()) <= MAX_LINES


def test_a_line_repeated_in_a_summary_is_shown_once() -> None:
    line = "Cart.swift:12:5: error: cannot find 'Tax' in scope"
    assert excerpt(log(line, *FILLER, line)).count(line) == 1


def test_gaps_show() -> None:
    found = excerpt(log("a.c:1:1: error: one", *FILLER, "b.c:1:1: error: two"))
    assert GAP in found.splitlines()


def test_the_last_lines_are_shown_if_none_is_relevant() -> None:
    found = excerpt("\n".join([*FILLER, "[Pipeline] }", "Finished: FAILURE", ""]))
    assert found.splitlines() == FILLER[-LAST_LINES:]


@pytest.mark.parametrize("empty", ["", "\n\n", "Finished: FAILURE\n", NOTE])
def test_an_empty_log_gives_nothing(empty: str) -> None:
    assert excerpt(empty) == ""


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (f"{NOTE}ERROR: lost", "ERROR: lost"),
        ("\x1b[1m\x1b[31merror: \x1b[0mred\x1b[K", "error: red"),
        ("\x1b]8;;https://x.example\x07error: link\x1b]8;;\x07", "error: link"),
        ("[2026-03-02T09:14:07.212Z] error: stamped", "error: stamped"),
        ("09:14:07  error: clock", "error: clock"),
        ("10%\r50%\rerror: after a bar\r", "error: after a bar"),
        ("error: bell\x07\x00 \u202etxt", "error: bell txt"),
        (
            "/var/jenkins/workspace/ios-prod/Shop/A.swift:1:2: error: x",
            "Shop/A.swift:1:2: error: x",
        ),
        ("e: file:///home/ci/workspace/and/app/A.kt:1:2 y", "e: app/A.kt:1:2 y"),
    ],
)
def test_lines_are_shown_as_a_person_sees_them(raw: str, shown: str) -> None:
    assert excerpt(raw) == shown


def test_it_is_bounded() -> None:
    found = excerpt(log(*(f"a.c:{n}:1: error: {'x' * 5000}" for n in range(100))))
    assert len(found) <= MAX_CHARACTERS
    assert max(map(len, found.splitlines())) == MAX_LINE_LENGTH


@pytest.mark.parametrize(
    "hostile",
    [
        "\x1b[8mha:" * 26_000,
        "\x1b]" * 131_000,
        "a/" * 131_000,
        ":1:1" * 65_000,
        "\n" * 262_144,
        "error " * 43_000,
        "/workspace" * 26_000,
        "test Failures: \n" * 16_000,
    ],
    ids=lambda text: repr(text[:12]),
)
def test_hostile_logs_are_read_quickly(hostile: str) -> None:
    began = time.process_time()
    excerpt(hostile)
    assert time.process_time() - began < 5
