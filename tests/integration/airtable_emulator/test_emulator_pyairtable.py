"""pyairtable's own client, end to end over HTTP, for every call an ordinary token meets."""

import datetime
from typing import Any

import pytest
import requests
from pyairtable import Api, Base, formulas
from pyairtable.models.schema import BaseSchema, SingleSelectFieldSchema

from pyairtable_devkit.airtable.testing import BASE, SECOND_BASE, TOKEN_READ_ONLY, EmulatorThread

from .conftest import Receiver

NAMES = ["Müller bathroom", 'The "Old Mill" conversion']


def test_whoami_and_bases(api: Api) -> None:
    assert api.whoami() == {"id": "usrAdaAcmeBuilder", "email": "ada@acme.example"}
    assert {base.id: base.name for base in api.bases()} == {
        BASE: "Acme Renovation",
        SECOND_BASE: "Acme Showroom",
    }


def test_the_schema_parses_into_pyairtables_models(base: Base) -> None:
    schema = base.schema()
    assert isinstance(schema, BaseSchema)
    assert len(schema.tables) == 12
    projects = schema.table("Projects")
    assert projects.field("Budget Left").type == "formula"
    assert projects.field("Working Hours").type == "multipleRecordLinks"
    assert {view.name: view.type for view in projects.views} == {
        "All projects": "grid",
        "Active": "grid",
        "By status": "kanban",
    }
    assert len(base.tables()) == 12


def test_create_a_base_a_table_and_a_field(api: Api, base: Base) -> None:
    made = api.create_base(
        "wspAcmeRenovation", "Made", [{"name": "T", "fields": [{"name": "N", "type": "singleLineText"}]}]
    )
    assert [table.name for table in made.tables()] == ["T"]
    table = base.create_table(
        "Ideas",
        [{"name": "Idea", "type": "singleLineText"}, {"name": "Score", "type": "number", "options": {"precision": 1}}],
        description="What we might do",
    )
    field = table.create_field("Kind", "singleSelect", "Sort of idea", {"choices": [{"name": "Big"}]})
    assert (field.name, field.type, field.description) == ("Kind", "singleSelect", "Sort of idea")
    row = table.create({"Idea": "Solar roof", "Score": 4.5, "Kind": "Big"})
    assert row["fields"] == {"Idea": "Solar roof", "Score": 4.5, "Kind": "Big"}


def test_rename_a_table_and_a_field(base: Base) -> None:
    table = base.schema().table("Equipment")
    table.name, table.description = "Tools", "Renamed"
    table.save()
    field = base.schema(force=True).table("Tools").field("Value")
    field.name = "Worth"
    field.save()
    renamed = base.schema(force=True).table("Tools")
    assert renamed.description == "Renamed"
    assert renamed.field("Worth").id == field.id


def test_read_all_and_first_and_pages(base: Base) -> None:
    table = base.table("Working Hours")
    assert len(table.all()) == 90
    assert [len(page) for page in table.iterate(page_size=40)] == [40, 40, 10]
    assert len(table.all(max_records=7)) == 7
    first = table.first(sort=["-Hours", "Entry"])
    assert first is not None
    assert first["fields"]["Hours"] == 9
    assert table.get(first["id"]) == first


def test_views_fields_formats(base: Base) -> None:
    table = base.table("Projects")
    active = table.all(view="Active", fields=["Name", "Deadline"])
    deadlines = [row["fields"]["Deadline"] for row in active]
    assert deadlines == sorted(deadlines)
    assert all(set(row["fields"]) == {"Name", "Deadline"} for row in active)
    text = table.all(cell_format="string", time_zone="Europe/London", user_locale="en-gb", formula="{Number} = 1")
    assert text[0]["fields"]["Budget"] == "€68,000.00"
    assert text[0]["fields"]["Client"] == "Lucia Rossi"
    ids = table.all(use_field_ids=True, max_records=1)
    assert all(key.startswith("fld") for key in ids[0]["fields"])


@pytest.mark.parametrize("name", NAMES)
def test_formulas_made_by_pyairtable(base: Base, name: str) -> None:
    table = base.table("Projects")
    assert [row["fields"]["Name"] for row in table.all(formula=formulas.match({"Name": name}))] == [name]
    either = formulas.OR(formulas.EQ(formulas.Field("Name"), name), formulas.Field("Budget").gt(300000))
    assert len(table.all(formula=either)) == 2


def test_long_formulas_go_out_as_post(base: Base, emulator: EmulatorThread) -> None:
    long = formulas.OR(*[formulas.match({"Name": f"nobody {number}" * 20}) for number in range(150)])
    assert base.table("Projects").all(formula=formulas.OR(formulas.match({"Name": NAMES[0]}), long)) != []
    assert emulator.log()[-1]["endpoint"] == "POST /{base}/{table}/listRecords"


def test_create_update_replace_delete_one(base: Base) -> None:
    table = base.table("Contacts")
    made = table.create({"Name": 'Zoë "Z" O\'Neill', "Kind": "Lead", "City": "Bath"})
    assert table.update(made["id"], {"City": "Bristol"})["fields"]["Kind"] == "Lead"
    replaced = table.update(made["id"], {"Name": "Zoë"}, replace=True)
    assert {key: replaced["fields"].get(key) for key in ("Name", "Kind", "City")} == {
        "Name": "Zoë",
        "Kind": None,
        "City": None,
    }
    assert table.delete(made["id"]) == {"id": made["id"], "deleted": True}
    with pytest.raises(requests.HTTPError, match="403"):
        table.get(made["id"])


def test_batches_of_more_than_ten(base: Base, emulator: EmulatorThread) -> None:
    table = base.table("Contacts")
    made = table.batch_create([{"Name": f"Person {number}"} for number in range(23)])
    assert [row["fields"]["Name"] for row in made] == [f"Person {number}" for number in range(23)]
    updated = table.batch_update([{"id": row["id"], "fields": {"City": "Leeds"}} for row in made])
    assert {row["fields"]["City"] for row in updated} == {"Leeds"}
    gone = table.batch_delete([row["id"] for row in made])
    assert [row["deleted"] for row in gone] == [True] * 23
    counted = emulator.counters()["endpoints"]
    assert [counted[f"{method} /{{base}}/{{table}}"]["accepted"] for method in ("POST", "PATCH", "DELETE")] == [3] * 3


def test_upsert(base: Base) -> None:
    table = base.table("Suppliers")
    result = table.batch_upsert(
        [{"fields": {"Name": "PipeWorks", "Quality": 1}}, {"fields": {"Name": "Nouveau & Fils", "Quality": 5}}],
        key_fields=["Name"],
    )
    assert (len(result["createdRecords"]), len(result["updatedRecords"])) == (1, 1)
    found = {row["fields"]["Name"]: row["fields"] for row in table.all(fields=["Name", "Quality", "Trade"])}
    assert found["PipeWorks"] == {"Name": "PipeWorks", "Quality": 1, "Trade": "Plumbing"}
    assert found["Nouveau & Fils"]["Quality"] == 5


def test_typecast_makes_choices_and_linked_rows(base: Base) -> None:
    table = base.table("Projects")
    made = table.create(
        {"Name": "New", "Status": "Dreamt of", "Budget": "1,500", "Client": "Lucia Rossi"}, typecast=True
    )
    assert made["fields"]["Status"] == "Dreamt of"
    assert made["fields"]["Budget"] == 1500
    assert made["fields"]["Client City"] == ["London"]
    status = base.schema(force=True).table("Projects").field("Status")
    assert isinstance(status, SingleSelectFieldSchema)
    assert status.options.choices[-1].name == "Dreamt of"
    other = table.create({"Name": "Other", "Client": ["Somebody New"]}, typecast=True)
    client = base.table("Contacts").get(other["fields"]["Client"][0])
    assert client["fields"]["Name"] == "Somebody New"
    assert client["fields"]["Projects"] == [other["id"]]


def test_comments(api: Api, base: Base, emulator: EmulatorThread) -> None:
    table = base.table("Tasks")
    record = table.all(max_records=1)[0]["id"]
    first = table.add_comment(record, "Look at this, @[usrBenAcmeReader1]")
    assert first.mentioned["usrBenAcmeReader1"].display_name == "Ben Müller"
    second = table.add_comment(record, "Second")
    assert [comment.text for comment in table.comments(record)] == [second.text, first.text]
    second.text = "Second, edited"
    second.save()
    assert table.comments(record)[0].last_updated_time is not None
    assert table.all(count_comments=True, max_records=1)[0]["commentCount"] == 2
    second.delete()
    assert len(table.comments(record)) == 1
    reader = Api(TOKEN_READ_ONLY, endpoint_url=emulator.url)
    assert len(reader.table(BASE, "Tasks").comments(record)) == 1
    with pytest.raises(requests.HTTPError, match="INVALID_PERMISSIONS"):
        reader.table(BASE, "Tasks").add_comment(record, "no")
    reader.session.close()


def test_upload_of_an_attachment(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    table = base.table("Expenses")
    record = table.all(formula="NOT({Receipt})", max_records=1)[0]
    urls: Any = type(table.urls)
    # pyairtable always sends the bytes to Airtable's content host, whatever the endpoint is.
    address = f"{table.api.endpoint_url}/v0/{BASE}/{record['id']}/Receipt/uploadAttachment"
    monkeypatch.setattr(urls, "upload_attachment", lambda self, record_id, field: address)
    result = table.upload_attachment(record["id"], "Receipt", "réçu.txt", content=b"paid", content_type="text/plain")
    (attachments,) = result["fields"].values()
    assert (attachments[0]["filename"], attachments[0]["size"]) == ("réçu.txt", 4)
    assert requests.get(attachments[0]["url"], timeout=10).content == b"paid"


def test_webhooks_from_creation_to_deletion(base: Base, receiver: Receiver) -> None:
    made = base.add_webhook(receiver.url, {"options": {"filters": {"dataTypes": ["tableData"]}}})
    assert made.expiration_time is not None
    base.table("Contacts").create({"Name": "Hook"})
    webhook = base.webhook(made.id)
    (payload,) = webhook.payloads()
    (changed,) = payload.changed_tables_by_id.values()
    (record,) = changed.created_records_by_id.values()
    assert record.created_time.tzinfo == datetime.UTC or record.created_time.utcoffset() == datetime.timedelta(0)
    assert payload.cursor == 1
    webhook.disable_notifications()
    assert base.webhook(made.id).are_notifications_enabled is False
    webhook.enable_notifications()
    webhook.extend_expiration()
    webhook.delete()
    assert base.webhooks() == []
