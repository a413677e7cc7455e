"""The control API under /sandbox/api/: read what happened, and make things happen."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, NoReturn
from urllib.parse import urlsplit

from flask import Blueprint, Response, abort, jsonify, request

from sandbox.accounts import GITHUB_PUSH_TOKEN
from sandbox.ci_jobs import MULTIBRANCH, Job, Webhook, dump
from sandbox.context import accounts, state
from sandbox.faults import KINDS
from sandbox.repositories import fake_sha

blueprint = Blueprint("control", __name__, url_prefix="/sandbox/api")
PERSON = "priya"  # who works in Jenkins beside delivr
OWN_HOSTS = ("127.0.0.1", "localhost", "[::1]")
SETTINGS = {
    "autoFinishSeconds": "auto_finish_seconds",
    "autoFinishResult": "auto_finish_result",
    "executors": "executors",
    "concurrent": "concurrent",
    "quietPeriod": "quiet_period",
    "bundleSize": "bundle_size",
    "buildable": "buildable",
    "refuses": "refuses",
    "lateExecutable": "late_executable",
    "nextNumber": "next_number",
    "logs": "logs",
    "asks": "asks",
    "exportsInput": "exports_input",
    "buildsFound": "builds_found",
}


def refuse(status: int, message: str) -> NoReturn:
    answer = jsonify({"error": message})
    answer.status_code = status
    abort(answer)


def guard() -> None:
    """Allow only local pages and programs: a page of another site in the same browser may neither
    read (DNS rebinding, seen by a foreign Host) nor write (a foreign Origin)."""
    if urlsplit(f"//{request.host}").hostname not in {h.strip("[]") for h in OWN_HOSTS}:
        refuse(403, "unknown host")
    if request.method in ("GET", "HEAD"):
        return
    if request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
        refuse(403, "cross-origin request")
    if request.headers.get("Origin", request.host_url.rstrip("/")) != request.host_url.rstrip("/"):
        refuse(403, "cross-origin request")


blueprint.before_request(guard)


def json_body() -> dict[str, Any]:
    body = request.get_json(silent=True) or {}
    if not isinstance(body, dict):
        refuse(400, "a JSON object is wanted")
    return body


@blueprint.get("/accounts")
def show_accounts() -> Response:
    base_url = request.host_url.rstrip("/")
    return jsonify({**accounts().as_dict(base_url), "settings": accounts().settings(base_url)})


@blueprint.get("/ledger")
def ledger() -> Response:
    kind = request.args.get("kind")
    entries = state().ledger.of(kind) if kind else list(state().ledger)
    return jsonify({"count": len(entries), "ledger": entries})


@blueprint.get("/requests")
def requests() -> Response:
    wanted = {name: request.args.get(name, "*") for name in ("provider", "method", "path")}
    entries = state().requests.select(**wanted)
    return jsonify({"count": len(entries), "requests": entries})


@blueprint.post("/reset")
def reset() -> Response:
    state().reset()
    return jsonify({"ok": True})


@blueprint.get("/clock")
def clock() -> Response:
    return jsonify({"now": state().clock(), "offset": state().offset})


@blueprint.post("/clock")
def advance() -> Response:
    state().advance(float(json_body().get("advance", 0)))
    return clock()


# Faults


@blueprint.get("/faults")
def faults() -> Response:
    return jsonify({"kinds": KINDS, "faults": state().faults.active()})


@blueprint.post("/faults")
def add_fault() -> tuple[Response, int]:
    try:
        fault = state().faults.add(**json_body())
    except (TypeError, ValueError) as error:
        refuse(400, str(error))
    return jsonify(asdict(fault)), 201


@blueprint.delete("/faults")
def clear_faults() -> Response:
    state().faults.clear()
    return jsonify({"ok": True})


@blueprint.delete("/faults/<int:fault_id>")
def remove_fault(fault_id: int) -> Response:
    state().faults.remove(fault_id)
    return jsonify({"ok": True})


# Jenkins


def _job(full_name: str) -> Job:
    try:
        return state().jenkins.job(full_name)
    except KeyError:
        refuse(404, f"no job {full_name!r}")


def job_json(job: Job) -> dict[str, Any]:
    """A job's settings and builds, without its webhook's secret."""
    ci = state().jenkins
    settings = {name: getattr(job, attribute) for name, attribute in SETTINGS.items()}
    return {
        "name": job.full_name,
        "kind": job.kind,
        **settings,
        "webhook": {
            "url": job.webhook.url,
            "style": job.webhook.style,
            "hasSecret": bool(job.webhook.secret),
        },
        "queue": [asdict(item) for item in ci.queued() if item.job == job.full_name],
        "builds": [asdict(build) for build in ci.builds_of(job.full_name)],
    }


def _webhook_json(webhook: Webhook) -> dict[str, Any]:
    return {"url": webhook.url, "style": webhook.style, "hasSecret": bool(webhook.secret)}


@blueprint.get("/jenkins/jobs")
def jobs() -> Response:
    found = [job for job in state().jenkins.jobs.values() if not job.is_container]
    return jsonify({"jobs": [job_json(job) for job in found]})


@blueprint.get("/jenkins/jobs/<path:full_name>")
def job(full_name: str) -> Response:
    return jsonify(job_json(_job(full_name)))


@blueprint.route("/jenkins/jobs/<path:full_name>", methods=["PATCH", "POST"])
def change_job(full_name: str) -> Response:
    found = _job(full_name)
    try:
        configure(found, json_body())
    except (KeyError, TypeError, ValueError) as error:
        refuse(400, f"unknown or bad setting: {error}")
    return jsonify(job_json(found))


@blueprint.put("/jenkins/jobs/<path:full_name>")
def copy_job(full_name: str) -> tuple[Response, int]:
    """Create a job as a copy of another (`copyOf`), as Jenkins' "New item … copy from" does."""
    ci = state().jenkins
    if full_name in ci.jobs:
        refuse(409, f"{full_name!r} is there already")
    like = _job(str(json_body().get("copyOf", "")))
    ci.jobs[full_name] = Job.revive({**dump(like), "full_name": full_name, "next_number": 1})
    state().touch()
    return jsonify(job_json(ci.jobs[full_name])), 201


def configure(job: Job, settings: dict[str, Any]) -> None:
    """Change a job's settings, by the names in `SETTINGS`, and its `webhook`.

    Raises KeyError, TypeError or ValueError for an unknown setting or an invalid value.
    """
    settings = dict(settings)
    if "webhook" in settings:
        webhook = Webhook(**settings.pop("webhook"))
        if webhook.style not in ("signed", "notification", "none"):
            raise ValueError(f"style {webhook.style!r}")
        job.webhook = webhook
    for name, value in settings.items():
        setattr(job, SETTINGS[name], value)
    state().touch()
    state().settle()


@blueprint.post("/jenkins/jobs/<path:full_name>/builds/<int:number>/finish")
def finish_build(full_name: str, number: int) -> Response:
    body = json_body()
    try:
        build = state().jenkins.finish(full_name, number, body.get("result", "SUCCESS"))
    except KeyError:
        refuse(404, f"no build {full_name} #{number}")
    except ValueError as error:
        refuse(400, str(error))
    return jsonify(asdict(build))


@blueprint.post("/jenkins/jobs/<path:full_name>/builds")
def build_by_hand(full_name: str) -> tuple[Response, int]:
    """Start a build as a person does on Jenkins' own page: `user`, `parameters`."""
    body = json_body()
    item = state().jenkins.enqueue(
        _job(full_name), dict(body.get("parameters", {})), user=body.get("user", PERSON), delay=0
    )
    return jsonify(asdict(item)), 201


@blueprint.post("/jenkins/jobs/<path:full_name>/builds/<int:number>/retry")
def retry_build(full_name: str, number: int) -> tuple[Response, int]:
    """Run a build again `by` one of RETRIES, as `user`; with a `result` it ends at once."""
    body, ci = json_body(), state().jenkins
    build = ci.build(full_name, number)
    if build is None:
        refuse(404, f"no build {full_name} #{number}")
    try:
        item = ci.rebuild(build, user=body.get("user", PERSON), by=body.get("by", "rebuild"))
        if item.number is not None and "result" in body:
            ci.finish(full_name, item.number, body["result"])
    except ValueError as error:
        refuse(400, str(error))
    return jsonify(asdict(item)), 201


@blueprint.post("/jenkins/jobs/<path:full_name>/builds/<int:number>/ask")
def ask(full_name: str, number: int) -> Response:
    """Have a running build ask a person: `message`."""
    try:
        build = state().jenkins.ask(full_name, number, str(json_body().get("message", "Go on?")))
    except KeyError:
        refuse(404, f"no running build {full_name} #{number}")
    return jsonify(asdict(build))


@blueprint.post("/jenkins/jobs/<path:full_name>/builds/<int:number>/answer")
def answer(full_name: str, number: int) -> Response:
    """Answer its question: `proceed`."""
    try:
        build = state().jenkins.answer(
            full_name, number, proceed=bool(json_body().get("proceed", True))
        )
    except KeyError:
        refuse(404, f"no question of {full_name} #{number}")
    return jsonify(asdict(build))


@blueprint.post("/jenkins/jobs/<path:full_name>/scan")
def scan(full_name: str) -> Response:
    """Scan the repository for new branches, as Jenkins does on a push or by its clock."""
    found = _job(full_name)
    if found.kind != MULTIBRANCH:
        refuse(400, f"{full_name!r} is no multibranch project")
    return jsonify({"jobs": [job.full_name for job in state().jenkins.scan(found)]})


@blueprint.post("/jenkins/quiet-down")
def quiet_down() -> Response:
    """Prepare Jenkins to shut down, for a `reason`; not any more with `"cancel": true`."""
    body, ci = json_body(), state().jenkins
    if body.get("cancel"):
        ci.cancel_quiet_down()
    else:
        ci.quiet_down(str(body.get("reason", "")))
    return jsonify({"quietingDown": ci.quiet_reason is not None})


@blueprint.delete("/jenkins/jobs/<path:full_name>/builds/<int:number>")
def delete_build(full_name: str, number: int) -> Response:
    state().jenkins.delete_build(full_name, number)
    return jsonify({"ok": True})


@blueprint.post("/jenkins/jobs/<path:full_name>/make-again")
def make_job_again(full_name: str) -> Response:
    return jsonify(job_json(state().jenkins.make_again(_job(full_name).full_name)))


@blueprint.post("/jenkins/backup")
def back_up_jenkins() -> Response:
    state().jenkins.back_up()
    return jsonify({"ok": True})


@blueprint.post("/jenkins/restore")
def restore_jenkins() -> Response:
    try:
        state().jenkins.restore()
    except LookupError as error:
        refuse(409, str(error))
    return jsonify({"ok": True})


@blueprint.post("/jenkins/restart")
def restart_jenkins() -> Response:
    body = json_body()
    state().restart_jenkins(**{name: int(count) for name, count in body.items()})
    return jsonify({"ok": True})


@blueprint.post("/jenkins/forget-queue")
def forget_queue() -> Response:
    state().jenkins.forget_left_items()
    return jsonify({"ok": True})


# GitHub, Slack and Jira


@blueprint.post("/github/token")
def github_token() -> Response:
    body = json_body()
    token = str(body.get("token", GITHUB_PUSH_TOKEN))
    try:
        state().github.end_token(token, float(body["expiresInDays"]))
    except (KeyError, TypeError, ValueError):
        refuse(400, "expiresInDays, a number, is wanted")
    return jsonify({"token": token, "endsAt": state().github.token_ends[token]})


@blueprint.post("/github/settings")
def github_settings() -> Response:
    """Set whether branches `release/<version>` exist as soon as they are requested, and the reason
    with which every request is refused."""
    github, body = state().github, json_body()
    github.cuts_releases = bool(body.get("cutsReleases", github.cuts_releases))
    github.refuses = str(body.get("refuses", github.refuses))
    state().touch()
    return jsonify({"cutsReleases": github.cuts_releases, "refuses": github.refuses})


@blueprint.route("/github/branches/<owner>/<name>/<path:branch>", methods=["PUT", "DELETE"])
def github_branch(owner: str, name: str, branch: str) -> Response:
    """Create a branch, or remove it for good."""
    github, ref = state().github, f"refs/heads/{branch}"
    repository = github.find(owner, name)
    if repository is None:
        refuse(404, f"no repository {owner}/{name}")
    if request.method == "DELETE":
        github.remove_ref(repository, ref)
    else:
        github.create_ref(repository, ref, fake_sha(repository.full_name, ref))
    return jsonify({"branch": branch, "commit": github.refs[repository.full_name].get(ref)})


@blueprint.get("/jira/issues")
def issues() -> Response:
    found = [asdict(issue) for issue in state().jira.issues]
    return jsonify({"count": len(found), "issues": found})


@blueprint.post("/jira/settings")
def jira_settings() -> Response:
    state().jira.search_lag = float(json_body().get("searchLagSeconds", state().jira.search_lag))
    state().touch()
    return jsonify({"searchLagSeconds": state().jira.search_lag})
