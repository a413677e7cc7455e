from collections.abc import Iterator
from typing import Any

import pytest

from integrations.providers.email.tests.post_office import PostOffice, post_office


@pytest.fixture
def office(settings: Any) -> Iterator[PostOffice]:
    settings.DEFAULT_FROM_EMAIL = "delivr <releases@delivr.example>"
    with post_office(settings) as server:
        yield server
