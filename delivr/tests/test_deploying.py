"""The ways to deploy keep up with the Procfile and the settings: image, compose, Helm, systemd.

None of them is started here; `make lint` checks the Dockerfile and compose.yaml by their rules.
"""

from __future__ import annotations

import configparser
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings

from delivr.tests.test_up import OF_THE_COMMAND, in_the_example

ROOT = Path(settings.BASE_DIR)
TEMPLATES = ROOT / "deploy/helm/delivr/templates"
PROCFILE = dict(
    line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines() if line
)
PROCESSES = sorted(PROCFILE.keys() - {"release"})
MIGRATE = "python manage.py migrate --noinput"
LIMITS = {"DATABASE_LOCK_TIMEOUT": "2000", "DATABASE_STATEMENT_TIMEOUT": "0"}


def command(process: str) -> list[str]:
    return shlex.split(PROCFILE[process].removeprefix("exec "))


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return loaded


class Unit(configparser.RawConfigParser):
    """A systemd unit; of keys that repeat (`Environment`) all values are kept, one a line."""

    def __init__(self, name: str) -> None:
        super().__init__(strict=False, interpolation=None, dict_type=_Repeating)
        self.optionxform = str  # type: ignore[assignment, method-assign]
        self.read(ROOT / f"deploy/systemd/{name}")


class _Repeating(dict):  # type: ignore[type-arg]
    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(value, list) and key in self:
            value = [*self[key], *value]
        super().__setitem__(key, value)


def test_the_release_line_is_the_one_that_is_copied() -> None:
    given = " ".join(f"{name}={value}" for name, value in LIMITS.items())
    assert PROCFILE["release"].startswith(f"{given} {MIGRATE} && ")


def test_compose_has_every_process() -> None:
    services = compose()["services"]
    assert services.keys() - PROCFILE.keys() == {"db", "redis", "caddy"}
    for process in PROCESSES:
        service = services[process]
        assert shlex.split(service["command"]) == command(process)
        assert service["read_only"] is True
        assert service["depends_on"]["release"] == {"condition": "service_completed_successfully"}
        # The image's health check asks the web server.
        assert ("healthcheck" in service) is (process != "web")
    assert services["release"]["command"] == MIGRATE
    assert services["release"]["environment"].items() >= LIMITS.items()


def test_helm_has_every_process() -> None:
    helpers = (TEMPLATES / "_helpers.tpl").read_text()
    values = yaml.safe_load((ROOT / "deploy/helm/delivr/values.yaml").read_text())
    deployments = {
        path.stem
        for path in TEMPLATES.glob("*.yaml")
        if re.search(r'kind: Deployment|include "delivr.background"', path.read_text())
    }
    assert deployments == set(PROCESSES)
    assert "kind: Deployment" in helpers
    for process in PROCESSES:
        text = (TEMPLATES / f"{process}.yaml").read_text()
        written = re.search(r'"command" "([^"]+)"|command: \["(gunicorn)"\]', text)
        assert written, process
        assert shlex.split(written[1] or written[2]) == command(process)
        assert 'include "delivr.disruption"' in text
        assert ('include "delivr.scaling"' in text) is ("autoscaling" in values[process])
    job = (TEMPLATES / "release.yaml").read_text()
    given = " ".join(f"{name}={value}" for name, value in LIMITS.items())
    assert f"{given} exec {MIGRATE}" in job
    assert "helm.sh/hook: pre-install,pre-upgrade" in job
    chart = yaml.safe_load((ROOT / "deploy/helm/delivr/Chart.yaml").read_text())
    assert chart["appVersion"] == settings.VERSION


def test_helm_uses_values_that_exist() -> None:
    values = yaml.safe_load((ROOT / "deploy/helm/delivr/values.yaml").read_text())
    for path in TEMPLATES.iterdir():
        for dotted in re.findall(r"\.Values\.([\w.]+)", path.read_text()):
            place: Any = values
            for part in dotted.split("."):
                assert part in place, f"{path.name}: {dotted}"
                place = place[part]


def test_systemd_has_every_process() -> None:
    wanted = Unit("delivr.target")["Unit"]["Wants"].split()
    assert wanted == [f"delivr-{p}.service" for p in PROCFILE if p != "release"]
    for process in PROCESSES:
        started = shlex.split(Unit(f"delivr-{process}.service")["Service"]["ExecStart"])
        assert [Path(started[0]).name, *started[1:]] == command(process)
    release = Unit("delivr-release.service")["Service"]
    steps = [line.rpartition("/bin/")[2] for line in release["ExecStart"].splitlines()]
    assert steps == [MIGRATE, "python manage.py collectstatic --noinput"]
    assert dict(pair.split("=") for pair in release["Environment"].split()[-2:]) == LIMITS


# Of other programs, and those that compose.yaml itself reads.
OF_OTHERS = {
    *("PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "GUNICORN_CMD_ARGS"),
    *("PIP_DISABLE_PIP_VERSION_CHECK", "PIP_NO_CACHE_DIR"),
    *("POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD", "DELIVR_HOST", "DELIVR_IMAGE"),
}
NAMES = {
    "Dockerfile": r"\b([A-Z][A-Z_]{3,})=",
    "compose.yaml": r"^ +([A-Z][A-Z_]+):|\$\{([A-Z_]+)",
    "deploy/compose/env.example": r"^#?([A-Z_]+)=",
    "deploy/helm/delivr/values.yaml": r"^  ([A-Z_]+):",
    "deploy/helm/delivr/templates/_helpers.tpl": r"- name: ([A-Z_]+)",
    "deploy/helm/delivr/templates/release.yaml": r"\b([A-Z_]{4,})=",
    "deploy/systemd/delivr-release.service": r"\b([A-Z_]{4,})=",
}


@pytest.mark.parametrize("name", NAMES)
def test_settings_that_are_set_exist(name: str) -> None:
    text = (ROOT / name).read_text()
    found = {a for match in re.finditer(NAMES[name], text, re.M) for a in match.groups() if a}
    assert found
    assert found - OF_OTHERS - (in_the_example() - OF_THE_COMMAND) == set()


def test_the_image_has_what_the_product_reads() -> None:
    """`.dockerignore` starts with nothing; a new folder has to be added."""
    kept = set(re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.M))
    assert all((ROOT / name).exists() for name in kept)
    apps = {app.split(".")[0] for app in settings.INSTALLED_APPS if (ROOT / app).is_dir()}
    assert kept >= {*apps, "static", "templates", "gunicorn.conf.py", "manage.py"}
    assert not kept & {".env", ".data", ".git"}
