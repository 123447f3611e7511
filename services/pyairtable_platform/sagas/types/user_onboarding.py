"""user_onboarding: what a person needs who proved their address."""

from __future__ import annotations

from pydantic import Field

from pyairtable_platform.sagas.definition import Done, Input, SagaType, Step, StepCall, Who
from pyairtable_platform.sagas.ports import Platform

from .labels import dns_label
from .workspace_steps import ACTIVATE, DECLARE, RESERVE, account_of, release, reserved_name

LONGEST_NAME = 40
FALLBACK_NAME = "workspace"


class UserOnboarding(Input):
    user_id: str = Field(min_length=1, max_length=64)
    """Whose address was proved."""


async def create_profile(platform: Platform, call: StepCall) -> Done:
    account = await account_of(platform, call.input["user_id"])
    created = await platform.profiles.create(account, call.key)
    return Done({"created": created})


async def undo_create_profile(platform: Platform, call: StepCall) -> None:
    await platform.profiles.undo_create(call.input["user_id"], undoes=call.key)


async def reserve(platform: Platform, call: StepCall) -> Done:
    account = await account_of(platform, call.input["user_id"])
    wanted = dns_label(account.user_name, LONGEST_NAME) or FALLBACK_NAME
    name = await platform.provisioning.reserve(wanted, account.user_name or wanted, account, call.key, any_name=True)
    return Done({"workspace": name})


async def welcome(platform: Platform, call: StepCall) -> Done:
    values = {"workspace": reserved_name(call)}
    await platform.accounts.send_letter(call.input["user_id"], "welcome", values, call.key)
    return Done()


USER_ONBOARDING = SagaType(
    name="user_onboarding",
    description="Gives a person who proved their address a profile, a workspace of their own, and a letter.",
    input=UserOnboarding,
    business_key=lambda given: given.user_id,
    who=Who.PEER,
    steps=(
        Step("create_profile", create_profile, undo_create_profile),
        Step(RESERVE, reserve, release),
        DECLARE,
        ACTIVATE,
        Step("welcome_letter", welcome),
    ),
    output=lambda given, results: {"user_id": given["user_id"], "workspace": results[RESERVE]["workspace"]},
)
