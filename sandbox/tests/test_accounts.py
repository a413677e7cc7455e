"""The credentials, and the keys that are created on first use."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from sandbox import accounts

ROOT = Path(__file__).parents[2]
PRINT_KEYS = """
import sys
from pathlib import Path
from sandbox import accounts
found = accounts.load(Path(sys.argv[1]))
print(hash_of := found.apple_api_key + found.google_service_account["private_key"])
"""


def test_keys_are_created_once_and_readable_by_the_owner_only(tmp_path):
    first = accounts.load(tmp_path)
    key, account = first.apple_api_key, first.google_service_account
    again = accounts.load(tmp_path)
    assert (again.apple_api_key, again.google_service_account) == (key, account)
    files = sorted(tmp_path.iterdir())
    assert [f.name for f in files] == ["app-store-connect.p8", "google-service-account.json"]
    assert {stat.S_IMODE(f.stat().st_mode) for f in files} == {0o600}


def test_the_apple_key_is_p256_in_pkcs8(tmp_path):
    pem = accounts.load(tmp_path).apple_api_key
    assert pem.startswith("-----BEGIN PRIVATE KEY-----\n")
    key = serialization.load_pem_private_key(pem.encode(), password=None)
    assert key.curve.name == "secp256r1"


def test_two_processes_at_once_get_the_same_key(tmp_path):
    command = [sys.executable, "-c", PRINT_KEYS, str(tmp_path)]
    running = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    keys = {process.communicate(timeout=60)[0] for process in running}
    assert len(keys) == 1
    assert "BEGIN PRIVATE KEY" in keys.pop()
    assert len(list(tmp_path.iterdir())) == 2


def test_the_dictionary_uses_the_field_names_of_the_api(tmp_path):
    values = accounts.load(tmp_path).as_dict("http://127.0.0.1:8091/")
    assert values["scm"]["repositoryUrl"] == "https://github.com/dream11/app"
    assert [t["targetType"] for t in values["targets"]] == ["APP_STORE", "PLAY_STORE"]
    assert set(values["targets"][0]) == {
        "targetType",
        "appIdentifier",
        "appleIssuerId",
        "appleKeyId",
        "appleApiKey",
    }
    assert [p["jenkinsJobPath"] for p in values["pipelines"]] == [
        "/job/ios-prod",
        "/job/android-prod",
    ]
    assert values["pipelines"][0]["jenkinsUrl"] == "http://127.0.0.1:8091/jenkins"
    assert values["communication"]["slackChannels"] == ["C123", "C456"]
    assert values["tickets"]["jiraUrl"] == "http://127.0.0.1:8091/jira"
    assert values["tickets"]["jiraProjectKey"] == "MOBILE"


def test_the_settings_point_delivr_at_the_sandbox(tmp_path):
    settings = accounts.load(tmp_path).settings("http://127.0.0.1:8091")
    assert settings["SLACK_API_URL"] == "http://127.0.0.1:8091/slack/api/"
    assert settings["OUTBOUND_ALLOW"] == "127.0.0.1:8091"
