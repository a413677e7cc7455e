"""What delivr asks of each system: the calls, and the request of each that is answered oddly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from integrations.providers.app_store.tests import answers as app_store_app
from integrations.providers.app_store.tests import test_provider as app_store
from integrations.providers.ci import BuildHandle
from integrations.providers.github.provider import GitHub
from integrations.providers.github.tests import test_provider as test_github
from integrations.providers.jenkins.tests import answers as jenkins
from integrations.providers.jira.tests import answers as jira
from integrations.providers.play_store.tests import test_provider as play_store
from integrations.providers.slack.tests import answers as slack
from integrations.providers.tests.wire import Reply, Script, Wire, payloads

Routes = dict[str, Script]


@dataclass(frozen=True)
class Asked:
    """One request of a call. `kind`: "verify", "read" (a picker, the end of a log), "branch" and
    "find" (absence is an answer, too), "send" (it makes something), "before" (what is read before
    that), "cancel"."""

    kind: str
    name: str
    path: str  # of the request that is answered oddly
    call: Callable[[Wire], Any]
    routes: Callable[[], Routes]  # how the others are answered
    headers: dict[str, str]  # by which the system shows itself, also where its body is odd
    tree: str = ""  # Jenkins: of this query alone

    def __str__(self) -> str:
        return f"{self.name} {self.path} {self.tree}".strip()


def asked() -> list[Asked]:
    return [*_of_github(), *_of_jenkins(), *_of_jira(), *_of_slack(), *_of_stores()]


def _of_github() -> Iterator[Asked]:
    payload = payloads(test_github.__file__)
    api, repository = "/api/v3", "/api/v3/repos/dream11/app"

    def routes() -> Routes:
        return {
            f"{api}/user": Reply(payload("user__bot")),
            f"{api}/user/repos": Reply(payload("repositories__mixed")),
            repository: Reply(payload("repository__may_push"), headers={"X-OAuth-Scopes": "repo"}),
            f"{repository}/branches": Reply([{"name": "main"}]),
            f"{repository}/branches/maim": Reply({"message": "Not Found"}, 404),
            f"{repository}/git/ref/tags/maim": Reply({"message": "Not Found"}, 404),
            f"{repository}/git/ref/tags/main": Reply({"message": "Not Found"}, 404),
        }

    def provider() -> GitHub:
        return GitHub(repository_url="github.com/dream11/app", access_token="ghp_canary0123")

    def verify(_: Wire) -> Any:
        return provider().verify()

    def repositories(_: Wire) -> Any:
        return provider().repositories()

    def apps_repositories(wire: Wire) -> Any:
        not_for_apps = {"message": "Resource not accessible by integration"}
        wire.routes[f"{api}/user/repos"] = Reply(not_for_apps, 403)
        return provider().repositories()

    def branch(_: Wire) -> Any:
        return provider().branch("main", within=5)

    def missing_branch(_: Wire) -> Any:
        return provider().branch("maim", within=5)

    for kind, path, call in (
        ("verify", f"{api}/user", verify),
        ("verify", repository, verify),
        ("read", f"{api}/user/repos", repositories),
        ("read", f"{api}/installation/repositories", apps_repositories),
        ("branch", f"{repository}/branches/main", branch),
        ("branch", f"{repository}/branches", missing_branch),
    ):
        name = f"github {call.__name__}"
        yield Asked(kind, name, path, call, routes, {"X-GitHub-Request-Id": "1"})


def _of_jenkins() -> Iterator[Asked]:
    payload, ok = jenkins.payload, jenkins.ok
    job, build = f"{jenkins.PATH}/api/json", f"{jenkins.PATH}/245/api/json"
    cancel, stop = "/ci/queue/cancelItem", f"{jenkins.PATH}/245/stop"
    log = f"{jenkins.PATH}/245/logText/progressiveText"

    def routes() -> Routes:
        return {
            jenkins.WHO: ok(payload("whoami__user")),
            job: jenkins.job_or_builds("builds__none"),
            jenkins.TRIGGER: ok(b"", 201, **jenkins.LOCATION),
            f"{jenkins.PATH}/build": ok(b"", 201, **jenkins.LOCATION),
            jenkins.QUEUE: ok(payload("queue__empty")),
            jenkins.ITEM: ok(payload("queue_item__cancelled")),
            build: ok(payload("build__running")),
            cancel: ok(b"", 204),
            stop: ok(b"", 302, Location="."),
            log: ok(b"one\n", **{"X-Text-Size": "4"}),
            "/ci/api/json": ok(payload("jobs__app")),
        }

    def provider(wire: Wire) -> jenkins.Jenkins:
        given = {"url": f"{wire.url}/ci", "username": "delivr", "api_token": jenkins.TOKEN}
        return jenkins.Jenkins(**given, job_path="mobile/ios")

    which, built, neither = BuildHandle(queue_id=7041), BuildHandle(number=245), BuildHandle()
    ours = {"build_id": "bld_sought"}

    def asked(
        kind: str, name: str, path: str, call: Callable[[jenkins.Jenkins], Any], **more: str
    ) -> Asked:
        headers = {"X-Jenkins": "2.541.1"}
        named = f"jenkins {name}"
        return Asked(kind, named, path, lambda w: call(provider(w)), routes, headers, **more)

    yield asked("verify", "verify", jenkins.WHO, lambda one: one.verify())
    yield asked("verify", "verify", job, lambda one: one.verify())
    yield asked("read", "jobs", "/ci/api/json", lambda one: one.jobs())
    yield asked("before", "trigger", job, jenkins.trigger)
    yield asked("send", "trigger", jenkins.TRIGGER, jenkins.trigger)
    yield asked("find", "find", job, jenkins.find, tree="parameterDefinitions")
    yield asked("find", "find", job, jenkins.find, tree="uilds[")
    yield asked("find", "find", jenkins.QUEUE, jenkins.find)
    yield asked("find", "read", build, lambda one: one.read(built, **ours))
    yield asked("find", "read", jenkins.ITEM, lambda one: one.read(which, **ours))
    yield asked("find", "read", jenkins.QUEUE, lambda one: one.read(neither, **ours))
    find_all = {**ours, "since": jenkins.SINCE}
    yield asked("find", "find_all", job, lambda one: one.find_all(**find_all))
    yield asked("find", "find_all", jenkins.QUEUE, lambda one: one.find_all(**find_all))
    yield asked("cancel", "cancel", cancel, lambda one: one.cancel(which))
    yield asked("cancel", "cancel", jenkins.ITEM, lambda one: one.cancel(which))
    yield asked("cancel", "cancel", stop, lambda one: one.cancel(built))
    yield asked("cancel", "cancel", build, lambda one: one.cancel(built))
    yield asked("cancel", "stop_duplicate", build, lambda one: one.stop_duplicate(built, **ours))
    yield asked("cancel", "duplicate", jenkins.ITEM, lambda one: one.duplicate(which, **ours))
    yield asked("read", "log_tail", log, lambda one: one.log_tail(built))


def _of_jira() -> Iterator[Asked]:
    api, payload = jira.API, jira.payload

    def routes() -> Routes:
        return {
            f"{api}/myself": Reply(payload("myself__200")),
            f"{api}/project/MOBILE": Reply(payload("project__200")),
            f"{api}/mypermissions": Reply(payload("mypermissions__granted")),
            jira.TYPES: Reply(payload("createmeta_issuetypes__renamed_epic")),
            jira.FIELDS: Reply(payload("createmeta_fields__team_managed")),
            f"{api}/issue": Reply(payload("issue__201"), 201),
            f"{api}/search/jql": Reply(payload("search_jql__empty")),
            f"{api}/project/search": Reply(payload("project_search__page")),
        }

    def verify(wire: Wire) -> Any:
        return jira.make(wire).verify()

    def projects(wire: Wire) -> Any:
        return jira.make(wire).projects()

    def epic_types(wire: Wire) -> Any:
        return jira.make(wire).epic_types()

    def create(wire: Wire) -> Any:
        return jira.create(jira.make(wire))

    def find(wire: Wire) -> Any:
        return jira.make(wire).find(jira.EPIC, correlation="eff_sought")

    for kind, path, call in (
        ("verify", f"{api}/myself", verify),
        ("verify", f"{api}/project/MOBILE", verify),
        ("verify", f"{api}/mypermissions", verify),
        ("verify", jira.TYPES, verify),
        ("verify", jira.FIELDS, verify),
        ("read", f"{api}/project/search", projects),
        ("read", jira.TYPES, epic_types),
        ("before", f"{api}/myself", create),
        ("before", jira.TYPES, create),
        ("before", jira.FIELDS, create),
        ("send", f"{api}/issue", create),
        ("find", f"{api}/myself", find),
        ("find", f"{api}/search/jql", find),
    ):
        headers = {"X-AREQUESTID": "1"}
        name = f"jira {call.__name__}"
        yield Asked(kind, name, path, call, routes, headers)


def _of_slack() -> Iterator[Asked]:
    payload = slack.payload

    def routes() -> Routes:
        return {
            "/api/auth.test": slack.auth(slack.SCOPES),
            "/api/conversations.info": Reply(payload("conversations.info__member")),
            "/api/chat.postMessage": Reply(payload("chat.postMessage__ok")),
            "/api/conversations.list": Reply(payload("conversations.list__page_3")),
            "/api/conversations.history": Reply({"ok": True, "messages": []}),
            "/api/conversations.replies": Reply({"ok": True, "messages": []}),
        }

    for kind, method, call in (
        ("verify", "auth.test", lambda _: slack.slack().verify()),
        ("verify", "conversations.info", lambda _: slack.slack().verify()),
        ("read", "conversations.list", lambda _: slack.slack().channels()),
        ("send", "chat.postMessage", lambda _: slack.post()),
        ("find", "conversations.history", lambda _: slack.find()),
        ("find", "conversations.replies", lambda _: slack.find(thread="1763800000.000100")),
    ):
        yield Asked(kind, "slack", f"/api/{method}", call, routes, {"X-Slack-Req-Id": "1"})


def _of_stores() -> Iterator[Asked]:
    def apples() -> Routes:
        return {"/v1/apps": Reply(app_store.payload("apps__exact_and_longer"))}

    def googles() -> Routes:
        return {
            "/token": Reply(play_store.payload("token__200")),
            play_store.RELEASES: Reply(play_store.payload("releases__200")),
        }

    def apple(_: Wire) -> Any:
        return app_store.make().verify()

    def google(_: Wire) -> Any:
        return play_store.make().verify()

    yield Asked("verify", "app store", "/v1/apps", apple, apples, {})
    yield from _of_submissions()
    yield Asked("verify", "play store", "/token", google, googles, {})
    yield Asked("verify", "play store", play_store.RELEASES, google, googles, {})


def _of_submissions() -> Iterator[Asked]:
    """An app with a version that is ready to be submitted."""
    ours = app_store_app
    draft = ours.version(attached=ours.build(), phased=ours.phased("ACTIVE"))
    submission = ours.submission("READY_FOR_REVIEW", draft)
    plan = ours.plan(notes={"en-US": "Faster.", "de-DE": "Neu."}, groups=["Public"])
    items, texts = "/v1/reviewSubmissions/s1/items", ours.localizations_of("1.5.0")

    def routes() -> Routes:
        told = ours.told(draft, submissions=[submission])
        return told | {
            items: ours.document([ours.item("READY_FOR_REVIEW", draft)]),
            "/v1/reviewSubmissions": ours.document(submission, 201),
            "/v1/reviewSubmissions/s1": ours.document(submission),
        }

    def preflight(_: Wire) -> Any:
        return list(ours.make().preflight(plan))

    def read(_: Wire) -> Any:
        return ours.make().read_submission(plan)

    def found(step: str) -> Callable[[Wire], Any]:
        return lambda _: ours.make().find_step(step, plan)

    def taken(step: str) -> Callable[[Wire], Any]:
        return lambda _: ours.make().take_step(step, plan)

    lists = (ours.BUILDS, ours.VERSIONS, ours.SUBMISSIONS, ours.GROUPS, texts)
    for path in (ours.APP, *lists):
        yield Asked("verify", "apple preflight", path, preflight, routes, {})
    for path in (ours.VERSIONS, ours.SUBMISSIONS):
        yield Asked("read", "apple state", path, read, routes, {})
        yield Asked("find", "apple find", path, found("review"), routes, {})
    yield Asked("before", "apple review", ours.SUBMISSIONS, taken("review"), routes, {})
    yield Asked("send", "apple review", "/v1/reviewSubmissions", taken("review"), routes, {})
    yield Asked("before", "apple submit", ours.VERSIONS, taken("submit"), routes, {})
