"""Scripts, faults, settings, and the form of answers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyairtable_devkit.gemini.faults import FaultError, Faults
from pyairtable_devkit.gemini.fields import normalise
from pyairtable_devkit.gemini.json_mode import as_json
from pyairtable_devkit.gemini.models import MODELS
from pyairtable_devkit.gemini.reply import Reply
from pyairtable_devkit.gemini.request import Call, GenerateRequest, read_request
from pyairtable_devkit.gemini.script import ScriptError, parse_script, read_script
from pyairtable_devkit.gemini.settings import Settings, SettingsError
from pyairtable_devkit.gemini.tokens import PrefixCache
from pyairtable_devkit.gemini.wire import Generation, chunks, generate, whole

FLASH = "gemini-3.8-flash"


def _request(*texts: str, **body: Any) -> GenerateRequest:
    contents = [
        {"role": "user" if index % 2 == 0 else "model", "parts": [{"text": text}]} for index, text in enumerate(texts)
    ]
    return read_request(normalise({"contents": contents, **body}, "GenerateContentRequest"))


def _generated(reply: Reply, model: str = FLASH, **config: Any) -> Generation:
    request = _request("hi", generationConfig=config)
    return generate(reply, request, MODELS[model], cached=0, response_id="r")


def test_replies_are_given_one_after_another_then_the_next_turn_then_the_planner() -> None:
    script = read_script([{"match": {"user": "x"}, "replies": [{"text": "1"}, {"text": "2"}]}, {"text": "3"}])
    given_answers = [script.answer(_request("x"), FLASH) for _ in range(4)]
    assert [answer.reply.text for answer in given_answers[:3] if answer and answer.reply] == ["1", "2", "3"]
    assert given_answers[3] is None


def test_repeat_gives_the_last_reply_for_ever() -> None:
    script = read_script([{"replies": [{"text": "1"}, {"calls": [{"name": "f"}]}], "repeat": True}])
    answers = [script.answer(_request("x"), FLASH) for _ in range(5)]
    assert [bool(answer and answer.reply and answer.reply.calls) for answer in answers] == [False] + [True] * 4


@pytest.mark.parametrize(
    ("match", "matches"),
    [
        ({"user": "TABLES$"}, True),
        ({"user": "bases"}, False),
        ({"step": 0}, True),
        ({"step": 1}, False),
        ({"position": 1}, True),
        ({"position": 2}, False),
        ({"model": "flash$"}, True),
        ({"system": "brief"}, True),
        ({"user": "tables", "system": "never"}, False),
    ],
)
def test_turns_match_on_what_the_request_holds(match: dict[str, Any], matches: bool) -> None:
    script = read_script([{"match": match, "text": "yes"}])
    request = _request("a", "b", "list the tables", systemInstruction={"parts": [{"text": "Be brief"}]})
    assert (script.answer(request, FLASH) is not None) is matches


def test_otherwise_error_answers_500_when_nothing_is_left() -> None:
    answer = read_script({"turns": [], "otherwise": "error"}).answer(_request("what?"), FLASH)
    assert answer and answer.error and answer.error.code == 500 and "what?" in answer.error.message


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{", "not YAML"),
        ("a: 1", "'turns'"),
        ("turns: [{txt: hi}]", "'txt'"),
        ("turns: [{match: {usr: x}, text: hi}]", "'usr'"),
        ("turns: [{match: {user: '('}, text: hi}]", "regular expression"),
        ("turns: [{match: {user: x}}]", "no reply"),
        ("turns: [{text: a, replies: [{text: b}]}]", "'text'"),
        ("turns: [{finish: STOPPED}]", "'STOPPED'"),
        ("turns: [{block: NEVER}]", "'NEVER'"),
        ("turns: [{calls: [{args: {}}]}]", "no name"),
        ("turns: [{error: {message: x}}]", "code"),
        ("turns: [{text: hi, usage: {in: 1}}]", "'in'"),
        ("turns: [{planner: maybe}]", "planner"),
        ("turns: [{text: 5}]", "text cannot be 5"),
        ("turns: [{text: hi, delay: soon}]", "delay cannot be 'soon'"),
        ("{turns: [], otherwise: x}", "'x'"),
    ],
)
def test_a_wrong_script_is_refused_with_the_place(text: str, named: str) -> None:
    with pytest.raises(ScriptError) as raised:
        parse_script(text)
    assert named in str(raised.value)


def test_faults_strike_the_calls_they_match_as_often_as_asked() -> None:
    faults = Faults()
    faults.add({"kind": "status", "status": 503, "match": {"model": "gemini-3*"}, "times": 2})
    other = faults.strike(method="POST", path="/p", model="gemini-2.5-flash")
    struck = [faults.strike(method="POST", path="/p", model=FLASH) for _ in range(3)]
    assert other is None and [fault is not None for fault in struck] == [True, True, False]


def test_a_fault_with_a_probability_strikes_some() -> None:
    faults = Faults()
    faults.add({"kind": "status", "times": None, "probability": 0.5})
    hits = sum(faults.strike(method="POST", path="/p", model=FLASH) is not None for _ in range(200))
    assert 50 < hits < 150


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        ({"kind": "explode"}, "'explode'"),
        ({"kind": "status", "code": 5}, "'code'"),
        ({"kind": "status", "status": 200}, "200"),
        ({"kind": "status", "match": {"table": "x"}}, "'table'"),
    ],
)
def test_a_wrong_fault_is_refused(fault: dict[str, Any], named: str) -> None:
    with pytest.raises(FaultError, match=named):
        Faults().add(fault)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"speed": 1}, "speed"),
        ({"latency": "slow"}, "latency"),
        ({"chunk_tokens": 0}, "chunk_tokens"),
        ({"token_seconds": -1}, "token_seconds"),
        ({"check_signatures": "yes"}, "check_signatures"),
    ],
)
def test_a_wrong_setting_is_refused(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        Settings().changed(changes)


def test_latency_follows_the_profile_unless_set() -> None:
    assert Settings().seconds_to_first_token == 0
    assert Settings(latency="realistic").seconds_to_first_token > 0
    assert Settings(latency="realistic", first_token_seconds=0.0).seconds_to_first_token == 0


@given(st.text(min_size=1, max_size=300), st.integers(1, 20))
def test_chunks_put_together_are_the_whole_text(text: str, size: int) -> None:
    generation = _generated(Reply(text=text))
    pieces = chunks(generation, size)
    parts = [part for piece in pieces for part in piece["candidates"][0]["content"].get("parts", [])]
    assert "".join(part["text"] for part in parts) == text
    assert [piece["candidates"][0].get("finishReason") for piece in pieces] == [None] * (len(pieces) - 1) + ["STOP"]
    assert pieces[-1]["usageMetadata"] == whole(generation)["usageMetadata"]
    counts = [piece["usageMetadata"].get("candidatesTokenCount", 0) for piece in pieces]
    assert counts == sorted(counts)


def test_thinking_eats_into_the_output_limit() -> None:
    starved = whole(_generated(Reply(text="A long answer"), maxOutputTokens=50))
    assert starved["candidates"][0]["finishReason"] == "MAX_TOKENS"
    assert "parts" not in starved["candidates"][0]["content"]
    cut = whole(_generated(Reply(text="A long answer"), "gemini-2.5-flash-lite", maxOutputTokens=2))
    assert cut["candidates"][0]["content"]["parts"][0]["text"] == "A long a"


def test_a_stop_sequence_ends_the_text() -> None:
    answer = whole(_generated(Reply(text="one. two. three."), stopSequences=[" two"]))
    assert answer["candidates"][0]["content"]["parts"][0]["text"] == "one."


def test_ids_and_signatures_are_given_as_the_model_does() -> None:
    calls = (Call("f", {}, "a"), Call("g", {}, "b"))
    three = whole(_generated(Reply(calls=calls)))["candidates"][0]["content"]["parts"]
    assert [part["functionCall"]["id"] for part in three] == ["a", "b"]
    assert ["thoughtSignature" in part for part in three] == [True, False]
    lite = whole(_generated(Reply(calls=calls), "gemini-2.5-flash-lite"))["candidates"][0]["content"]["parts"]
    assert not any("id" in part["functionCall"] or "thoughtSignature" in part for part in lite)


def test_a_blocked_prompt_has_feedback_and_no_candidate() -> None:
    answer = whole(_generated(Reply(block="SAFETY")))
    assert answer["promptFeedback"]["blockReason"] == "SAFETY" and "candidates" not in answer
    assert answer["usageMetadata"]["totalTokenCount"] == answer["usageMetadata"]["promptTokenCount"]


def test_a_prefix_is_cached_once_it_was_seen_and_is_long_enough() -> None:
    cache, long = PrefixCache(), "word " * 2000
    assert cache.lookup(FLASH, _request(long), 1024) == 0
    assert cache.lookup(FLASH, _request(long), 1024) == 0  # the newest content never counts
    assert cache.lookup(FLASH, _request(long, "ok", "more"), 1024) > 1024
    assert cache.lookup("gemini-2.5-flash", _request(long, "ok", "more"), 1024) == 0
    assert cache.lookup(FLASH, _request("short"), 1024) == 0
    assert cache.lookup(FLASH, _request("short", "ok", "more"), 1024) == 0


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, "hello"),
        ({"responseMimeType": "application/json"}, '{"answer":"hello"}'),
        (
            {
                "responseMimeType": "application/json",
                "responseSchema": {
                    "type": "OBJECT",
                    "properties": {
                        "kind": {"type": "STRING", "enum": ["a", "b"]},
                        "summary": {"type": "STRING"},
                        "score": {"type": "INTEGER", "minimum": 1},
                        "tags": {"type": "ARRAY", "items": {"type": "STRING"}},
                    },
                },
            },
            '{"kind":"a","summary":"hello","score":1,"tags":[]}',
        ),
    ],
)
def test_json_mode_answers_in_the_shape_asked_for(config: dict[str, Any], expected: str) -> None:
    assert as_json("hello", _request("hi", generationConfig=config)) == expected
