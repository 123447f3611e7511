"""Requests that read: the planner finds tables, fields and records through the tools and answers from results only."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from pyairtable_devkit.gemini.planner.markdown import field_cell
from pyairtable_devkit.gemini.planner.schema import FieldInfo
from pyairtable_devkit.gemini.planner.values import cell_value

READS = {"list_bases", "list_tables", "get_field_info", "get_records", "get_record", "search_records"}


def test_lists_tables_with_one_call(chat: Any) -> None:
    answer = chat.say("List all tables in my Airtable base")
    assert "7 tables" in answer and "| Working Hours | 5 |" in answer
    assert chat.base.turns == [["list_tables"]]


def test_lists_bases(chat: Any) -> None:
    assert "Acme CRM" in chat.say("Which bases can I use?")


@pytest.mark.parametrize(
    "text",
    [
        "How many hours were worked on each project?",
        "Sum the working hours per project",
        "Total hours by project please",
        "which project has the most hours?",
    ],
)
def test_sums_linked_rows_by_name(chat: Any, text: str) -> None:
    answer = chat.say(text)
    assert "| Villa Rosa | 7.5 |" in answer
    assert "| O'Brien's Kitchen | 3.25 |" in answer
    assert "| (none) | 6 |" in answer and "| Attic | 0 |" in answer
    assert "| **Total** | **16.75** |" in answer
    assert {name for turn in chat.base.turns for name in turn} <= READS


def test_two_records_of_one_name_stay_two(chat: Any) -> None:
    chat.base.rows["tblProjects"]["rec00000000000002"]["Name"] = "Villa Rosa"
    answer = chat.say("How many hours were worked on each project?")
    assert "| Villa Rosa | 7.5 |" in answer and "| Villa Rosa | 3.25 |" in answer


def test_independent_reads_share_a_turn_and_every_page_is_read(chat: Any) -> None:
    chat.say("How many hours were worked on each project?")
    assert sorted(chat.base.turns[2]) == ["get_records", "get_records"]
    pages = [call.args.get("page_token") for call in chat.base.calls if call.args.get("table_id") == "tblHours"]
    assert pages == [None, None, "4"]


def test_a_follow_up_changes_the_grouping(chat: Any) -> None:
    chat.say("How many hours were worked on each project?")
    answer = chat.say("and per employee?")
    assert "| Bo Lind | 9.5 |" in answer and "| Ana Müller | 7.25 |" in answer


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("How many hours were worked on Villa Rosa?", "**7.5**"),
        ("How many hours did Ana Müller work?", "**7.25**"),
        ("how much did we spend on materials?", "**380**"),
        ("total expenses per project", "| Villa Rosa | 420.4 |"),
        ("What is the average budget of the projects?", "**23000.17**"),
        ("What is the total budget?", "**69000.5**"),
        ("highest hourly rate of employees", "**40**"),
        ("sum of amounts by category in Expenses", "| Materials | 380 |"),
        ("what did we spend per project?", "| O'Brien's Kitchen | 80 |"),
        ("what is the biggest expense?", "**300** (Tiles)"),
        ("What is the total budget of project Attic?", "**7000**"),
        ("how many hours per month?", "| 2026-10 | 7.5 |"),
        ("How many hours did each employee work in October 2026?", "| **Total** | **7.5** |"),
    ],
)
def test_totals(chat: Any, text: str, expected: str) -> None:
    assert expected in chat.say(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("How many open tasks are there?", 3),
        ("how many tasks are done?", 2),
        ("how many tasks are there?", 5),
        ("Count the contacts", 3),
        ("how many contacts do we have in Cork", 2),
        ("How many tasks are there for project 'Villa Rosa'?", 2),
        ("How many working hours records are there?", 5),
        ("how many overdue tasks do we have?", 1),
    ],
)
def test_counts(chat: Any, text: str, count: int) -> None:
    assert f"**{count}**" in chat.say(text)


def test_counts_by_a_linked_field(chat: Any) -> None:
    answer = chat.say("How many tasks does each project have?")
    assert "| Villa Rosa | 2 |" in answer and "| (empty) | 1 |" in answer


@pytest.mark.parametrize(
    "text",
    [
        "Find contacts named O'Brien",
        "Search the Contacts table for O'Brien",
        "find 'O'Brien' in contacts",
        'look up "O\'Brien" in the Contacts table',
    ],
)
def test_searches(chat: Any, text: str) -> None:
    answer = chat.say(text)
    assert "2 records" in answer and "Sean O'Brien" in answer and "Zoë" not in answer
    assert [call.args["query"] for call in chat.base.calls if call.name == "search_records"] == ["O'Brien"]


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("show tasks where status is To do", "Order tiles", "Paint wall"),
        ("show me the tasks for project Villa Rosa", "Paint wall", "Fix sink"),
        ("Which contacts are in Cork?", "Zoë Ng", "Mary"),
        ("list projects with budget over 10000", "O'Brien's Kitchen", "Attic"),
        ("list all overdue tasks", "Fix roof", "Sand floor"),
        ("What tasks are assigned to Ana Müller?", "Fix sink", "Order tiles"),
    ],
)
def test_lists_with_conditions(chat: Any, text: str, inside: str, outside: str) -> None:
    answer = chat.say(text)
    assert inside in answer and outside not in answer


def test_asked_for_columns_are_shown_and_links_are_named(chat: Any) -> None:
    assert "| Villa Rosa | In progress | 50000 |" in chat.say("Show projects with status and budget")
    assert "| Order tiles | Villa Rosa |" in chat.say("list all tasks with project")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("What is the status of project 'Villa Rosa'?", "In progress"),
        ("what's the budget of the project Attic?", "7000"),
        ("What is the project of task Fix sink?", "O'Brien's Kitchen"),
        ("What is the due date of task 'Order tiles'?", "(empty)"),
        ("What is the estimate of task 'Order tiles'?", "3"),
    ],
)
def test_looks_up_one_value(chat: Any, text: str, answer: str) -> None:
    assert f": **{answer}**" in chat.say(text)


def test_durations_and_fractions_read_as_people_write_them() -> None:
    assert field_cell(5400, FieldInfo("Length", "duration"), {}) == "1:30"
    assert field_cell(0.255, FieldInfo("Used", "formula", result_type="percent"), {}) == "25.5 %"
    length = FieldInfo("Length", "duration")
    spoken = [cell_value(text, length, date.today()) for text in ("1:30", "90 minutes", "1.5 hours", "2")]
    assert spoken == [5400, 5400, 5400, 7200]


def test_shows_one_record_by_id(chat: Any) -> None:
    assert "| Title | Order tiles |" in chat.say("get rec00000000000011 from Tasks")


def test_describes_fields_and_choices(chat: Any) -> None:
    assert "| Title (primary) | singleLineText |" in chat.say("what fields does the Tasks table have?")
    assert "To do, In progress, Done" in chat.say("what are the choices of status in Tasks?")


def test_asks_back_when_no_table_fits_and_takes_the_answer(chat: Any) -> None:
    question = chat.say("How many are there?")
    assert question.startswith("Which table do you mean?") and "Contacts" in question
    assert "**3**" in chat.say("Contacts")


@pytest.mark.parametrize(
    ("tool", "error", "shown"),
    [
        ("list_tables", {"reason": "DENIED", "message": "the token may not read appX"}, "the token may not read appX"),
        ("get_records", "rate limited", "rate limited"),
        ("get_field_info", {"type": "NOT_FOUND"}, "NOT_FOUND"),
    ],
)
def test_a_tool_error_is_told_and_nothing_is_invented(chat: Any, tool: str, error: Any, shown: str) -> None:
    chat.base.failing[tool] = error
    answer = chat.say("How many hours were worked on each project?")
    assert tool in answer and shown in answer
    assert "|" not in answer


def test_a_result_the_client_cut_down_is_asked_for_in_smaller_pages(chat: Any) -> None:
    chat.base.shorten_above = 2
    assert "**16.75**" in chat.say("How many hours were worked on each project?")


def test_a_result_that_cannot_be_read_whole_is_said_to_be_partial(chat: Any) -> None:
    chat.base.shorten_above = 0
    answer = chat.say("show all tasks")
    assert "no records" not in answer and "could not read" in answer


def test_without_a_fitting_tool_it_says_so(chat: Any) -> None:
    chat.base.hidden = {"get_records"}
    assert "None of the tools I was given can read records" in chat.say("how many tasks are there?")
    chat.base.hidden = {*chat.base.hidden, "list_tables"}
    assert "None of the tools I was given can list tables" in chat.say("list all tables")


@pytest.mark.parametrize("text", ["Hello", "What can you do?", "Thanks a lot!", "Tell me a joke"])
def test_small_talk(chat: Any, text: str) -> None:
    assert chat.say(text)
    assert {name for turn in chat.base.turns for name in turn} <= {"list_tables"}


def test_a_request_may_have_two_parts(chat: Any) -> None:
    answer = chat.say("List all tables, then count the contacts")
    assert "7 tables" in answer and "**3**" in answer


def test_this_month_follows_the_clock(chat: Any) -> None:
    today = date.today()
    chat.base.rows["tblHours"]["rec00000000000031"]["Date"] = today.isoformat()
    assert "4" in chat.say("total hours this month")
    assert f"from {today.year}-{today.month:02d}-01" in chat.contents[-1]["parts"][0]["text"]
