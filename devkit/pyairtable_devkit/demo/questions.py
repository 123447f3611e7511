"""The questions of the demo, and how each answer is held against Airtable's own data.

A question is asked only after `prepare` has read what the answer must agree with; `check` returns what is wrong,
or nothing. acme_questions() fit the seed of the emulator; any_base.py has those that fit any base.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyairtable_devkit.demo.airtable import DirectAirtable
from pyairtable_devkit.demo.platform import PlatformClient, StepFailedError, Turn

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Sources:
    """Where the truth comes from: the gateway's schema, and Airtable past the platform."""

    platform: PlatformClient
    airtable: DirectAirtable
    base_id: str


class Question(ABC):
    """Something a user asks, and how to tell whether the answer holds."""

    title: str
    text: str

    def prepare(self, sources: Sources) -> None:  # noqa: B027 - most questions need none
        """Read from Airtable what must be known before the question is asked."""

    @abstractmethod
    def check(self, turn: Turn, sources: Sources) -> str:
        """Return what was verified, in words; raises StepFailedError naming what does not hold."""


class ListTables(Question):
    """The first question of every user; every table of the schema must be in the answer."""

    title = "List the tables"
    text = "List all tables in my Airtable base"

    def check(self, turn: Turn, sources: Sources) -> str:
        names = [table["name"] for table in sources.platform.tables(sources.base_id)]
        require(bool(turn.tools), "the answer was given without any tool")
        missing = [name for name in names if name not in turn.answer]
        require(not missing, f"the answer leaves out {', '.join(missing)}")
        return f"all {len(names)} tables of the schema are in the answer"


class HoursPerProject(Question):
    """A sum over two linked tables, computed here from the records themselves."""

    title = "A sum over linked tables"
    text = "How many hours were worked on each project?"

    def __init__(self) -> None:
        self._expected: dict[str, float] = {}

    def prepare(self, sources: Sources) -> None:
        names = {record["id"]: record["fields"]["Name"] for record in sources.airtable.records("Projects")}
        self._expected = hours_by_project(sources.airtable.records("Working Hours"), names)

    def check(self, turn: Turn, sources: Sources) -> str:
        require(bool(self._expected), "the base has no working hours to sum")
        lines = turn.answer.splitlines()
        wrong = [f"{name}: {hours:g}" for name, hours in self._expected.items() if not states(lines, name, hours)]
        require(not wrong, f"not in the answer, or with another number: {'; '.join(wrong)}")
        return f"{len(self._expected)} sums agree with the records in Airtable"


class CreateTask(Question):
    """A write: exactly one record more, with the title and the project that were asked for."""

    title = "Create a record"

    def __init__(self, task: str) -> None:
        self._task = task
        self._project: Record = {}
        self._before: set[str] = set()
        self.text = ""

    def prepare(self, sources: Sources) -> None:
        self._project = sources.airtable.records("Projects")[0]
        self._before = {record["id"] for record in sources.airtable.records("Tasks")}
        self.text = f"Create a task '{self._task}' for the project '{self._project['fields']['Name']}'"

    def check(self, turn: Turn, sources: Sources) -> str:
        new = [one for one in sources.airtable.records("Tasks") if one["id"] not in self._before]
        require(len(new) == 1, f"{len(new)} records are new in Tasks, not one")
        require(new[0]["fields"].get("Task") == self._task, f"the new record is {new[0]['fields']}")
        require(new[0]["fields"].get("Project") == [self._project["id"]], "the new task is not linked to its project")
        return f"{new[0]['id']} is in Airtable and linked to its project"


class UpdateTask(Question):
    """Find, then change one field of that record and of no other."""

    title = "Find and update a record"

    def __init__(self, task: str, status: str) -> None:
        self._task, self._status = task, status
        self._before: dict[str, Any] = {}
        self.text = f"Set the status of the task '{task}' to {status}"

    def prepare(self, sources: Sources) -> None:
        self._before = _statuses(sources)

    def check(self, turn: Turn, sources: Sources) -> str:
        after = _statuses(sources)
        changed = [after[key] for key in after if after[key] != self._before.get(key)]
        require(changed == [(self._task, self._status)], f"what changed in Airtable is {changed or 'nothing'}")
        return f"Airtable has status {self._status!r} for it, and no other task changed"


def acme_questions(mark: str) -> Sequence[Question]:
    """Return the questions about the emulator's renovation company; mark tells this start's task from earlier ones."""
    task = f"Order tiles for the terrace, {mark}"
    return [ListTables(), HoursPerProject(), CreateTask(task), UpdateTask(task, "Done")]


def hours_by_project(entries: Sequence[Record], names: Mapping[str, str]) -> dict[str, float]:
    """Sum the hours of each project that has any; an entry without project belongs to none."""
    sums: dict[str, float] = {}
    for entry in entries:
        for project in entry["fields"].get("Project", []):
            name = names[project]
            sums[name] = sums.get(name, 0.0) + entry["fields"].get("Hours", 0.0)
    return sums


def states(lines: Sequence[str], name: str, number: float) -> bool:
    """Tell whether a line that holds the name also holds the number."""
    return any(
        abs(float(found.replace(",", "")) - number) < 0.005
        for line in lines
        if name in line
        for found in re.findall(r"\d[\d,]*(?:\.\d+)?", line.replace(name, ""))
    )


def require(holds: bool, otherwise: str) -> None:
    """Raise StepFailedError unless the condition holds."""
    if not holds:
        raise StepFailedError(otherwise)


def _statuses(sources: Sources) -> dict[str, tuple[Any, Any]]:
    """Return title and status of every task by record id."""
    tasks = sources.airtable.records("Tasks")
    return {task["id"]: (task["fields"].get("Task"), task["fields"].get("Status")) for task in tasks}
