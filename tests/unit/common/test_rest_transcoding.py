"""REST from the contract: routes match raw paths, messages survive the trip, malformed requests are named."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyairtable_platform.common.errors import InvalidInput
from pyairtable_platform.common.rest.routes import Binding, bindings
from pyairtable_platform.common.rest.transcoding import parse_request, to_json
from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2 as airtable
from pyairtable_protos.chat.v1 import chat_service_pb2 as chat
from pyairtable_protos.tools.v1 import tool_service_pb2 as tools
from pyairtable_protos.workspaces.v1 import workspace_service_pb2 as workspaces

SERVICES = [next(iter(module.DESCRIPTOR.services_by_name.values())) for module in (airtable, chat, tools, workspaces)]
BINDINGS = [binding for service in SERVICES for binding in bindings(service)]

text = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)


def binding_of(rpc: str, verb: str | None = None) -> Binding:
    return next(b for b in BINDINGS if b.method.name == rpc and verb in (None, b.verb))


def test_every_field_of_a_path_is_a_field_of_its_request() -> None:
    for binding in BINDINGS:
        assert set(binding.path_variables) <= set(binding.method.input_type.fields_by_name), binding.template


def test_no_two_rpcs_share_a_route() -> None:
    shapes = [(binding.verb, re.sub(r"\{\w+\}", "*", binding.template)) for binding in BINDINGS]
    assert len(shapes) == len(set(shapes))


@given(base=text, table=text)
def test_path_values_survive_any_escaping(base: str, table: str) -> None:
    binding = binding_of("ListRecords", "GET")
    path = f"/bases/{quote(base, safe='')}/tables/{quote(table, safe='')}/records"
    match = binding.pattern.fullmatch(path)
    assert match
    assert binding.path_values(match) == {"base_id": base, "table_id": table}


@given(fields=st.dictionaries(text, json_values, max_size=4))
def test_free_values_come_through_as_they_were_sent(fields: dict[str, Any]) -> None:
    body = orjson.dumps({"records": [{"fields": fields}]})
    message = parse_request(binding_of("CreateRecords"), {"base_id": "b", "table_id": "t"}, [], body)
    sent = orjson.loads(to_json(message))["records"][0]["fields"]
    assert sent == fields


def test_whole_numbers_stay_whole() -> None:
    body = b'{"records": [{"fields": {"n": 5, "list": [1, {"x": 2}], "half": 0.5, "huge": 2e300}}]}'
    message = parse_request(binding_of("CreateRecords"), {"base_id": "b", "table_id": "t"}, [], body)
    sent = orjson.loads(to_json(message))["records"][0]["fields"]
    assert repr(sent["n"]) == "5"
    assert repr(sent["list"]) == "[1, {'x': 2}]"
    assert (sent["half"], sent["huge"]) == (0.5, 2e300)


@given(
    size=st.integers(0, 10000),
    formula=text,
    fields=st.lists(text, max_size=3),
    as_text=st.booleans(),
    sort=st.lists(st.fixed_dictionaries({"field": text, "direction": st.sampled_from(["asc", "desc"])}), max_size=2),
)
def test_a_query_and_a_body_make_the_same_message(
    size: int, formula: str, fields: list[str], as_text: bool, sort: list[dict[str, str]]
) -> None:
    path = {"base_id": "b", "table_id": "t"}
    query = [("page_size", str(size)), ("filterByFormula", formula), ("as_text", str(as_text).lower())]
    query += [("fields", name) for name in fields] + [("sort", orjson.dumps(key).decode()) for key in sort]
    from_query = parse_request(binding_of("ListRecords", "GET"), path, query, b"")
    body = {"page_size": size, "filter_by_formula": formula, "as_text": as_text, "fields": fields, "sort": sort}
    from_body = parse_request(binding_of("ListRecords", "POST"), path, [], orjson.dumps(body))
    assert from_query == from_body


@given(st.binary(max_size=200) | json_values.map(orjson.dumps))
def test_no_body_causes_anything_but_invalid_input(body: bytes) -> None:
    for binding in BINDINGS:
        path = dict.fromkeys(binding.path_variables, "x")
        try:
            parse_request(binding, path, [], body)
        except InvalidInput as error:
            assert error.violations


@pytest.mark.parametrize(
    ("rpc", "body", "field"),
    [
        ("Chat", b'{"mesage": "hi"}', "mesage"),
        ("Chat", b'{"message": 5}', "message"),
        ("Chat", b'{"message": "hi"', "body"),
        ("Chat", b"[1]", "body"),
        ("Chat", b'{"messages": [{"rol": "user"}]}', "rol"),
        ("StreamChat", b'{"nope": 1}', "nope"),
        ("CreateRecords", b'{"records": [{"fields": 7}]}', "records"),
        ("CreateRecords", b'{"typecast": "yes", "records": []}', "typecast"),
        ("CreateRecords", b'{"records": [{"fields": ' + b'{"a":' * 40 + b"1" + b"}" * 40 + b"}]}", "body"),
    ],
)
def test_a_malformed_body_is_named(rpc: str, body: bytes, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_request(binding_of(rpc), {}, [], body)
    assert field in caught.value.violations[0].field


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ([("page_size", "many")], "page_size"),
        ([("page_size", "1"), ("page_size", "2")], "page_size"),
        ([("as_text", "maybe")], "as_text"),
        ([("nope", "1")], "nope"),
        ([("sort", "{")], "sort"),
        ([("base_id", "other")], "base_id"),
    ],
)
def test_a_malformed_query_is_named(query: list[tuple[str, str]], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_request(binding_of("ListRecords", "GET"), {"base_id": "b", "table_id": "t"}, query, b"")
    assert caught.value.violations[0].field.startswith(field)
