"""People and programs in the whole system: a call becomes a Workspace object and a namespace, and goes as it came."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from cluster.system.running_system import System
from kubernetes_kit.wait import eventually

from pyairtable_devkit.demo.people import Door, Person, RefusedError

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(600)]

OF_API = {"app.kubernetes.io/managed-by": "pyairtable-api"}
MINE = "pyairtable.dev/workspace"
SHOWROOM = "appAcmeShowroomHQ"
"""A base of the Airtable emulator that no document declares."""


@pytest.fixture(scope="module")
def ada(system: System) -> Iterator[Door]:
    """The door for somebody who has registered and logged in."""
    person = Person(f"ada-{uuid.uuid4().hex[:8]}@people.example", "Ada Okafor", f"{uuid.uuid4().hex}-Blue")
    stranger, mailbox = system.door(), system.mailbox()
    person.sign_up(stranger, mailbox)
    door = system.door(person.log_in(stranger)["access_token"])  # counts for fifteen minutes
    yield door
    for each in (stranger, mailbox, door):
        each.close()


def made(system: System, ada: Door) -> str:
    """The name of a workspace that she has just made, ready in the cluster."""
    name = f"studio-{uuid.uuid4().hex[:8]}"
    ada.post("/workspaces", name=name, display_name="Studio", idempotency_key=uuid.uuid4().hex)
    eventually(lambda: name in hers(ada), what="her workspace")
    system.kubectl("wait", f"pws/{name}", "--for=condition=Ready", "--timeout=60s")
    return name


def hers(ada: Door) -> dict[str, Any]:
    """Her workspaces, by name."""
    return {one["name"]: one for one in ada.get("/my/workspaces").get("workspaces", [])}


def refusal(door: Door, path: str) -> int:
    """The status of a refusal; 0 when the call goes through."""
    try:
        door.get(path)
    except RefusedError as error:
        return error.status
    return 0


def test_who_registers_gets_a_workspace_that_is_an_object(system: System, ada: Door) -> None:
    (own,) = eventually(lambda: list(hers(ada).values()), what="the first workspace")
    content = system.get("pws", own["name"])
    assert content["metadata"]["labels"].items() >= OF_API.items()
    assert (own["source"]["kind"], own["source"]["uid"]) == ("Workspace", content["metadata"]["uid"])


def test_a_call_makes_an_object_and_a_namespace_and_edits_change_it(system: System, ada: Door) -> None:
    name = made(system, ada)
    content = system.get("pws", name)
    assert content["metadata"]["labels"].items() >= OF_API.items()
    assert content["spec"]["displayName"] == "Studio"
    assert system.get("namespace", f"ws-{name}")["metadata"]["labels"][MINE] == name
    assert hers(ada)[name]["source"]["uid"] == content["metadata"]["uid"]

    ada.call("PATCH", f"/workspaces/{name}", body={"display_name": "Atelier"})
    assert system.get("pws", name)["spec"]["displayName"] == "Atelier"
    system.kubectl("wait", f"pws/{name}", "--for=condition=Ready", "--timeout=60s")
    assert hers(ada)[name]["display_name"] == "Atelier"


def test_she_connects_a_base_by_the_emulators_token_and_the_object_says_so(system: System, ada: Door) -> None:
    name = made(system, ada)
    ada.post(f"/workspaces/{name}/bases", base_id=SHOWROOM, name="showroom", idempotency_key=uuid.uuid4().hex)
    eventually(lambda: bases_of(hers(ada)[name]) == [SHOWROOM], what="the binding")
    assert [base["baseId"] for base in system.get("pws", name)["spec"]["airtable"]["bases"]] == [SHOWROOM]
    system.kubectl("wait", f"pws/{name}", "--for=condition=Ready", "--timeout=60s")
    system.kubectl("-n", f"ws-{name}", "wait", "pbb/showroom", "--for=condition=Ready", "--timeout=60s")
    assert system.get("pws", name)["status"]["credential"]["hash"] == "shared"
    tables = ada.get("/bases/showroom/schema", workspace=name)["tables"]
    assert tables

    ada.delete(f"/workspaces/{name}/bases/showroom")
    eventually(lambda: not bases_of(hers(ada)[name]), what="the end of the binding")
    eventually(lambda: not system.get("pbb", "showroom", "-n", f"ws-{name}"), what="the end of its object")
    by_call(system, ada, name)


def bases_of(workspace: dict[str, Any]) -> list[str]:
    return [base["base_id"] for base in workspace.get("bases", [])]


REFUSED = (400, 401, 403)
"""400: a token that opens no workspace is asked to name one."""


def by_call(system: System, ada: Door, name: str) -> None:
    ada.delete(f"/workspaces/{name}")


def by_kubectl(system: System, ada: Door, name: str) -> None:
    system.kubectl("delete", "pws", name, "--timeout=60s")


@pytest.mark.parametrize("end", [by_call, by_kubectl])
def test_it_ends_the_same_by_a_call_and_by_kubectl(
    system: System, ada: Door, end: Callable[[System, Door, str], None]
) -> None:
    name = made(system, ada)
    end(system, ada, name)
    eventually(lambda: not system.get("pws", name), what="the object's end")
    eventually(lambda: name not in hers(ada), what="its end for her")
    eventually(lambda: refusal(ada, f"/workspaces/{name}") in (403, 404), what="its refusal")
    kept = system.get("namespace", f"ws-{name}")["metadata"]["labels"]  # deletionPolicy is Retain
    assert MINE not in kept
    system.kubectl("delete", "namespace", f"ws-{name}", "--wait=false")


def test_what_an_engineer_declared_is_not_taken_by_a_call(system: System, ada: Door) -> None:
    name = f"declared-{uuid.uuid4().hex[:8]}"
    document = {"apiVersion": "pyairtable.dev/v1alpha1", "kind": "Workspace", "metadata": {"name": name}}
    system.apply({**document, "spec": {"displayName": "Declared"}})
    system.kubectl("wait", f"pws/{name}", "--for=condition=Ready", "--timeout=60s")
    with pytest.raises(RefusedError):
        ada.post("/workspaces", name=name, display_name="Mine", idempotency_key=uuid.uuid4().hex)
    content = system.get("pws", name)
    assert (content["spec"]["displayName"], content["metadata"].get("labels")) == ("Declared", None)
    assert name not in hers(ada)
    system.kubectl("delete", "pws", name, "--timeout=60s")


def test_an_account_of_a_pod_that_is_named_as_owner_opens_its_workspace_with_its_own_token(
    system: System, ada: Door
) -> None:
    name, other = made(system, ada), made(system, ada)
    inside = ("-n", f"ws-{name}")
    system.kubectl("create", "serviceaccount", "bot", *inside)
    with closing(system.door(system.kubectl("create", "token", "bot", *inside).strip())) as bot:
        opens_from_when_it_is_named(system, ada, bot, name, other)
    for one in (name, other):
        by_call(system, ada, one)


def opens_from_when_it_is_named(system: System, ada: Door, bot: Door, name: str, other: str) -> None:
    path = f"/workspaces/{name}"
    assert refusal(bot, path) in REFUSED

    owner = f'{{"kind": "ServiceAccount", "name": "bot", "namespace": "ws-{name}"}}'
    system.kubectl("patch", "pws", name, "--type=merge", "-p", f'{{"spec": {{"owners": [{owner}]}}}}')
    eventually(lambda: refusal(bot, path) == 0, what="the door to open")
    assert bot.get(path)["workspace"]["name"] == name
    assert refusal(bot, f"/workspaces/{other}") == 403
    ada.call("PATCH", path, body={"display_name": "Still hers"})
    assert system.get("pws", name)["spec"]["owners"][0]["name"] == "bot", "an edit leaves the owners"

    system.kubectl("delete", "serviceaccount", "bot", "-n", f"ws-{name}")
    eventually(lambda: refusal(bot, path) in REFUSED, what="the end of its token")
