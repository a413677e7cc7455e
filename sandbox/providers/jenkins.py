"""Jenkins under the context path /jenkins: status codes and headers as core and Stapler send them.

https://www.jenkins.io/doc/book/using/remote-access-api/
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, jsonify, request

from sandbox.accounts import APP_IDENTIFIER
from sandbox.ci import Ci
from sandbox.ci_jobs import MULTIBRANCH, Build, Job, Parameter
from sandbox.context import own_url, state
from sandbox.play import bundles
from sandbox.providers.jenkins_actions import input_id
from sandbox.providers.jenkins_console import console_page, console_text, progressive_text
from sandbox.providers.jenkins_export import Exporter, parse_tree, show
from sandbox.providers.jenkins_security import (
    CRUMB_FIELD,
    ITEM_BUILD,
    ITEM_CANCEL,
    ITEM_READ,
    OVERALL_READ,
    admit,
    crumb,
    error_page,
    finish,
    refuse,
    require,
    visitor,
)

blueprint = Blueprint("jenkins", __name__, url_prefix="/jenkins")
blueprint.before_request(admit)
blueprint.after_request(finish)
ANY = ["GET", "POST"]


def ci() -> Ci:
    return state().jenkins


def root() -> str:
    return ci().location_base or own_url("jenkins")


def exporter() -> Exporter:
    return Exporter(ci(), root())


def api(value: Any) -> Response:
    """An `api/json` answer, with `tree` and `depth` applied."""
    try:
        tree = parse_tree(request.args["tree"]) if "tree" in request.args else None
        depth = int(request.args.get("depth", 0))
    except ValueError as error:
        refuse(400, str(error))
    return jsonify(show(value, tree, depth))


def html(title: str, status: int = 200) -> Response:
    body = f"<!DOCTYPE html><html><head><title>{title} [Jenkins]</title></head><body></body></html>"
    return Response(body, status, content_type="text/html;charset=utf-8")


@blueprint.route("", methods=ANY)
@blueprint.route("/", methods=ANY)
def front() -> Response:
    require(OVERALL_READ)
    return html("Dashboard")


@blueprint.route("/api/json", methods=ANY)
def hudson() -> Response:
    require(OVERALL_READ)
    return api(_without_jobs(exporter().hudson()))


def _without_jobs(data: dict[str, Any]) -> dict[str, Any]:
    return data if visitor().may(ITEM_READ) else {**data, "jobs": []}


@blueprint.route("/whoAmI/api/json", methods=ANY)
def who_am_i() -> Response:
    """Available to everybody; an anonymous visitor is "authenticated", too."""
    who = visitor()
    return api(
        {
            "_class": "hudson.security.WhoAmI",
            "anonymous": who.is_anonymous,
            "authenticated": True,
            "authorities": [""] if who.is_anonymous else ["authenticated"],
            "name": who.name,
        }
    )


@blueprint.route("/me/api/json", methods=ANY)
def me() -> Response:
    who = visitor()
    if who.is_anonymous:
        require(OVERALL_READ)
    return api(
        {
            "_class": "hudson.model.User",
            "absoluteUrl": f"{root()}/user/{who.name}",
            "description": None,
            "fullName": who.name,
            "id": who.name,
            "property": [],
        }
    )


@blueprint.route("/crumbIssuer/api/json", methods=ANY)
def crumb_issuer() -> Response:
    require(OVERALL_READ)
    return api(
        {
            "_class": "hudson.security.csrf.DefaultCrumbIssuer",
            "crumb": crumb(),
            "crumbRequestField": CRUMB_FIELD,
        }
    )


@blueprint.route("/computer/api/json", methods=ANY)
def computers() -> Response:
    require(OVERALL_READ)
    return api(exporter().computers())


# Queue


@blueprint.route("/queue/api/json", methods=ANY)
def queue() -> Response:
    require(OVERALL_READ)
    data = exporter().queue()
    return api(data if visitor().may(ITEM_READ) else {**data, "items": []})


@blueprint.route("/queue/item/<int:queue_id>/api/json", methods=ANY)
def queue_item(queue_id: int) -> Response:
    item = ci().item(queue_id)
    if item is None or not _may_see(ci().job(item.job)):
        refuse(404, "Not Found")
    hidden, item.executable_hidden = item.executable_hidden, _still_hidden(item.left_at, item)
    return api(exporter().queue_item(item, hide_executable=hidden))


def _still_hidden(left_at: float | None, item: Any) -> bool:
    """True for the first read of an item that has left the queue: it shows no build yet."""
    return bool(item.executable_hidden) and left_at is None


@blueprint.route("/queue/item/<int:queue_id>/", methods=ANY)
def queue_item_page(queue_id: int) -> Response:
    if ci().item(queue_id) is None:
        refuse(404, "Not Found")
    return Response(
        f"Queue item exists. For details check, for example, {request.path}api/json", 200
    )


@blueprint.route("/queue/cancelItem", methods=ANY)
def cancel_item() -> Response:
    _require_post()
    item = ci().item(request.values.get("id", type=int) or -1)
    if item is None or not _may_see(ci().job(item.job)):
        refuse(404, "Not Found")
    if not visitor().may(ITEM_CANCEL) or not ci().cancel(item):
        refuse(422, "Item could not be cancelled")
    return Response(status=204)


# Jobs


def _may_see(job: Job) -> bool:
    return visitor().may(ITEM_READ) and not job.hidden


def _find(path: str) -> tuple[Job, list[str]]:
    """The job named by a path below /job/, and the rest of the path. 404 may also mean
    forbidden."""
    parts = [part for part in path.split("/") if part]
    names, rest = parts[:1], parts[1:]
    while len(rest) > 1 and rest[0] == "job":
        names.append(rest[1])
        rest = rest[2:]
    job = ci().jobs.get("/".join(names))
    if visitor().may(OVERALL_READ) and (job is None or not _may_see(job)):
        refuse(404, "Not Found")
    require(OVERALL_READ)
    if job is None:
        refuse(404, "Not Found")
    return job, rest


@blueprint.route("/job/<path:path>", methods=ANY)
def job(path: str) -> Response:
    found, rest = _find(path)
    match rest:
        case []:
            return html(found.full_name)
        case ["api", "json"]:
            return api(exporter().job(found))
        case ["build"] if found.is_container:
            return _scan(found)
        case ["build"]:
            return _build(found)
        case ["buildWithParameters"] if not found.is_container:
            return _build_with_parameters(found)
        case [number, *below] if not found.is_container:
            return _run(found, number, below)
    return refuse(404, "Not Found")


def _require_post() -> None:
    if request.method != "POST":
        refuse(405, "This URL requires POST", {"Allow": "POST"})


def _ready_to_build(found: Job) -> None:
    _require_post()
    require(ITEM_BUILD)
    if not found.buildable:
        refuse(409, f"{found.full_name} is not buildable")


def _scan(found: Job) -> Response:
    """On a multibranch project this starts a scan and builds nothing."""
    _require_post()
    require(ITEM_BUILD)
    if found.kind == MULTIBRANCH:
        ci().scan(found)
    else:
        state().record("folder.scanned", "jenkins", job=found.full_name)
    return Response(status=302, headers={"Location": "."})


def _build_with_parameters(found: Job) -> Response:
    _ready_to_build(found)
    if not found.declared:
        refuse(400, f"{found.full_name} is not parameterized")
    parameters = {p.name: _submitted(p) for p in found.declared}
    return _schedule(found, parameters, merged_status=303)


def _submitted(parameter: Parameter) -> str:
    """One value from the query or form; a JSON body is ignored."""
    values = request.values.getlist(parameter.name)
    if not values:
        return parameter.default
    if len(values) > 1:
        refuse(500, f"Illegal number of parameter values for {parameter.name}: {len(values)}")
    return _checked(parameter, values[0])


def _checked(parameter: Parameter, value: str) -> str:
    if parameter.kind == "Choice" and value not in parameter.choices:
        # The reason is only in Jenkins' log, since its pages show no stack traces.
        refuse(500, "A problem occurred while processing the request. Logging ID=00000000-0000")
    return value


def _build(found: Job) -> Response:
    if found.declared and request.method != "POST":
        refuse(405, "This page expects a form submission", {"Allow": "POST"})
    _ready_to_build(found)
    if not found.declared:
        return _schedule(found, {}, merged_status=201)
    return _schedule(found, _from_form(found), merged_status=302)


def _from_form(found: Job) -> dict[str, str]:
    """The values that the "Build with Parameters" page sends, as
    `json={"parameter": [{"name", "value"}]}`."""
    if not request.form:
        refuse(400, "This page expects a form submission but had only {}")
    if "json" not in request.form:
        refuse(400, "Nothing is submitted")
    try:
        given = json.loads(request.form["json"]).get("parameter", [])
        items = given if isinstance(given, list) else [given]
        named = [(item["name"], item.get("value", "")) for item in items]
    except (ValueError, AttributeError, KeyError, TypeError):
        refuse(400, "Failed to parse form data")
    known = {p.name: p for p in found.declared}
    values: dict[str, str] = {}
    for name, value in named:
        if name not in known:
            refuse(500, f"No such parameter definition: {name}")
        values[name] = _checked(known[name], str(value))
    return values


def _delay() -> float | None:
    text = request.values.get("delay", "").strip()
    for unit in ("secs", "sec"):
        text = text.removesuffix(unit)
    try:
        return float(text) if text else None
    except ValueError:
        refuse(500, f"Not a time: {text}")


def _schedule(found: Job, parameters: dict[str, str], *, merged_status: int) -> Response:
    if found.refuses:
        return Response(status=302, headers={"Location": "."})
    if twin := ci().equal_item(found, parameters):
        if merged_status == 302:
            return Response(status=302, headers={"Location": "."})
        return _to_item(twin.id, merged_status)
    item = ci().enqueue(found, parameters, user=visitor().name, delay=_delay())
    return _to_item(item.id, 201)


def _to_item(queue_id: int, status: int) -> Response:
    return Response(status=status, headers={"Location": f"{root()}/queue/item/{queue_id}/"})


# Builds


def _run(found: Job, number: str, below: list[str]) -> Response:
    build = _numbered(found, number)
    match below:
        case []:
            return html(f"{found.full_name} #{build.number}")
        case ["api", "json"]:
            return api(exporter().build(build))
        case ["console"]:
            return console_page(found, build)
        case ["consoleText"]:
            return console_text(found, build)
        case ["logText", "progressiveText"]:
            return progressive_text(found, build)
        case ["input", *rest]:
            return _input(found, build, rest)
        case ["wfapi", "pendingInputActions"]:
            return jsonify(_pending(build))
        case ["stop" | "term" | "kill"]:
            return _stop(found, build)
        case ["artifact", *parts] if "/".join(parts) in build.files:
            content = artifact(found, build, parts[-1])
            return Response(content, 200, content_type="application/octet-stream")
    return refuse(404, "Not Found")


def artifact(found: Job, build: Build, name: str) -> bytes:
    """A file of a build: an app bundle that the Play stand-in takes, or a line of text."""
    if name.endswith(".aab"):
        version, size = build.parameters.get("VERSION", ""), found.bundle_size
        return bundles.make(APP_IDENTIFIER, build.number, version, size=size)
    return f"sandbox artifact of {build.job} #{build.number}\n".encode()


def _numbered(found: Job, number: str) -> Build:
    builds = ci().builds_of(found.full_name)
    if number == "lastBuild" and builds:
        return builds[0]
    build = ci().build(found.full_name, int(number)) if number.isdecimal() else None
    if build is None:
        refuse(404, "Not Found")
    return build


def _pending(build: Build) -> list[dict[str, Any]]:
    """https://plugins.jenkins.io/pipeline-rest-api/"""
    if not build.question:
        return []
    address = urlsplit(exporter().build_url(build)).path
    return [
        {
            "id": input_id(build),
            "proceedText": "Proceed",
            "message": build.question,
            "inputs": [],
            "proceedUrl": f"{address}wfapi/inputSubmit?inputId={input_id(build)}",
            "abortUrl": f"{address}input/{input_id(build)}/abort",
            "redirectApprovalUrl": f"{address}input/",
        }
    ]


def _input(found: Job, build: Build, below: list[str]) -> Response:
    """Where a person who is signed in answers, and what the page sends."""
    if not below and build.questions:
        return html(f"{found.full_name} #{build.number} Paused for Input")
    name, verb = below if len(below) == 2 else ("", "")
    is_known = build.question and name == input_id(build)
    if not is_known or verb not in ("proceed", "proceedEmpty", "abort"):
        refuse(404, "Not Found")
    _require_post()
    require(ITEM_CANCEL if verb == "abort" else ITEM_BUILD)
    ci().answer(found.full_name, build.number, proceed=verb != "abort")
    return Response(status=200)


def _stop(found: Job, build: Build) -> Response:
    """Redirect to the referring page, whether or not there was something to stop."""
    _require_post()
    require(ITEM_CANCEL)
    if build.building:
        ci().finish(found.full_name, build.number, "ABORTED")
    return Response(status=302, headers={"Location": request.headers.get("Referer", ".")})


@blueprint.route("/<path:path>", methods=ANY)
def unknown(path: str) -> Response:
    require(OVERALL_READ)
    return error_page(404, "Not Found")
