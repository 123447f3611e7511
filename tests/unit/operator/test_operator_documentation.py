"""docs/operator.md tells every Event and every metric, as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyairtable_operator.event_reasons import EVENT_REASONS, EventReason
from pyairtable_operator.metrics import Metrics

PAGE = (Path(__file__).parents[3] / "docs/operator.md").read_text()


@pytest.mark.parametrize("reason", EVENT_REASONS.values(), ids=list(EVENT_REASONS))
def test_every_event_has_its_row(reason: EventReason) -> None:
    assert f"| `{reason.name}` | {reason.type} | {reason.doc} |" in PAGE


def test_every_metric_is_named() -> None:
    prefix = "pyairtable_operator_"
    names = {metric.name.removeprefix(prefix) for metric in Metrics().registry.collect() if prefix in metric.name}
    assert {name for name in names if f"`{name}" not in PAGE} == set()
