"""Bounds of workspaces that people make themselves: whom they bind, and what is refused with which words."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from pyairtable_platform.common.errors import InvalidInput
from pyairtable_platform.common.self_service import Bounds, SelfServiceSettings
from pyairtable_platform.common.workspace import LlmPolicy, SecretRef, Workspace, from_message, to_message

OWN_KEY = SecretRef("acme-gemini", "key")


def workspace(*, made_by_call: bool = True, **llm: Any) -> Workspace:
    return Workspace("acme", "Acme", 1, False, None, 0, (), LlmPolicy(**llm), made_by_call=made_by_call)


BOUNDS = Bounds(Decimal("25.00"), frozenset({"small", "middle"}))


@pytest.mark.parametrize(
    ("bounds", "wanted", "limit"),
    [
        (BOUNDS, workspace(), Decimal(25)),
        (BOUNDS, workspace(monthly_cost_limit="5"), Decimal(5)),
        (BOUNDS, workspace(monthly_cost_limit="500"), Decimal(25)),
        (BOUNDS, workspace(api_key=OWN_KEY), None),
        (BOUNDS, workspace(api_key=OWN_KEY, monthly_cost_limit="500"), Decimal(500)),
        (BOUNDS, workspace(made_by_call=False, monthly_cost_limit="500"), Decimal(500)),
        (BOUNDS, workspace(made_by_call=False), None),
        (Bounds(), workspace(), None),
        (Bounds(Decimal(0)), workspace(monthly_cost_limit="5"), Decimal(0)),
    ],
)
def test_the_limit_of_a_month(bounds: Bounds, wanted: Workspace, limit: Decimal | None) -> None:
    assert bounds.limit_of(wanted) == limit


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (workspace(model="large"), "llm.model"),
        (workspace(monthly_cost_limit="25.01"), "llm.monthly_cost_limit"),
        (workspace(model="small", monthly_cost_limit="25"), ""),
        (workspace(), ""),
        (workspace(model="large", monthly_cost_limit="99", api_key=OWN_KEY), ""),
        (workspace(model="large", monthly_cost_limit="99", made_by_call=False), ""),
    ],
)
def test_what_goes_beyond_is_refused_naming_the_field_and_the_setting(wanted: Workspace, field: str) -> None:
    if not field:
        BOUNDS.check(wanted)
        return
    with pytest.raises(InvalidInput, match="SELF_SERVICE") as refusal:
        BOUNDS.check(wanted)
    assert refusal.value.violations[0].field == field
    assert BOUNDS.allows_model(wanted) == (field != "llm.model")


def test_the_registry_tells_the_orchestrator_who_is_bound() -> None:
    made = workspace()
    assert from_message(to_message(made)).made_by_call
    assert not from_message(to_message(replace(made, made_by_call=False))).made_by_call


def test_settings() -> None:
    assert SelfServiceSettings().bounds() == Bounds(Decimal(25))
    told = SelfServiceSettings.model_validate({"self_service_monthly_cost": "", "self_service_models": "a, b"})
    assert told.bounds() == Bounds(None, frozenset({"a", "b"}))
    with pytest.raises(ValueError, match="self_service_monthly_cost"):
        SelfServiceSettings.model_validate({"self_service_monthly_cost": "1e3"})
