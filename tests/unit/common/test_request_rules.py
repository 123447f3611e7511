"""The request rules of the contract: violations are named, free values cost nothing, numbers are protovalidate's."""

from __future__ import annotations

import pytest
from protovalidate._gen.buf.validate import validate_pb

from pyairtable_platform.common.errors import InvalidInput
from pyairtable_platform.common.status import to_status
from pyairtable_platform.common.validation import validate, without_free_values
from pyairtable_platform.common.values import dict_to_struct
from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2 as airtable
from pyairtable_protos.airtable.v1 import record_pb2
from pyairtable_protos.buf.validate import validate_pb2
from pyairtable_protos.chat.v1 import chat_service_pb2 as chat


def test_every_broken_rule_is_named() -> None:
    request = airtable.ListRecordsRequest(base_id="", table_id="x" * 300, page_size=-1)
    with pytest.raises(InvalidInput) as caught:
        validate(request)
    assert {item.field for item in caught.value.violations} == {"base_id", "table_id", "page_size"}


def test_an_item_of_a_list_is_named_with_its_place() -> None:
    good, bad = chat.ChatMessage(role="user", content="hi"), chat.ChatMessage(role="system", content="hi")
    with pytest.raises(InvalidInput) as caught:
        validate(chat.ChatRequest(messages=[good, bad]))
    assert caught.value.violations[0].field == "messages[1].role"


def test_rules_hold_for_messages_with_free_values() -> None:
    rows = [record_pb2.NewRecord(fields=dict_to_struct({"Name": "x"}))] * 2
    validate(airtable.CreateRecordsRequest(base_id="b", table_id="t", records=rows))
    with pytest.raises(InvalidInput) as caught:
        validate(airtable.CreateRecordsRequest(base_id="b", table_id="t", idempotency_key="k" * 200, records=rows))
    assert caught.value.violations[0].field == "idempotency_key"
    with pytest.raises(InvalidInput) as caught:
        validate(airtable.CreateRecordsRequest(base_id="b", table_id="t"))
    assert caught.value.violations[0].field == "records"


def test_a_required_message_counts_as_set_when_it_is_empty() -> None:
    request = airtable.CreateTableRequest(base_id="b")
    with pytest.raises(InvalidInput):
        validate(request)
    request.table.SetInParent()
    validate(request)


def test_our_copy_of_the_options_has_the_numbers_of_the_library() -> None:
    official = {message.name: message for message in validate_pb.desc().proto.message_type}
    ours = validate_pb2.DESCRIPTOR.message_types_by_name
    for name, message in ours.items():
        numbers = {field.name: field.number for field in official[name].field}
        for field in message.fields:
            assert numbers[field.name] == field.number, f"{name}.{field.name}"


def test_validation_does_not_look_into_cells() -> None:
    cells = dict_to_struct({f"Field {number}": "x" * 100 for number in range(20)})
    row = record_pb2.NewRecord(fields=cells)
    request = airtable.CreateRecordsRequest(base_id="b", table_id="t", records=[row] * 20, typecast=True)
    checked = without_free_values(request)
    assert len(checked.records) == 20
    assert checked.typecast
    assert checked.ByteSize() < 200 < request.ByteSize()


def test_an_error_stays_small_however_much_is_wrong() -> None:
    with pytest.raises(InvalidInput) as caught:
        validate(chat.ChatRequest(messages=[chat.ChatMessage()] * 300))
    assert len(to_status(caught.value).SerializeToString()) < 8000
    assert caught.value.violations
