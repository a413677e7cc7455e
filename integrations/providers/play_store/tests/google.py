"""Google Play's rules for edits, tracks and reviews, on the loopback server `wire`.

Stricter than needed: what delivr must never send is refused.
"""

import copy
import json
import re

from integrations.providers.tests.wire import Reply, payloads

APP = "/play/androidpublisher/v3/applications/com.example.app"
GONE = "This Edit has been deleted."
BY_HAND = (
    "Changes cannot be sent for review automatically. Please set the query parameter "
    "changesNotSentForReview to true."
)
payload = payloads(__file__)


class Refusal(Exception):
    def __init__(self, *texts, status=400, reason="invalid"):
        errors = [{"message": text, "reason": reason} for text in texts]
        body = {"error": {"code": status, "message": texts[0], "errors": errors}}
        self.reply = Reply(body, status)


def release(*codes, status="completed", fraction=None, **more):
    entry = {"name": f"v{codes[0]}", "versionCodes": [str(code) for code in codes]}
    if fraction is not None:
        entry["userFraction"] = fraction
    return {**entry, "status": status, **more}


class Google:
    """Set as `wire.routes`. The attributes up to `faults` are what people see in Play Console."""

    def __init__(self):
        self.tracks = {
            "production": [release(140)],
            "beta": [],
            "alpha": [],
            "internal": [release(150, releaseNotes=[{"language": "en-US", "text": "Faster."}])],
        }
        self.states = {}  # (track, code) -> lifecycle, otherwise PUBLISHED
        self.uploaded = {130, 140, 150}
        self.is_managed = self.is_draft_app = self.sends_by_hand = self.reviews = False
        self.blockers = []  # texts with which validate and commit are refused
        self.may_release = True
        self.faults = {}  # (method, last part of the path) -> replies in place of the next ones
        self.edits = {}
        self.ended = {"production": [release(130)]}  # earlier releases of a track
        self.commits = []  # the track that each commit changed
        self.calls = []
        self.before = {}  # (method, last part) -> called once before it is answered
        self._count = 0

    # What people do

    def touch(self):
        """Somebody saves something in Play Console, or commits with another key."""
        self.edits.clear()

    def decide(self, state="PUBLISHED", *, track="production", code=150):
        self.states[track, code] = state

    def entry(self, code=150, track="production"):
        return next(r for r in self.tracks[track] if str(code) in r["versionCodes"])

    # Routes

    def get(self, path, default=None):
        return Reply(payload("token__200")) if path == "/token" else self.answer

    def answer(self, seen):
        last = re.split(r"[/:]", seen.path)[-1]
        key = (seen.method, "edit" if last.isdigit() else last)
        self.calls.append(key)
        if key in self.before:
            self.before.pop(key)()
        fault = self.faults.get(key, []).pop(0) if self.faults.get(key) else None
        if fault and not getattr(fault, "is_late", False):
            return fault
        try:
            reply = self._answer(seen)
        except Refusal as refusal:
            return refusal.reply
        return fault or reply

    def _answer(self, seen):
        path = seen.path.removeprefix(APP)
        if listed := re.fullmatch(r"/tracks/(\w+)/releases", path):
            return Reply(self._releases(listed[1]))
        if path == "/edits":
            return Reply(self._insert())
        edit_id, action = re.fullmatch(r"/edits/(\d+)[/:]?(.*)", path).groups()
        if edit_id not in self.edits:
            raise Refusal(GONE)
        edit = self.edits[edit_id]
        if seen.method == "DELETE":
            del self.edits[edit_id]
            return Reply(b"", 204)
        if action in ("bundles", "apks"):
            codes = sorted(self.uploaded) if action == "bundles" else []
            return Reply({action: [{"versionCode": code} for code in codes]} if codes else {})
        if action == "tracks":
            return Reply(
                {"tracks": [{"track": t, "releases": r} for t, r in edit["tracks"].items()]}
            )
        if seen.method == "PUT":
            return Reply(self._put(edit, seen.json))
        self._validate(edit)
        if action == "commit":
            self._commit(edit_id, seen.query)
        return Reply({"id": edit_id})

    def _releases(self, track):
        if track not in self.tracks:
            raise Refusal(f"Track not found: {track}", status=404, reason="notFound")
        found = []
        for entry in self.tracks[track]:
            codes = [int(code) for code in entry["versionCodes"]]
            usual = "DRAFT" if entry["status"] == "draft" else "PUBLISHED"
            word = next((s for c in codes if (s := self.states.get((track, c)))), usual)
            found.append(
                {
                    "releaseName": entry["name"],
                    "track": track,
                    "activeArtifacts": [{"versionCode": code} for code in codes],
                    "releaseLifecycleState": f"RELEASE_LIFECYCLE_STATE_{word}",
                }
            )
        return {"releases": found} if found else {}

    def _insert(self):
        if not self.may_release:
            raise Refusal("The caller does not have permission", status=403, reason="forbidden")
        self._count += 1
        edit_id = f"{self._count:020d}"
        self.edits = {edit_id: {"tracks": copy.deepcopy(self.tracks), "changed": None}}
        return {"id": edit_id, "expiryTimeSeconds": "1700003600"}

    def _put(self, edit, track):
        name, releases = track["track"], track["releases"]
        if self.is_draft_app and any(r["status"] != "draft" for r in releases):
            raise Refusal("Only releases with status draft may be created on draft app.")
        for entry in releases:
            fraction = entry.get("userFraction")
            assert entry["versionCodes"]
            assert (fraction is None) == (entry["status"] in ("completed", "draft")) or (
                entry["status"] == "halted"
            )
            assert fraction is None or 0 < fraction < 1
            assert "countryTargeting" not in entry or entry["status"] == "inProgress"
            if unknown := {int(code) for code in entry["versionCodes"]} - self.uploaded:
                raise Refusal(f"Version code {min(unknown)} does not exist.")
        assert sum(r["status"] == "completed" for r in releases) <= 1
        before = edit["tracks"][name]
        for entry in before:  # what is being rolled out by others is never touched
            if entry["status"] in ("inProgress", "draft") and "150" not in entry["versionCodes"]:
                assert entry in releases
        self._check_changes(name, before, releases)
        edit["tracks"][name], edit["changed"] = releases, name
        return track

    def _check_changes(self, name, before, releases):
        for entry in releases:
            was = next((r for r in before if r["versionCodes"] == entry["versionCodes"]), {})
            if entry["status"] == "inProgress" and not any(r["status"] != "draft" for r in before):
                raise Refusal("The first release on a track cannot be staged.")
            if was.get("status") == entry["status"] == "inProgress":
                assert entry["userFraction"] >= was["userFraction"]
            is_new_halt = was.get("status") == "completed" and entry["status"] == "halted"
            if is_new_halt and not self.ended.get(name):
                raise Refusal("This release cannot be halted: there is no earlier release.")

    def _validate(self, edit):
        if self.blockers:
            raise Refusal(*self.blockers)

    def _commit(self, edit_id, query):
        assert query == {"changesInReviewBehavior": "ERROR_IF_IN_REVIEW"}
        if "IN_REVIEW" in self.states.values():
            raise Refusal("There are changes in review.", reason="changesAlreadyInReview")
        if self.sends_by_hand:
            raise Refusal(BY_HAND)
        edit = self.edits.pop(edit_id)
        name, now = edit["changed"], edit["tracks"][edit["changed"]]
        self.commits.append(copy.deepcopy(now))
        old = self.tracks[name]
        known = {tuple(r["versionCodes"]) for r in old if r["status"] != "draft"}
        for entry in now:
            key = (name, int(entry["versionCodes"][-1]))
            if tuple(entry["versionCodes"]) not in known or self.states.get(key) == "NOT_APPROVED":
                self.states[key] = "IN_REVIEW" if self.reviews else "PUBLISHED"
                if self.is_managed and not self.reviews:
                    self.states[key] = "APPROVED_NOT_PUBLISHED"
        if not any(r["status"] == "completed" for r in now):
            earlier = [
                r
                for r in old
                if r["status"] == "completed"
                and r["versionCodes"] not in [n["versionCodes"] for n in now]
            ] or self.ended.get(name, [])[-1:]
            now = now + earlier
        self.tracks[name] = copy.deepcopy(now)
        self.edits.clear()


class Late(Reply):
    """The call is carried out and its answer lost."""

    is_late = True


def lost():
    return Late(fault="reset")


def quota():
    body = {"error": {"code": 429, "message": "Quota exceeded.", "status": "RESOURCE_EXHAUSTED"}}
    return Reply(json.dumps(body).encode(), 429, headers={"Retry-After": "7"})
