"""Fixtures that the tests of tenants share."""

import pytest

from delivr.tenants.inviting import invite
from delivr.tenants.tests.post import ADA, link_in, run_mail
from delivr.tenants.tests.smtp import mail_server


@pytest.fixture
def post_office(settings):
    with mail_server() as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        yield server


@pytest.fixture
def invited(tenant, owner):
    return invite(tenant=tenant, email=ADA, role="MEMBER", actor=owner)


@pytest.fixture
def link(post_office, invited):
    run_mail(invited)
    return link_in(post_office)
