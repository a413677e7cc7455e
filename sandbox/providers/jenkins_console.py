"""The console log of a build, as Jenkins stores it and as it shows it.

What it keeps has notes in it (hudson.console.ConsoleNote), from which its pages make links. The
plain text (`consoleText`) is without them; the progressive text gives out what is kept, from a byte
on: https://www.jenkins.io/doc/book/using/remote-access-api/
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from html import escape

from flask import Response, request

from sandbox.ci_jobs import Build, Job
from sandbox.providers.jenkins_security import refuse

_NOTE = re.compile(r"\x1b\[8mha:.*?\x1b\[0m")
_IOS_FILES = ("AppDelegate", "Session", "Cart", "CartView", "Catalog", "Checkout", "Receipt")
_ANDROID_TASKS = ("preBuild", "generateReleaseResources", "mergeReleaseResources", "javaPreCompile")


def console_text(job: Job, build: Build) -> Response:
    return Response(_plain(job, build), 200, content_type="text/plain;charset=utf-8")


def console_page(job: Job, build: Build) -> Response:
    """The page behind the link to the log."""
    title = f"{job.full_name} #{build.number} Console [Jenkins]"
    body = (
        f"<!DOCTYPE html><html><head><title>{escape(title)}</title></head>"
        f'<body><pre class="console-output">{escape(_plain(job, build))}</pre></body></html>'
    )
    return Response(body, 200, content_type="text/html;charset=utf-8")


def progressive_text(job: Job, build: Build) -> Response:
    """The log from the byte `start` on; all of it if the log is shorter."""
    log = _kept(job, build).encode()
    try:
        start = int(request.args.get("start", 0))
    except ValueError:
        refuse(500, f'For input string: "{request.args["start"]}"')
    start = 0 if start > len(log) else start
    answer = Response(log[start:], 200, content_type="text/plain;charset=utf-8")
    answer.headers["X-Text-Size"] = str(len(log))
    if build.building:
        answer.headers["X-More-Data"] = "true"
    return answer


def _plain(job: Job, build: Build) -> str:
    return _NOTE.sub("", _kept(job, build))


def _kept(job: Job, build: Build) -> str:
    return "\n".join(_lines(job, build)) + "\n"


def _lines(job: Job, build: Build) -> Iterator[str]:
    yield f"Started by user {_note('ModelHyperlinkNote')}{build.user}"
    yield f"{_note('PipelineNote')}[Pipeline] Start of Pipeline"
    yield f"{_note('PipelineNote')}[Pipeline] node"
    yield f"Running on agent-1 in /var/jenkins/workspace/{job.name}"
    yield from (f"[{job.name}] {name}={value}" for name, value in build.parameters.items())
    work = _android if "android" in job.full_name else _ios
    yield from work(build)
    if build.artifact:
        yield from ("Archiving artifacts", build.artifact)
    if not build.building:
        yield from _end(build)


def _note(kind: str) -> str:
    """A note: a signed, serialised object in base64 that only Jenkins can read."""
    return (
        f"\x1b[8mha:{base64.b64encode(f'//// hudson.console.{kind} '.encode() * 3).decode()}\x1b[0m"
    )


def _end(build: Build) -> Iterator[str]:
    if build.result == "ABORTED":
        yield f"Aborted by {_note('ModelHyperlinkNote')}{build.user}"
        yield "Sending interrupt signal to process"
        yield "script returned exit code 143"
    yield f"{_note('PipelineNote')}[Pipeline] }}"
    yield f"{_note('PipelineNote')}[Pipeline] // node"
    yield f"{_note('PipelineNote')}[Pipeline] End of Pipeline"
    if build.result == "FAILURE":
        yield f"ERROR: script returned exit code {1 if 'android' in build.job else 65}"
    yield f"Finished: {build.result}"


def _ios(build: Build) -> Iterator[str]:
    yield "+ xcodebuild -workspace Shop.xcworkspace -scheme Shop -configuration Release archive"
    yield "Command line invocation:"
    for name in _IOS_FILES:
        yield f"SwiftCompile normal arm64 Compiling\\ {name}.swift Shop/Sources/{name}.swift"
    if build.result == "FAILURE":
        yield from _swift_errors()
    elif build.result == "UNSTABLE":
        yield from _xctest_failure()
    elif build.result == "SUCCESS":
        yield "\x1b[32m** ARCHIVE SUCCEEDED **\x1b[0m [214.081 sec]"


def _swift_errors() -> Iterator[str]:
    where = "/var/jenkins/workspace/ios-prod/Shop/Sources/Checkout.swift"
    for place, words, line in (
        ("118:27", "cannot find 'ShippingQuote' in scope", "        let quote = try ShippingQuote"),
        ("131:16", "value of type 'Cart' has no member 'taxes'", "        total += cart.taxes"),
    ):
        yield f"\x1b[1m{where}:{place}: \x1b[31merror: \x1b[39m{words}\x1b[0m"
        yield line
        yield " " * (len(line) - 13) + "^~~~~~~~~~~~~"
    yield "\x1b[31m** ARCHIVE FAILED **\x1b[0m"
    yield "The following build commands failed:"
    yield "\tSwiftCompile normal arm64 Compiling\\ Checkout.swift (in target 'Shop')"
    yield "(1 failure)"


def _xctest_failure() -> Iterator[str]:
    yield "Test Suite 'CartTests' started at 2026-03-02 09:14:07.212."
    yield "Test Case '-[ShopTests.CartTests testEmptyCart]' passed (0.004 seconds)."
    yield (
        "/var/jenkins/workspace/ios-prod/ShopTests/CartTests.swift:52: error: "
        "-[ShopTests.CartTests testVoucher] : "
        'XCTAssertEqual failed: ("1990") is not equal to ("1790")'
    )
    yield "Test Case '-[ShopTests.CartTests testVoucher]' failed (0.021 seconds)."
    yield "\t Executed 214 tests, with 1 failure (0 unexpected) in 38.417 (38.604) seconds"
    yield "\x1b[31m** TEST FAILED **\x1b[0m"


def _android(build: Build) -> Iterator[str]:
    yield "+ ./gradlew bundleRelease"
    yield "Starting a Gradle Daemon (subsequent builds will be faster)"
    for name in _ANDROID_TASKS:
        yield f"> Task :app:{name}"
    if build.result == "FAILURE":
        yield from _gradle_failure()
    elif build.result == "UNSTABLE":
        yield from _junit_failure()
    elif build.result == "SUCCESS":
        yield from ("", "\x1b[32mBUILD SUCCESSFUL\x1b[39m in 4m 12s")


def _gradle_failure() -> Iterator[str]:
    yield ""
    yield "> Task :app:compileReleaseKotlin FAILED"
    yield (
        "e: file:///var/jenkins/workspace/android-prod/app/src/main/kotlin/shop/Checkout.kt:87:21 "
        "Unresolved reference 'ShippingQuote'."
    )
    yield ""
    yield "FAILURE: Build failed with an exception."
    yield ""
    yield "* What went wrong:"
    yield "Execution failed for task ':app:compileReleaseKotlin'."
    yield "> A failure occurred while executing GradleCompilerRunnerWithWorkers"
    yield "   > Compilation error. See log for more details"
    yield ""
    yield "* Try:"
    yield "> Run with --stacktrace option to get the stack trace."
    yield "> Get more help at https://help.gradle.org."
    yield ""
    yield "\x1b[31mBUILD FAILED\x1b[39m in 2m 41s"


def _junit_failure() -> Iterator[str]:
    yield "shop.CartTest > voucherIsTakenOffOnce FAILED"
    yield "    org.opentest4j.AssertionFailedError: expected: <1790> but was: <1990>"
    yield "        at shop.CartTest.voucherIsTakenOffOnce(CartTest.kt:52)"
    yield ""
    yield "214 tests completed, 1 failed"
    yield "There were failing tests. See the results at: app/build/reports/tests/index.html"
