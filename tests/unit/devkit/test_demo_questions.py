"""How the demo tells a right answer from a wrong one; no question may pass on a wrong one."""

from collections.abc import Callable, Mapping
from typing import Any, cast

import pytest

from pyairtable_devkit.demo import any_base
from pyairtable_devkit.demo.airtable import DirectAirtable
from pyairtable_devkit.demo.platform import PlatformClient, StepFailedError, Turn
from pyairtable_devkit.demo.questions import (
    CreateTask,
    HoursPerProject,
    ListTables,
    Question,
    Sources,
    UpdateTask,
    hours_by_project,
    states,
)

Tables = dict[str, list[dict[str, Any]]]


class FakeAirtable:
    """Tables in memory, in the shape of Airtable's answers."""

    def __init__(self, tables: Tables) -> None:
        self.contents = tables

    def records(self, table: str, formula: str = "") -> list[dict[str, Any]]:
        records = [{"id": row["id"], "fields": dict(row["fields"])} for row in self.contents[table]]
        return [one for one in records if not formula or any_base.equals("Task", one["fields"]["Task"]) == formula]


class FakePlatform:
    """Knows the schema."""

    def tables(self, base_id: str) -> list[dict[str, Any]]:
        return [{"name": name} for name in ("Projects", "Working Hours")]


def record(number: int, **fields: Any) -> dict[str, Any]:
    return {"id": f"rec{number}", "fields": fields}


@pytest.fixture
def airtable() -> FakeAirtable:
    projects = [record(1, Name="Villa Rossi"), record(2, Name="Müller's bathroom"), record(3, Name="Idle")]
    hours = [
        record(11, Project=["rec1"], Hours=7.5),
        record(12, Project=["rec1"], Hours=4),
        record(13, Project=["rec2"], Hours=1250),
        record(14, Hours=3),
        record(15, Project=["rec2"]),
    ]
    tasks = [record(21, Task="Paint", Status="Todo"), record(22, Task="Order tiles", Status="Todo")]
    return FakeAirtable({"Projects": projects, "Working Hours": hours, "Tasks": tasks})


@pytest.fixture
def sources(airtable: FakeAirtable) -> Sources:
    return Sources(cast(PlatformClient, FakePlatform()), cast(DirectAirtable, airtable), "app1")


def turn(answer: str, *tools: str) -> Turn:
    return Turn(answer, tools, {})


def test_every_table_must_be_listed_and_a_tool_used(sources: Sources) -> None:
    question = ListTables()
    assert "all 2 tables" in question.check(turn("Projects, Working Hours", "list_tables"), sources)
    with pytest.raises(StepFailedError, match="leaves out Working Hours"):
        question.check(turn("Projects", "list_tables"), sources)
    with pytest.raises(StepFailedError, match="without any tool"):
        question.check(turn("Projects, Working Hours"), sources)


def test_sums_follow_links_and_leave_out_what_has_none() -> None:
    entries = [record(1, Project=["a"], Hours=1.5), record(2, Project=["a", "b"], Hours=2), record(3, Hours=9)]
    assert hours_by_project(entries, {"a": "A", "b": "B"}) == {"A": 3.5, "B": 2.0}


GOOD_SUMS = "| Project | Hours |\n| Villa Rossi | 11.5 |\n| Müller's bathroom | 1,250 |"


def test_each_sum_must_stand_beside_its_project(sources: Sources) -> None:
    question = HoursPerProject()
    question.prepare(sources)
    assert question.check(turn(GOOD_SUMS), sources) == "2 sums agree with the records in Airtable"
    for wrong in (
        GOOD_SUMS.replace("11.5", "11.4"),
        GOOD_SUMS.replace("1,250", ""),
        "Villa Rossi and Müller's bathroom:\n11.5\n1250",
        "I cannot tell.",
    ):
        with pytest.raises(StepFailedError, match="not in the answer"):
            question.check(turn(wrong), sources)


def test_a_number_in_the_name_is_not_the_sum() -> None:
    assert not states(["House 12: 3 h"], "House 12", 12)
    assert states(["House 12: 12 h"], "House 12", 12)


def created(airtable: FakeAirtable, **fields: Any) -> None:
    airtable.contents["Tasks"].append(record(23, **fields))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda a: created(a, Task="New", Project=["rec1"]), ""),
        (lambda a: None, "0 records are new"),
        (lambda a: created(a, Task="New"), "not linked"),
        (lambda a: created(a, Task="Newer", Project=["rec1"]), "the new record is"),
        (lambda a: a.contents["Tasks"].extend([record(24, Task="New"), record(25)]), "2 records are new"),
    ],
)
def test_a_created_task_is_one_new_record_with_title_and_project(
    sources: Sources, airtable: FakeAirtable, change: Callable[[FakeAirtable], object], complaint: str
) -> None:
    question = CreateTask("New")
    question.prepare(sources)
    assert question.text == "Create a task 'New' for the project 'Villa Rossi'"
    change(airtable)
    expect(question, sources, complaint)


def update(airtable: FakeAirtable, **statuses: str) -> None:
    for task in airtable.contents["Tasks"]:
        task["fields"]["Status"] = statuses.get(task["id"], task["fields"]["Status"])


@pytest.mark.parametrize(
    ("statuses", "complaint"),
    [
        ({"rec22": "Done"}, ""),
        ({}, "what changed in Airtable is nothing"),
        ({"rec22": "Doing"}, "Doing"),
        ({"rec21": "Done"}, "Paint"),
        ({"rec21": "Done", "rec22": "Done"}, "Paint"),
    ],
)
def test_an_update_changes_that_task_and_no_other(
    sources: Sources, airtable: FakeAirtable, statuses: dict[str, str], complaint: str
) -> None:
    question = UpdateTask("Order tiles", "Done")
    question.prepare(sources)
    update(airtable, **statuses)
    expect(question, sources, complaint)


def expect(question: Question, sources: Sources, complaint: str) -> None:
    if not complaint:
        assert question.check(turn("done"), sources)
        return
    with pytest.raises(StepFailedError, match=complaint):
        question.check(turn("done"), sources)


def schema(name: str, primary_type: str) -> Mapping[str, Any]:
    fields = [{"id": "fld1", "name": "Task", "type": primary_type}, {"id": "fld2", "name": "Due", "type": "date"}]
    return {"name": name, "primaryFieldId": "fld1", "fields": fields}


def test_real_bases_are_only_read_unless_writing_is_asked_for() -> None:
    tables = [schema("Numbers", "autoNumber"), schema("Tasks", "singleLineText")]
    reads = any_base.questions(tables, write=False, mark="today")
    assert [type(one).__name__ for one in reads] == ["ListTables", "DescribeTable"]
    both = any_base.questions(tables, write=True, mark="today")
    assert [type(one).__name__ for one in both[2:]] == ["CreateRecord", "RenameRecord"]
    assert "'Tasks'" in both[2].text
    assert "today" in both[2].text


def test_a_described_table_names_every_field(sources: Sources) -> None:
    question = any_base.DescribeTable(schema("Tasks", "singleLineText"))
    assert question.check(turn("Task (text), Due (date)"), sources)
    with pytest.raises(StepFailedError, match="leaves out Due"):
        question.check(turn("Task (text)"), sources)


def test_a_record_of_any_base_is_created_once_and_renamed(sources: Sources, airtable: FakeAirtable) -> None:
    _, _, create, rename = any_base.questions([schema("Tasks", "singleLineText")], write=True, mark="now")
    expect(create, sources, "0 records have")
    created(airtable, Task="PyAirtable demo now")
    expect(create, sources, "")
    expect(rename, sources, "1 records have the old value and 0 the new one")
    airtable.contents["Tasks"][-1]["fields"]["Task"] = "PyAirtable demo now, changed"
    expect(rename, sources, "")


def test_quotes_and_braces_cannot_leave_the_formula() -> None:
    assert any_base.equals("It's {x}", "a'b\\c") == "{It's {x\\}} = 'a\\'b\\\\c'"
