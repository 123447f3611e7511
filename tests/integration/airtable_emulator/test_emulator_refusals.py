"""Every refusal with its status, envelope and place in the order, over raw HTTP."""

from typing import Any

import pytest

from pyairtable_devkit.airtable.testing import (
    BASE,
    SECOND_BASE,
    TOKEN_ALL,
    TOKEN_NO_SCHEMA,
    TOKEN_ONE_BASE,
    TOKEN_READ_ONLY,
    EmulatorThread,
)

from .conftest import Client

BARE = {"error": "NOT_FOUND"}
UNAUTHORIZED = {"error": {"type": "AUTHENTICATION_REQUIRED", "message": "Authentication required"}}
LONG_SENTENCE = {
    "error": {
        "type": "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND",
        "message": "Invalid permissions, or the requested model was not found. Check that both your user and your "
        "token have the required permissions, and that the model names and/or ids are correct.",
    }
}
ROLE = {
    "error": {"type": "INVALID_PERMISSIONS", "message": "You are not permitted to perform this operation"},
}
UNKNOWN_REC, UNKNOWN_BASE = "recAAAAAAAAAAAAAA", "appAAAAAAAAAAAAAA"
TASKS = f"{BASE}/Tasks"


def typed(kind: str, message: str | None = None) -> dict[str, Any]:
    return {"error": {"type": kind} if message is None else {"type": kind, "message": message}}


VALIDATION = typed("INVALID_REQUEST_UNKNOWN", "Invalid request: parameter validation failed. Check your request data.")


@pytest.mark.parametrize("token", [None, "patNobody.not-a-token"])
def test_no_or_unknown_token(call: Client, token: str | None) -> None:
    answer = call("GET", TASKS, token=token)
    assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED)


@pytest.mark.parametrize("header", ["Basic dXNlcjpwYXNz", "Bearer", TOKEN_ALL, f"Token {TOKEN_ALL}"])
def test_other_schemes_are_like_no_token(call: Client, header: str) -> None:
    answer = call("GET", TASKS, token=None, headers={"authorization": header})
    assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED)


@pytest.mark.parametrize(
    ("method", "path", "token", "status", "body"),
    [
        # Routes and misshapen ids come before the token.
        ("GET", "nothing/here/at/all/today", None, 404, BARE),
        ("GET", "app123/Tasks", None, 404, BARE),
        ("GET", f"{TASKS}/rec123", None, 404, BARE),
        ("PUT", "meta/bases", None, 404, BARE),
        ("GET", f"{TASKS}/{UNKNOWN_REC}", None, 401, UNAUTHORIZED),
        # Then base, table, record.
        ("GET", f"{UNKNOWN_BASE}/Tasks", TOKEN_ALL, 404, BARE),
        ("GET", f"meta/bases/{UNKNOWN_BASE}/tables", TOKEN_ALL, 403, LONG_SENTENCE),
        ("GET", f"{SECOND_BASE}/Products", TOKEN_ONE_BASE, 403, LONG_SENTENCE),
        ("GET", f"{BASE}/Nope", TOKEN_ALL, 403, LONG_SENTENCE),
        ("GET", f"{BASE}/tasks", TOKEN_ALL, 403, LONG_SENTENCE),
        ("GET", f"{TASKS}/{UNKNOWN_REC}", TOKEN_ALL, 403, LONG_SENTENCE),
        ("DELETE", f"{TASKS}/{UNKNOWN_REC}", TOKEN_ALL, 403, LONG_SENTENCE),
        # Scopes and roles.
        ("GET", f"meta/bases/{BASE}/tables", TOKEN_NO_SCHEMA, 403, LONG_SENTENCE),
        ("POST", TASKS, TOKEN_READ_ONLY, 403, LONG_SENTENCE),
        ("POST", f"meta/bases/{BASE}/tables", TOKEN_NO_SCHEMA, 403, LONG_SENTENCE),
        ("POST", f"bases/{BASE}/webhooks", TOKEN_READ_ONLY, 403, ROLE),
        ("GET", f"bases/{BASE}/webhooks/achAAAAAAAAAAAAAA/payloads", TOKEN_ALL, 404, typed("NOT_FOUND")),
    ],
)
def test_the_order_of_refusals(
    call: Client, method: str, path: str, token: str | None, status: int, body: dict[str, Any]
) -> None:
    answer = call(method, path, token=token)
    assert (answer.status_code, answer.json()) == (status, body)
    assert answer.headers["content-type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize(
    ("params", "body"),
    [
        ({"fields[]": "Nope"}, typed("UNKNOWN_FIELD_NAME", 'Unknown field name: "Nope"')),
        ({"sort[0][field]": "Nope"}, typed("UNKNOWN_FIELD_NAME", 'Unknown field name: "Nope"')),
        ({"view": "Nope"}, typed("VIEW_NAME_NOT_FOUND", "View Nope not found")),
        ({"view": "viwAAAAAAAAAAAAAA"}, typed("VIEW_ID_NOT_FOUND", "View viwAAAAAAAAAAAAAA not found")),
        (
            {"pageSize": "101"},
            typed("INVALID_PAGE_SIZE_ARGUMENT", "Page size argument should be between 0 and 100"),
        ),
        ({"offset": "junk"}, typed("INVALID_OFFSET_VALUE", "The value of offset junk is invalid")),
        ({"offset": f"itrAAAAAAAAAAAAAA/{UNKNOWN_REC}"}, typed("LIST_RECORDS_ITERATOR_NOT_AVAILABLE")),
        (
            {"filterByFormula": "AND("},
            typed(
                "INVALID_FILTER_BY_FORMULA",
                "The formula for filtering records is invalid: Invalid formula. Please check your formula text.",
            ),
        ),
        (
            {"filterByFormula": "{Nope} = {Other Thing}"},
            typed(
                "INVALID_FILTER_BY_FORMULA",
                "The formula for filtering records is invalid: Unknown field names: nope, other thing",
            ),
        ),
        ({"cellFormat": "xml"}, VALIDATION),
    ],
)
def test_lists_that_are_asked_for_wrongly(call: Client, params: dict[str, str], body: dict[str, Any]) -> None:
    answer = call("GET", TASKS, params=params)
    assert (answer.status_code, answer.json()) == (422, body)


def test_a_view_of_another_table(call: Client) -> None:
    tables = call.data("GET", f"meta/bases/{BASE}/tables")["tables"]
    foreign = next(table for table in tables if table["name"] == "Projects")["views"][0]["id"]
    answer = call("GET", TASKS, params={"view": foreign})
    assert (answer.status_code, answer.json()) == (422, typed("FAILED_STATE_CHECK"))


NO_RECORD = typed("MODEL_ID_NOT_FOUND", "Record not found")
CREATE_LIMIT = 'You must provide an array of up to 10 record objects, each with a "fields" object for cell values.'
UPDATE_LIMIT = (
    'You must provide an array of up to 10 record objects, each with an "id" ID field and a "fields" object '
    "for cell values."
)


@pytest.mark.parametrize(
    ("method", "body", "refusal"),
    [
        ("POST", {}, typed("INVALID_REQUEST_MISSING_FIELDS", 'Could not find field "fields" in the request body')),
        ("POST", {"fields": []}, VALIDATION),
        ("POST", {"fields": {"Nope": 1}}, typed("UNKNOWN_FIELD_NAME", 'Unknown field name: "Nope"')),
        (
            "POST",
            {"fields": {"Task": 5}},
            typed("INVALID_VALUE_FOR_COLUMN", 'Field "Task" cannot accept the provided value'),
        ),
        (
            "POST",
            {"fields": {"Overdue": True}},
            typed("INVALID_VALUE_FOR_COLUMN", 'Field "Overdue" cannot accept a value because the field is computed'),
        ),
        (
            "POST",
            {"fields": {"Status": "Nope"}},
            typed(
                "INVALID_MULTIPLE_CHOICE_OPTIONS",
                'Insufficient permissions to create new select option ""Nope""',
            ),
        ),
        (
            "POST",
            {"fields": {"Project": ["x"]}},
            typed("INVALID_RECORD_ID", 'Value "x" is not a valid record ID.'),
        ),
        ("POST", {"fields": {"Task": "x"}, "typecast": "yes"}, VALIDATION),
        ("POST", {"records": []}, typed("INVALID_RECORDS", CREATE_LIMIT)),
        ("POST", {"records": [{"fields": {"Task": "x"}}] * 11}, typed("INVALID_RECORDS", CREATE_LIMIT)),
        ("POST", {"records": [{"Task": "x"}]}, typed("INVALID_RECORDS", CREATE_LIMIT)),
        ("PATCH", {}, typed("INVALID_RECORDS", UPDATE_LIMIT)),
        ("PATCH", {"records": [{"fields": {}}]}, typed("INVALID_RECORDS", UPDATE_LIMIT)),
        (
            "PATCH",
            {"records": [{"id": UNKNOWN_REC, "fields": {}}]},
            typed("ROW_DOES_NOT_EXIST", f"Record ID {UNKNOWN_REC} does not exist in this table"),
        ),
        ("PATCH", {"performUpsert": {}, "records": [{"fields": {}}]}, VALIDATION),
        (
            "PATCH",
            {"performUpsert": {"fieldsToMergeOn": ["Overdue"]}, "records": [{"fields": {"Task": "x"}}]},
            VALIDATION,
        ),
        (
            "PATCH",
            {"performUpsert": {"fieldsToMergeOn": ["Task", "Due", "Done", "Status"]}, "records": []},
            VALIDATION,
        ),
    ],
)
def test_writes_that_are_wrong(call: Client, method: str, body: dict[str, Any], refusal: dict[str, Any]) -> None:
    before = call.rows("Tasks")
    answer = call(method, TASKS, json=body)
    assert (answer.status_code, answer.json()) == (422, refusal)
    assert call.rows("Tasks") == before


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b'{"fields": ', "application/json"),
        (b'{"fields": {}}', "text/plain"),
        (b"", "application/json"),
        (b"\xff\xfe", "application/json"),
    ],
)
def test_bodies_that_do_not_parse(call: Client, emulator: EmulatorThread, content: bytes, kind: str) -> None:
    def post() -> tuple[int, str]:
        answer = call("POST", TASKS, content=content, headers={"content-type": kind})
        return answer.status_code, answer.json()["error"]["type"]

    assert post() == (422, "INVALID_REQUEST_BODY")
    emulator.settings(unparseable_body="400")
    assert post() == (400, "INVALID_REQUEST_BODY")


def test_a_charset_in_the_content_type_is_welcome(call: Client) -> None:
    headers = {"content-type": "application/json; charset=UTF-8"}
    assert call("POST", TASKS, content=b'{"fields": {"Task": "x"}}', headers=headers).status_code == 200


def test_all_or_nothing(call: Client) -> None:
    before = len(call.rows("Tasks"))
    rows = [{"fields": {"Task": f"x{number}"}} for number in range(9)] + [{"fields": {"Status": "Nope"}}]
    assert call("POST", TASKS, json={"records": rows}).status_code == 422
    ids = [row["id"] for row in call.rows("Tasks")[:3]]
    answer = call("DELETE", TASKS, params={"records[]": [*ids, UNKNOWN_REC]})
    assert answer.status_code == 404
    assert answer.json() == typed("NOT_FOUND", f'Could not find a record with ID "{UNKNOWN_REC}".')
    assert len(call.rows("Tasks")) == before


def test_a_body_that_is_too_large(call: Client, emulator: EmulatorThread) -> None:
    emulator.settings(max_body_bytes=1000)
    answer = call("POST", TASKS, json={"fields": {"Task": "x" * 1000}})
    assert answer.status_code == 413


def test_an_address_that_is_too_long(call: Client) -> None:
    assert call("GET", TASKS, params={"filterByFormula": "x" * 17000}).status_code == 414


@pytest.mark.parametrize(
    ("setting", "value", "method", "path", "status", "body"),
    [
        (
            "missing_record",
            "404",
            "GET",
            f"{TASKS}/{UNKNOWN_REC}",
            404,
            typed("MODEL_ID_NOT_FOUND", "Record not found"),
        ),
        ("unknown_base", "403", "GET", f"{UNKNOWN_BASE}/Tasks", 403, LONG_SENTENCE),
        (
            "odd_page_size",
            "strict",
            "GET",
            f"{TASKS}?pageSize=0",
            422,
            typed("INVALID_PAGE_SIZE_ARGUMENT", "Page size argument should be between 0 and 100"),
        ),
    ],
)
def test_switches_where_the_sources_disagree(
    call: Client,
    emulator: EmulatorThread,
    setting: str,
    value: str,
    method: str,
    path: str,
    status: int,
    body: dict[str, Any],
) -> None:
    emulator.settings(**{setting: value})
    answer = call(method, path)
    assert (answer.status_code, answer.json()) == (status, body)


def test_eleven_records_by_switch(call: Client, emulator: EmulatorThread) -> None:
    emulator.settings(oversized_writes="accept")
    rows = [{"fields": {"Task": f"x{number}"}} for number in range(11)]
    assert len(call.data("POST", TASKS, json={"records": rows})["records"]) == 11


def test_computed_values_dropped_by_switch(call: Client, emulator: EmulatorThread) -> None:
    emulator.settings(computed_writes="drop")
    made = call.data("POST", TASKS, json={"fields": {"Task": "x", "Overdue": 7}})
    assert made["fields"]["Overdue"] != 7


SCHEMA = f"meta/bases/{BASE}/tables"
COMPUTED = [
    "autoNumber",
    "createdTime",
    "createdBy",
    "lastModifiedTime",
    "lastModifiedBy",
    "formula",
    "rollup",
    "multipleLookupValues",
    "count",
    "button",
    "externalSyncSource",
    "aiText",
]


@pytest.mark.parametrize("kind", COMPUTED)
def test_computed_fields_cannot_be_created(call: Client, kind: str) -> None:
    for path, body in (
        (SCHEMA, {"name": "T", "fields": [{"name": "N", "type": "singleLineText"}, {"name": "C", "type": kind}]}),
        (f"{SCHEMA}/{table_id(call, 'Tasks')}/fields", {"name": "C", "type": kind}),
    ):
        answer = call("POST", path, json=body)
        assert answer.status_code == 422
        assert answer.json()["error"]["type"] == "UNSUPPORTED_FIELD_TYPE_FOR_CREATE"


def table_id(call: Client, name: str) -> str:
    tables = call.data("GET", SCHEMA)["tables"]
    return next(str(table["id"]) for table in tables if table["name"] == name)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"name": "X", "type": "number"}, "INVALID_FIELD_TYPE_OPTIONS_FOR_CREATE"),
        ({"name": "X", "type": "number", "options": {"precision": 9}}, "INVALID_FIELD_TYPE_OPTIONS_FOR_CREATE"),
        ({"name": "X", "type": "singleSelect"}, "INVALID_FIELD_TYPE_OPTIONS_FOR_CREATE"),
        (
            {"name": "X", "type": "singleSelect", "options": {"choices": [{"name": "a", "color": "mauve"}]}},
            "INVALID_FIELD_TYPE_OPTIONS_FOR_CREATE",
        ),
        ({"name": "X", "type": "url", "options": {"a": 1}}, "INVALID_FIELD_TYPE_OPTIONS_FOR_CREATE"),
        (
            {"name": "X", "type": "date", "options": {"dateFormat": {"name": "mars"}}},
            "INVALID_FIELD_TYPE_OPTIONS_FOR_CREATE",
        ),
        ({"name": "X", "type": "multipleRecordLinks"}, "INVALID_FIELD_TYPE_OPTIONS_FOR_CREATE"),
        (
            {"name": "X", "type": "multipleRecordLinks", "options": {"linkedTableId": "tblAAAAAAAAAAAAAA"}},
            "INVALID_FIELD_TYPE_OPTIONS_FOR_CREATE",
        ),
        ({"name": "tASK", "type": "url"}, "DUPLICATE_OR_EMPTY_FIELD_NAME"),
        ({"name": " ", "type": "url"}, "DUPLICATE_OR_EMPTY_FIELD_NAME"),
        ({"name": "X", "type": "crystal"}, "INVALID_REQUEST_UNKNOWN"),
        ({"name": "X", "type": "url", "description": "x" * 20001}, "INVALID_REQUEST_UNKNOWN"),
    ],
)
def test_fields_that_cannot_be_created(call: Client, body: dict[str, Any], kind: str) -> None:
    before = call.data("GET", SCHEMA)
    answer = call("POST", f"{SCHEMA}/{table_id(call, 'Tasks')}/fields", json=body)
    assert (answer.status_code, answer.json()["error"]["type"]) == (422, kind)
    assert call.data("GET", SCHEMA) == before


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"name": "Tasks", "fields": [{"name": "N", "type": "url"}]}, "DUPLICATE_TABLE_NAME"),
        ({"name": "New"}, "INVALID_REQUEST_UNKNOWN"),
        ({"name": "New", "fields": []}, "INVALID_REQUEST_UNKNOWN"),
        (
            {
                "name": "New",
                "fields": [{"name": "N", "type": "checkbox", "options": {"icon": "check", "color": "greenBright"}}],
            },
            "INVALID_PRIMARY_FIELD_TYPE",
        ),
        (
            {"name": "New", "fields": [{"name": "N", "type": "url"}, {"name": "n", "type": "url"}]},
            "DUPLICATE_OR_EMPTY_FIELD_NAME",
        ),
    ],
)
def test_tables_that_cannot_be_created(call: Client, body: dict[str, Any], kind: str) -> None:
    answer = call("POST", SCHEMA, json=body)
    assert (answer.status_code, answer.json()["error"]["type"]) == (422, kind)


def test_a_base_needs_a_workspace_a_role_and_a_table(call: Client) -> None:
    table = {"name": "T", "fields": [{"name": "N", "type": "url"}]}
    wanted = {"name": "B", "workspaceId": "wspAcmeRenovation", "tables": [table]}
    assert call("POST", "meta/bases", json=wanted, token=TOKEN_ONE_BASE).json() == ROLE
    assert call("POST", "meta/bases", json=wanted | {"workspaceId": "wspOther"}).json() == LONG_SENTENCE
    assert call("POST", "meta/bases", json=wanted | {"tables": []}).json() == VALIDATION
