"""Changing: which type may be made, changed and deleted, and by which body."""

from __future__ import annotations

from collections.abc import Callable

from flask import Response, g, request

from sandbox.apple import builds, drafts, phased, reviews, testflight, versions, words
from sandbox.apple.records import Record
from sandbox.apple.shapes import SHAPES
from sandbox.apple.trouble import Trouble, needed_relationship
from sandbox.providers.app_store import answers, bodies, hooks
from sandbox.providers.app_store.access import blueprint, store
from sandbox.providers.app_store.bodies import Body
from sandbox.providers.app_store.forms import CHANGE, CREATE
from sandbox.providers.app_store.parameters import Query
from sandbox.providers.app_store.reads import not_allowed, resource, unknown

PLAIN = Query()


# Making


@blueprint.post("/v1/<kind>")
def create(kind: str) -> Response:
    if kind not in SHAPES:
        unknown(f"v1/{kind}")
    if kind not in CREATE:
        not_allowed(kind, "CREATE")
    body = bodies.read(CREATE[kind], kind)
    made = MAKERS[kind](body)
    store().touch()
    return answers.one(made, PLAIN, 201)


def _version(body: Body) -> Record:
    return drafts.create(store(), body.values, body.related.get("build"))


def _localization(body: Body) -> Record:
    values = dict(body.values)
    return words.add(store(), body.one("appStoreVersion"), values.pop("locale"), values)


def _beta_words(body: Body) -> Record:
    text = body.values.get("whatsNew")
    return words.add_beta(store(), body.one("build"), body.values["locale"], text)


def _phased(body: Body) -> Record:
    state = body.values.get("phasedReleaseState", "INACTIVE")
    return phased.create(store(), body.one("appStoreVersion"), state)


def _item(body: Body) -> Record:
    things = {n: r for n, r in body.related.items() if r and n != "reviewSubmission"}
    if len(things) != 1:
        raise Trouble(409, needed_relationship("appStoreVersion"))
    ((name, thing),) = things.items()
    return reviews.add_item(store(), body.one("reviewSubmission"), name, thing.key)


def _release_request(body: Body) -> Record:
    version = body.one("appStoreVersion")
    versions.request_release(store(), version)
    made = store().records.add("appStoreVersionReleaseRequests", version.id)
    made.one["appStoreVersion"] = version.key
    return made


MAKERS: dict[str, Callable[[Body], Record]] = {
    "appStoreVersions": _version,
    "appStoreVersionLocalizations": _localization,
    "appStoreReviewDetails": lambda body: words.add_review_detail(
        store(), body.one("appStoreVersion"), body.values
    ),
    "appStoreVersionPhasedReleases": _phased,
    "appStoreVersionReleaseRequests": _release_request,
    "betaAppReviewSubmissions": lambda body: testflight.submit(store(), body.one("build")),
    "betaBuildLocalizations": _beta_words,
    "buildBetaNotifications": lambda body: testflight.notify(store(), body.one("build")),
    "reviewSubmissions": lambda body: reviews.create(store(), body.values["platform"]),
    "reviewSubmissionItems": _item,
    "webhooks": hooks.create,
    "webhookPings": hooks.ping,
    "webhookDeliveries": hooks.redeliver,
}


# Changing


@blueprint.patch("/v1/<kind>/<key>")
def change(kind: str, key: str) -> Response:
    found = resource(kind, key)
    if kind not in CHANGE:
        not_allowed(kind, "UPDATE")
    body = bodies.read(CHANGE[kind], kind, key)
    CHANGERS.get(kind, _simply)(found, body)
    store().touch()
    return answers.one(found, PLAIN)


def _simply(found: Record, body: Body) -> None:
    words.check(body.values)
    found.attributes |= body.values


def _change_version(found: Record, body: Body) -> None:
    versions.change(store(), found, body.values)
    if "build" in body.related:
        versions.attach(store(), found, body.related["build"])


def _change_submission(found: Record, body: Body) -> None:
    actor = store().actor(g.key_id)
    if body.values.get("submitted"):
        reviews.submit(store(), found, actor)
    elif body.values.get("canceled"):
        reviews.cancel(store(), found, actor)


def _change_detail(found: Record, body: Body) -> None:
    found.attributes |= body.values
    build = store().records.one(found, "build")
    if build:
        testflight.refresh(store(), build)


CHANGERS: dict[str, Callable[[Record, Body], None]] = {
    "appStoreVersions": _change_version,
    "appStoreVersionLocalizations": lambda found, body: words.change(store(), found, body.values),
    "appStoreReviewDetails": lambda found, body: words.change_review_detail(
        store(), found, body.values
    ),
    "appStoreVersionPhasedReleases": lambda found, body: phased.change(
        store(), found, body.values["phasedReleaseState"]
    ),
    "builds": lambda found, body: builds.change(store(), found, body.values),
    "buildBetaDetails": _change_detail,
    "reviewSubmissions": _change_submission,
    "reviewSubmissionItems": lambda found, body: reviews.change_item(store(), found, body.values),
    "webhooks": hooks.change,
}


# Deleting


@blueprint.delete("/v1/<kind>/<key>")
def delete(kind: str, key: str) -> Response:
    found = resource(kind, key)
    if kind not in DELETERS:
        not_allowed(kind, "DELETE")
    DELETERS[kind](found)
    store().touch()
    return answers.nothing()


def _withdraw(found: Record) -> None:
    version = store().records.get(*found.one["appStoreVersion"])
    reviews.withdraw(store(), version, store().actor(g.key_id))


DELETERS: dict[str, Callable[[Record], None]] = {
    "appStoreVersions": lambda found: versions.delete(store(), found),
    "appStoreVersionLocalizations": lambda found: words.remove(store(), found),
    "appStoreVersionPhasedReleases": lambda found: phased.delete(store(), found),
    "appStoreVersionSubmissions": _withdraw,
    "betaBuildLocalizations": lambda found: store().records.remove(found),
    "reviewSubmissionItems": lambda found: reviews.delete_item(store(), found),
    "webhooks": lambda found: store().records.remove(found),
}


# Relationships


@blueprint.patch("/v1/appStoreVersions/<key>/relationships/build")
def attach_build(key: str) -> Response:
    version = resource("appStoreVersions", key)
    versions.attach(store(), version, bodies.linkage("builds", "build"))
    store().touch()
    return answers.nothing()


@blueprint.route("/v1/builds/<key>/relationships/betaGroups", methods=["POST", "DELETE"])
def groups_of_build(key: str) -> Response:
    build, groups = resource("builds", key), bodies.linkages("betaGroups", "betaGroups")
    _group_act()(store(), build, groups)
    return answers.nothing()


@blueprint.route("/v1/betaGroups/<key>/relationships/builds", methods=["POST", "DELETE"])
def builds_of_group(key: str) -> Response:
    group, found = resource("betaGroups", key), bodies.linkages("builds", "builds")
    for build in found:
        _group_act()(store(), build, [group])
    return answers.nothing()


def _group_act() -> Callable[..., None]:
    is_adding = request.method == "POST"
    return testflight.add_to_groups if is_adding else testflight.remove_from_groups
