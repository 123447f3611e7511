"""An event and its entry in a stream."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyairtable_platform.common.event import Event, set_aside_of, stream_of

_TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)
_EVENTS = st.builds(
    Event,
    type=_TEXT,
    subject=_TEXT,
    workspace=_TEXT,
    principal=_TEXT,
    data=st.dictionaries(_TEXT, _JSON, max_size=3),
    event_id=_TEXT,
    occurred_at=st.datetimes(timezones=st.just(UTC)),
)


def as_valkey_gives_it(event: Event) -> dict[bytes, bytes]:
    return {name.encode(): value.encode() for name, value in event.to_fields().items()}


@given(_EVENTS)
def test_an_event_comes_back_as_it_was(event: Event) -> None:
    assert Event.from_fields(as_valkey_gives_it(event)) == event


def test_two_events_are_told_apart() -> None:
    first, second = Event("user.verified.v1", "u1"), Event("user.verified.v1", "u1")
    assert first.event_id != second.event_id
    assert first.occurred_at.tzinfo is not None


def test_fields_of_a_later_version_are_passed_over() -> None:
    event = Event("user.verified.v1", "u1", occurred_at=datetime(2026, 11, 22, tzinfo=UTC))
    assert Event.from_fields(as_valkey_gives_it(event) | {b"traceparent": b"x"}) == event


@pytest.mark.parametrize(
    "change",
    [{b"data": b"[1]"}, {b"data": b"{"}, {b"occurred_at": b"soon"}, {b"type": b"\xff"}, {b"event_id": None}],
    ids=["no object", "no JSON", "no time", "no UTF-8", "a field is missing"],
)
def test_what_is_no_event_is_refused(change: dict[bytes, Any]) -> None:
    fields: dict[bytes, Any] = as_valkey_gives_it(Event("user.verified.v1", "u1")) | change
    with pytest.raises(ValueError):
        Event.from_fields({name: value for name, value in fields.items() if value is not None})


def test_names_of_streams() -> None:
    assert stream_of("user") == "events:user"
    assert set_aside_of("user", "sagas") == "events:user:set-aside:sagas"
