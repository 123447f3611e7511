"""Seeds: the demo base, short forms, generated rows, and sentences for what is wrong."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from pyairtable_devkit.airtable.clock import Clock
from pyairtable_devkit.airtable.ids import IdFactory, is_id
from pyairtable_devkit.airtable.model import COMPUTED_TYPES
from pyairtable_devkit.airtable.render import Renderer, Shape
from pyairtable_devkit.airtable.seed import Seed, build_world, read_document
from pyairtable_devkit.airtable.seed_tables import SeedError
from pyairtable_devkit.airtable.settings import PACKAGED_SEED, Settings
from pyairtable_devkit.airtable.state import StateError, dump, load
from pyairtable_devkit.airtable.store import World

from .conftest import DOCUMENT


@pytest.fixture(scope="module")
def acme() -> World:
    return build_world(read_document(PACKAGED_SEED), 1)


def shown(world: World, base_id: str, table: str, shape: Shape | None = None) -> list[dict[str, Any]]:
    base = world.bases[base_id]
    found = base.table(table)
    assert found is not None
    renderer = Renderer(base, world.values(base), world.users, dict)
    rows = renderer.records(found, list(found.records.values()), shape or Shape())
    return [row["fields"] for row in rows]


def test_hours_of_the_demo_base_are_those_in_its_comment(acme: World) -> None:
    head = PACKAGED_SEED.read_text(encoding="utf-8").split("users:")[0]
    written = {}
    for line in head.splitlines():
        name, colon, figure = line.removeprefix("#   ").rpartition(": ")
        if line.startswith("#   ") and colon:
            written[name] = float(figure)
    total = written.pop("all together")
    projects = shown(acme, "appAcmeRenovation", "Projects")
    assert {row["Name"]: row["Total Hours"] for row in projects} == written
    entries = shown(acme, "appAcmeRenovation", "Working Hours")
    assert sum(row["Hours"] for row in entries) == total == sum(written.values())


def test_the_demo_base_is_of_the_size_and_kind_promised(acme: World) -> None:
    tables = acme.bases["appAcmeRenovation"].tables.values()
    assert len(tables) == 12
    assert all(15 <= len(table.records) <= 90 for table in tables)
    kinds = {field.type for table in tables for field in table.fields.values()}
    assert {"formula", "rollup", "count", "multipleLookupValues", "autoNumber", "multipleAttachments"} <= kinds
    assert is_id("appAcmeRenovation", "app")
    assert is_id("appAcmeShowroomHQ", "app")


@pytest.mark.parametrize("as_text", [False, True])
def test_no_cell_of_the_demo_base_is_an_error(acme: World, as_text: bool) -> None:
    for base_id, base in acme.bases.items():
        for table in base.tables.values():
            for row in shown(acme, base_id, table.name, Shape(as_text=as_text)):
                assert "#ERROR" not in str(row)


def test_computed_fields_of_the_schema_name_their_result(acme: World) -> None:
    for base in acme.bases.values():
        for table in base.tables.values():
            for field in table.fields.values():
                if field.type in ("formula", "rollup", "multipleLookupValues"):
                    assert field.option("isValid") is True
                    assert field.option("result")["type"] not in COMPUTED_TYPES


def test_the_same_seed_gives_the_same_world() -> None:
    assert dump(build_world(read_document(PACKAGED_SEED), 1)) == dump(build_world(read_document(PACKAGED_SEED), 1))


def test_copies_of_a_seed_do_not_share_records() -> None:
    seed = Seed.load(PACKAGED_SEED, 1)
    first, second = seed.world(Clock()), seed.world(Clock())
    next(iter(first.bases["appAcmeRenovation"].tables.values())).records.clear()
    assert next(iter(second.bases["appAcmeRenovation"].tables.values())).records


def test_a_snapshot_gives_the_same_world_back(acme: World) -> None:
    snapshot = dump(acme)
    restored = load(snapshot, Clock(), IdFactory(1))
    assert dump(restored) == snapshot
    assert shown(restored, "appAcmeRenovation", "Projects") == shown(acme, "appAcmeRenovation", "Projects")


@pytest.mark.parametrize("snapshot", [{}, {"version": 1}, {"version": 1, "workspaces": 5, "users": 3}])
def test_a_damaged_snapshot_is_refused(snapshot: dict[str, Any]) -> None:
    with pytest.raises(StateError):
        load(snapshot, Clock(), IdFactory(1))


def test_generated_rows_are_plentiful_and_repeatable() -> None:
    document = copy.deepcopy(DOCUMENT)
    hours = document["bases"][0]["tables"][1]
    hours["generate"] = {
        "rows": 500,
        "cells": {"Entry": "G{n}", "Spent": {"number": [1, 2]}, "Project": {"row": [1, 2]}},
    }
    first, second = build_world(document, 5), build_world(document, 5)
    rows = shown(first, "appSmall000000001", "Hours")
    assert len(rows) == 503
    assert rows[-1]["Entry"] == "G503"
    assert all(1 <= row["Spent"] <= 2 for row in rows[3:])
    assert rows == shown(second, "appSmall000000001", "Hours")
    assert sum(row["Entries"] for row in shown(first, "appSmall000000001", "Projects")) == 502


PAGE = Path(__file__).parents[3] / "docs" / "emulator-airtable.md"


def test_the_seed_on_the_documentation_page_works() -> None:
    document = yaml.safe_load(PAGE.read_text(encoding="utf-8").split("```yaml")[1].split("```")[0])
    document["bases"][0]["tables"][0]["generate"]["rows"] = 20
    world = build_world(document, 1)
    projects = shown(world, "appAcmeRenovation", "Projects")
    assert len(projects) == 21
    assert (projects[0]["Total"], projects[0]["Who"], projects[0]["Left"]) == (11.5, ["Ada", "Ben"], 88.5)


def test_every_setting_is_on_the_documentation_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    options = {name for name in Settings().as_dict() if f"`--{name.replace('_', '-')} " in page}
    missing = [name for name in Settings().as_dict() if name not in options and f"`{name}`" not in page]
    assert missing == []


def change(path: str, value: Any) -> dict[str, Any]:
    """The small seed with one thing replaced, given by a path such as bases/0/name."""
    document = copy.deepcopy(DOCUMENT)
    *parents, last = path.split("/")
    place: Any = document
    for part in parents:
        place = place[int(part)] if isinstance(place, list) else place[part]
    if isinstance(place, list):
        place.append(value)
    else:
        place[last] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("bases/0/id", "appShort", "is not a base id"),
        ("bases/0/tables/0/fields/0/type", "text", "there is no field type text"),
        ("bases/0/tables/0/fields/0/name", True, "a field name must be text"),
        ("bases/0/tables/0/fields/0/type", "checkbox", "cannot be the primary field"),
        ("bases/0/tables/0/fields/-", {"name": "F", "type": "formula", "formula": "{Nope}"}, "Small / Projects / F"),
        ("bases/0/tables/0/fields/-", {"name": "C", "type": "count", "link": "Nope"}, "there is no field Nope"),
        (
            "bases/0/tables/0/fields/-",
            {"name": "L", "type": "multipleRecordLinks", "to": "Nope"},
            "there is no table Nope",
        ),
        ("bases/0/tables/0/rows/-", ["Gamma", "a lot"], "Budget: 'a lot'"),
        ("bases/0/tables/0/rows/-", ["Gamma"], "has 1 cells for 2 columns"),
        ("bases/0/tables/1/rows/-", ["H9", 1, "Nope"], "links to 'Nope'"),
        ("bases/0/tables/1/generate", {"rows": 1, "cells": {"Spent": {"dice": 6}}}, "there is no recipe dice"),
        ("tokens/0/role", "king", "there is no role king"),
        ("tokens/0/user", "usrNobody00000000", "there is no user usrNobody00000000"),
        ("tokens/0/scopes", ["everything"], "scopes must be"),
    ],
)
def test_a_wrong_seed_says_where(path: str, value: Any, sentence: str) -> None:
    with pytest.raises(SeedError) as caught:
        build_world(change(path, value), 1)
    assert sentence in str(caught.value)


def test_formulas_that_need_each_other_are_refused() -> None:
    document = change("bases/0/tables/0/fields/-", {"name": "A", "type": "formula", "formula": "{B}"})
    document["bases"][0]["tables"][0]["fields"].append({"name": "B", "type": "formula", "formula": "{A}"})
    with pytest.raises(SeedError, match="depend on each other"):
        build_world(document, 1)


@pytest.mark.parametrize("text", ["", "a: [", "bases: 5", "- 1"])
def test_a_file_that_is_no_seed_is_named(seed_file: Path, text: str) -> None:
    seed_file.write_text(text, encoding="utf-8")
    with pytest.raises(SeedError, match=str(seed_file)):
        Seed.load(seed_file, 1)


def test_a_missing_seed_is_named(tmp_path: Path) -> None:
    with pytest.raises(SeedError, match="No such file"):
        Seed.load(tmp_path / "none.yaml", 1)


def test_a_seed_that_changed_on_disk_is_read_again(seed_file: Path) -> None:
    seed_file.write_text(yaml.safe_dump(DOCUMENT), encoding="utf-8")
    assert "appSmall000000001" in Seed.load(seed_file, 1).world(Clock()).bases
    document = change("bases/0/id", "appOther000000001")
    seed_file.write_text(yaml.safe_dump(document) + "\n", encoding="utf-8")
    assert "appOther000000001" in Seed.load(seed_file, 1).world(Clock()).bases
