"""Attachments: fetched by URL, uploaded as bytes, downloaded by links that expire."""

import base64
import time
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from pyairtable_devkit.airtable.testing import BASE, TOKEN_READ_ONLY, EmulatorThread

from .conftest import Client, Receiver

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAYAAABytg0kAAAAFElEQVR4nGP8z8DwnwEImBigAAAfFwICgH3ifwAAAABJRU5ErkJggg=="
)


def expense(call: Client) -> dict[str, Any]:
    rows = call.data("GET", f"{BASE}/Expenses", params={"filterByFormula": "NOT({Receipt})", "maxRecords": 1})
    row: dict[str, Any] = rows["records"][0]
    return row


def cell(call: Client, record: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = call.data("GET", f"{BASE}/Expenses/{record}")["fields"].get("Receipt", [])
    return found


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_url_is_fetched_and_served_again(call: Client, receiver: Receiver) -> None:
    receiver.files["/plans/a%20b.png"] = (PIXEL, "image/png")
    record = expense(call)["id"]
    url = f"{receiver.url}/plans/a%20b.png"
    made = call.data("PATCH", f"{BASE}/Expenses/{record}", json={"fields": {"Receipt": [{"url": url}]}})
    (given,) = made["fields"]["Receipt"]
    assert given["filename"] == "a b.png"
    eventually(lambda: "size" in cell(call, record)[0])
    (kept,) = cell(call, record)
    assert kept["id"] == given["id"]
    assert (kept["type"], kept["size"], kept["width"], kept["height"]) == ("image/png", len(PIXEL), 2, 2)
    assert set(kept["thumbnails"]) == {"small", "large", "full"}
    download = httpx2.get(kept["url"], trust_env=False)
    assert (download.content, download.headers["content-type"]) == (PIXEL, "image/png")


def test_a_dead_url_clears_the_item(call: Client, receiver: Receiver) -> None:
    receiver.files["/ok.txt"] = (b"ok", "text/plain")
    record = expense(call)["id"]
    wanted = [{"url": f"{receiver.url}/gone.txt"}, {"url": f"{receiver.url}/ok.txt", "filename": "kept.txt"}]
    call.data("PATCH", f"{BASE}/Expenses/{record}", json={"fields": {"Receipt": wanted}})
    eventually(lambda: [item["filename"] for item in cell(call, record)] == ["kept.txt"])


def test_ids_keep_and_absence_removes(call: Client) -> None:
    record = expense(call)["id"]
    upload(call, record, b"one")
    upload(call, record, b"two")
    first, second = cell(call, record)
    path = f"{BASE}/Expenses/{record}"
    call.data("PATCH", path, json={"fields": {"Receipt": [{"id": second["id"]}]}})
    assert [item["id"] for item in cell(call, record)] == [second["id"]]
    answer = call("PATCH", path, json={"fields": {"Receipt": [{"id": first["id"]}]}})
    assert answer.status_code == 422


def upload(call: Client, record: str, content: bytes, **changes: Any) -> httpx2.Response:
    body = {"contentType": "text/plain", "filename": "r.txt", "file": base64.b64encode(content).decode()}
    token = {"token": changes.pop("token")} if "token" in changes else {}
    return call("POST", f"{BASE}/{record}/Receipt/uploadAttachment", json=body | changes, **token)


def test_upload_answers_by_field_id(call: Client) -> None:
    row = expense(call)
    answer = upload(call, row["id"], b"paid").json()
    assert (answer["id"], answer["createdTime"]) == (row["id"], row["createdTime"])
    ((field, items),) = answer["fields"].items()
    assert field.startswith("fld")
    assert httpx2.get(items[0]["url"], trust_env=False).content == b"paid"


def test_base64_may_be_broken_into_lines(call: Client) -> None:
    record = expense(call)["id"]
    answer = upload(call, record, b"", file=base64.encodebytes(b"x" * 300).decode())
    assert next(iter(answer.json()["fields"].values()))[0]["size"] == 300


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"file": "not base64!"}, 422),
        ({"filename": 5}, 422),
        ({"contentType": None}, 422),
        ({"file": base64.b64encode(b"x" * (5 * 1024 * 1024 + 1)).decode()}, 413),
        ({"token": TOKEN_READ_ONLY}, 403),
    ],
)
def test_uploads_that_are_refused(call: Client, changes: dict[str, Any], status: int) -> None:
    assert upload(call, expense(call)["id"], b"x", **changes).status_code == status


def test_uploads_to_nowhere(call: Client) -> None:
    record = expense(call)["id"]
    body = {"contentType": "text/plain", "filename": "r.txt", "file": ""}
    assert call("POST", f"{BASE}/recAAAAAAAAAAAAAA/Receipt/uploadAttachment", json=body).status_code == 403
    assert call("POST", f"{BASE}/{record}/Nope/uploadAttachment", json=body).status_code == 422
    assert call("POST", f"{BASE}/{record}/Amount/uploadAttachment", json=body).status_code == 422


def test_links_live_two_hours_and_cannot_be_made_up(call: Client, emulator: EmulatorThread) -> None:
    record = expense(call)["id"]
    upload(call, record, b"paid")
    old = cell(call, record)[0]["url"]
    emulator.advance(7199)
    assert httpx2.get(old, trust_env=False).status_code == 200
    emulator.advance(2)
    assert httpx2.get(old, trust_env=False).status_code == 410
    fresh = cell(call, record)[0]["url"]
    assert httpx2.get(fresh, trust_env=False).status_code == 200
    stamp = fresh.split("/_attachments/")[1].split("/")[0]
    assert httpx2.get(fresh.replace(stamp, str(int(stamp) + 1)), trust_env=False).status_code == 410
