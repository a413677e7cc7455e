"""google-auth, unchanged, against the token endpoint and the Play stand-in."""

from __future__ import annotations

import time

import jwt
import pytest
from google.auth.exceptions import RefreshError
from google.auth.transport.requests import AuthorizedSession
from google.oauth2 import service_account

from sandbox import accounts

SCOPE = "https://www.googleapis.com/auth/androidpublisher"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@pytest.fixture
def session(sandbox):
    made = []

    def make(scope: str = SCOPE, **changes: str) -> AuthorizedSession:
        info = {**sandbox.accounts.google_service_account, **changes}
        info["token_uri"] = f"{sandbox.url}/google/token"
        credentials = service_account.Credentials.from_service_account_info(info, scopes=[scope])
        made.append(AuthorizedSession(credentials))
        return made[-1]

    yield make
    for found in made:
        found.close()


def application(sandbox, package: str = accounts.APP_IDENTIFIER) -> str:
    return f"{sandbox.url}/play/androidpublisher/v3/applications/{package}"


def test_the_downloaded_file_names_googles_own_endpoint(sandbox):
    account = sandbox.accounts.google_service_account
    assert account["token_uri"] == "https://oauth2.googleapis.com/token"
    assert account["type"] == "service_account"


def test_releases_are_read_without_an_edit(sandbox, session):
    answer = session().get(f"{application(sandbox)}/tracks/production/releases")
    assert answer.status_code == 200
    assert answer.json()["releases"][0]["releaseName"] == "1.4.0"
    assert not sandbox.state.ledger.of("edit.inserted")
    assert sandbox.state.requests.count("google_oauth", "POST", "/token") == 1


def test_an_empty_track_is_empty(sandbox, session):
    assert session().get(f"{application(sandbox)}/tracks/beta/releases").json() == {}


def test_an_edit_is_recorded_and_invalidates_the_one_before(sandbox, session):
    play = session()
    first = play.post(f"{application(sandbox)}/edits", json={}).json()
    second = play.post(f"{application(sandbox)}/edits", json={}).json()
    assert set(first) == {"id", "expiryTimeSeconds"}
    assert len(sandbox.state.ledger.of("edit.inserted")) == 2
    assert play.get(f"{application(sandbox)}/edits/{first['id']}").status_code == 400
    assert play.get(f"{application(sandbox)}/edits/{second['id']}").json() == second


@pytest.mark.parametrize(
    ("package", "code", "reason"),
    [
        ("com.dream11.partner", 403, "forbidden"),
        ("com.rival.app", 404, "applicationNotFound"),
    ],
)
def test_foreign_packages_are_refused(sandbox, session, package, code, reason):
    answer = session().get(f"{application(sandbox, package)}/tracks/production/releases")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (code, code)
    assert error["errors"][0]["reason"] == reason


def test_a_request_without_a_token_is_refused(sandbox, web):
    path = "/play/androidpublisher/v3/applications/com.dream11.app/tracks/production/releases"
    for header in (None, "Bearer ya29.stolen"):
        answer = web.get(path, headers={"Authorization": header})
        assert answer.status_code == 401
        assert answer.json()["error"]["status"] == "UNAUTHENTICATED"


def test_the_wrong_scope_is_not_enough(sandbox, session):
    other = session("https://www.googleapis.com/auth/cloud-platform")
    answer = other.get(f"{application(sandbox)}/tracks/production/releases")
    assert answer.status_code == 403
    assert answer.json()["error"]["errors"][0]["reason"] == "insufficientPermissions"


def test_an_unknown_account_gets_no_token(sandbox, session):
    stranger = session(client_email="nobody@sandbox-project.iam.gserviceaccount.com")
    with pytest.raises(RefreshError, match="account not found"):
        stranger.get(f"{application(sandbox)}/tracks/production/releases")


def test_another_key_gets_no_token(sandbox, session, tmp_path):
    foreign = type(sandbox.accounts)(tmp_path).google_service_account["private_key"]
    with pytest.raises(RefreshError, match="Invalid JWT Signature"):
        session(private_key=foreign).get(f"{application(sandbox)}/tracks/production/releases")


def test_long_lived_and_expired_assertions_are_refused(sandbox, web):
    account, now = sandbox.accounts.google_service_account, int(time.time())
    for issued, expiry in ((now, now + 7200), (now - 7200, now - 3600)):
        claims = {
            "iss": account["client_email"],
            "scope": SCOPE,
            "aud": "https://oauth2.googleapis.com/token",
            "iat": issued,
            "exp": expiry,
        }
        assertion = jwt.encode(claims, account["private_key"], algorithm="RS256")
        form = {"grant_type": GRANT, "assertion": assertion}
        answer = web.post("/google/token", data=form)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_other_grant_types_are_refused(web):
    answer = web.post("/google/token", data={"grant_type": "password"})
    assert answer.json()["error"] == "unsupported_grant_type"
