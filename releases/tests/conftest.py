import pytest

from delivr.tenants.models import Role
from releases.tests.pages import Setup


@pytest.fixture
def setup(tenant):
    """A workspace with all providers connected."""
    return Setup(tenant)


@pytest.fixture
def member(tenant, member_of, client_for):
    return client_for(member_of(tenant, Role.MEMBER))


@pytest.fixture
def admin(tenant, member_of, client_for):
    return client_for(member_of(tenant, Role.ADMIN))


@pytest.fixture
def viewer(tenant, member_of, client_for):
    return client_for(member_of(tenant, Role.VIEWER))


@pytest.fixture
def outsider(stranger, client_for):
    return client_for(stranger)
