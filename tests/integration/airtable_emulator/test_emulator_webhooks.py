"""Webhooks: payloads, filters, cursors, expiry, and signed pings with retries."""

from typing import Any

import pytest
from pyairtable.models import WebhookNotification

from pyairtable_devkit.airtable.testing import BASE, TOKEN_NO_SCHEMA, EmulatorThread

from .conftest import Client, Receiver

HOOKS = f"bases/{BASE}/webhooks"
SCHEMA = f"meta/bases/{BASE}/tables"
WEEK = 7 * 86400


def ids(call: Client, table: str) -> dict[str, str]:
    """Ids of a table ("") and of its fields and views by name."""
    found = next(item for item in call.data("GET", SCHEMA)["tables"] if item["name"] == table)
    return {"": found["id"]} | {item["name"]: item["id"] for item in [*found["fields"], *found["views"]]}


def hook(
    call: Client, url: str | None = None, includes: dict[str, Any] | None = None, **filters: Any
) -> dict[str, Any]:
    specification = {"options": {"filters": {"dataTypes": ["tableData"], **filters}, "includes": includes or {}}}
    made: dict[str, Any] = call.data("POST", HOOKS, json={"notificationUrl": url, "specification": specification})
    return made


def payloads(call: Client, made: dict[str, Any], **params: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = call.data("GET", f"{HOOKS}/{made['id']}/payloads", params=params)["payloads"]
    return found


def test_a_change_with_previous_and_unchanged_values(call: Client) -> None:
    hours, projects = ids(call, "Working Hours"), ids(call, "Projects")
    includes = {"includePreviousCellValues": True, "includeCellValuesInFieldIds": [hours["Activity"]]}
    made = hook(call, includes=includes)
    row = call.rows("Working Hours")[0]
    call.data("PATCH", f"{BASE}/Working Hours/{row['id']}", json={"fields": {"Hours": row["fields"]["Hours"] + 1}})
    (payload,) = payloads(call, made)
    assert payload["payloadFormat"] == "v0"
    assert payload["actionMetadata"]["source"] == "publicApi"
    assert payload["actionMetadata"]["sourceMetadata"]["user"]["email"] == "ada@acme.example"
    changed = payload["changedTablesById"][hours[""]]["changedRecordsById"][row["id"]]
    assert changed["current"]["cellValuesByFieldId"][hours["Hours"]] == row["fields"]["Hours"] + 1
    assert changed["previous"]["cellValuesByFieldId"][hours["Hours"]] == row["fields"]["Hours"]
    activity = changed["unchanged"]["cellValuesByFieldId"][hours["Activity"]]
    assert activity["name"] == row["fields"]["Activity"]
    assert activity["id"].startswith("sel")
    # What is computed from the hours changed with them.
    project = row["fields"]["Project"][0]
    rolled = payload["changedTablesById"][projects[""]]["changedRecordsById"][project]["current"]
    assert {projects["Total Hours"], projects["Labour Cost"]} <= set(rolled["cellValuesByFieldId"])


def test_created_linked_and_destroyed_records(call: Client) -> None:
    tasks, projects = ids(call, "Tasks"), ids(call, "Projects")
    made = hook(call)
    project = call.rows("Projects")[0]["id"]
    body = {"fields": {"Task": "new", "Project": [project], "Status": "Doing"}}
    row = call.data("POST", f"{BASE}/Tasks", json=body)
    call.data("DELETE", f"{BASE}/Tasks/{row['id']}")
    first, second = payloads(call, made)
    created = first["changedTablesById"][tasks[""]]["createdRecordsById"][row["id"]]
    assert created["createdTime"] == row["createdTime"]
    assert created["cellValuesByFieldId"][tasks["Project"]] == [{"id": project, "name": "Villa Rossi kitchen"}]
    assert created["cellValuesByFieldId"][tasks["Status"]]["name"] == "Doing"
    lookup = created["cellValuesByFieldId"][tasks["Project Status"]]
    assert lookup == {"linkedRecordIds": [project], "valuesByLinkedRecordId": {project: ["In progress"]}}
    linked = first["changedTablesById"][projects[""]]["changedRecordsById"][project]["current"]
    assert linked["cellValuesByFieldId"][projects["Task Count"]] == 6
    assert second["changedTablesById"][tasks[""]]["destroyedRecordIds"] == [row["id"]]
    assert second["baseTransactionNumber"] == first["baseTransactionNumber"] + 1


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, 4),
        ({"changeTypes": ["add"]}, 1),
        ({"changeTypes": ["remove"]}, 1),
        ({"changeTypes": ["update"]}, 2),
        ({"fromSources": ["client"]}, 1),
        ({"fromSources": ["publicApi"]}, 3),
        ({"fromSources": ["automation"]}, 0),
        ({"recordChangeScope": "Contacts"}, 4),
        ({"recordChangeScope": "Tasks"}, 0),
        ({"watchDataInFieldIds": ["City"], "changeTypes": ["update"]}, 1),
        ({"recordChangeScope": "Leads"}, 3),
        ({"dataTypes": ["tableFields"]}, 0),
    ],
)
def test_filters(call: Client, emulator: EmulatorThread, filters: dict[str, Any], expected: int) -> None:
    known = ids(call, "Contacts")
    names = known | {"Contacts": known[""], "Tasks": ids(call, "Tasks")[""]}
    scope = filters.get("recordChangeScope")
    fields = [names[name] for name in filters.get("watchDataInFieldIds", [])]
    made = hook(
        call,
        **filters
        | ({"recordChangeScope": names[scope]} if scope else {})
        | ({"watchDataInFieldIds": fields} if fields else {}),
    )
    path = f"{BASE}/Contacts"
    row = call.data("POST", path, json={"fields": {"Name": "N", "Kind": "Lead"}})["id"]
    call.data("PATCH", f"{path}/{row}", json={"fields": {"City": "Bath"}})
    emulator.interface("edit_record", base=BASE, table="Contacts", record=row, fields={"Kind": "Client"})
    call.data("DELETE", f"{path}/{row}")
    assert len(payloads(call, made)) == expected


def test_a_view_scope_tells_of_rows_that_enter_and_leave_it(call: Client) -> None:
    contacts = ids(call, "Contacts")
    made = hook(call, recordChangeScope=contacts["Leads"])
    client = next(row for row in call.rows("Contacts") if row["fields"]["Kind"] == "Client")["id"]
    for kind in ("Lead", "Client"):
        call.data("PATCH", f"{BASE}/Contacts/{client}", json={"fields": {"Kind": kind}})
    entered, left = (
        payload["changedTablesById"][contacts[""]]["changedViewsById"][contacts["Leads"]]
        for payload in payloads(call, made)
    )
    assert list(entered["createdRecordsById"]) == [client]
    assert left == {"destroyedRecordIds": [client]}


def test_changes_of_the_schema(call: Client, emulator: EmulatorThread) -> None:
    tasks = ids(call, "Tasks")
    made = hook(call, dataTypes=["tableFields", "tableMetadata"], includes={"includePreviousFieldDefinitions": True})
    field = call.data("POST", f"{SCHEMA}/{tasks['']}/fields", json={"name": "New", "type": "url"})["id"]
    call.data("PATCH", f"{SCHEMA}/{tasks['']}/fields/{field}", json={"name": "Newer"})
    call.data("PATCH", f"{SCHEMA}/{tasks['']}", json={"name": "Jobs"})
    emulator.interface("delete_field", base=BASE, table="Jobs", field="Newer")
    table = call.data("POST", SCHEMA, json={"name": "T", "fields": [{"name": "N", "type": "url"}]})["id"]
    emulator.interface("delete_table", base=BASE, table="T")
    created, renamed, moved, gone, made_table, gone_table = payloads(call, made)
    assert created["changedTablesById"][tasks[""]]["createdFieldsById"] == {field: {"name": "New", "type": "url"}}
    assert renamed["changedTablesById"][tasks[""]]["changedFieldsById"][field] == {
        "current": {"name": "Newer", "type": "url"},
        "previous": {"name": "New", "type": "url"},
    }
    metadata = moved["changedTablesById"][tasks[""]]["changedMetadata"]
    assert (metadata["current"]["name"], metadata["previous"]["name"]) == ("Jobs", "Tasks")
    assert gone["changedTablesById"][tasks[""]]["destroyedFieldIds"] == [field]
    assert gone["actionMetadata"]["source"] == "client"
    assert made_table["createdTablesById"][table]["metadata"]["name"] == "T"
    assert gone_table["destroyedTableIds"] == [table]


def test_cursors_limits_and_more(call: Client) -> None:
    made = hook(call)
    for number in range(7):
        call.data("POST", f"{BASE}/Contacts", json={"fields": {"Name": f"N{number}"}})
    path = f"{HOOKS}/{made['id']}/payloads"
    first = call.data("GET", path, params={"limit": 5})
    assert (len(first["payloads"]), first["cursor"], first["mightHaveMore"]) == (5, 6, True)
    rest = call.data("GET", path, params={"cursor": first["cursor"]})
    assert (len(rest["payloads"]), rest["cursor"], rest["mightHaveMore"]) == (2, 8, False)
    none = call.data("GET", path, params={"cursor": 8})
    assert none == {"payloads": [], "cursor": 8, "mightHaveMore": False}
    for params in ({"cursor": 0}, {"cursor": 9}, {"limit": 51}, {"limit": "x"}):
        assert call("GET", path, params=params).status_code == 422
    assert call.data("GET", HOOKS)["webhooks"][0]["cursorForNextPayload"] == 8


def test_a_watched_field_that_disappears_breaks_the_hook(call: Client, emulator: EmulatorThread) -> None:
    contacts = ids(call, "Contacts")
    made = hook(call, watchDataInFieldIds=[contacts["City"]])
    emulator.interface("delete_field", base=BASE, table="Contacts", field="City")
    (payload,) = payloads(call, made)
    assert (payload["error"], payload["code"]) == (True, "INVALID_HOOK")
    call.data("POST", f"{BASE}/Contacts", json={"fields": {"Name": "N"}})
    assert len(payloads(call, made)) == 1
    assert call.data("GET", HOOKS)["webhooks"][0]["isHookEnabled"] is False


def test_expiry_refresh_and_the_weeks_after(call: Client, emulator: EmulatorThread) -> None:
    made = hook(call)
    emulator.advance(WEEK - 3600)
    refreshed = call.data("POST", f"{HOOKS}/{made['id']}/refresh")
    assert refreshed["expirationTime"] > made["expirationTime"]
    emulator.advance(WEEK - 3600)
    call.data("POST", f"{BASE}/Contacts", json={"fields": {"Name": "N"}})
    assert len(payloads(call, made)) == 1
    # Listing payloads let it live another week; nothing does after it has expired.
    emulator.advance(WEEK - 3600)
    assert call.data("GET", HOOKS)["webhooks"][0]["isHookEnabled"] is True
    emulator.advance(7200)
    call.data("POST", f"{BASE}/Contacts", json={"fields": {"Name": "unseen"}})
    assert len(payloads(call, made)) == 1
    assert call.data("GET", HOOKS)["webhooks"][0]["isHookEnabled"] is False
    emulator.advance(WEEK)
    assert call.data("GET", HOOKS)["webhooks"] == []


def test_payloads_are_kept_for_a_week_and_numbers_go_on(call: Client, emulator: EmulatorThread) -> None:
    made = hook(call)
    call.data("POST", f"{BASE}/Contacts", json={"fields": {"Name": "old"}})
    emulator.advance(WEEK - 3600)
    payloads(call, made)
    emulator.advance(7200)
    call.data("POST", f"{BASE}/Contacts", json={"fields": {"Name": "new"}})
    answer = call.data("GET", f"{HOOKS}/{made['id']}/payloads")
    assert (len(answer["payloads"]), answer["cursor"]) == (1, 3)


def test_ten_hooks_are_enough(call: Client) -> None:
    for _ in range(10):
        hook(call)
    body = {"specification": {"options": {"filters": {"dataTypes": ["tableData"]}}}}
    answer = call("POST", HOOKS, json=body)
    assert (answer.status_code, answer.json()) == (422, {"error": {"type": "TOO_MANY_WEBHOOKS_IN_BASE"}})


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"specification": {}},
        {"specification": {"options": {"filters": {"dataTypes": []}}}},
        {"specification": {"options": {"filters": {"dataTypes": ["rows"]}}}},
        {"specification": {"options": {"filters": {"dataTypes": ["tableData"], "changeTypes": ["x"]}}}},
        {"specification": {"options": {"filters": {"dataTypes": ["tableData"], "recordChangeScope": "tblX"}}}},
        {"notificationUrl": "mailto:x", "specification": {"options": {"filters": {"dataTypes": ["tableData"]}}}},
    ],
)
def test_specifications_that_make_no_sense(call: Client, body: dict[str, Any]) -> None:
    assert call("POST", HOOKS, json=body).status_code == 422


def test_a_token_without_the_scope_has_no_hooks(call: Client) -> None:
    assert call("GET", HOOKS, token=TOKEN_NO_SCHEMA).status_code == 403


def test_pings_carry_a_signature_that_pyairtable_accepts(call: Client, receiver: Receiver) -> None:
    made = hook(call, receiver.url)
    call.data("POST", f"{BASE}/Contacts", json={"fields": {"Name": "N"}})
    assert receiver.wait(lambda: len(receiver.posted) == 1)
    body, mac = receiver.posted[0]
    notification = WebhookNotification.from_request(body.decode(), mac, made["macSecretBase64"])
    assert (notification.base.id, notification.webhook.id) == (BASE, made["id"])
    with pytest.raises(ValueError, match="failed validation"):
        WebhookNotification.from_request(body.decode() + " ", mac, made["macSecretBase64"])


def test_a_failing_receiver_is_asked_again(call: Client, emulator: EmulatorThread, receiver: Receiver) -> None:
    emulator.settings(webhook_retry_delay=0.05)
    receiver.answers = [(500, b""), (200, b"not empty")]
    made = hook(call, receiver.url)
    call.data("POST", f"{BASE}/Contacts", json={"fields": {"Name": "N"}})
    assert receiver.wait(lambda: len(receiver.posted) == 3)
    result = wait_for_result(call, success=True)
    assert result["lastNotificationResult"]["retryNumber"] == 2
    assert result["lastSuccessfulNotificationTime"] is not None
    assert payloads(call, made) != []


def test_notifications_end_after_the_last_retry_and_payloads_do_not(
    call: Client, emulator: EmulatorThread, receiver: Receiver
) -> None:
    emulator.settings(webhook_retry_delay=0.01, webhook_retries=2)
    receiver.answers = [(500, b"")] * 3
    made = hook(call, receiver.url)
    call.data("POST", f"{BASE}/Contacts", json={"fields": {"Name": "N"}})
    assert receiver.wait(lambda: len(receiver.posted) == 3)
    result = wait_for_result(call, success=False, retry=2)
    assert result["areNotificationsEnabled"] is False
    assert result["lastNotificationResult"]["willBeRetried"] is False
    call.data("POST", f"{BASE}/Contacts", json={"fields": {"Name": "N2"}})
    assert len(payloads(call, made)) == 2
    assert len(receiver.posted) == 3


def test_a_lost_webhook_is_silent(call: Client, emulator: EmulatorThread, receiver: Receiver) -> None:
    made = hook(call, receiver.url)
    emulator.fault("lost_webhook", match={"base": BASE})
    call.data("POST", f"{BASE}/Contacts", json={"fields": {"Name": "lost"}})
    call.data("POST", f"{BASE}/Contacts", json={"fields": {"Name": "told"}})
    assert receiver.wait(lambda: len(receiver.posted) >= 1)
    assert len(receiver.posted) == 1
    assert len(payloads(call, made)) == 2


def wait_for_result(call: Client, *, success: bool, retry: int | None = None) -> dict[str, Any]:
    """The webhook once its last notification went as said; the answer is noted after it was given."""
    for _ in range(500):
        found: dict[str, Any] = call.data("GET", HOOKS)["webhooks"][0]
        result = found["lastNotificationResult"]
        if result and result["success"] == success and retry in (None, result["retryNumber"]):
            return found
    raise AssertionError(f"no such result: {found}")
