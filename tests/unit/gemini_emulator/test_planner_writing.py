"""Requests that change data: found first, then written once, with values of the right type."""

from __future__ import annotations

from typing import Any

import pytest

TILES, WALL, SINK, ROOF = (f"rec000000000000{number}" for number in (11, 12, 13, 14))
VILLA, KITCHEN, ATTIC, BO = (f"rec000000000000{number:02d}" for number in (1, 2, 3, 22))


def _writes(chat: Any, name: str) -> list[dict[str, Any]]:
    return [call.args for call in chat.base.calls if call.name == name]


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("Create a task 'Order paint'", {"Title": "Order paint"}),
        ("create a task 'Order paint' for project 'Villa Rosa'", {"Title": "Order paint", "Project": [VILLA]}),
        ("Please add a new task Order paint for project Villa Rosa", {"Title": "Order paint", "Project": [VILLA]}),
        (
            "Create a task \"Order 'special' tiles\" for project O'Brien's Kitchen with status in progress",
            {"Title": "Order 'special' tiles", "Project": [KITCHEN], "Status": "In progress"},
        ),
        ("Create a record in the table 'Tasks' with 'Title' set to 'Order paint'", {"Title": "Order paint"}),
        ("add 'Order paint' to the Tasks table with status Done", {"Title": "Order paint", "Status": "Done"}),
        (
            "create a task called Sweep with due date 2026-12-01 and estimate 2.5, status: Done",
            {"Title": "Sweep", "Due Date": "2026-12-01", "Estimate": 2.5, "Status": "Done"},
        ),
    ],
)
def test_creates_a_record(chat: Any, text: str, fields: dict[str, Any]) -> None:
    answer = chat.say(text)
    assert _writes(chat, "create_record") == [{"table_id": "tblTasks", "fields": fields}]
    assert "I created" in answer and fields["Title"] in answer and "rec00000000000105" in answer


def test_creates_an_expense_with_its_amount(chat: Any) -> None:
    chat.say('Add a new expense "Paint" of 45.50 for project Attic')
    assert _writes(chat, "create_record")[0]["fields"] == {"Description": "Paint", "Amount": 45.5, "Project": [ATTIC]}


def test_several_records_are_one_batch(chat: Any) -> None:
    chat.say("Create tasks 'A', 'B' and 'C'")
    rows = _writes(chat, "batch_create_records")[0]["records"]
    assert [row["fields"]["Title"] for row in rows] == ["A", "B", "C"]


def test_several_records_without_a_batch_tool_are_calls_in_one_turn(chat: Any) -> None:
    chat.base.hidden = {"batch_create_records"}
    chat.say("Create tasks 'A', 'B' and 'C'")
    assert chat.base.turns[-1] == ["create_record"] * 3


def test_a_missing_name_is_asked_for(chat: Any) -> None:
    assert chat.say("create a task for project Attic").endswith("be called?")
    chat.say("Order grout")
    assert _writes(chat, "create_record")[0]["fields"] == {"Title": "Order grout", "Project": [ATTIC]}


@pytest.mark.parametrize(
    ("text", "record", "fields"),
    [
        ("Set the status of task 'Order tiles' to Done", TILES, {"Status": "Done"}),
        ("set the status of the task Order tiles to done.", TILES, {"Status": "Done"}),
        ("Set status of 'Order tiles' to Done", TILES, {"Status": "Done"}),
        ("change task 'Order tiles' status to In progress", TILES, {"Status": "In progress"}),
        (
            "set the status of task 'Fix roof' to Done and the estimate to 4",
            ROOF,
            {"Status": "Done", "Estimate": 4},
        ),
        ("mark task Fix sink as done", SINK, {"Status": "Done"}),
        ("mark 'Order tiles' as urgent", TILES, {"Urgent": True}),
        ("complete task 'Fix sink'", SINK, {"Status": "Done"}),
        ("rename task 'Fix roof' to 'Repair roof'", ROOF, {"Title": "Repair roof"}),
        ("assign task 'Fix roof' to employee Bo Lind", ROOF, {"Assignee": [BO]}),
        ("update task 'Fix roof' with status Done and estimate 5", ROOF, {"Status": "Done", "Estimate": 5}),
        ('set the due date of task "Fix roof" to 2026-12-24', ROOF, {"Due Date": "2026-12-24"}),
        (f"update record {TILES} in Tasks set Status to Done", TILES, {"Status": "Done"}),  # noqa: S608 (no SQL)
        ("In the table 'Tasks', change 'Title' of the record 'Fix roof' to 'Mend roof'", ROOF, {"Title": "Mend roof"}),
        ("Update the record 'Fix roof' in the table 'Tasks' with 'Status' set to 'Done'", ROOF, {"Status": "Done"}),
        ("Change Attic's budget to 8,500 in Projects", ATTIC, {"Budget": 8500}),
    ],
)
def test_finds_then_updates(chat: Any, text: str, record: str, fields: dict[str, Any]) -> None:
    answer = chat.say(text)
    writes = _writes(chat, "update_record")
    assert [(write["record_id"], write["fields"]) for write in writes] == [(record, fields)]
    assert answer.startswith("I set ")


def test_the_fields_and_the_record_are_looked_up_in_one_turn(chat: Any) -> None:
    chat.say("Set the status of task 'Order tiles' to Done")
    assert chat.base.turns == [["list_tables"], ["get_field_info", "search_records"], ["update_record"]]


def test_an_unknown_choice_is_asked_for(chat: Any) -> None:
    question = chat.say("Set the status of task 'Order tiles' to Finished")
    assert "no choice 'Finished'" in question and "To do, In progress, Done" in question
    assert not _writes(chat, "update_record")
    chat.say("Done")
    assert _writes(chat, "update_record")[0]["fields"] == {"Status": "Done"}


def test_an_ambiguous_record_is_asked_for(chat: Any) -> None:
    question = chat.say("delete task 'Fix'")
    assert "Fix sink" in question and "Fix roof" in question
    chat.say("Fix sink")
    assert [write["record_id"] for write in _writes(chat, "delete_record")] == [SINK]


@pytest.mark.parametrize(
    ("text", "record"),
    [
        ("Delete the task 'Fix roof'", ROOF),
        (f"Delete {WALL} from Tasks", WALL),
        ('please remove contact "Zoë Ng"', "rec00000000000043"),
        ("remove Paint wall from the Tasks table", WALL),
    ],
)
def test_deletes(chat: Any, text: str, record: str) -> None:
    assert chat.say(text).startswith("I deleted")
    assert [write["record_id"] for write in _writes(chat, "delete_record")] == [record]


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("delete all tasks", "Which record of Tasks"),
        ("delete task 'Nothing'", "no record named 'Nothing'"),
        ("Create a task 'X' for project 'Nowhere'", "no record named 'Nowhere' in Projects"),
        ("set the total hours of project Attic to 5", "computed by Airtable"),
        ("set the colour of project Attic to red", "no field 'colour'"),
        ("set the budget of project Attic to lots", "is a number"),
        ("Create a table called Invoices", "None of the tools"),
    ],
)
def test_nothing_is_written_when_something_is_wrong(chat: Any, text: str, question: str) -> None:
    assert question in chat.say(text)
    assert not any(call.name.startswith(("create", "update", "delete", "batch")) for call in chat.base.calls)


def test_a_failed_write_is_not_told_as_done(chat: Any) -> None:
    chat.base.failing["update_record"] = {"message": "you are a viewer"}
    answer = chat.say("Set the status of task 'Order tiles' to Done")
    assert "you are a viewer" in answer and "I set" not in answer


def test_reads_after_a_write_are_fresh(chat: Any) -> None:
    answer = chat.say(
        "List all tasks with project, then create a task 'Grout' for project 'Villa Rosa', "
        "then list all tasks with project"
    )
    assert "I created **Grout**" in answer and "| Grout | Villa Rosa |" in answer


@pytest.mark.parametrize(
    ("text", "tool", "args", "shown"),
    [
        ("Export Contacts as CSV", "export_table_csv", {"table_id": "tblContacts"}, "Mary,Galway"),
        (
            "Find duplicate contacts by city",
            "find_duplicates",
            {"table_id": "tblContacts", "fields": ["City"]},
            "City: cork",
        ),
        (
            "Preview a sync from Contacts to Employees by Name",
            "sync_tables",
            {
                "source_table_id": "tblContacts",
                "target_table_id": "tblPeople",
                "key_field": "Name",
                "dry_run": True,
            },
            "To create: 2",
        ),
        ("Create a metadata table that describes all tables", "create_metadata_table", {}, "Tables described: 7"),
        (
            "Analyse my social media posts and recommend improvements",
            "analyze_table_data",
            {"table_id": "tblPosts"},
            "Headline (20 %)",
        ),
    ],
)
def test_jobs_of_one_tool(chat: Any, text: str, tool: str, args: dict[str, Any], shown: str) -> None:
    answer = chat.say(text)
    assert [call.args for call in chat.base.calls if call.name == tool] == [args]
    assert shown in answer


def test_a_sync_is_applied_only_when_told(chat: Any) -> None:
    chat.say("Apply the sync from Contacts to Employees by Name")
    assert _writes(chat, "sync_tables")[0]["dry_run"] is False
