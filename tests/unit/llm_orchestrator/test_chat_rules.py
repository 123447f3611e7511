"""What a message may be, and when two requests are the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pyairtable_platform.common.errors import Cancelled, InvalidInput, PyAirtableError, Reason
from pyairtable_platform.llm_orchestrator.entities import NewRun, Run, RunFailure, RunState, Whose
from pyairtable_platform.llm_orchestrator.ports import Cost
from pyairtable_platform.llm_orchestrator.service import Ask, completed, conversation, digest
from pyairtable_platform.llm_orchestrator.settings import Settings
from pyairtable_platform.llm_orchestrator.store.runs import title_of

ASK = Ask("acme", "s", "hello", (), "", None, "key")


def test_the_last_message_is_the_users_and_the_others_are_history() -> None:
    ask = replace(ASK, message="", messages=[("user", "a"), ("assistant", "b"), ("user", "c")])
    assert conversation(ask) == ("c", [("user", "a"), ("assistant", "b")])
    assert conversation(ASK) == ("hello", [])


@pytest.mark.parametrize(
    ("ask", "field"),
    [
        (replace(ASK, message=""), "message"),
        (replace(ASK, message=" \n"), "message"),
        (replace(ASK, message="a\x00"), "message"),
        (replace(ASK, messages=[("user", "a")]), "messages"),
        (replace(ASK, message="", messages=[("assistant", "a")]), "messages"),
        (replace(ASK, message="", messages=[("assistant", "\x00"), ("user", "a")]), "message"),
    ],
)
def test_what_is_wrong_is_named(ask: Ask, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        conversation(ask)
    assert caught.value.violations[0].field == field


def test_requests_are_told_apart_by_everything_but_their_key() -> None:
    assert digest(ASK) == digest(replace(ASK, idempotency_key="other"))
    for change in ({"message": "x"}, {"session_id": "x"}, {"base_id": "x"}, {"thinking_budget": 0}):
        assert digest(replace(ASK, **change)) != digest(ASK)


def test_a_session_is_called_by_its_first_words() -> None:
    said = "How  many\nhours were worked on each project this year, please?"
    new = NewRun(Whose("acme"), "", "s", said, (), "", "m", None, "", "", "", 1)
    assert title_of(new) == "How many hours were worked on each project this year,…"
    assert title_of(replace(new, seeds=[("user", "First")])) == "First"


def _run(state: RunState, failure: RunFailure | None = None) -> Run:
    now = datetime.now(UTC)
    return Run("r", "s", "acme", state, "m", "hi", "", "", (), Cost(), failure, now, now)


def test_a_run_without_an_answer_is_raised_as_what_it_failed_with() -> None:
    assert completed(_run(RunState.COMPLETED)).id == "r"
    with pytest.raises(Cancelled):
        completed(_run(RunState.CANCELLED))
    with pytest.raises(PyAirtableError) as caught:
        completed(_run(RunState.FAILED, RunFailure("TURN_LIMIT", "too long", {"limit": "time"})))
    assert caught.value.reason is Reason.TURN_LIMIT
    assert caught.value.metadata == {"limit": "time", "run": "r"}


def test_no_setting_shows_the_key() -> None:
    settings = Settings.model_validate({"gemini_api_key": "not-to-be-seen", "api_key": "not-to-be-seen"})
    assert "not-to-be-seen" not in repr(settings)


def test_a_turn_fits_into_a_calls_deadline() -> None:
    assert Settings().turn_seconds < Settings().request_timeout_seconds
