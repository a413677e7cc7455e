"""`manage.py sandbox` as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from sandbox import accounts

ROOT = Path(__file__).parents[2]


def start(state_dir: Path) -> tuple[subprocess.Popen[str], str]:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "delivr.settings_test"}
    command = [sys.executable, "manage.py", "sandbox", "--port", "0", "--state-dir", str(state_dir)]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    return process, process.stdout.readline().split()[-1]


@pytest.mark.slow
def test_it_serves_stops_orderly_and_keeps_its_state(tmp_path):
    auth = (accounts.JENKINS_USER, accounts.JENKINS_API_TOKEN)
    process, url = start(tmp_path)
    job = "jenkins/job/ios-prod"
    answer = requests.post(f"{url}/{job}/buildWithParameters?delay=0sec", auth=auth, timeout=5)
    assert answer.status_code == 201
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=15) == 0
    process.stdout.close()
    process, url = start(tmp_path)
    builds = requests.get(f"{url}/{job}/api/json", auth=auth, timeout=5).json()["builds"]
    assert [build["number"] for build in builds] == [245]
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=15) == 0
    process.stdout.close()
