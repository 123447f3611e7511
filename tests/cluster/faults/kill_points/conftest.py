"""Killed -9 at every write of an operation, and started again: all is as if nothing had happened (O1).

The writes of an undisturbed run are enumerated; at each the operator dies before the API server sees it, or after the
API server has answered and before the operator hears. What is left must be the same to the last field, no second
access key may exist, and at most one write more may have been made.

A module here names its operations and how many writes they take: WRITES and PLATFORM_WRITES are its kill points, and
the undisturbed run holds these tables to the truth. AFTER names the operations whose answers are lost as well; those
of many writes are left to `make torture`.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import pytest
from kubernetes_kit import operations
from kubernetes_kit.arena import Arena
from kubernetes_kit.operations import OPERATIONS, Runs

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

FEW_WRITES = 2


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each kill point of the module's tables."""
    module = metafunc.module
    if metafunc.function.__name__ == "test_the_tables_are_true":
        metafunc.parametrize("name", list(module.WRITES))
    elif metafunc.function.__name__ == "test_killed_at_a_write":
        moments = [(name, False) for name in module.WRITES] + [(name, True) for name in module.AFTER]
        points = [(name, number, late) for name, late in moments for number in range(1, module.WRITES[name] + 1)]
        cases = [pytest.param(*point, id=case_id(*point), marks=marks_of(module, point)) for point in points]
        metafunc.parametrize(("name", "number", "answered"), cases)
    elif metafunc.function.__name__ == "test_killed_at_a_call_of_the_platform":
        calls = [(name, number) for name, count in module.PLATFORM_WRITES.items() for number in range(1, count + 1)]
        metafunc.parametrize(("name", "number"), calls)


def case_id(name: str, number: int, late: bool) -> str:
    return f"{name}-{'after' if late else 'before'}-{number:02}"


def marks_of(module: ModuleType, point: tuple[str, int, bool]) -> list[pytest.MarkDecorator]:
    name, _, late = point
    return [pytest.mark.torture] if late and module.WRITES[name] > FEW_WRITES else []


@pytest.fixture(scope="module")
def runs(arena: Arena, request: pytest.FixtureRequest) -> Iterator[Runs]:
    """An operator that lives from one kill to the next, and the undisturbed runs of the module's operations."""
    arena.start().wait_leading()
    plain = {name: operations.undisturbed(arena, OPERATIONS[name], f"plain-{name}") for name in request.module.WRITES}
    yield Runs(arena, plain)
    arena.end()
