"""Pick the lines of a build's log that explain why it failed. Pure functions on text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MAX_LINES = 30
MAX_CHARACTERS = 4000
MAX_LINE_LENGTH = 300
LAST_LINES = 12  # shown if no line matches
GAP = "…"

# Terminal escape sequences, and a CI server's annotations (hudson.console.ConsoleNote), which are
# enclosed in two of them.
_NOTE = re.compile(r"\x1b\[8mha:[^\x1b]*\x1b\[0m")
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_=>])")
_STAMP = re.compile(r"^(?:\[\d{4}-\d\d-\d\dT[\d:.]+Z\]|\d\d:\d\d:\d\d(?:\.\d+)?)\s+")

# The CI server's workspace directory: paths are easier to read relative to it.
_WORKSPACE = re.compile(r"""(?<![^\s'"(])[^\s'"(]{0,120}/workspace/[^/\s]+/""")

# Lines that follow every failure, or that only refer to other output.
_NOISE = re.compile(
    r"^\s*(?:\[Pipeline\]|\++ |Finished: |at [\w.$<>]+\(|\.\.\. \d+ more|"
    r"> (?:Run with|Get more help)|\* (?:Try|Get more help)|Stage \".*\" skipped|"
    r"Failed in branch|Post stage|Sending (?:e-?mails?|interrupt)|Archiving artifacts|$)"
)
# "0 failed", "no errors", `-Werror`, `--fail-fast` and the like are not errors.
_HARMLESS = re.compile(
    r"\b(?:0|no|without) (?:test )?(?:errors?|failed|failures?|exceptions?)\b|"
    r"\b(?:errors?|failed|failures?)\s*[:=]\s*0\b|-W(?:no-)?error|--[\w-]*fail|"
    r"\bexit code 0\b|warning: ",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Mark:
    """A pattern of relevant lines: its weight (3: the cause itself), and how many lines before and
    after the match belong to it."""

    weight: int
    pattern: re.Pattern[str]
    before: int = 0
    after: int = 0


def _mark(weight: int, *patterns: str, before: int = 0, after: int = 0) -> Mark:
    return Mark(weight, re.compile("|".join(patterns)), before, after)


# The first pattern that matches a line counts.
MARKS = (
    _mark(3, r"^\* What went wrong:", after=6),  # Gradle
    _mark(3, r"\bThe following build commands failed:", after=3),  # xcodebuild
    _mark(3, r"^Undefined symbols? ", after=4),  # ld
    _mark(3, r":\d+: (?:fatal )?error: ", after=2),  # clang, swiftc
    _mark(
        3,
        r"^e: ",  # Kotlin
        r"\.(?:java|kt|ts|tsx|js|dart|swift):\d+(?::\d+)?: ?error",
        r"\berror TS\d+:",
        r"^(?:ld|clang|swiftc|xcodebuild|error): (?:fatal )?error: ",
        r"^(?:fatal |xcodebuild: )?error: ",
        r"^fatal: ",  # git
        r"❌",  # xcbeautify and its like
        r"^\[!\] ",  # fastlane, CocoaPods
        r"\bnpm ERR! ",
        r"^Caused by: ",
        r"\bOutOfMemoryError\b|\bNo space left on device\b|\bKilled: 9\b",
        r"\bNo (?:profiles|signing certificate|provisioning profile)s? ",
        r"[Cc]ode [Ss]ign(?:ing)? [Ee]rror",
        r"\b(?:Cancelling nested steps due to timeout|Timeout has been exceeded|Aborted by )",
        r"\bCould not (?:resolve|find|download|determine)\b",
        r"\bcommand not found\b|: Permission denied\b|\bNo such file or directory\b",
    ),
    _mark(
        3,
        r"^Test Case '.*' failed ",  # XCTest
        r"^\S+ > .* FAILED$",  # Gradle's tests
        r"^\s*(?:✕|✗|✖) ",
        r"\bAssertion(?:Failed)?Error\b|\bXCTAssert\w* failed\b",
        after=2,
    ),
    _mark(2, r"^(?:[\w$]+\.)+\w*(?:Exception|Error)\b", after=1),
    _mark(2, r"^> Task \S+ FAILED$", r"^Execution failed for task"),
    _mark(2, r"\*\* (?:BUILD|ARCHIVE|TEST|EXPORT|CLEAN) FAILED \*\*"),
    _mark(2, r"\bFailures: [1-9]", r"\b[1-9]\d* (?:tests? )?failed\b"),
    _mark(2, r"^FAILURE: Build failed", r"\bBUILD FAILED\b"),
    _mark(1, r"^ERROR: ", r"\bscript returned exit code [1-9]"),
    _mark(1, r"(?i)\b(?:errors?|failed|failure|fatal|exception|cannot|unable to)\b"),
)


def excerpt(log: str) -> str:
    """The relevant lines of the end of a log, in their order, with `GAP` where lines are left out;
    the last lines if none is relevant. At most `MAX_LINES` and `MAX_CHARACTERS`."""
    lines = [line for line in clean(log) if not _NOISE.match(line)]
    chosen = _choose(lines) or range(max(0, len(lines) - LAST_LINES), len(lines))
    return _joined(lines, chosen)


def plain(log: str) -> str:
    """The log without annotations, colors and control characters, which could split a word (or a
    secret)."""
    text = _ESCAPE.sub("", _NOTE.sub("", log))
    return "".join(c for c in text if c.isprintable() or c in "\n\r\t")


def clean(log: str) -> list[str]:
    """The lines as a person would read them: plain, and without timestamps."""
    return [_cleaned(line) for line in plain(log).split("\n")]


def _cleaned(line: str) -> str:
    shown = line.rstrip("\r").rpartition("\r")[2]  # a progress bar overwrites itself
    shown = _WORKSPACE.sub("", _STAMP.sub("", shown)).replace("\t", "    ").rstrip()
    return shown if len(shown) <= MAX_LINE_LENGTH else f"{shown[: MAX_LINE_LENGTH - 1]}{GAP}"


def _choose(lines: Sequence[str]) -> set[int]:
    """Indexes of the lines to show: by weight, then by position, since the first error causes
    others. Marks of weight 1 count only if there are no others."""
    first = {line: at for at, line in reversed(list(enumerate(lines)))}  # summaries repeat lines
    found = [(mark, at) for line, at in first.items() if (mark := _mark_of(line))]
    strongest = max((mark.weight for mark, _at in found), default=0)
    worth = [(mark, at) for mark, at in found if mark.weight > 1 or strongest == 1]
    chosen: set[int] = set()
    room = MAX_CHARACTERS
    for mark, at in sorted(worth, key=lambda pair: (-pair[0].weight, pair[1])):
        around = range(max(0, at - mark.before), min(len(lines), at + mark.after + 1))
        new = [index for index in around if index not in chosen]
        room -= sum(len(lines[index]) + 3 for index in new)
        if room < 0 or len(chosen) + len(new) > MAX_LINES:
            break
        chosen.update(new)
    return chosen


def _mark_of(line: str) -> Mark | None:
    mark = next((mark for mark in MARKS if mark.pattern.search(line)), None)
    return None if mark and mark.weight == 1 and _HARMLESS.search(line) else mark


def _joined(lines: Sequence[str], chosen: Iterable[int]) -> str:
    shown: list[str] = []
    before = None
    for index in sorted(chosen):
        if before is not None and index != before + 1:
            shown.append(GAP)
        shown.append(lines[index])
        before = index
    return "\n".join(shown)
