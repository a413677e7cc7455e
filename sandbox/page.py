"""The sandbox's own pages: board, settings, credentials."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, abort, render_template, request

from sandbox import (
    page_actions,
    page_chat,
    page_health,
    page_listeners,
    page_pipelines,
    page_receivers,
    page_tickets,
)
from sandbox.ci_jobs import RESULTS, RETRIES, Build, Job
from sandbox.context import accounts, clock_time, state, to_page
from sandbox.control import PERSON, configure, guard
from sandbox.faults import KINDS
from sandbox.gate import PREFIXES
from sandbox.proxies import PROXIES

blueprint = Blueprint("page", __name__)
blueprint.before_request(guard)
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'; frame-src 'self'"
)
ALWAYS_SHOWN = ("ios-prod", "android-prod")
SHOWN_BUILDS, SHOWN_LEDGER = 5, 15


@blueprint.after_request
def headers(response: Response) -> Response:
    response.headers.setdefault("Content-Security-Policy", POLICY)
    response.headers["Cache-Control"] = "no-store"
    return response


# Board


@blueprint.get("/")
def home() -> str:
    return render_template("sandbox/home.html", **_board())


@blueprint.get("/sandbox/board")
def board() -> str:
    """The part of the home page that is refreshed."""
    return render_template("sandbox/_board.html", **_board())


def _board() -> dict[str, Any]:
    return {
        **page_actions.board(),
        **page_pipelines.board(),
        **page_receivers.board(),
        **page_listeners.board(),
        **page_chat.board(),
        **page_tickets.board(),
        **page_health.board(),
        "jobs": [_job(job) for job in _buildable_jobs() if _is_shown(job)],
        "idle_jobs": [job.full_name for job in _buildable_jobs() if not _is_shown(job)],
        "ledger": [_entry(entry) for entry in state().ledger.tail(SHOWN_LEDGER)[::-1]],
        "faults": state().faults.active(),
        "results": ("SUCCESS", "FAILURE", "ABORTED"),
        "retries": RETRIES,
    }


def _buildable_jobs() -> list[Job]:
    return [job for job in state().jenkins.jobs.values() if not job.is_container]


def _is_shown(job: Job) -> bool:
    ci = state().jenkins
    waits = any(item.job == job.full_name for item in ci.queued())
    return job.full_name in ALWAYS_SHOWN or waits or bool(ci.builds.get(job.full_name))


def _job(job: Job) -> dict[str, Any]:
    ci = state().jenkins
    queued = [item for item in ci.queued() if item.job == job.full_name]
    return {
        "name": job.full_name,
        "queue": [
            {"id": item.id, "why": ci.why(item), "parameters": item.parameters} for item in queued
        ],
        "builds": [_build(job, build) for build in ci.builds_of(job.full_name)[:SHOWN_BUILDS]],
    }


def _build(job: Job, build: Build) -> dict[str, Any]:
    ended = state().clock() if build.ended_at is None else build.ended_at
    return {
        "number": build.number,
        "building": build.building,
        "question": build.question,
        "result": build.result or "RUNNING",
        "parameters": {name: value for name, value in build.parameters.items() if value},
        "artifact": build.artifact,
        "seconds": round(ended - build.started_at),
        "estimate": job.auto_finish_seconds,
    }


def _entry(entry: dict[str, Any]) -> dict[str, Any]:
    hidden = {"seq", "at", "provider", "kind", "metadata", "parameters", "threadTs"}
    facts = {
        name: ", ".join(value) if isinstance(value, list) else value
        for name, value in entry.items()
        if name not in hidden and value not in ("", [])
    }
    known = {name: entry[name] for name in ("provider", "kind")}
    return {**known, "at": clock_time(entry["at"]), "facts": facts}


@blueprint.post("/sandbox/finish")
def finish() -> Response:
    job, number = request.form.get("job", ""), request.form.get("number", -1, type=int)
    try:
        state().jenkins.finish(job, number, request.form.get("result", ""))
    except (KeyError, ValueError):
        abort(400)
    return to_page("page.home")


@blueprint.post("/sandbox/ask")
def ask() -> Response:
    form, ci = request.form, state().jenkins
    job, number = form.get("job", ""), form.get("number", -1, type=int)
    acts = {
        "ask": lambda: ci.ask(job, number, "Release this build to testers?"),
        "proceed": lambda: ci.answer(job, number, proceed=True),
        "abort": lambda: ci.answer(job, number, proceed=False),
    }
    try:
        acts[form.get("act", "")]()
    except KeyError:
        abort(400)
    return to_page("page.home")


@blueprint.post("/sandbox/retry")
def retry() -> Response:
    ci, form = state().jenkins, request.form
    build = ci.build(form.get("job", ""), form.get("number", -1, type=int))
    if build is None or form.get("by") not in RETRIES:
        abort(400)
    ci.rebuild(build, user=PERSON, by=form["by"])
    return to_page("page.home")


@blueprint.post("/sandbox/start")
def start() -> Response:
    """Start a build as a person does on Jenkins' own page."""
    ci, form = state().jenkins, request.form
    job = ci.jobs.get(form.get("name", ""))
    if job is None or job.is_container:
        abort(400)
    given = {"VERSION": form.get("version", ""), "BRANCH": form.get("branch", "")}
    ci.enqueue(job, given, user=PERSON, delay=0)
    return to_page("page.home")


@blueprint.post("/sandbox/delete-message")
def delete_message() -> Response:
    chat = state().slack
    message = chat.message(request.form.get("channel", ""), request.form.get("ts", ""))
    if message is None:
        abort(400)
    chat.delete(message)
    return to_page("page.home")


@blueprint.post("/sandbox/reset")
def reset() -> Response:
    state().reset()
    return to_page("page.home")


# Settings

SAVED = {
    "restart": "Jenkins was restarted.",
    "backup": "Jenkins was backed up.",
    "restore": "The backup was restored.",
    "quiet": "Jenkins prepares to shut down: builds stay in the queue.",
    "resume": "Jenkins starts builds again.",
    "scan": "All multibranch projects were scanned for branches.",
    "fault": "The fault is on.",
    "faults": "All faults are off.",
    "receiver": "Saved: the receiver of Any CI.",
    "endpoint": "Saved: the endpoint.",
}


@blueprint.get("/settings")
def settings() -> str:
    return render_template(
        "sandbox/settings.html",
        jobs=_buildable_jobs(),
        receivers=list(state().receivers.all.values()),
        endpoint=state().listeners,
        statuses=page_listeners.STATUSES,
        results=RESULTS,
        kinds=KINDS,
        proxies=list(PROXIES),
        providers=list(dict.fromkeys(PREFIXES.values())),
        faults=state().faults.active(),
        saved=_saved(request.args.get("saved", ""), request.args.get("job", "")),
        changed=request.args.get("job", ""),
    )


def _saved(what: str, job: str) -> str:
    """What was done, in words; "" for a word that no link of ours has."""
    known = state().jenkins.jobs.get(job)
    if what == "job" and known is not None:
        sends = known.webhook.url and known.webhook.style != "none"
        where = f"sends its webhook to {known.webhook.url}" if sends else "sends no webhook"
        return f"Saved: {job} {where}."
    if what == "again" and known is not None:
        return f"{job} was deleted and created again."
    return SAVED.get(what, "")


@blueprint.post("/settings/job")
def save_job() -> Response:
    form = request.form
    job = state().jenkins.jobs.get(form.get("job", ""))
    if job is None:
        abort(400)
    url, secret = form.get("url", "").strip(), form.get("secret", "").strip()
    style = form.get("style", "none")
    if url and secret and style == job.webhook.style == "none":
        style = "signed"  # who pastes both wants it sent
    wanted: dict[str, Any] = {
        "autoFinishSeconds": form.get("autoFinishSeconds", type=float),
        "autoFinishResult": form.get("autoFinishResult", "SUCCESS"),
        "executors": form.get("executors", 1, type=int),
        "logs": form.get("logs", 0, type=int),
        "asks": form.get("asks", "").strip(),
        "webhook": {
            "url": url,
            "secret": secret or job.webhook.secret,
            "style": style,
        },
    }
    try:
        configure(job, wanted)
    except ValueError:
        abort(400)
    return to_page("page.settings", saved="job", job=job.full_name)


@blueprint.post("/settings/job/make-again")
def make_job_again() -> Response:
    job = state().jenkins.jobs.get(request.form.get("job", ""))
    if job is None:
        abort(400)
    state().jenkins.make_again(job.full_name)
    return to_page("page.settings", saved="again", job=job.full_name)


@blueprint.post("/settings/jenkins")
def act_on_jenkins() -> Response:
    """One of the acts that are about the Jenkins stand-in as a whole."""
    ci = state().jenkins
    acts: dict[str, Callable[[], object]] = {
        "restart": state().restart_jenkins,
        "backup": ci.back_up,
        "restore": ci.restore,
        "quiet": ci.quiet_down,
        "resume": ci.cancel_quiet_down,
        "scan": ci.scan_all,
    }
    try:
        acts[request.form.get("act", "")]()
    except LookupError:
        abort(400)
    return to_page("page.settings", saved=request.form["act"])


@blueprint.post("/settings/fault")
def add_fault() -> Response:
    form = request.form
    numbers = {"count": int, "status": int, "seconds": float, "probability": float}
    given = {name: form.get(name, type=kind) for name, kind in numbers.items()}
    try:
        state().faults.add(
            form.get("kind", ""),
            provider=form.get("provider") or "*",
            method=form.get("method") or "*",
            path=form.get("path") or "*",
            proxy=form.get("proxy") or "nginx",
            **{name: value for name, value in given.items() if value is not None},
        )
    except (TypeError, ValueError):
        abort(400)
    return to_page("page.settings", saved="fault")


@blueprint.post("/settings/faults/clear")
def clear_faults() -> Response:
    state().faults.clear()
    return to_page("page.settings", saved="faults")


# Credentials


@blueprint.get("/credentials")
def credentials() -> str:
    base_url = request.host_url.rstrip("/")
    return render_template(
        "sandbox/credentials.html",
        families=_families(accounts().as_dict(base_url)),
        environment=accounts().settings(base_url),
    )


# The labels of delivr's forms, by the names of its API
LABELS = {
    "accessToken": "Access token",
    "repositoryUrl": "Repository",
    "appIdentifier": "Bundle ID",
    "appleIssuerId": "Issuer ID",
    "appleKeyId": "Key ID",
    "appleApiKey": "API key (.p8)",
    "googleServiceAccount": "Service account (JSON)",
    "jenkinsUrl": "Jenkins address",
    "jenkinsUsername": "User",
    "jenkinsApiToken": "API token",
    "jenkinsJobPath": "Job",
    "workflow": "Workflow",
    "triggerUrl": "Trigger address",
    "triggerHeaders": "Headers",
    "statusUrl": "Status address",
    "slackBotToken": "Bot token",
    "slackAppToken": "App-level token",
    "slackChannels": "Channels",
    "workflowUrl": "Workflow address",
    "url": "Address",
    "recipients": "Recipients",
    "jiraUrl": "Jira address",
    "jiraEmail": "Account email",
    "jiraApiToken": "API token",
    "jiraProjectKey": "Project",
    "sentryUrl": "Address of Sentry",
    "sentryToken": "Token",
    "sentryOrganization": "Organization",
    "sentryProject": "Project",
}


def _families(values: dict[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """The heading and rows of each connection, in the order of the setup."""
    ios, android = values["targets"]
    blocks = [
        ("GitHub", values["scm"]),
        ("GitLab", values["gitlab"]),
        ("App Store Connect", ios),
        ("Google Play", android),
        *((f"Jenkins {p['jenkinsJobPath']}", p) for p in values["pipelines"]),
        *(("GitHub Actions", p) for p in values["workflows"]),
        *((f"Any CI {p['triggerUrl'].rpartition('/')[2]}", p) for p in values["receivers"]),
        ("Slack", values["communication"]),
        ("Microsoft Teams", values["teams"]),
        ("Endpoint", values["endpoint"]),
        ("Email", values["email"]),
        ("Jira", values["tickets"]),
        ("Sentry", values["health"]),
    ]
    return [(heading, _rows(block)) for heading, block in blocks]


def _rows(block: dict[str, Any]) -> list[tuple[str, str]]:
    shown = {name: value for name, value in block.items() if not name.endswith("Type")}
    labels = LABELS | ({"appIdentifier": "Package name"} if "googleServiceAccount" in block else {})
    return [(labels.get(name, name), _copyable(value)) for name, value in shown.items()]


def _copyable(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    return json.dumps(value, indent=2) if isinstance(value, dict) else str(value)
