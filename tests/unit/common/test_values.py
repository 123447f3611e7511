"""Free values: whole numbers are int as long as they are exact, and everything can be written as JSON."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from pyairtable_platform.common.values import dict_to_struct, struct_to_dict


@pytest.mark.parametrize(
    ("sent", "kind"), [(5, int), (-(2**53), int), (2.5, float), (6.2e16, float), (2.6e281, float), (-1e300, float)]
)
def test_numbers(sent: float, kind: type[Any]) -> None:
    value = struct_to_dict(dict_to_struct({"n": sent}))["n"]
    assert type(value) is kind
    assert value == sent
    assert orjson.loads(orjson.dumps(value)) == sent


def test_nothing_is_lost() -> None:
    values: dict[str, Any] = {"a": None, "b": [True, {"c": ""}], "d": {}, "e": "é\n"}
    assert struct_to_dict(dict_to_struct(values)) == values
