"""workspace_creation: a workspace that a person asked for."""

from __future__ import annotations

from pydantic import Field

from pyairtable_platform.sagas.definition import Done, Input, SagaType, Step, StepCall, Who
from pyairtable_platform.sagas.ports import Account, Platform

from .workspace_steps import ACTIVATE, DECLARE, RESERVE, account_of, release


class WorkspaceCreation(Input):
    name: str = Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")
    """A DNS label that no other workspace has."""
    display_name: str = Field(default="", max_length=100)
    """For people; empty: the name."""
    user_id: str = Field(default="", max_length=64)
    """The first owner; a person can name themselves only, and need not."""
    email: str = Field(default="", max_length=254)
    """The owner's address; empty: that of the account. Taken from services only."""


async def reserve(platform: Platform, call: StepCall) -> Done:
    given = call.input
    owner = await account_of(platform, given["user_id"])
    if given["email"]:
        owner = Account(owner.user_id, given["email"], owner.user_name, owner.state)
    name = await platform.provisioning.reserve(
        given["name"], given["display_name"] or given["name"], owner, call.key, any_name=False
    )
    return Done({"workspace": name})


WORKSPACE_CREATION = SagaType(
    name="workspace_creation",
    description="Makes a workspace that a person owns.",
    input=WorkspaceCreation,
    business_key=lambda given: given.name,
    who=Who.SELF,
    steps=(Step(RESERVE, reserve, release), DECLARE, ACTIVATE),
    output=lambda given, results: {"workspace": results[RESERVE]["workspace"]},
)
