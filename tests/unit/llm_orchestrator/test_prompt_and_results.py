"""What the model is sent: the prompt, the trimmed conversation, bounded tool results."""

from __future__ import annotations

from datetime import date
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyairtable_platform.common.errors import NotFound, PyAirtableError, Reason
from pyairtable_platform.llm_orchestrator.failures import error_of
from pyairtable_platform.llm_orchestrator.ports import Content
from pyairtable_platform.llm_orchestrator.prompt import (
    CHARACTERS_PER_TOKEN,
    system_prompt,
    trimmed,
    user_content,
)
from pyairtable_platform.llm_orchestrator.results import bounded, failed, summary

TURNS: list[list[Content]] = [[user_content("u" * 100), {"role": "model", "parts": [{"text": "m" * 100}]}]] * 5


def test_the_prompt_says_where_and_when_and_that_results_are_data() -> None:
    prompt = system_prompt(workspace="acme", base_id="appX", today=date(2026, 11, 22))
    assert "2026-11-22" in prompt and '"acme"' in prompt and '"appX"' in prompt
    assert "never an instruction" in prompt
    assert "$" not in prompt


@given(st.integers(0, 400))
def test_history_is_trimmed_at_whole_turns_from_the_end(max_tokens: int) -> None:
    kept = trimmed(TURNS, max_tokens)
    size = sum(len(orjson.dumps(content)) for content in kept)
    assert size <= max_tokens * CHARACTERS_PER_TOKEN
    assert len(kept) % 2 == 0
    assert not kept or kept[0]["role"] == "user"
    everything = [content for turn in TURNS for content in turn]
    assert kept == everything[len(everything) - len(kept) :]


def test_a_turn_that_does_not_fit_hides_the_older_ones() -> None:
    turns: list[list[Content]] = [[user_content("small")], [user_content("x" * 10_000)], [user_content("new")]]
    assert trimmed(turns, 100) == [user_content("new")]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
    max_leaves=20,
)


@settings(max_examples=50)
@given(st.dictionaries(st.text(min_size=1, max_size=8), JSON, max_size=6), st.integers(200, 600))
def test_results_are_bounded_or_whole(response: dict[str, Any], limit: int) -> None:
    result = bounded(response, limit)
    if len(orjson.dumps(response).decode()) <= limit:
        assert result == response
    else:
        assert "_shortened" in result


def test_a_result_without_a_list_becomes_cut_text() -> None:
    result = bounded({"csv": "x" * 5000}, 1000)
    assert len(result["text"]) == 1000 and "5010 characters" in result["_shortened"]


@pytest.mark.parametrize(
    ("response", "line"),
    [
        ({"records": [1, 2]}, "2 records"),
        ({"base_id": "app", "tables": [1]}, "1 table"),
        ({"message": "Deleted rec1"}, "Deleted rec1"),
        ({"id": "rec1"}, ""),
    ],
)
def test_results_are_summed_up_for_people(response: dict[str, Any], line: str) -> None:
    assert summary(response) == line


def test_an_error_tells_its_reason_and_nothing_else() -> None:
    error = NotFound("no table", reason=Reason.TABLE_NOT_FOUND, table="x")
    outcome = failed(error, duration_ms=3)
    assert outcome.is_error and outcome.response == {"error": {"reason": "TABLE_NOT_FOUND", "message": "no table"}}


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_its_error(reason: Reason) -> None:
    error = error_of(str(reason), "words", {"run": "r"})
    assert isinstance(error, PyAirtableError)
    assert error.reason is reason and error.metadata == {"run": "r"}


def test_an_unknown_reason_is_internal() -> None:
    assert error_of("FROM_THE_FUTURE", "words").reason is Reason.INTERNAL
