"""The user service in memory."""

from __future__ import annotations

import pytest
from unit.users.people import FakeAccounts, FakeErasures, FakeStore, Users, person


@pytest.fixture
def users() -> Users:
    """With one person, u1."""
    users = Users(FakeStore(), FakeAccounts(), FakeErasures())
    users.add(person())
    return users
