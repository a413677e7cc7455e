"""Files of runs: logs, annotations and artifacts, and the storage that they lie in.

https://docs.github.com/en/rest/actions/artifacts
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, redirect, request

from sandbox.action_runs import Run
from sandbox.context import own_url, state
from sandbox.github_json import log_of, mistake_in, stamp
from sandbox.providers import github
from sandbox.providers.github_runs import attempt_of, run_of
from sandbox.providers.github_workflows import actions, is_enterprise, not_found, repository_of
from sandbox.repositories import fake_sha

storage = Blueprint("storage", __name__)


def artifacts_of_run(owner: str, name: str, run_id: int) -> Response:
    run = run_of(owner, name, run_id)
    ids = [one for attempt in run.attempts for one in attempt.artifacts]
    wanted = request.args.get("name")
    found = [_artifact_json(run, actions().artifacts[one]) for one in ids[::-1]]
    found = [one for one in found if wanted in (None, one["name"])]
    return jsonify({"total_count": len(found), "artifacts": found})


def _artifact_json(run: Run, artifact: dict[str, Any]) -> dict[str, Any]:
    url = github.api(f"/repos/{run.repository}/actions/artifacts/{artifact['id']}")
    digest = fake_sha(str(artifact["id"])) + "0" * 24
    return {
        "id": artifact["id"],
        "node_id": f"A_{artifact['id']}",
        "name": artifact["name"],
        "size_in_bytes": 48_234_112,
        "url": url,
        "archive_download_url": f"{url}/zip",
        "expired": state().clock() >= artifact["until"],
        "digest": None if is_enterprise() else f"sha256:{digest}",
        "created_at": stamp(artifact["created"]),
        "updated_at": stamp(artifact["created"]),
        "expires_at": stamp(artifact["until"]),
        "workflow_run": {"id": run.id, "head_branch": run.branch, "head_sha": run.commit},
    }


def artifact_zip(owner: str, name: str, artifact_id: int) -> Any:
    repository_of(owner, name)
    artifact = actions().artifacts.get(artifact_id)
    if artifact is None:
        not_found()
    if state().clock() >= artifact["until"]:
        github.refuse(410, "Artifact has expired")
    return _to_storage(f"artifact:{artifact_id}")


def job_logs(owner: str, name: str, job_id: int) -> Any:
    run = run_of(owner, name, job_id // 100)
    attempt = attempt_of(run, job_id % 100)
    if not attempt.is_over or not run.has_jobs:
        not_found()
    return _to_storage(f"log:{run.id}:{attempt.number}")


def _to_storage(what: str) -> Any:
    """Outside of the API, as GitHub's storage is, and for a minute."""
    return redirect(f"{own_url('storage')}/{actions().link(what)}", 302)


def notes_of_job(owner: str, name: str, job_id: int) -> Response:
    run = run_of(owner, name, job_id // 100)
    if attempt_of(run, job_id % 100).conclusion != "failure":
        return jsonify([])
    facts = {"start_line": 118, "end_line": 118, "annotation_level": "failure", "title": ""}
    file, words, _lines = mistake_in(run)
    mistake = {**facts, "path": file, "message": words}
    last = {**facts, "path": ".github", "message": "Process completed with exit code 65."}
    return jsonify([mistake, last])


@storage.get("/storage/<token>")
def stored(token: str) -> Response:
    """A file whose address is valid for a minute, and which takes no other credentials. Ranges from
    a byte on are known, "the last n bytes" is not."""
    if "Authorization" in request.headers:
        return Response("<Error><Code>InvalidAuthenticationInfo</Code></Error>", 400)
    what = actions().linked(token)
    if what is None:
        return Response("<Error><Code>AuthenticationFailed</Code></Error>", 403)
    return _ranged(_bytes_of(what))


def _bytes_of(what: str) -> bytes:
    kind, _colon, which = what.partition(":")
    if kind == "artifact":
        return b"PK\x05\x06" + bytes(18)  # an empty zip file
    run_id, _colon, number = which.partition(":")
    run = actions().run(int(run_id))
    attempt = run.attempt(int(number)) if run else None
    return log_of(run, attempt).encode() if run and attempt else b""


def _ranged(raw: bytes) -> Response:
    start, _dash, end = request.headers.get("Range", "").removeprefix("bytes=").partition("-")
    if not start.isdigit():
        return Response(raw, 200, content_type="text/plain")
    last = min(int(end) if end.isdigit() else len(raw), len(raw) - 1)
    if int(start) >= len(raw):
        return Response(status=416, headers={"Content-Range": f"bytes */{len(raw)}"})
    told = {"Content-Range": f"bytes {start}-{last}/{len(raw)}"}
    return Response(raw[int(start) : last + 1], 206, headers=told, content_type="text/plain")
