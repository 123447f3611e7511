"""docs/workspace-resource.md names every field, column, condition and reason."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pyairtable_operator.reasons import REASONS

REPOSITORY = Path(__file__).resolve().parents[3]
TEXT = (REPOSITORY / "docs" / "workspace-resource.md").read_text()
WORDS = " ".join(TEXT.split())


def definition(plural: str) -> dict[str, Any]:
    path = REPOSITORY / "charts" / "pyairtable" / "files" / "crds" / f"{plural}.yaml"
    version: dict[str, Any] = yaml.safe_load(path.read_text())["spec"]["versions"][0]
    return version


def names(schema: dict[str, Any]) -> Iterator[str]:
    """Names of all fields of a spec."""
    for name, field in schema.get("properties", {}).items():
        yield name
        yield from names(field.get("items", field))


@pytest.mark.parametrize("plural", ["workspaces", "basebindings"])
def test_every_field_of_a_spec_is_named(plural: str) -> None:
    spec = definition(plural)["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert [name for name in names(spec) if name not in TEXT] == []


@pytest.mark.parametrize("plural", ["workspaces", "basebindings"])
def test_every_field_of_a_status_is_named(plural: str) -> None:
    status = definition(plural)["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
    assert [name for name in status if name not in TEXT] == []


def test_every_column_of_a_workspace_is_named() -> None:
    columns = definition("workspaces")["additionalPrinterColumns"]
    assert [one["name"] for one in columns if one["name"] not in TEXT and one["name"].upper() not in TEXT] == []


@pytest.mark.parametrize(("condition", "reason"), REASONS, ids=str)
def test_every_reason_is_explained_under_its_condition(condition: str, reason: str) -> None:
    row = REASONS[condition, reason]
    table = WORDS.partition(f"**{condition}** | Reason")[2].partition("**")[0]
    assert f"| `{reason}` | {row.status} | {row.doc}" in table
