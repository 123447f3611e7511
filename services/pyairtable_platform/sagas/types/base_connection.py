"""base_connection: an Airtable base comes into a workspace, after Airtable said that the workspace's token opens it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pyairtable_platform.common.errors import Denied, NotFound, Reason
from pyairtable_platform.sagas.definition import SKIPPED, Done, Input, SagaType, Step, StepCall, Who
from pyairtable_platform.sagas.ports import Platform

from .labels import dns_label

LONGEST_NAME = 63

Access = Literal["ReadOnly", "ReadWrite", "Schema"]

ENOUGH: dict[str, tuple[str, ...]] = {
    "ReadOnly": ("read", "comment", "edit", "create"),
    "ReadWrite": ("edit", "create"),
    "Schema": ("create",),
}
"""What the token must be able to do for each access (Airtable docs: base permission levels)."""

NOT_THERE_YET = frozenset({Reason.BASE_NOT_FOUND, Reason.WORKSPACE_NOT_FOUND})
"""A binding gets to the gateway within a second, but not at once."""


class BaseConnection(Input):
    workspace: str = Field(min_length=1, max_length=63)
    """The workspace that will use the base."""
    base_id: str = Field(pattern=r"^app[A-Za-z0-9]{14}$")
    """Airtable's id of the base."""
    name: str = Field(default="", max_length=63)
    """The workspace's own name for it; empty: made from its name in Airtable."""
    access: Access = "ReadWrite"
    """What the workspace may do there."""
    tables: list[str] = Field(default=[], max_length=100)
    """Ids or names of the tables that may be used; empty is all."""
    is_default: bool = False
    """Whether it is meant when a call names no base."""
    template: str = Field(default="", max_length=40)
    """Name of a template whose tables are made there; empty is none."""


async def verify(platform: Platform, call: StepCall) -> Done:
    workspace = platform.workspaces.resolve(call.input["workspace"])
    base = await platform.airtable.verify(workspace, call.input["base_id"])
    access = call.input["access"]
    if base.permission_level not in ENOUGH[access]:
        needed = " or ".join(ENOUGH[access])
        raise Denied(
            f'Airtable gives the workspace\'s token "{base.permission_level}" in base {base.base_id}; '
            f"{access} needs {needed}: share the base with the token's user, or ask for less access",
            base=base.base_id,
        )
    tables = [{"id": table_id, "name": name} for table_id, name in base.tables]
    return Done({"name": base.name, "permission_level": base.permission_level, "tables": tables})


async def read_schema(platform: Platform, call: StepCall) -> Done:
    """Every table that was named must be there; what was verified is the schema as Airtable told it."""
    verified = call.results["verify"]
    known = {table["id"] for table in verified["tables"]} | {table["name"] for table in verified["tables"]}
    missing = [table for table in call.input["tables"] if table not in known]
    if missing:
        names = ", ".join(sorted(table["name"] for table in verified["tables"])) or "none"
        raise NotFound(
            f'base {call.input["base_id"]} has no table "{missing[0]}": it has {names}',
            reason=Reason.TABLE_NOT_FOUND,
            base=call.input["base_id"],
            table=missing[0],
        )
    name = call.input["name"] or dns_label(verified["name"], LONGEST_NAME) or call.input["base_id"].lower()
    return Done({"name": name, "tables": len(call.input["tables"] or verified["tables"])})


async def bind(platform: Platform, call: StepCall) -> Done:
    given = call.input
    binding = {key: given[key] for key in ("base_id", "access", "tables", "is_default")}
    binding["name"] = call.results["read_schema"]["name"]
    return Done(await platform.provisioning.bind(given["workspace"], binding, call.principal, call.key))


async def unbind(platform: Platform, call: StepCall) -> None:
    await platform.provisioning.unbind(undoes=call.key)


async def prime(platform: Platform, call: StepCall) -> Done:
    return Done({"tables": await platform.airtable.prime(call.input["workspace"], call.input["base_id"])})


async def apply_template(platform: Platform, call: StepCall) -> Done:
    given = call.input
    if not given["template"]:
        return SKIPPED
    return Done(await platform.provisioning.apply_template(given["workspace"], given["base_id"], given["template"]))


BASE_CONNECTION = SagaType(
    name="base_connection",
    description="Connects an Airtable base to a workspace: verified, bound, its schema read, a template's tables made.",
    input=BaseConnection,
    business_key=lambda given: f"{given.workspace}/{given.base_id}",
    workspace=lambda given: str(given.workspace),
    who=Who.MANAGE,
    steps=(
        Step("verify", verify, seconds=40.0, can_stop=True),
        Step("read_schema", read_schema),
        Step("bind", bind, unbind),
        Step("prime", prime, seconds=40.0, retried_reasons=NOT_THERE_YET, can_stop=True),
        # Tables that a template made stay: Airtable's API cannot delete tables.
        Step("apply_template", apply_template, seconds=120.0, retried_reasons=NOT_THERE_YET),
    ),
    output=lambda given, results: {
        "workspace": given["workspace"],
        "base_id": given["base_id"],
        "name": results["bind"].get("name", ""),
        "template": results.get("apply_template", {}),
    },
)
