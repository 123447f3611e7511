"""Every type of sagas, forward and back: what it is given, what makes it go back, and what must hold at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from integration.sagas.place import Place
from integration.sagas.receivers import SOURCE, SOURCE_ROWS, TARGET, TARGET_ROWS, WORKSPACE, written

Json = dict[str, Any]
FOR_EVER = 10**9


def refusing(*names: str) -> Json:
    """Faults that refuse RPCs or steps."""
    return {name: {"code": "CONFLICT", "times": FOR_EVER} for name in names}


@dataclass(frozen=True)
class Scenario:
    """A saga on its way. `given` makes its input from a mark that is this saga's alone.

    `effects` are the steps (or chunks) whose effects must be had, once each; `undone` those of them that must be taken
    back afterwards. `mended` are the faults that are left when it FAILED and somebody lets it go on.
    """

    type: str
    way: str
    given: Callable[[str], Json]
    end: str
    effects: tuple[str, ...]
    undone: tuple[str, ...] = ()
    faults: Json = field(default_factory=dict)
    mended: Json | None = None
    table: Callable[[list[Json]], bool] = lambda rows: True
    """Whether the rows of the target table are what they must be."""

    @property
    def name(self) -> str:
        return f"{self.type} {self.way}"


def person(mark: str) -> Json:
    return {"user_id": mark}


def workspace(mark: str) -> Json:
    return {"name": mark.lower(), "user_id": mark}


def base(mark: str) -> Json:
    return {"workspace": WORKSPACE, "base_id": f"app{mark}", "template": "crm"}


def sync(mark: str) -> Json:
    tables = {"table_id": TARGET, "source_table_id": SOURCE}
    return {"workspace": WORKSPACE, "base_id": f"app{mark}", **tables, "key_field": "Name", "allow_delete": True}


def cells(rows: list[Json]) -> list[Json]:
    return sorted(rows, key=lambda row: str(row["Name"]))


def is_synced(rows: list[Json]) -> bool:
    return cells(rows) == cells(list(SOURCE_ROWS.values()))


def is_as_before(rows: list[Json]) -> bool:
    return cells(rows) == cells(list(TARGET_ROWS.values()))


MADE = ("reserve_workspace", "declare_workspace", "activate_workspace")
ONBOARDED = ("create_profile", *MADE)
ERASED = ("disable_account", *(f"erase_in_{name}" for name in ("chat", "workspaces", "users", "auth")))

SCENARIOS = (
    Scenario("user_onboarding", "forward", person, "COMPLETED", (*ONBOARDED, "welcome_letter")),
    Scenario("user_onboarding", "back", person, "COMPENSATED", ONBOARDED, ONBOARDED, faults=refusing("welcome_letter")),
    Scenario("workspace_creation", "forward", workspace, "COMPLETED", MADE),
    Scenario(
        "workspace_creation",
        "back",
        workspace,
        "COMPENSATED",
        MADE[:2],
        MADE[:2],
        faults=refusing("activate_workspace"),
    ),
    Scenario(
        "workspace_creation",
        "resumed",
        workspace,
        "COMPENSATED",
        MADE[:2],
        MADE[:2],
        faults=refusing("activate_workspace", "ReleaseWorkspace"),
        mended=refusing("activate_workspace"),
    ),
    Scenario("base_connection", "forward", base, "COMPLETED", ("bind",)),
    Scenario("base_connection", "back", base, "COMPENSATED", ("bind",), ("bind",), faults=refusing("ApplyTemplate")),
    Scenario("table_sync", "forward", sync, "COMPLETED", ("apply:0", "apply:1", "apply:2"), table=is_synced),
    Scenario(
        "table_sync",
        "back",
        sync,
        "COMPENSATED",
        ("apply:0", "apply:1", "apply:2", "apply:1:undo:1", "apply:0:undo:1"),
        faults={"rows": "apply:2"},
        table=is_as_before,
    ),
    Scenario("person_erasure", "forward", person, "COMPLETED", ERASED),
    Scenario(
        "person_erasure", "back", person, "COMPENSATED", ("disable_account:undo",), faults=refusing("disable_account")
    ),
    Scenario("person_erasure", "resumed", person, "COMPLETED", ERASED, faults=refusing("erase_in_users"), mended={}),
)
"""person_erasure has no way back once something is erased: it fails, and is resumed. A base that a template was applied
to keeps the tables (Airtable's API deletes none), so `apply_template` has no effect to count here: it looks first."""


@dataclass(frozen=True)
class Ended:
    """How a saga ended, as database and ledger tell it."""

    saga_id: str
    state: str
    claims: int
    repeated: int
    """Effects that were asked for again, and recognised by their keys."""


_SAGA = "SELECT state, claim, is_queued, principal, business_key, input FROM sagas.sagas WHERE saga_id = $1"
_STEPS = "SELECT name, state, memo FROM sagas.steps WHERE saga_id = $1"
_EVENTS = "SELECT type FROM sagas.outbox WHERE subject = $1"
_OVER = {
    "COMPLETED": {"COMPLETED", "SKIPPED"},
    "COMPENSATED": {"COMPLETED", "COMPENSATED", "FAILED", "PENDING", "SKIPPED"},
}


async def judge(place: Place, scenario: Scenario, saga_id: str, begin: int, kills: int) -> Ended:
    """Raise AssertionError unless a saga ended as it must. `begin` is where its entries in the ledger begin."""
    row = (await place.ask(_SAGA, saga_id))[0]
    assert row["state"] == scenario.end, f"it is {row['state']}, not {scenario.end}"
    # A saga is claimed when it begins, when it is resumed, and when whoever had it was killed; never from the living.
    claims = 1 + kills + (scenario.mended is not None)
    assert row["claim"] <= claims, f"it was claimed {row['claim']} times, though {kills} were killed"
    for step in await place.ask(_STEPS, saga_id):
        assert step["state"] in _OVER[scenario.end], f"step {step['name']} is left {step['state']}"
        assert step["memo"] is None, f"step {step['name']} keeps its memo"
    told = Counter(event["type"] for event in await place.ask(_EVENTS, saga_id))
    closing = f"saga.{scenario.end.lower()}.v1"
    assert told["saga.started.v1"] == told[closing] == 1, f"others were told {dict(told)}"
    if scenario.type == "person_erasure" and scenario.end == "COMPLETED":
        assert (row["principal"], row["business_key"], row["input"]) == ("", "", "{}"), "it keeps whom it erased"
    entries = [entry for entry in place.ledger(begin=begin) if entry["key"].startswith(saga_id)]
    judge_ledger(scenario, saga_id, entries)
    return Ended(saga_id, row["state"], row["claim"], sum(entry["event"] == "repeated" for entry in entries))


def judge_ledger(scenario: Scenario, saga_id: str, entries: list[Json]) -> None:
    """Every effect was had exactly once, and exactly those that must be were taken back, after they were had."""
    found: dict[str, list[str]] = {"done": [], "undone": [], "tombstone": []}
    for entry in entries:
        if entry["event"] in found:
            found[entry["event"]].append(entry["key"].removeprefix(f"{saga_id}:"))
    assert sorted(found["done"]) == sorted(scenario.effects), f"effects were {found['done']}"
    assert sorted(found["undone"]) == sorted(scenario.undone), f"taken back were {found['undone']}"
    last = {entry["key"]: entry["event"] for entry in entries if entry["event"] in ("done", "undone")}
    back = [key for key in scenario.undone if last[f"{saga_id}:{key}"] != "undone"]
    assert not back, f"had again after they were taken back: {back}"
    rows = written([entry["answer"] for entry in entries if entry["event"] == "done" and "base" in entry["answer"]])
    assert scenario.table(list(rows.values())), f"the table holds {rows}"
