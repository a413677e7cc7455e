"""Two clients that others wrote, unchanged, take a release to everybody in either store.

Google's client is told the address of the sandbox; for uploads it reads that from its own discovery
document. Codemagic's client for App Store Connect has its address in a class attribute.
"""

from __future__ import annotations

import io
import json
import warnings

import httplib2
import pytest
from google.oauth2 import service_account

from sandbox import accounts
from sandbox.play import acts
from sandbox.tests.apple import Apple
from sandbox.tests.play import SCOPE, bundle, staged

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # theirs, at import
    from codemagic.apple import AppStoreConnectApiError
    from codemagic.apple.app_store_connect import AppStoreConnectApiClient
    from codemagic.apple.resources import (
        AppVersionState,
        BuildProcessingState,
        Locale,
        PhasedReleaseState,
        Platform,
        ReleaseType,
    )
    from google_auth_httplib2 import AuthorizedHttp
    from googleapiclient import discovery
    from googleapiclient.discovery_cache import get_static_doc
    from googleapiclient.errors import HttpError
    from googleapiclient.http import MediaIoBaseUpload

PACKAGE = accounts.APP_IDENTIFIER


# Google


@pytest.fixture
def publisher(sandbox):
    """`publisher(account)`: Google's client; with `uploads` also the uploads go to the sandbox."""
    made = []

    def make(account: dict[str, str], *, uploads: bool = False):
        info = {**account, "token_uri": f"{sandbox.url}/google/token"}
        credentials = service_account.Credentials.from_service_account_info(info, scopes=[SCOPE])
        http = httplib2.Http(timeout=10, proxy_info=None)
        made.append(http)
        authorized = AuthorizedHttp(credentials, http=http)
        document = json.loads(get_static_doc("androidpublisher", "v3"))
        if uploads:
            document["rootUrl"] = f"{sandbox.url}/play/"
            return discovery.build_from_document(document, http=authorized)
        options = {"api_endpoint": f"{sandbox.url}/play/"}
        return discovery.build(
            "androidpublisher",
            "v3",
            http=authorized,
            client_options=options,
            static_discovery=True,
            cache_discovery=False,
        )

    yield make
    for http in made:
        http.close()


def commit(play, track: str, *releases: dict, **more) -> None:
    edit = play.edits().insert(packageName=PACKAGE, body={}).execute()["id"]
    where = {"packageName": PACKAGE, "editId": edit}
    body = {"track": track, "releases": list(releases)}
    play.edits().tracks().update(**where, track=track, body=body).execute()
    play.edits().validate(**where).execute()
    play.edits().commit(**where, **more).execute()


def states(play, track: str = "production") -> dict[str, str]:
    listing = play.applications().tracks().releases()
    parent = f"applications/{PACKAGE}/tracks/{track}"
    found = listing.list(parent=parent).execute().get("releases", [])
    return {one["releaseName"]: one["releaseLifecycleState"] for one in found}


@pytest.mark.parametrize("resumable", [False, True], ids=["at once", "in pieces"])
def test_googles_client_uploads_and_rolls_out(sandbox, publisher, resumable):
    play = publisher(sandbox.accounts.google_service_account, uploads=True)
    edit = play.edits().insert(packageName=PACKAGE, body={}).execute()["id"]
    where = {"packageName": PACKAGE, "editId": edit}
    media = MediaIoBaseUpload(io.BytesIO(bundle()), "application/octet-stream", resumable=resumable)
    answer = play.edits().bundles().upload(**where, media_body=media).execute()
    assert answer["versionCode"] == 150
    body = {"track": "production", "releases": [staged(fraction=0.1)]}
    play.edits().tracks().update(**where, track="production", body=body).execute()
    play.edits().commit(**where, changesInReviewBehavior="ERROR_IF_IN_REVIEW").execute()
    assert states(play)["1.5.0"].endswith("IN_REVIEW")
    acts.approve(sandbox.state.stores.play, {})
    commit(play, "production", staged(fraction=0.5))
    commit(play, "production", staged())
    assert states(play) == {"1.5.0": "RELEASE_LIFECYCLE_STATE_PUBLISHED"}


def test_googles_client_is_told_why_not(sandbox, publisher):
    mine = publisher(sandbox.accounts.google_service_account)
    theirs = publisher(sandbox.accounts.google_ci_service_account)
    edit = mine.edits().insert(packageName=PACKAGE, body={}).execute()["id"]
    sandbox.state.stores.play.upload_from_ci("1.5.0", 150)
    with pytest.raises(HttpError, match="This Edit has been deleted"):
        mine.edits().commit(packageName=PACKAGE, editId=edit).execute()
    commit(theirs, "beta", staged())
    with pytest.raises(HttpError, match="There are changes in review") as refusal:
        commit(mine, "production", staged(), changesInReviewBehavior="ERROR_IF_IN_REVIEW")
    assert refusal.value.status_code == 400
    assert list(states(mine)) == ["1.4.0"]


# Apple


class ToSandbox(AppStoreConnectApiClient):
    """Codemagic's client; only its address is another."""


@pytest.fixture
def client(sandbox):
    made = ToSandbox(
        accounts.APPLE_KEY_ID, accounts.APPLE_ISSUER_ID, sandbox.accounts.apple_api_key
    )
    made.API_URL = f"{sandbox.url}/appstore/v1"
    made.session.trust_env = False
    yield made
    made.session.close()


@pytest.fixture
def apple(sandbox):
    found = Apple(sandbox)
    yield found
    found.session.close()


def test_codemagics_client_takes_a_build_to_everybody(sandbox, client, apple):
    apple.build(encryption=None)
    apple.act("settings", hidden_reads=0)
    wanted = client.apps.Filter(bundle_id=PACKAGE)
    app = next(a for a in client.apps.list(wanted) if a.attributes.bundleId == PACKAGE)
    filters = client.builds.Filter(app=app.id, version="245", pre_release_version_version="1.5.0")
    (build,) = client.builds.list(filters)
    assert build.attributes.processingState is BuildProcessingState.VALID
    assert build.attributes.usesNonExemptEncryption is None
    apple.patch({"type": "builds", "id": build.id}, usesNonExemptEncryption=False)
    version = client.app_store_versions.create(
        Platform.IOS, "1.5.0", app, build=build, release_type=ReleaseType.MANUAL
    )
    submission = client.review_submissions.create(Platform.IOS, app)
    client.review_submissions_items.create(submission, app_store_version=version)
    sandbox.state.advance(1)
    with pytest.raises(AppStoreConnectApiError) as refusal:
        client.review_submissions.modify(submission, submitted=True)
    (missing,) = refusal.value.error_response.iter_associated_errors()
    assert missing.source_pointer == "/data/attributes/whatsNew"
    (item,) = client.review_submissions.list_items(submission)
    client.review_submissions_items.delete(item)
    (words,) = client.app_store_versions.list_app_store_version_localizations(version.id)
    client.app_store_version_localizations.modify(words, whats_new="Faster.")
    phased = client.app_store_version_phased_releases.create(version, PhasedReleaseState.INACTIVE)
    client.review_submissions_items.create(submission, app_store_version=version)
    sandbox.state.advance(1)
    submission = client.review_submissions.modify(submission, submitted=True)
    assert submission.attributes.state == "WAITING_FOR_REVIEW"
    apple.act("decide", verdict="approve")
    version = client.app_store_versions.read(version)
    assert version.attributes.appVersionState is AppVersionState.PENDING_DEVELOPER_RELEASE
    apple.post(
        "appStoreVersionReleaseRequests",
        appStoreVersion={"type": "appStoreVersions", "id": version.id},
    )
    sandbox.state.advance(3)
    client.app_store_version_phased_releases.modify(
        phased, phased_release_state=PhasedReleaseState.PAUSED
    )
    found = client.app_store_versions.read_app_store_version_phased_release(version.id)
    assert found.attributes.phasedReleaseState is PhasedReleaseState.PAUSED
    assert client.app_store_versions.read_build(version.id).id == build.id


def test_codemagics_client_brings_a_build_to_testers(client, apple):
    made = apple.build(encryption=False)
    build = client.builds.read(made["id"])
    groups = {g.attributes.name: g for g in client.beta_groups.list()}
    client.beta_groups.add_build(groups["Public beta"], build)
    client.beta_build_localizations.create(build, Locale.DE_DE, "Bitte alles testen.")
    client.beta_app_review_submissions.create(build)
    apple.act("beta-review", state="APPROVED")
    detail = client.builds.read_beta_detail(build.id)
    assert detail.attributes.externalBuildState.value == "IN_BETA_TESTING"
    assert client.builds.read_pre_release_version(build.id).attributes.version == "1.5.0"
