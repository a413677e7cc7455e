"""The pages: what they show, and that no script in their data runs."""

from __future__ import annotations

import pytest

from sandbox import mrkdwn
from sandbox.chat import Message

PAGES = [
    "/",
    "/sandbox/board",
    "/stores",
    "/stores/board",
    "/mails",
    "/settings",
    "/repository",
    "/project",
    "/credentials",
]


@pytest.fixture
def build(jenkins):
    jenkins.post("/job/ios-prod/buildWithParameters?delay=0sec&VERSION=1.5.0")


def test_an_empty_board_says_what_to_do_next(web):
    text = web.get("/").text
    for words in ("No builds yet", "No messages yet", "No epics yet", "Nothing yet"):
        assert words in text


def test_the_board_shows_what_happened(sandbox, web, jira, build):
    root = sandbox.state.slack.post(Message("C123", "", "📦 Release 1.5.0 created"))
    sandbox.state.slack.post(Message("C123", "", "🚀 iOS build #245 started", thread_ts=root.ts))
    fields = {
        "project": {"key": "MOBILE"},
        "issuetype": {"id": "10011"},
        "summary": "Release 1.5.0",
    }
    jira.post("/rest/api/3/issue", json={"fields": fields})
    text = web.get("/sandbox/board").text
    for words in (
        "#245",
        "Running",
        "1.5.0",
        "📦 Release",
        "🚀 iOS build",
        "MOBILE-1",
        "build.started",
    ):
        assert words in text


def test_a_build_is_started_by_hand(sandbox, web):
    form = {"version": "1.5.0", "branch": "release/1.5.0"}
    for address, name in (("start", "ios-prod"), ("actions/start", "ios.yml")):
        assert f"Start a build of {name}" in web.get("/").text
        assert web.post(f"/sandbox/{address}", data={"name": name, **form}).status_code == 303
        assert web.post(f"/sandbox/{address}", data={"name": "x", **form}).status_code == 400
    [build], [run] = sandbox.state.jenkins.running("ios-prod"), sandbox.state.actions.runs
    assert (build.user, build.branch) == (run.actor, run.branch) == ("priya", "release/1.5.0")


@pytest.mark.parametrize("result", ["SUCCESS", "FAILURE", "ABORTED"])
def test_the_buttons_end_a_build(sandbox, web, build, result):
    form = {"job": "ios-prod", "number": "245", "result": result}
    assert web.post("/sandbox/finish", data=form).status_code == 303
    assert sandbox.state.jenkins.build("ios-prod", 245).result == result


def test_an_unknown_result_is_refused(sandbox, web, build):
    form = {"job": "ios-prod", "number": "245", "result": "PERFECT"}
    assert web.post("/sandbox/finish", data=form).status_code == 400
    assert sandbox.state.jenkins.build("ios-prod", 245).building


@pytest.mark.parametrize("way", ["rebuild", "replay", "naginator"])
def test_a_failed_build_is_run_again_by_its_buttons(sandbox, web, build, way):
    ci, form = sandbox.state.jenkins, {"job": "ios-prod", "number": "245", "by": way}
    assert "/sandbox/retry" not in web.get("/").text
    ci.finish("ios-prod", 245, "FAILURE")
    assert f">{way.capitalize()}</button>" in web.get("/").text
    assert web.post("/sandbox/retry", data=form).status_code == 303
    assert (ci.build("ios-prod", 246).retried_by, ci.build("ios-prod", 246).rebuilds) == (way, 245)
    for strange in ({**form, "by": "magic"}, {**form, "number": "9"}):
        assert web.post("/sandbox/retry", data=strange).status_code == 400


def test_a_message_is_deleted_by_its_button(sandbox, web):
    message = sandbox.state.slack.post(Message("C123", "", "hello"))
    form = {"channel": "C123", "ts": message.ts}
    assert message.ts in web.get("/").text
    assert web.post("/sandbox/delete-message", data=form).status_code == 303
    assert sandbox.state.slack.messages == []
    assert web.post("/sandbox/delete-message", data=form).status_code == 400


def test_a_job_is_recreated_by_its_button(sandbox, web, build):
    assert web.post("/settings/job/make-again", data={"job": "ios-prod"}).status_code == 303
    assert sandbox.state.jenkins.job("ios-prod").next_number == 1
    assert web.post("/settings/job/make-again", data={"job": "gone"}).status_code == 400


def test_jenkins_is_backed_up_restored_and_restarted_by_buttons(sandbox, web, build):
    def act(name):
        return web.post("/settings/jenkins", data={"act": name}).status_code

    assert act("restore") == 400
    assert act("backup") == 303
    sandbox.state.jenkins.finish("ios-prod", 245)
    assert act("restore") == 303
    assert sandbox.state.jenkins.build("ios-prod", 245).building
    assert act("restart") == 303
    assert [fault["kind"] for fault in sandbox.state.faults.active()] == ["starting", "status"]
    assert act("explode") == 400


def test_a_job_is_set_by_its_form(sandbox, web):
    form = {
        "job": "ios-prod",
        "url": "http://127.0.0.1:9/hook",
        "secret": "whsec_x",
        "style": "signed",
        "autoFinishSeconds": "5",
        "autoFinishResult": "FAILURE",
        "executors": "0",
        "logs": "25",
    }
    assert web.post("/settings/job", data=form).status_code == 303
    web.post("/settings/job", data={**form, "secret": "", "autoFinishSeconds": ""})
    job = sandbox.state.jenkins.job("ios-prod")
    assert (job.webhook.style, job.webhook.secret) == ("signed", "whsec_x")
    assert (job.auto_finish_seconds, job.auto_finish_result, job.executors) == (None, "FAILURE", 0)
    assert job.logs == 25
    page = web.get("/settings").text
    assert "http://127.0.0.1:9/hook" in page
    assert "whsec_x" not in page


def test_a_fault_is_added_by_its_form(sandbox, web):
    form = {
        "kind": "status",
        "provider": "jira",
        "method": "*",
        "path": "",
        "count": "2",
        "status": "502",
    }
    assert web.post("/settings/fault", data=form).status_code == 303
    (fault,) = sandbox.state.faults.active()
    assert (fault["status"], fault["count"], fault["path"]) == (502, 2, "*")
    assert fault["proxy"] == "nginx"
    assert "1 fault switched on" in web.get("/").text
    web.post("/settings/faults/clear")
    assert sandbox.state.faults.active() == []


def test_credentials_can_be_copied(sandbox, web):
    text = web.get("/credentials").text
    for words in (
        "ghp_sandbox_push_token",
        "BEGIN PRIVATE KEY",
        "service_account",
        f"{sandbox.url}/jira",
    ):
        assert words in text


@pytest.mark.parametrize("path", PAGES)
def test_pages_allow_only_their_own_files(web, path):
    policy = web.get(path).headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


@pytest.mark.parametrize("name", ["page.css", "refresh.js", "icon.svg"])
def test_the_files_are_served(web, name):
    assert web.get(f"/sandbox/static/sandbox/{name}").status_code == 200


def test_received_markup_does_not_run(sandbox, web, jenkins, jira):
    evil = "<script>alert(1)</script>"
    blocks = [
        {"type": "section", "text": {"type": "mrkdwn", "text": f'{evil} <http://x/?"><b>|{evil}>'}}
    ]
    sandbox.state.slack.post(Message("C123", "", evil, blocks=blocks))
    jenkins.post("/job/ios-prod/buildWithParameters?delay=0sec", data={"VERSION": evil})
    fields = {"project": {"key": "MOBILE"}, "issuetype": {"id": "10011"}, "summary": evil}
    jira.post("/rest/api/3/issue", json={"fields": fields})
    for path in (*PAGES, "/jira/browse/MOBILE-1"):
        assert "<script>alert" not in web.get(path).text


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a *b* `c`", "a <b>b</b> <code>c</code>"),
        ("2*3*4", "2*3*4"),
        ("&lt;!channel&gt; &amp;", "&lt;!channel&gt; &amp;"),
        ("<https://a.example/x|Open>", '<a href="https://a.example/x" rel="noreferrer">Open</a>'),
        ("<javascript:alert(1)|x>", "&lt;javascript:alert(1)|x&gt;"),
    ],
)
def test_slacks_text_becomes_harmless_html(text, html):
    assert str(mrkdwn.to_html(text)) == html


def test_blocks_are_shown_before_text():
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": "Title"}},
        {"type": "section", "fields": [{"type": "mrkdwn", "text": "one"}]},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": "small"}]},
        {
            "type": "actions",
            "elements": [{"type": "button", "text": {"text": "Go"}, "url": "http://a/"}],
        },
        {"type": "divider"},
    ]
    shown = [str(line) for line in mrkdwn.lines("fallback", blocks)]
    assert shown[:3] == ["<b>Title</b>", "one", "small"]
    assert shown[3].startswith('<a href="http://a/"')
    assert [str(line) for line in mrkdwn.lines("fallback", [])] == ["fallback"]


def test_address_and_secret_are_enough_for_a_webhook(sandbox, web):
    job = sandbox.state.jenkins.job("ios-prod")
    form = {"job": "ios-prod", "url": "http://127.0.0.1:1/hook", "secret": "whsec_abc"}
    answer = web.post("/settings/job", data={**form, "style": "none"})
    assert (job.webhook.style, job.webhook.secret) == ("signed", "whsec_abc")
    assert "Saved: ios-prod sends its webhook to" in web.get(answer.headers["Location"]).text
    answer = web.post("/settings/job", data={**form, "secret": "", "style": "none"})
    assert job.webhook.style == "none"
    assert "Saved: ios-prod sends no webhook." in web.get(answer.headers["Location"]).text


def test_what_a_link_makes_up_is_not_said(web):
    text = web.get("/settings?saved=%3Cb%3Einvented&job=%3Cb%3Eimagined").text
    assert "invented" not in text
    assert "imagined" not in text


@pytest.mark.parametrize(
    ("address", "form", "words"),
    [
        ("/settings/jenkins", {"act": "restart"}, "Jenkins was restarted."),
        ("/settings/faults/clear", {}, "All faults are off."),
        ("/settings/job/make-again", {"job": "ios-prod"}, "was deleted and created again."),
    ],
)
def test_what_was_done_is_said(web, address, form, words):
    answer = web.post(address, data=form)
    assert words in web.get(answer.headers["Location"]).text


def test_mails_are_shown_with_working_links(sandbox, web):
    folder = sandbox.state.state_dir / "mails"
    folder.mkdir()
    head = "To: <b@example.com>\nSubject: Join us\nContent-Type: text/plain; charset=utf-8\n\n"
    (folder / "1700000000000000000.eml").write_text(f"{head}<script> https://127.0.0.1/x?a=1")
    text = web.get("/mails").text
    assert "Join us" in text
    assert '<a href="https://127.0.0.1/x?a=1"' in text
    assert "<script> " not in text


def test_a_mail_is_shown_with_both_parts_and_its_headers(sandbox, web):
    folder = sandbox.state.state_dir / "mails"
    folder.mkdir(exist_ok=True)
    parts = "".join(
        f"--x\nContent-Type: text/{kind}; charset=utf-8\n\n{body}\n"
        for kind, body in (("plain", "As text"), ("html", "<script>alert(1)</script><p>As HTML"))
    )
    head = "To: b@example.com\nSubject: Both\nList-Id: <x.example>\n"
    kind = 'Content-Type: multipart/alternative; boundary="x"\n\n'
    (folder / "1700000000000000001.eml").write_text(f"{head}{kind}{parts}--x--\n")
    page = "/mails/1700000000000000001"
    assert page in web.get("/mails").text
    shown = web.get(page).text
    for words in ("Both", "As text", "List-Id", "&lt;x.example&gt;", f'src="{page}/html"'):
        assert words in shown
    assert "As HTML" not in shown
    html = web.get(f"{page}/html")
    assert "<p>As HTML" in html.text
    policy = html.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script" not in policy
    assert web.get("/mails/1").status_code == web.get("/mails/1/html").status_code == 404
