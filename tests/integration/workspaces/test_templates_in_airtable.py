"""What Airtable says to the templates' tables: the emulator checks types, options, primary fields and links."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

from pyairtable_devkit.airtable.testing import BASE, TOKEN_ALL, EmulatorThread
from pyairtable_platform.common.values import struct_to_dict
from pyairtable_platform.workspaces.templates.catalogue import Template, templates
from pyairtable_platform.workspaces.templates.making import table_message


@pytest.fixture(scope="module")
def airtable() -> Iterator[httpx2.Client]:
    with (
        EmulatorThread(profile="zero", limits=False) as emulator,
        httpx2.Client(base_url=emulator.url, headers={"authorization": f"Bearer {TOKEN_ALL}"}) as client,
    ):
        yield client


@pytest.mark.parametrize("template", templates(), ids=lambda template: template.name)
def test_every_table_can_be_made(airtable: httpx2.Client, template: Template) -> None:
    ids: dict[str, str] = {}
    for table in template.tables:
        message = table_message(table, ids)
        # As the gateway sends it; all of them go into one base.
        fields = [
            {"name": field.name, "type": field.type}
            | ({"options": struct_to_dict(field.options)} if field.HasField("options") else {})
            for field in message.fields
        ]
        body = {"name": f"{template.name}: {table.name}", "description": message.description, "fields": fields}
        answer = airtable.post(f"/v0/meta/bases/{BASE}/tables", json=body)
        assert answer.status_code == 200, f"{table.name}: {answer.text}"
        made = answer.json()
        assert [field["type"] for field in made["fields"]] == [field.type for field in table.fields]
        ids[table.name.casefold()] = made["id"]
