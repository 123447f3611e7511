"""Both emulators together: a client loop over the Gemini wire, with tools over HTTP on the Acme base."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from pyairtable_devkit.airtable.testing import BASE, EmulatorThread
from pyairtable_devkit.gemini.testing import GeminiEmulator

TEXT, TABLE = {"type": "string"}, {"base_id": {"type": "string"}, "table_id": {"type": "string"}}
TOOLS: dict[str, dict[str, Any]] = {
    "list_bases": {},
    "list_tables": {"base_id": TEXT},
    "get_field_info": TABLE,
    "get_records": {
        **TABLE,
        "max_records": {"type": "integer", "maximum": 1000},
        "filter_by_formula": TEXT,
        "fields": {"type": "array"},
        "page_token": TEXT,
    },
    "get_record": {**TABLE, "record_id": TEXT},
    "search_records": {**TABLE, "query": TEXT},
    "create_record": {**TABLE, "fields": {"type": "object"}},
    "update_record": {**TABLE, "record_id": TEXT, "fields": {"type": "object"}},
    "delete_record": {**TABLE, "record_id": TEXT},
}


class AcmeTools:
    """The tools, answered by the Airtable emulator in the shapes of the tool server."""

    def __init__(self, airtable: EmulatorThread) -> None:
        self._http = httpx2.Client(base_url=f"{airtable.url}/v0", headers=airtable.auth(), timeout=20)
        self.calls: list[str] = []

    def run(self, name: str, args: dict[str, Any]) -> dict[str, Any]:
        self.calls.append(name)
        answer: dict[str, Any] = getattr(self, name)(**args)
        return answer

    def close(self) -> None:
        self._http.close()

    def _get(self, path: str, **params: Any) -> dict[str, Any]:
        response = self._http.get(path, params=params)
        body: dict[str, Any] = response.json()
        return body if response.status_code == 200 else {"error": {"message": str(body.get("error"))}}

    def _tables(self) -> list[dict[str, Any]]:
        tables: list[dict[str, Any]] = self._get(f"/meta/bases/{BASE}/tables")["tables"]
        return tables

    def list_bases(self) -> dict[str, Any]:
        return self._get("/meta/bases")

    def list_tables(self) -> dict[str, Any]:
        tables = [
            {
                "id": table["id"],
                "name": table["name"],
                "description": table.get("description", ""),
                "primary_field": table["fields"][0]["name"],
                "field_count": len(table["fields"]),
                "fields": [field["name"] for field in table["fields"]],
            }
            for table in self._tables()
        ]
        return {"base_id": BASE, "count": len(tables), "tables": tables}

    def get_field_info(self, table_id: str) -> dict[str, Any]:
        table = next(table for table in self._tables() if table["id"] == table_id)
        fields = []
        for field in table["fields"]:
            options = field.get("options") or {}
            fields.append(
                {
                    "id": field["id"],
                    "name": field["name"],
                    "type": field["type"],
                    "is_primary": field["id"] == table["primaryFieldId"],
                    "choices": options.get("choices", []),
                    "linked_table_id": options.get("linkedTableId", ""),
                    "result_type": (options.get("result") or {}).get("type", ""),
                    "options": options,
                }
            )
        return {"table_id": table_id, "count": len(fields), "fields": fields}

    def get_records(
        self,
        table_id: str,
        max_records: int = 100,
        filter_by_formula: str = "",
        fields: list[str] | None = None,
        page_token: str = "",
    ) -> dict[str, Any]:
        params: dict[str, Any] = {"pageSize": min(100, max_records)}
        params |= {"filterByFormula": filter_by_formula} if filter_by_formula else {}
        params |= {"fields[]": fields} if fields else {}
        params |= {"offset": page_token} if page_token else {}
        page = self._get(f"/{BASE}/{table_id}", **params)
        if "error" in page:
            return page
        records = [self._record(record) for record in page["records"]]
        return {"records": records, "count": len(records), "next_page_token": page.get("offset", "")}

    def search_records(self, table_id: str, query: str) -> dict[str, Any]:
        rows = self.get_records(table_id, filter_by_formula="")["records"]
        found = [row for row in rows if any(query.lower() in str(value).lower() for value in row["fields"].values())]
        return {"records": found, "count": len(found), "next_page_token": ""}

    def get_record(self, table_id: str, record_id: str) -> dict[str, Any]:
        return {"record": self._record(self._get(f"/{BASE}/{table_id}/{record_id}"))}

    def create_record(self, table_id: str, fields: dict[str, Any]) -> dict[str, Any]:
        return self._written(self._http.post(f"/{BASE}/{table_id}", json={"fields": fields}))

    def update_record(self, table_id: str, record_id: str, fields: dict[str, Any]) -> dict[str, Any]:
        return self._written(self._http.patch(f"/{BASE}/{table_id}/{record_id}", json={"fields": fields}))

    def delete_record(self, table_id: str, record_id: str) -> dict[str, Any]:
        return dict(self._http.delete(f"/{BASE}/{table_id}/{record_id}").json())

    def _written(self, response: httpx2.Response) -> dict[str, Any]:
        body = response.json()
        return {"record": self._record(body)} if response.status_code == 200 else {"error": body["error"]}

    def _record(self, raw: dict[str, Any]) -> dict[str, Any]:
        return {"id": raw["id"], "fields": raw["fields"], "created_time": raw["createdTime"]}


class Chat:
    """A client: it sends the conversation, runs the calls it gets back, and keeps every part as it came."""

    def __init__(self, gemini: GeminiEmulator, tools: AcmeTools) -> None:
        self.tools = tools
        self._http = httpx2.Client(base_url=gemini.url, headers={"x-goog-api-key": gemini.key}, timeout=20)
        self._contents: list[dict[str, Any]] = []

    def say(self, text: str) -> str:
        self._contents.append({"role": "user", "parts": [{"text": text}]})
        for _ in range(15):
            content = self._generate()
            self._contents.append(content)
            calls = [part["functionCall"] for part in content["parts"] if "functionCall" in part]
            if not calls:
                return "".join(part["text"] for part in content["parts"])
            results = [
                {"name": call["name"], "id": call["id"], "response": self.tools.run(call["name"], call["args"])}
                for call in calls
            ]
            self._contents.append({"role": "user", "parts": [{"functionResponse": result} for result in results]})
        raise AssertionError("too many rounds")

    def close(self) -> None:
        self._http.close()

    def _generate(self) -> dict[str, Any]:
        declared = [
            {"name": name, "parametersJsonSchema": {"type": "object", "properties": properties}}
            for name, properties in TOOLS.items()
        ]
        body = {"contents": self._contents, "tools": [{"functionDeclarations": declared}]}
        response = self._http.post("/v1/models/gemini-3.8-flash:generateContent", json=body)
        assert response.status_code == 200, response.text
        content: dict[str, Any] = response.json()["candidates"][0]["content"]
        return content


@pytest.fixture(scope="module")
def airtable() -> Iterator[EmulatorThread]:
    with EmulatorThread(limits=False) as emulator:
        yield emulator


@pytest.fixture
def acme(airtable: EmulatorThread, gemini: GeminiEmulator) -> Iterator[Chat]:
    airtable.reset()
    tools = AcmeTools(airtable)
    chat = Chat(gemini, tools)
    yield chat
    chat.close()
    tools.close()


def test_lists_the_tables(acme: Chat) -> None:
    answer = acme.say("List all tables in my Airtable base")
    assert "Working Hours" in answer and "Social Posts" in answer


def test_hours_on_each_project_are_those_of_the_seed(acme: Chat) -> None:
    answer = acme.say("How many hours were worked on each project?")
    for project, hours in (
        ("Villa Rossi kitchen", "60.5"),
        ("O'Brien loft", "65"),
        ('The "Old Mill" conversion', "77.5"),
    ):
        assert f"| {project} | {hours} |" in answer
    assert "| **Total** | **592** |" in answer


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("How many hours were worked on the O'Brien loft?", "**65**"),
        ("How many projects are in progress?", "**8**"),
        ("Which bases can I use?", "Acme Renovation"),
        ("Find contacts named O'Brien", "Siobhan O'Brien"),
        ("Show projects with status and budget", "| Casa Peña roof | Done | 38500 |"),
    ],
)
def test_questions(acme: Chat, text: str, expected: str) -> None:
    assert expected in acme.say(text)


def test_creates_updates_reads_back_and_deletes(acme: Chat) -> None:
    assert "I created **Order tiles**" in acme.say("Create a task 'Order tiles' for project 'Müller bathroom'")
    assert "I set Status to **Done**" in acme.say("Set the status of task 'Order tiles' to Done")
    shown = acme.say("show tasks for project Müller bathroom with status")
    assert "| Order tiles | Done |" in shown
    assert "I deleted **Order tiles**" in acme.say("delete the task 'Order tiles'")
    assert "Order tiles" not in acme.say("show tasks for project Müller bathroom with status")
