"""A record made of a dict, and one call that parses, compiles and evaluates."""

import datetime
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pytest

from pyairtable_devkit.airtable.formula import Value, compile_formula, parse

NOW = datetime.datetime(2026, 11, 22, 10, 30, 15, 250_000, tzinfo=datetime.UTC)


@dataclass
class FakeRow:
    """Fields by name; a name that is not there is blank."""

    fields: dict[str, Value] = field(default_factory=dict)
    record_id: str = "recFAKE0000000001"
    created_time: datetime.datetime = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    last_modified_time: datetime.datetime = datetime.datetime(2026, 2, 3, 4, 5, 6, tzinfo=datetime.UTC)
    changes: dict[str, datetime.datetime] = field(default_factory=dict)

    def value(self, key: Hashable) -> Value:
        return self.fields.get(str(key))

    def modified_time(self, keys: Sequence[Hashable]) -> datetime.datetime | None:
        return max((self.changes[str(key)] for key in keys if key in self.changes), default=None)


class Evaluator(Protocol):
    def __call__(self, text: str, /, **fields: Value) -> Value: ...


def _evaluate(text: str, /, **fields: Value) -> Value:
    return compile_formula(parse(text), lambda name: name)(FakeRow(fields), NOW)


@pytest.fixture(scope="session")
def evaluate() -> Evaluator:
    """The value of a formula on a record with the given fields, at NOW."""
    return _evaluate


@pytest.fixture(scope="session")
def now() -> datetime.datetime:
    return NOW


@pytest.fixture(scope="session")
def make_row() -> type[FakeRow]:
    return FakeRow
