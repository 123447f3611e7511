"""A request that was understood only in part: the answer says what was left out, and nothing is written."""

from __future__ import annotations

from typing import Any

import pytest

from pyairtable_devkit.gemini.planner.leftover import unused


@pytest.mark.parametrize(
    ("text", "used", "left"),
    [
        ("Which projects are over budget?", ["Projects"], ["over budget"]),
        ("Which materials are low in stock?", ["Materials"], ["low in stock"]),
        ("tasks which are done but not paid", ["Tasks", "Done"], ["not paid"]),
        ("Please show me all of our tasks", ["Tasks"], []),
        ("How much money did the customers spend?", ["Contacts", "Amount"], []),
    ],
)
def test_only_words_with_a_meaning_are_left(text: str, used: list[str], left: list[str]) -> None:
    assert unused(text, used) == left


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Which projects are over budget?", "over budget"),
        ("Show tasks which are done but not paid", "not paid"),
        ("how many contacts were added last month?", "added last month"),
        ("show the tasks for project Nowhere", "project Nowhere"),
        ("total budget over the moon", "over the moon"),
    ],
)
def test_an_answer_starts_with_what_was_not_used(chat: Any, text: str, left: str) -> None:
    assert chat.say(text).startswith(f"I did not use: {left}.\n\n")


def test_a_part_of_a_linked_name_is_enough(chat: Any) -> None:
    chat.base.rows["tblProjects"]["rec00000000000001"]["Name"] = 'The "Old Mill" conversion'
    answer = chat.say("What did we spend on the Old Mill?")
    assert "**420.4**" in answer and 'Project is The "Old Mill" conversion' in answer
    assert "**2**" in chat.say("how many tasks are there for the Old Mill?")


def test_a_sum_for_an_unknown_name_is_asked_back(chat: Any) -> None:
    assert chat.say("How much did we spend on Foo Bar?").startswith("I found no record named 'Foo Bar'.")
    assert "**420.4**" in chat.say("Villa Rosa")


WRITES = ("create_record", "batch_create_records", "update_record", "delete_record")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Create a contact 'Jane Doe' phone 0123 456789", "phone 0123 456789"),
        ("Create a contact Jane Doe phone 0123 456789", "phone 0123 456789"),
        ("Create a contact 'Jane Doe' with email a@b.example and fax 999", "fax 999"),
        ("Update task 'Fix roof' with status Done and colour red", "colour red"),
        ("Mark task 'Fix roof' of last month as done", "last month"),
        ("Delete the tasks 'Fix roof' and 'Fix sink'", "Fix sink"),
    ],
)
def test_nothing_is_written_when_a_part_would_be_lost(chat: Any, text: str, left: str) -> None:
    assert f"what to do with '{left}', so I changed nothing" in chat.say(text)
    assert not [call for call in chat.base.calls if call.name in WRITES]


@pytest.mark.parametrize(
    ("answer", "fields"),
    [
        ("leave it out", {"Name": "Jane Doe"}),
        ("city Cork", {"Name": "Jane Doe", "City": "Cork"}),
    ],
)
def test_the_part_may_be_left_out_or_said_again(chat: Any, answer: str, fields: dict[str, str]) -> None:
    chat.say("Create a contact 'Jane Doe' with phone 0123 456789")
    chat.say(answer)
    assert [call.args["fields"] for call in chat.base.calls if call.name == "create_record"] == [fields]


@pytest.mark.parametrize("name", ["Jane Doe", "'Jane Doe'", "'Jane Doe',"])
def test_a_phone_number_goes_to_the_phone_field(chat: Any, name: str) -> None:
    chat.base.fields["tblContacts"].append({"id": "fldPhone", "name": "Phone", "type": "phoneNumber"})
    chat.say(f"Create a contact {name} phone 0123 456789")
    (call,) = [call for call in chat.base.calls if call.name == "create_record"]
    assert call.args["fields"] == {"Name": "Jane Doe", "Phone": "0123 456789"}


def test_a_created_record_is_told_by_what_was_sent(chat: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    record = {"id": "rec00000000000099", "fields": {"Name": "Shed", "Budget": 5, "Total Hours": 0, "Expenses": 0}}
    monkeypatch.setattr(chat.base, "_create_record", lambda table_id, fields: {"record": record})
    answer = chat.say("Create a project 'Shed' with budget 5")
    assert "| Name | Shed |" in answer and "| Budget | 5 |" in answer
    assert "Total Hours" not in answer and "Expenses" not in answer


@pytest.mark.parametrize("text", ["foobar bla", "What is the weather like?"])
def test_a_request_that_is_not_understood_gets_examples(chat: Any, text: str) -> None:
    answer = chat.say(text)
    assert answer.startswith("I did not understand this") and answer.count('"') == 4
    assert "tool that fits" not in answer
