"""table_sync: one table gets the rows of another, by a key field; when it fails midway the table is put back.

The plan is kept before anything is written, with the cells as they were. It is written in chunks, each under a key of
its own, and each chunk's outcome is noted; so a chunk whose answer was lost is asked for once more under its key before
it is taken back. What not even the gateway knows is found out by a look at the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from pydantic import Field

from pyairtable_platform.common.errors import FailedPrecondition, InvalidInput, NotFound, OutcomeUnknown, Reason
from pyairtable_platform.sagas.definition import SKIPPED, Done, Input, SagaType, Step, StepCall, Who
from pyairtable_platform.sagas.model import Json
from pyairtable_platform.sagas.ports import FieldOf, Platform, Row, TableOf, TableSchema, Written
from pyairtable_platform.sagas.table_plan import Plan, pair_fields, plan_rows, restorable_fields, to_put_back

ROWS_AT_ONCE = 50
"""Rows of a chunk: five calls to Airtable, about a second of its rate limit."""
LONGEST_SECONDS = 900.0
DONE = ("created", "updated", "deleted")
MOST_PREVIEWED = 100
"""Changes that a dry run shows; it counts all of them."""
BASE = r"^app[A-Za-z0-9]{14}$"
TABLE = r"^tbl[A-Za-z0-9]{14}$"


class TableSync(Input):
    workspace: str = Field(min_length=1, max_length=63)
    """The workspace that may use both bases."""
    base_id: str = Field(pattern=BASE)
    """Base of the table that is changed."""
    table_id: str = Field(pattern=TABLE)
    """The table that is changed."""
    source_base_id: str = Field(default="", pattern=r"^$|" + BASE)
    """Base of the table that is copied from; empty: the same."""
    source_table_id: str = Field(pattern=TABLE)
    """The table that is copied from."""
    key_field: str = Field(min_length=1, max_length=255)
    """Name of the field, in both tables, that tells which rows belong together."""
    fields: list[str] = Field(default=[], max_length=500)
    """Names of the fields to copy; empty is all that fit. The key always is."""
    allow_delete: bool = False
    """Whether rows that the source does not have are deleted."""
    max_changes: int = Field(default=1000, ge=1, le=5000)
    """A plan with more changes is refused."""
    typecast: bool = False
    """Whether Airtable may create choices that the table does not have."""
    dry_run: bool = False
    """Whether only the plan is made: what would change is told, and nothing is written."""


def target_of(given: Json) -> TableOf:
    return TableOf(given["workspace"], given["base_id"], given["table_id"])


def source_of(given: Json) -> TableOf:
    return TableOf(given["workspace"], given["source_base_id"] or given["base_id"], given["source_table_id"])


async def plan(platform: Platform, call: StepCall) -> Done:
    given = call.input
    if source_of(given) == target_of(given):
        raise InvalidInput.at("input.source_table_id", "is the table that is changed: name another one")
    source = await platform.airtable.table(source_of(given))
    target = await platform.airtable.table(target_of(given))
    key = key_of(source, target, given["key_field"])
    wanted = {given["key_field"], *given["fields"]} if given["fields"] else None
    names, skipped = pair_fields(source, target, wanted)
    kept = restorable_fields(target) if given["allow_delete"] else names
    found = plan_rows(
        await platform.airtable.rows(source_of(given), names),
        await platform.airtable.rows(target_of(given), sorted({*names, *kept})),
        key.name,
        names,
        allow_delete=given["allow_delete"],
    )
    counts = {"creates": len(found.create), "updates": len(found.update), "deletes": len(found.delete)}
    told = {**counts, "unchanged": found.unchanged, "skipped_fields": skipped}
    if given.get("dry_run"):
        return Done({**told, "changes": preview(found)})
    if found.changes > given["max_changes"]:
        raise FailedPrecondition(
            f"the plan holds {found.changes} changes, more than max_changes ({given['max_changes']}): nothing was "
            "written; raise max_changes"
        )
    return Done(told, memo=found.to_json())


async def apply(platform: Platform, call: StepCall) -> Done:
    """Updates, then new rows, then deletions, so that a failure midway loses nothing."""
    if call.input.get("dry_run"):
        return SKIPPED
    chunks = planned_chunks(call)
    noted: list[list[Json]] = list(call.memo.get("written", []))
    require_all([Written(**item) for outcomes in noted for item in outcomes])  # before a crash nobody judged the last
    for number in range(len(noted), len(chunks)):
        await call.stop_here()
        await call.note({"written": noted, "begun": number + 1})
        outcomes = await write(platform, call, number, *chunks[number])
        noted.append([asdict(outcome) for outcome in outcomes])
        # Noted before it is judged: the rows that a chunk did write must be taken back too.
        await call.note({"written": noted, "begun": number + 1})
        require_all(outcomes)
    output = {"rows_written": sum(map(len, noted)), "undo_list": undo_list(chunks, noted)}
    return Done(output, memo={"written": noted, "begun": len(noted)})


async def undo(platform: Platform, call: StepCall) -> None:
    """Take every chunk back, the last first; the one in doubt is first asked for again, under its key."""
    if call.input.get("dry_run"):
        return
    chunks = planned_chunks(call)
    memo = {"written": [], "begun": 0, "back": {}, **call.memo}
    if len(memo["written"]) < memo["begun"]:
        outcomes = await write(platform, call, len(memo["written"]), *chunks[len(memo["written"])])
        memo["written"] = [*memo["written"], [asdict(outcome) for outcome in outcomes]]
        await call.note(memo)
    for number in range(len(memo["written"]) - 1, -1, -1):
        await take_back(platform, call, memo, number, *chunks[number])


async def write(platform: Platform, call: StepCall, number: int, kind: str, rows: Sequence[Json]) -> list[Written]:
    """Write a chunk under its key."""
    table, key = target_of(call.input), f"{call.key}:{number}"
    typecast = bool(call.input["typecast"])
    if kind == "update":
        changed = [Row(row["id"], row["after"]) for row in rows]
        return await platform.airtable.update(table, changed, key, typecast=typecast)
    if kind == "create":
        return await platform.airtable.create(table, [row["after"] for row in rows], key, typecast=typecast)
    return await platform.airtable.delete(table, [row["id"] for row in rows], key)


async def take_back(
    platform: Platform, call: StepCall, memo: Json, number: int, kind: str, rows: Sequence[Json]
) -> None:
    """Put back what a chunk changed. Rows that were deleted come back under new ids.

    What is sent is noted before, with its key, so that it is the same after a crash. The gateway gives a key one answer
    for ever: after one that is not good the table is looked at anew, and the rest gets another key.
    """
    table, back = target_of(call.input), memo["back"]
    state: Json = back.get(str(number), {"try": 0, "is_over": True})
    if state.get("is_done"):
        return
    if state["is_over"]:
        present = await platform.airtable.rows(table, [call.input["key_field"]])
        outcomes = [Written(**item) for item in memo["written"][number]]
        todo = to_put_back(kind, rows, outcomes, present, call.input["key_field"])
        state = back[str(number)] = {"try": state["try"] + 1, "rows": todo, "is_over": False}
        await call.note(memo)
    answers = await put_back(platform, table, kind, state["rows"], f"{call.key}:{number}:undo:{state['try']}")
    is_done = all(answer.state in DONE for answer in answers)
    back[str(number)] = {"try": state["try"], "is_over": True, "is_done": is_done}
    await call.note(memo)
    require_known(answers)
    require_all(answers)


async def put_back(platform: Platform, table: TableOf, kind: str, rows: Sequence[Json], key: str) -> list[Written]:
    """Undo changes of one kind, under a key."""
    if not rows:
        return []
    if kind == "update":
        return await platform.airtable.update(
            table, [Row(row["id"], row["cells"]) for row in rows], key, typecast=False
        )
    if kind == "create":
        return await platform.airtable.delete(table, [row["id"] for row in rows], key)
    return await platform.airtable.create(table, [row["cells"] for row in rows], key, typecast=False)


def preview(found: Plan) -> list[Json]:
    """The first changes of a plan, as a dry run tells them."""
    rows = [{"action": "update", **row} for row in found.update]
    rows += [{"action": "create", **row} for row in found.create]
    rows += [{"action": "delete", **row} for row in found.delete]
    return rows[:MOST_PREVIEWED]


def undo_list(chunks: Sequence[tuple[str, list[Json]]], noted: Sequence[Sequence[Json]]) -> list[Json]:
    """What puts the table back, row by row: delete what was created, give what was updated or deleted its old cells."""
    listed = []
    for (kind, rows), outcomes in zip(chunks, noted, strict=True):
        for row, outcome in zip(rows, outcomes, strict=True):
            changed = {"action": kind, "record_id": outcome["record_id"]}
            listed.append(changed if kind == "create" else {**changed, "before": row["before"]})
    return listed


def require_known(outcomes: Sequence[Written]) -> None:
    """Raise when nobody knows of some rows whether they were put back: the next attempt looks."""
    if any(outcome.state == "unknown" for outcome in outcomes):
        raise OutcomeUnknown("Airtable did not say whether some rows were put back: the table is looked at again")


def require_all(outcomes: Sequence[Written]) -> None:
    """Raise unless every row was written. Of what nobody knows whether it was, undoing finds it out."""
    failed = [outcome for outcome in outcomes if outcome.state not in DONE]
    if failed:
        text = failed[0].error or "Airtable refused it, or did not say whether it did it"
        raise FailedPrecondition(f"{len(failed)} of {len(outcomes)} rows could not be written: {text}")


def planned_chunks(call: StepCall) -> list[tuple[str, list[Json]]]:
    """What the step `plan` kept."""
    return chunks_of(Plan.from_json(call.memos["plan"]["plan"]))


def chunks_of(found: Plan) -> list[tuple[str, list[Json]]]:
    """The plan in the order and size in which it is written."""
    chunks: list[tuple[str, list[Json]]] = []
    for kind, rows in (("update", found.update), ("create", found.create), ("delete", found.delete)):
        chunks += [(kind, rows[at : at + ROWS_AT_ONCE]) for at in range(0, len(rows), ROWS_AT_ONCE)]
    return chunks


def key_of(source: TableSchema, target: TableSchema, name: str) -> FieldOf:
    """The key field; raises NotFound when one of the tables has none of this name."""
    for table in (source, target):
        if all(item.name != name for item in table.fields):
            text = f'table "{table.name}" has no field "{name}", which is to be the key'
            raise NotFound(text, reason=Reason.FIELD_NOT_FOUND, table=table.id, field=name)
    return next(item for item in source.fields if item.name == name)


TABLE_SYNC = SagaType(
    name="table_sync",
    description="Gives one table the rows of another, matched by a key field, and puts it back when that fails.",
    input=TableSync,
    business_key=lambda given: f"{given.workspace}/{given.base_id}/{given.table_id}",
    workspace=lambda given: str(given.workspace),
    who=Who.WRITE,
    steps=(
        Step("plan", plan, seconds=LONGEST_SECONDS, can_stop=True),
        Step("apply", apply, undo, seconds=LONGEST_SECONDS),
    ),
    # The undo list may be long: it stands with its step (ListSteps).
    output=lambda given, results: {
        **results["plan"],
        "dry_run": bool(given.get("dry_run")),
        "rows_written": results["apply"].get("rows_written", 0),
    },
)
