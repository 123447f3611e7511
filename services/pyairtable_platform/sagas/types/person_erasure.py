"""person_erasure: everything that the installation keeps about a person goes, service by service; the account last."""

from __future__ import annotations

from pydantic import Field

from pyairtable_platform.sagas.definition import Do, Done, Input, SagaType, Step, StepCall, Who
from pyairtable_platform.sagas.ports import Platform

ORDER = ("chat", "workspaces", "users", "sagas", "auth")
"""Who erases when. auth is last: as long as the account is there, the saga can be asked for and resumed."""

ERASING_ATTEMPTS = 30
DISABLED, ACTIVE = "DISABLED", "ACTIVE"


class PersonErasure(Input):
    user_id: str = Field(min_length=1, max_length=64)
    """Whose data."""


async def check(platform: Platform, call: StepCall) -> Done:
    """Ask everybody whether it can be done, before anything is."""
    user_id = call.input["user_id"]
    for service in ORDER:
        await platform.people.erase(service, user_id, f"{call.key}:{service}", dry_run=True)
    account = await platform.accounts.account(user_id)
    return Done({"account_state": account.state if account else ""})


async def disable_account(platform: Platform, call: StepCall) -> Done:
    if call.results["check"]["account_state"] == ACTIVE:
        await platform.accounts.set_state(call.input["user_id"], DISABLED, call.key)
    return Done()


async def enable_account(platform: Platform, call: StepCall) -> None:
    if call.results["check"]["account_state"] == ACTIVE:
        await platform.accounts.set_state(call.input["user_id"], ACTIVE, f"{call.key}:undo")


def erase_in(service: str) -> Do:
    """The step that erases in one service."""

    async def erase(platform: Platform, call: StepCall) -> Done:
        erased = await platform.people.erase(service, call.input["user_id"], call.key, dry_run=False)
        return Done({"erased": erased})

    return erase


PERSON_ERASURE = SagaType(
    name="person_erasure",
    description="Erases everything that the installation keeps about a person. What is erased cannot be had back.",
    input=PersonErasure,
    business_key=lambda given: given.user_id,
    who=Who.PEER,
    no_way_back=f"erase_in_{ORDER[0]}",
    forgets_whom=True,
    steps=(
        Step("check", check, seconds=30.0),
        Step("disable_account", disable_account, enable_account),
        *(Step(f"erase_in_{name}", erase_in(name), attempts=ERASING_ATTEMPTS, seconds=60.0) for name in ORDER),
    ),
)
