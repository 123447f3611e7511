"""What the emulator refuses: unknown fields, wrong types, broken turns, knobs a model does not have."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyairtable_devkit.gemini.errors import ApiError
from pyairtable_devkit.gemini.fields import MESSAGES, camel, normalise, snake
from pyairtable_devkit.gemini.models import MODELS
from pyairtable_devkit.gemini.request import Call, read_request
from pyairtable_devkit.gemini.signatures import sign
from pyairtable_devkit.gemini.validation import check_request

FLASH = MODELS["gemini-3.8-flash"]
USER = {"role": "user", "parts": [{"text": "hi"}]}
CALL = {"functionCall": {"name": "f", "args": {"n": 1}, "id": "a"}, "thoughtSignature": sign(Call("f", {"n": 1}))}
RESULT = {"functionResponse": {"name": "f", "response": {}, "id": "a"}}


def _model(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "model", "parts": list(parts)}


def _user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "parts": list(parts)}


def _check(body: dict[str, Any], model: str = "gemini-3.8-flash") -> None:
    check_request(read_request(normalise(body, "GenerateContentRequest")), MODELS[model])


@pytest.mark.parametrize(
    ("body", "path", "name"),
    [
        ({"content": []}, "", "content"),
        ({"contents": [{"text": "hi"}]}, "contents[0]", "text"),
        ({"generationConfig": {"max_tokens": 5}}, "generation_config", "max_tokens"),
        ({"generation_config": {"thinking_config": {"level": "low"}}}, "generation_config.thinking_config", "level"),
        (
            {"tools": [{"functionDeclarations": [{"name": "f", "parameters": {"properties": {"a": {"const": 1}}}}]}]},
            "tools[0].function_declarations[0].parameters.properties[0].value",
            "const",
        ),
    ],
)
def test_unknown_fields_are_named_with_their_place(body: dict[str, Any], path: str, name: str) -> None:
    with pytest.raises(ApiError) as raised:
        normalise(body, "GenerateContentRequest")
    error = raised.value.body()["error"]
    assert error["code"] == 400 and error["status"] == "INVALID_ARGUMENT"
    assert f'Unknown name "{name}"' in error["message"] and error["message"].endswith("Cannot find field.")
    violation = error["details"][0]["fieldViolations"][0]
    assert error["details"][0]["@type"].endswith("google.rpc.BadRequest")
    assert violation.get("field", "") == path


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"generationConfig": {"temperature": "warm"}}, "(TYPE_DOUBLE)"),
        ({"generationConfig": {"maxOutputTokens": 1.5}}, "(TYPE_INT32), 1.5"),
        ({"contents": [{"role": 3}]}, "(TYPE_STRING)"),
        ({"contents": [{"parts": [{"thoughtSignature": "not base64!"}]}]}, "(TYPE_BYTES)"),
        ({"contents": [{"parts": [{"functionCall": {"args": "x"}}]}]}, "google.protobuf.Struct"),
        ({"toolConfig": {"functionCallingConfig": {"mode": "SOMETIMES"}}}, "FunctionCallingConfig.Mode"),
        ({"generationConfig": []}, "cannot start list"),
        ({"generationConfig": "x"}, "GenerationConfig"),
    ],
)
def test_values_of_a_wrong_type_are_named(body: dict[str, Any], text: str) -> None:
    with pytest.raises(ApiError) as raised:
        normalise(body, "GenerateContentRequest")
    assert text in raised.value.message


def test_every_mistake_is_reported_at_once() -> None:
    with pytest.raises(ApiError) as raised:
        normalise({"one": 1, "two": 2}, "GenerateContentRequest")
    assert len(raised.value.details[0]["fieldViolations"]) == 2


@given(st.sampled_from(sorted({name for fields in MESSAGES.values() for name in fields if name[0] != "_"})))
def test_both_spellings_of_a_name_are_one(name: str) -> None:
    assert camel(snake(name)) == name


def test_both_spellings_of_a_request_are_read_alike() -> None:
    snaked = {
        "contents": [{"parts": [{"text": "x"}]}],
        "generation_config": {"thinking_config": {"thinking_level": "low"}},
    }
    cameled = {
        "contents": [{"parts": [{"text": "x"}]}],
        "generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW"}},
    }
    assert normalise(snaked, "GenerateContentRequest") == normalise(cameled, "GenerateContentRequest")


@pytest.mark.parametrize(
    ("contents", "text"),
    [
        ([], "contents is not specified"),
        ([{"role": "system", "parts": [{"text": "x"}]}], "valid role: user, model"),
        ([{"role": "user", "parts": []}], "must not be empty"),
        ([{"role": "user", "parts": [{"thought": True}]}], "must have one initialized field"),
        ([_model(CALL), _user(RESULT)], "function call turn comes immediately after a user turn"),
        ([USER, _user(RESULT)], "function response turn comes immediately after a function call turn"),
        ([USER, _model(CALL)], "number of function response parts is equal"),
        ([USER, _model(CALL), USER], "number of function response parts is equal"),
        ([USER, _model(CALL), _user(RESULT, RESULT)], "number of function response parts is equal"),
        ([USER, _model(CALL), _user({"functionResponse": {"name": "g", "response": {}}})], "name `g`"),
        ([USER, _model(CALL), _user({"functionResponse": {"name": "f", "response": {}, "id": "b"}})], "id `b`"),
    ],
)
def test_turns_out_of_order_are_refused(contents: list[dict[str, Any]], text: str) -> None:
    with pytest.raises(ApiError) as raised:
        _check({"contents": contents})
    assert text in raised.value.message


def test_a_whole_tool_round_is_accepted() -> None:
    _check({"contents": [USER, _model(CALL), _user(RESULT), _model({"text": "done"}), USER]})


def test_only_the_first_of_parallel_calls_needs_a_signature() -> None:
    second = {"functionCall": {"name": "f", "args": {"n": 2}, "id": "b"}}
    results = _user(RESULT, {"functionResponse": {"name": "f", "response": {}, "id": "b"}})
    _check({"contents": [USER, _model(CALL, second), results]})
    with pytest.raises(ApiError, match="position 2"):
        _check({"contents": [USER, _model(second, CALL), results]})


def test_each_step_of_the_current_turn_needs_its_signature_and_earlier_turns_none() -> None:
    bare = {"functionCall": CALL["functionCall"]}
    first_turn = [USER, _model(bare), _user(RESULT), _model({"text": "done"})]
    _check({"contents": [*first_turn, USER]})
    with pytest.raises(ApiError, match="position 4"):
        _check({"contents": [USER, _model(CALL), _user(RESULT), _model(bare), _user(RESULT)]})


@pytest.mark.parametrize("signature", ["skip_thought_signature_validator", "context_engineering_is_the_way_to_go"])
def test_the_documented_stand_ins_for_a_signature_are_accepted(signature: str) -> None:
    part = {"functionCall": CALL["functionCall"], "thoughtSignature": signature}
    _check({"contents": [USER, _model(part), _user(RESULT)]})


@given(st.dictionaries(st.text(max_size=5), st.integers(-1000, 1000) | st.text(max_size=5), max_size=4))
def test_a_signature_survives_numbers_that_became_floats(args: dict[str, Any]) -> None:
    floats = {key: float(value) if isinstance(value, int) else value for key, value in args.items()}
    assert sign(Call("f", args)) == sign(Call("f", floats))


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"tools": [{"functionDeclarations": [{"name": "1st"}]}]}, "Invalid function name"),
        ({"tools": [{"functionDeclarations": [{"name": "f"}, {"name": "f"}]}]}, "Duplicate function declaration"),
        ({"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}, "no function declarations"),
        (
            {
                "tools": [{"functionDeclarations": [{"name": "f"}]}],
                "toolConfig": {"functionCallingConfig": {"mode": "AUTO", "allowedFunctionNames": ["f"]}},
            },
            "mode is ANY",
        ),
        (
            {
                "tools": [{"functionDeclarations": [{"name": "f"}]}],
                "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["g"]}},
            },
            "`g`",
        ),
        ({"generationConfig": {"temperature": 3}}, "[0.0, 2.0]"),
        ({"generationConfig": {"topP": 1.5}}, "[0.0, 1.0]"),
        ({"generationConfig": {"maxOutputTokens": 0}}, "must be positive"),
        ({"generationConfig": {"candidateCount": 2}}, "Multiple candidates"),
        ({"generationConfig": {"responseMimeType": "text/html"}}, "allowed mimetypes"),
        ({"cachedContent": "cachedContents/x"}, "CachedContent not found"),
    ],
)
def test_tools_and_settings_are_checked(body: dict[str, Any], text: str) -> None:
    with pytest.raises(ApiError) as raised:
        _check({"contents": [USER], **body})
    assert text in raised.value.message


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_model_takes_its_own_knob(name: str) -> None:
    model = MODELS[name]
    for level in model.levels:
        _check({"contents": [USER], "generationConfig": {"thinkingConfig": {"thinkingLevel": level}}}, name)
    for budget in (-1, *model.budget):
        _check({"contents": [USER], "generationConfig": {"thinkingConfig": {"thinkingBudget": budget}}}, name)
