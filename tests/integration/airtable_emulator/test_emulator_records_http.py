"""Records over raw HTTP: spellings of real clients, paging, upsert, schema changes that show in values."""

from pathlib import Path
from typing import Any

import pytest

from pyairtable_devkit.airtable.testing import BASE, SECOND_BASE, EmulatorThread

from .conftest import Client

TASKS = f"{BASE}/Tasks"
SCHEMA = f"meta/bases/{BASE}/tables"


def names(rows: list[dict[str, Any]], field: str = "Name") -> list[str]:
    return [str(row["fields"][field]) for row in rows]


@pytest.mark.parametrize("ending", ["", "?", "/", "/?", "?pageSize=100&"])
def test_path_endings_of_real_clients(call: Client, ending: str) -> None:
    assert len(call.data("GET", f"{TASKS}{ending}")["records"]) == 52


def test_a_table_name_with_a_slash(call: Client) -> None:
    body = {"name": "In/Out é", "fields": [{"name": "N", "type": "singleLineText"}]}
    call.data("POST", SCHEMA, json=body)
    assert call.data("GET", f"{BASE}/In%2FOut%20%C3%A9") == {"records": []}


def test_pages_end_where_the_rows_end(call: Client) -> None:
    seen: list[str] = []
    params: dict[str, Any] = {"pageSize": 20, "sort[0][field]": "Task"}
    while True:
        page = call.data("GET", TASKS, params=params)
        seen += [row["id"] for row in page["records"]]
        if "offset" not in page:
            break
        params["offset"] = page["offset"]
    assert len(seen) == len(set(seen)) == 52
    assert seen == [row["id"] for row in call.rows("Tasks", **{"sort[0][field]": "Task"})]


def test_a_page_can_be_asked_for_twice_and_survives_changes(call: Client) -> None:
    first = call.data("GET", TASKS, params={"pageSize": 10})
    params = {"pageSize": 10, "offset": first["offset"]}
    second = call.data("GET", TASKS, params=params)
    call.data("DELETE", f"{TASKS}/{second['records'][0]['id']}")
    call.data("POST", TASKS, json={"fields": {"Task": "new"}})
    assert call.data("GET", TASKS, params=params)["records"] == second["records"][1:]


def test_offsets_grow_old(call: Client, emulator: EmulatorThread) -> None:
    offset = call.data("GET", TASKS, params={"pageSize": 10})["offset"]
    emulator.advance(601)
    answer = call("GET", TASKS, params={"offset": offset})
    assert answer.json() == {"error": {"type": "LIST_RECORDS_ITERATOR_NOT_AVAILABLE"}}


def test_page_size_zero_and_max_records(call: Client) -> None:
    assert call.data("GET", TASKS, params={"pageSize": 0}) == {"records": []}
    assert call.data("GET", TASKS, params={"maxRecords": 0}) == {"records": []}
    page = call.data("GET", TASKS, params={"maxRecords": 15, "pageSize": 10})
    rest = call.data("GET", TASKS, params={"maxRecords": 15, "pageSize": 10, "offset": page["offset"]})
    assert (len(page["records"]), len(rest["records"]), rest.get("offset")) == (10, 5, None)


def test_sorting_puts_blanks_first_and_selects_in_option_order(call: Client) -> None:
    call.data("POST", TASKS, json={"fields": {"Task": "blank"}})
    rows = call.rows("Tasks", **{"sort[0][field]": "Urgency", "fields[]": ["Urgency"]})
    urgency = [row["fields"].get("Urgency") for row in rows]
    assert urgency[0] is None
    assert list(dict.fromkeys(urgency)) == [None, "Low", "Normal", "High"]
    down = call.rows("Tasks", **{"sort[0][field]": "Urgency", "sort[0][direction]": "desc", "fields[]": ["Urgency"]})
    assert down[-1]["fields"] == {}


@pytest.mark.parametrize(("table", "field"), [("Tasks", "Due"), ("Contacts", "Company"), ("Contacts", "Projects")])
def test_blanks_of_every_kind_come_first_ascending_and_last_descending(call: Client, table: str, field: str) -> None:
    call.data("POST", f"{BASE}/{table}", json={"fields": {}})
    for direction, blanks_first in (("asc", True), ("desc", False)):
        rows = call.rows(table, **{"sort[0][field]": field, "sort[0][direction]": direction})
        filled = [field in row["fields"] for row in rows]
        assert filled == sorted(filled, reverse=not blanks_first)
        assert len(set(filled)) == 2


def test_post_list_takes_the_same_and_ignores_a_stray_key(call: Client) -> None:
    body = {
        "filterByFormula": "{Status} = 'Done'",
        "sort": [{"field": "Name", "direction": "desc"}],
        "fields": ["Name", "Budget"],
        "method": "post",
        "cellFormat": "string",
        "returnFieldsByFieldId": False,
    }
    path = f"{BASE}/Projects/listRecords?timeZone=utc&userLocale=en-gb"
    rows = call.data("POST", path, json=body)["records"]
    assert names(rows) == sorted(names(rows), reverse=True)
    assert rows[0]["fields"]["Budget"].startswith("€")


def test_filters_see_links_by_their_primary_text(call: Client) -> None:
    rows = call.rows("Working Hours", filterByFormula="{Project} = 'Tanaka Studio floor'")
    assert sum(row["fields"]["Hours"] for row in rows) == 20
    project = rows[0]["fields"]["Project"][0]
    assert call.rows("Working Hours", filterByFormula=f"{{Project}} = '{project}'") == []


def test_a_view_filters_sorts_and_still_gives_hidden_fields(call: Client) -> None:
    rows = call.rows("Projects", view="Active")
    assert {row["fields"]["Status"] for row in rows} == {"In progress"}
    assert any("Notes" in row["fields"] for row in rows)
    by_budget = call.rows("Projects", view="Active", **{"sort[0][field]": "Budget"})
    budgets = [row["fields"]["Budget"] for row in by_budget]
    assert budgets == sorted(budgets)
    assert len(call.rows("Projects", view="Active", filterByFormula="{Budget} > 100000")) == 2


def test_empty_cells_are_left_out_but_zero_is_kept(call: Client) -> None:
    made = call.data("POST", TASKS, json={"fields": {"Task": "x", "Done": False, "Estimate": 0, "Due": None}})
    assert {"Done", "Due"} & set(made["fields"]) == set()
    assert made["fields"]["Estimate"] == 0


def test_empty_results_of_formulas_are_left_out(call: Client) -> None:
    rows = {row["fields"]["Material"]: row["fields"] for row in call.rows("Materials")}
    assert rows["Portland stone lintel"]["Reorder"] == "order"
    assert "Reorder" not in rows["Oak board 27 mm"]
    table = next(item for item in call.data("GET", SCHEMA)["tables"] if item["name"] == "Tasks")
    field = next(item for item in table["fields"] if item["name"] == "Overdue")
    path = f"{SCHEMA}/{table['id']}/fields/{field['id']}"
    call.data("PATCH", path, json={"options": {"formula": "{Done}"}})
    tasks = [row["fields"] for row in call.rows("Tasks")]
    assert [row.get("Overdue", False) for row in tasks] == [row.get("Done", False) for row in tasks]
    assert all("Overdue" not in row for row in tasks if "Done" not in row)


def test_put_clears_what_is_not_sent_in_single_and_batch(call: Client) -> None:
    row, other = call.rows("Contacts")[:2]
    single = call.data("PUT", f"{BASE}/Contacts/{row['id']}", json={"fields": {"Name": "Only"}})
    assert {"City", "Email", "Projects"} & set(single["fields"]) == set()
    body = {"records": [{"id": other["id"], "fields": {"Name": "Too"}}]}
    batch = call.data("PUT", f"{BASE}/Contacts", json=body)["records"][0]
    assert {"City", "Email", "Projects"} & set(batch["fields"]) == set()


def test_upsert_rules(call: Client) -> None:
    path = f"{BASE}/Contacts"
    known = call.rows("Contacts")[0]

    def upsert(records: list[dict[str, Any]], fields: list[str]) -> Any:
        return call("PATCH", path, json={"performUpsert": {"fieldsToMergeOn": fields}, "records": records})

    answer = upsert(
        [{"id": known["id"], "fields": {"City": "York"}}, {"fields": {"Name": "N", "City": "B"}}], ["Name"]
    ).json()
    assert answer["updatedRecords"] == [known["id"]]
    assert len(answer["createdRecords"]) == 1
    again = upsert([{"fields": {"Name": "N", "City": "B", "Kind": "Lead"}}], ["Name", "City"]).json()
    assert again["updatedRecords"] == answer["createdRecords"]
    assert again["records"][0]["fields"]["Kind"] == "Lead"
    call.data("POST", path, json={"fields": {"Name": "N"}})
    assert upsert([{"fields": {"Name": "N"}}], ["Name"]).status_code == 422
    missing = upsert([{"id": "recAAAAAAAAAAAAAA", "fields": {}}], ["Name"])
    assert missing.json()["error"]["type"] == "ROW_DOES_NOT_EXIST"


def test_records_by_field_id_in_reads_and_writes(call: Client) -> None:
    table = next(item for item in call.data("GET", SCHEMA)["tables"] if item["name"] == "Tasks")
    task = table["primaryFieldId"]
    body = {"fields": {task: "by id"}, "returnFieldsByFieldId": True}
    made = call.data("POST", f"{BASE}/{table['id']}", json=body)
    assert made["fields"][task] == "by id"
    read = call.data("GET", f"{BASE}/{table['id']}/{made['id']}", params={"returnFieldsByFieldId": "1"})
    assert read == made


def test_a_new_link_field_makes_its_inverse(call: Client) -> None:
    tables = {table["name"]: table for table in call.data("GET", SCHEMA)["tables"]}
    options = {"linkedTableId": tables["Suppliers"]["id"]}
    body = {"name": "Preferred", "type": "multipleRecordLinks", "options": options}
    field = call.data("POST", f"{SCHEMA}/{tables['Employees']['id']}/fields", json=body)
    suppliers = next(table for table in call.data("GET", SCHEMA)["tables"] if table["name"] == "Suppliers")
    inverse = next(item for item in suppliers["fields"] if item["id"] == field["options"]["inverseLinkFieldId"])
    assert (inverse["name"], inverse["options"]["inverseLinkFieldId"]) == ("Employees", field["id"])
    employee, supplier = call.rows("Employees")[0], call.rows("Suppliers")[0]
    call.data("PATCH", f"{BASE}/Employees/{employee['id']}", json={"fields": {"Preferred": [supplier["id"]]}})
    seen = call.data("GET", f"{BASE}/Suppliers/{supplier['id']}")
    assert seen["fields"]["Employees"] == [employee["id"]]


def test_a_formula_can_be_changed_and_is_checked(call: Client) -> None:
    table = next(item for item in call.data("GET", SCHEMA)["tables"] if item["name"] == "Materials")
    field = next(item for item in table["fields"] if item["name"] == "Reorder")
    path = f"{SCHEMA}/{table['id']}/fields/{field['id']}"
    changed = call.data("PATCH", path, json={"options": {"formula": "{Stock} + 1"}})
    assert "{fld" in changed["options"]["formula"]
    row = call.rows("Materials")[0]["fields"]
    assert row["Reorder"] == row["Stock"] + 1
    for formula in ("{Nope} + 1", "IF(", "{Reorder} + 1"):
        answer = call("PATCH", path, json={"options": {"formula": formula}})
        assert answer.status_code == 422, formula


def test_renaming_a_field_keeps_formulas_alive(call: Client) -> None:
    table = next(item for item in call.data("GET", SCHEMA)["tables"] if item["name"] == "Materials")
    field = next(item for item in table["fields"] if item["name"] == "Stock")
    before = call.rows("Materials")[0]["fields"]["Stock Value"]
    call.data("PATCH", f"{SCHEMA}/{table['id']}/fields/{field['id']}", json={"name": "On hand"})
    assert call.rows("Materials")[0]["fields"]["Stock Value"] == before


def test_date_dependencies_are_kept_and_links_can_be_objects(call: Client) -> None:
    table = next(item for item in call.data("GET", SCHEMA)["tables"] if item["name"] == "Tasks")
    settings = {"isEnabled": True}
    shown = call.data("PATCH", f"{SCHEMA}/{table['id']}", json={"dateDependencySettings": settings})
    assert shown["dateDependencySettings"] == settings
    row = call.rows("Tasks", includeDateDependencyMetadata="true")[0]
    assert set(row["fields"]["Project"][0]) == {"id"}


def test_visible_fields_of_grid_views_only_when_asked(call: Client) -> None:
    plain = call.data("GET", SCHEMA)["tables"][0]["views"]
    assert all("visibleFieldIds" not in view for view in plain)
    views = call.data("GET", SCHEMA, params={"include[]": "visibleFieldIds"})["tables"][0]["views"]
    shown = {view["name"]: len(view["visibleFieldIds"]) for view in views if "visibleFieldIds" in view}
    assert shown["Active"] == shown["All projects"] - 2
    assert "By status" not in shown


def test_bases_are_paged_by_a_thousand(tmp_path: Path) -> None:
    bases = "\n".join(f"  - {{name: Base {number}}}" for number in range(1005))
    path = tmp_path / "many.yaml"
    path.write_text(
        "users: [{id: usrAda00000000001, email: a@acme.example, name: Ada}]\n"
        "tokens: [{token: patEmulatorAll.everything, label: all, user: usrAda00000000001, role: create}]\n"
        f"bases:\n{bases}\n",
        encoding="utf-8",
    )
    with EmulatorThread(seed=path) as running:
        client = Client(running.url)
        first = client.data("GET", "meta/bases")
        rest = client.data("GET", "meta/bases", params={"offset": first["offset"]})
        client.close()
    assert (len(first["bases"]), len(rest["bases"]), rest.get("offset")) == (1000, 5, None)


def test_comments_are_paged_newest_first_and_answered(call: Client) -> None:
    path = f"{TASKS}/{call.rows('Tasks')[0]['id']}/comments"
    made = [call.data("POST", path, json={"text": f"c{number}"}) for number in range(5)]
    reply = call.data("POST", path, json={"text": "reply", "parentCommentId": made[0]["id"]})
    assert reply["parentCommentId"] == made[0]["id"]
    first = call.data("GET", path, params={"pageSize": 4})
    rest = call.data("GET", path, params={"pageSize": 4, "offset": first["offset"]})
    texts = [comment["text"] for comment in first["comments"] + rest["comments"]]
    assert texts == ["reply", "c4", "c3", "c2", "c1", "c0"]
    assert rest["offset"] is None


def test_only_the_author_changes_a_comment(call: Client, emulator: EmulatorThread) -> None:
    path = f"{BASE}/Tasks/{call.rows('Tasks')[0]['id']}/comments"
    made = call.data("POST", path, json={"text": "mine"})
    other = "patEmulatorOneBase.crm"
    assert call("PATCH", f"{path}/{made['id']}", json={"text": "no"}, token=other).status_code == 403
    assert call("DELETE", f"{path}/{made['id']}", token=other).status_code == 403
    assert call("DELETE", f"{path}/comAAAAAAAAAAAAAA").json()["error"]["message"] == "Comment not found"
    assert call.data("DELETE", f"{path}/{made['id']}") == {"id": made["id"], "deleted": True}


def test_field_types_read_only_come_as_data(call: Client) -> None:
    tasks = call.rows("Tasks")[0]["fields"]
    assert tasks["Added By"]["email"] == "ada@acme.example"
    posts = call.rows("Social Posts")[0]["fields"]
    assert posts["Idea"] == {"state": "generated", "isStale": False, "value": "Show the same room at night."}
    project = call.rows("Projects")[0]["fields"]
    assert project["Open Plan"] == {"label": "Open plan", "url": None}
    assert project["Client City"] == ["London"]
    products = call.data("GET", f"{SECOND_BASE}/Products")["records"]
    assert products[0]["fields"]["Supply"] == "Warehouse North"


BIG = """
users: [{id: usrAda00000000001, email: a@acme.example, name: Ada}]
tokens: [{token: patEmulatorAll.everything, label: all, user: usrAda00000000001, role: create}]
bases:
  - id: appAcmeRenovation
    name: Big
    tables:
      - name: Rows
        fields:
          - {name: Name, type: singleLineText}
          - {name: Amount, type: number, options: {precision: 2}}
          - {name: Kind, type: singleSelect, choices: [a, b, c]}
          - {name: Double, type: formula, formula: "{Amount} * 2"}
        generate: {rows: 50000, cells: {Name: "Row {n}", Amount: {integer: [1, 1000]}, Kind: {pick: [a, b, c]}}}
"""


@pytest.mark.slow
def test_fifty_thousand_rows_page_by_page(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    path.write_text(BIG, encoding="utf-8")
    with EmulatorThread(seed=path, limits=False) as running:
        client = Client(running.url)
        seen: set[str] = set()
        params: dict[str, Any] = {}
        while True:
            page = client.data("GET", f"{BASE}/Rows", params=params)
            seen.update(row["id"] for row in page["records"])
            if "offset" not in page:
                break
            params["offset"] = page["offset"]
        matching = client.data("GET", f"{BASE}/Rows", params={"filterByFormula": "{Double} = 2000"})["records"]
        client.close()
        pages = [entry for entry in running.log() if entry["endpoint"] == "GET /{base}/{table}"]
    assert len(seen) == 50_000
    assert len(pages) == 501
    assert matching
    assert all(row["fields"]["Amount"] == 1000 for row in matching)
