"""docs/api-guide.md works as it is written: its commands run against the product and sandbox."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from django.conf import settings

from delivr.tests.product import Product, started

GUIDE = settings.BASE_DIR / "docs" / "api-guide.md"
OWNER = "guide@example.com"
pytestmark = [pytest.mark.slow, pytest.mark.on_sqlite]


def manage(product: Product, *command: str) -> dict[str, Any]:
    ended = subprocess.run(
        [sys.executable, "manage.py", *command, "--json"],
        cwd=settings.BASE_DIR,
        env=product.env,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    answer: dict[str, Any] = json.loads(ended.stdout)
    return answer


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Product]:
    """One for this test alone: nothing of it runs on beside the tests that follow."""
    with started(tmp_path) as running:
        yield running


@pytest.fixture
def token(product: Product) -> str:
    """Of a new workspace with nothing in it."""
    password = "correct horse battery staple"
    named = ("--name", "Guide", "--owner-email", OWNER, "--password", password)
    tenant = manage(product, "create_tenant", *named)["tenantId"]
    wanted = ("--tenant", tenant, "--email", OWNER, "--role", "ADMIN")
    return str(manage(product, "create_token", *wanted)["token"])


def test_the_guide_leads_from_nothing_to_a_build(product: Product, token: str) -> None:
    soon = {"autoFinishSeconds": 1}  # 20 as a person would have to wait
    job = f"{product.sandbox_url}/sandbox/api/jenkins/jobs/ios-prod"
    assert requests.patch(job, json=soon, timeout=10).ok
    guide = GUIDE.read_text()
    calls = re.findall(r"^## (\d+)\. ", guide, re.MULTILINE)
    assert calls == [str(number) for number in range(1, 11)]

    ended = subprocess.run(
        ["bash", "-c", "\n".join(re.findall(r"^```bash\n(.*?)^```", guide, re.M | re.S))],
        env={**product.env, "DELIVR": product.url, "SANDBOX": product.sandbox_url, "TOKEN": token},
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count('"verificationStatus": "VALID"') == 3
    assert '"VERSION": "1.5.0"' in ended.stdout  # the dry run
    assert "BUILD_COMPLETE" in ended.stdout.splitlines()
    assert '"buildStatus": "SUCCESS"' in ended.stdout
