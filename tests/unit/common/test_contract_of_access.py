"""What the contract says of every RPC's callers, and that it says enough."""

from __future__ import annotations

import pytest
from google.protobuf.descriptor import MethodDescriptor
from integration.access_matrix.contract import every_rpc

from pyairtable_platform.common.access import ADMIN, KNOWN, PEER, PERSON, PUBLIC, WORKSPACE, rule_of, workspace_fields
from pyairtable_platform.common.roles import Need, lesser, need_of, rank_of, scope_of
from pyairtable_protos.common.v1 import access_pb2

ALL = [pytest.param(method, id=f"{method.containing_service.name}.{method.name}") for method in every_rpc()]


@pytest.mark.parametrize("method", ALL)
def test_an_rpc_in_a_workspace_says_what_it_needs_and_others_need_nothing(method: MethodDescriptor) -> None:
    """A new RPC without `need` stops here: nothing is guessed by its name."""
    rpc = str(method.full_name)
    if rule_of(rpc) == WORKSPACE:
        assert need_of(rpc) in Need, rpc
        return
    assert rule_of(rpc) in (PEER, PERSON, ADMIN, KNOWN, PUBLIC)
    with pytest.raises(LookupError, match="option need"):
        need_of(rpc)


@pytest.mark.parametrize("method", ALL)
def test_a_call_that_changes_something_is_no_read(method: MethodDescriptor) -> None:
    """What looks like a change by its name is one, unless it is listed here with the reason."""
    chats = {"Chat", "StreamChat", "CancelRun"}  # their own text; tools are held against the role one by one
    decided_later = {"CallTool"}
    looks = ("Get", "List", "Watch", "Export", "Stream")
    if rule_of(str(method.full_name)) == WORKSPACE and not method.name.startswith(looks):
        is_read = need_of(str(method.full_name)) is Need.READ
        assert is_read == (method.name in chats | decided_later)


@pytest.mark.parametrize("method", ALL)
def test_a_public_call_names_no_workspace(method: MethodDescriptor) -> None:
    if rule_of(str(method.full_name)) in (PUBLIC, ADMIN):
        assert workspace_fields(method.input_type) == ()


def test_every_need_of_the_contract_is_known() -> None:
    assert {name.removeprefix("NEED_").lower() for name in list(access_pb2.Need.keys())} == {"unspecified", *Need}


def test_roles_grow() -> None:
    viewer, editor, admin, owner = (set(scope_of(role).split()) for role in ("viewer", "editor", "admin", "owner"))
    assert viewer < editor < admin < owner == set(Need)
    assert scope_of("") == scope_of("root") == ""


@pytest.mark.parametrize(
    ("one", "other", "less"),
    [("owner", "viewer", "viewer"), ("editor", "admin", "editor"), ("admin", "admin", "admin"), ("owner", "x", "x")],
)
def test_the_lesser_of_two_roles(one: str, other: str, less: str) -> None:
    assert lesser(one, other) == lesser(other, one) == less
    assert rank_of(less) <= rank_of(one)
