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
