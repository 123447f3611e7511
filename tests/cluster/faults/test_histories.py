"""Random lives of a workspace, a third of them wishes that are refused: it always ends where a new one begins (O6).

After each history the workspace must look exactly like a twin that was made at once with the final spec, and a
further look by the operator must write nothing. HISTORIES=70 runs about a thousand transitions.
"""

from __future__ import annotations

import os
import time
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from kubernetes_kit import operations, tenants
from kubernetes_kit.arena import MERGE, Arena
from kubernetes_kit.tenants import WORKSPACES
from kubernetes_kit.wait import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

Body = dict[str, Any]
HISTORIES = int(os.environ.get("HISTORIES", "2"))
STEPS = 14

OWNERS = [
    {"kind": "User", "name": "ada@example.com"},
    {"kind": "Group", "name": "blue"},
    {"kind": "ServiceAccount", "name": "ci", "namespace": "builds"},
]


def bases(count: int) -> list[Body]:
    return [
        {"name": f"base-{number}", "baseId": f"appHistory{number:07}", "default": number == 0}
        for number in range(count)
    ]


VALID: st.SearchStrategy[Body] = st.one_of(
    st.builds(lambda text: {"displayName": text}, st.text("abc äö<>\"'", max_size=30)),
    st.builds(lambda some: {"owners": some}, st.lists(st.sampled_from(OWNERS), max_size=3, unique_by=str)),
    st.builds(lambda count: {"airtable": {"bases": bases(count)}}, st.integers(0, 3)),
    st.builds(lambda calls: {"airtable": {"monthlyCallBudget": calls}}, st.integers(0, 10**6)),
    st.builds(lambda pods: {"namespace": {"quota": {"pods": str(pods)}}}, st.integers(0, 50)),
    st.sampled_from(
        [
            {"namespace": {"quota": None}},
            {"namespace": {"limits": None}},
            {"namespace": {"limits": {"cpu": "1"}}},
            {"namespace": {"networkPolicy": "Off"}},
            {"namespace": {"networkPolicy": "Strict"}},
            {"namespace": {"podSecurity": "baseline"}},
            {"namespace": {"podSecurity": "restricted"}},
            {"llm": {"approval": "Writes", "monthlyCostLimit": "1.50"}},
            {"suspend": True},
            {"suspend": False},
            {"deletionPolicy": "Retain"},
            {"deletionPolicy": "Delete"},
            {"accessKey": {"overlapSeconds": 60}},
        ]
    ),
)
"""Patches of the spec that the API server takes."""

INVALID = st.sampled_from(
    [
        {"displayName": "x" * 101},
        {"owners": [{"kind": "ServiceAccount", "name": "ci"}]},
        {"owners": [{"kind": "Robot", "name": "ci"}]},
        {"airtable": {"bases": [{"name": "crm", "baseId": "not-a-base"}]}},
        {"airtable": {"bases": [{**base, "default": True} for base in bases(2)]}},
        {
            "airtable": {
                "bases": [
                    {"name": "one", "baseId": "appHistory0000000"},
                    {"name": "two", "baseId": "appHistory0000000"},
                ]
            }
        },
        {"airtable": {"monthlyCallBudget": -1}},
        {"llm": {"monthlyCostLimit": "a lot"}},
        {"llm": {"approval": "Perhaps"}},
        {"namespace": {"name": "kube-system"}},
        {"namespace": {"quota": {"pod": "1"}}},
        {"namespace": {"quota": {"pods": 7}}},
        {"namespace": {"networkPolicy": "Loose"}},
        {"accessKey": {"overlapSeconds": 604801}},
        {"deletionPolicy": "Orphan"},
        {"suspend": "yes"},
    ]
)
"""Patches that it refuses."""


class Life(RuleBasedStateMachine):
    """One workspace and its twin, over one operator."""

    arena: Arena
    number = 0

    @initialize()
    def begin(self) -> None:
        Life.number += 1
        self.name = f"life-{Life.number:03}"
        self.arena.create(self.name)

    @rule(patch=VALID)
    def wish(self, patch: Body) -> None:
        self.arena.change(self.name, {"spec": patch})

    @rule(patch=INVALID)
    def wish_for_nonsense(self, patch: Body) -> None:
        self.refused(patch)

    @rule(patch=INVALID)
    def wish_for_more_nonsense(self, patch: Body) -> None:
        """Two rules of seven, since each is as likely."""
        self.refused(patch)

    def refused(self, patch: Body) -> None:
        """Refused means unchanged."""
        before = self.arena.workspace(self.name)
        answer = self.arena.plane.api.patch(
            f"{WORKSPACES}/{self.name}", content=orjson.dumps({"spec": patch}), headers=MERGE
        )
        assert 400 <= answer.status_code < 500, f"{patch} was taken: {answer.status_code}"
        after = self.arena.workspace(self.name)
        assert (after["spec"], after["metadata"]["generation"]) == (before["spec"], before["metadata"]["generation"])

    @rule(word=st.integers(0, 10**6))
    def rotate(self, word: int) -> None:
        annotations = {"pyairtable.dev/rotate-access-key": str(word)}
        self.arena.change(self.name, {"metadata": {"annotations": annotations}})

    @rule()
    def wait(self) -> None:
        self.settle()

    @rule()
    def kill(self) -> None:
        self.arena.start()

    @rule()
    def begin_anew(self) -> None:
        """Deleted and made again under the same name; a namespace that was retained is handed over."""
        spec = self.arena.workspace(self.name)["spec"]
        self.arena.delete(self.name)
        eventually(lambda: not self.arena.workspace(self.name), what="the deletion")
        retained = tenants.get(self.arena.plane.api, f"/api/v1/namespaces/ws-{self.name}")
        if retained and not retained["metadata"].get("deletionTimestamp"):
            annotations = {"pyairtable.dev/adopt-by": self.name}
            self.arena.plane.api.patch(
                f"/api/v1/namespaces/ws-{self.name}",
                content=orjson.dumps({"metadata": {"annotations": annotations}}),
                headers=MERGE,
            ).raise_for_status()
            self.adopted = True
        self.arena.create(self.name, **spec)

    @invariant()
    def keys_are_few(self) -> None:
        """The one in use, and one before it at most."""
        assert len(self.arena.platform.state.keys.get(getattr(self, "name", ""), ())) <= 2

    adopted = False

    def settle(self) -> None:
        def settled() -> bool:
            body = self.arena.workspace(self.name)
            ready = tenants.condition(body, "Ready")
            suspended = body["spec"].get("suspend", False)
            assert ready.get("observedGeneration") == body["metadata"]["generation"], ready
            assert ready["reason"] == ("Suspended" if suspended else "Ready"), ready
            return True

        eventually(settled, what=f"{self.name} settled")
        operations.quiet(self.arena, self.name, seconds=0.6)

    def teardown(self) -> None:
        if not hasattr(self, "name"):
            return
        self.settle()
        self.arena.proxy.reset()
        time.sleep(2.5)  # longer than RESYNC_SECONDS
        assert self.arena.writes(self.name) == [], "a second look wrote"
        if not self.adopted:
            self.compare_with_twin()

    def compare_with_twin(self) -> None:
        twin = f"twin-{Life.number:03}"
        spec = self.arena.workspace(self.name)["spec"]
        if spec["airtable"].get("tokenSecretRef"):
            spec["airtable"]["tokenSecretRef"]["name"] = f"{twin}-airtable"
        self.arena.create(twin, **orjson.loads(orjson.dumps(spec).replace(self.name.encode(), twin.encode())))
        expected = comparable(self.arena.state(self.name))

        def same() -> bool:
            found = comparable(self.arena.state(twin))
            assert found == expected, operations.difference(found, expected)
            return True

        eventually(same, what="a twin that is the same")


def comparable(state: Body) -> Body:
    """Without what tells of the past: rotations, and who wrote the spec."""
    state = orjson.loads(orjson.dumps(state))
    own = state["Workspace"]
    own["metadata"].pop("annotations", None)
    own["status"].get("accessKey", {}).pop("previousExpiresAt", None)
    state["Platform"]["keys"] = [key for key in state["Platform"]["keys"] if not key["expires"]]
    for name, one in state.items():
        if name.startswith("Secret "):
            one["metadata"]["annotations"].pop("pyairtable.dev/previous-key", None)
            one["metadata"]["annotations"].pop("pyairtable.dev/rotation-request", None)
    result: Body = state
    return result


@pytest.mark.timeout(180 + 120 * HISTORIES)
def test_every_history_ends_like_a_new_beginning(arena: Arena) -> None:
    Life.arena = arena
    with arena.running(RESYNC_SECONDS="1"):
        run_state_machine_as_test(
            Life,
            settings=settings(
                max_examples=HISTORIES,
                stateful_step_count=STEPS,
                deadline=None,
                derandomize=True,
                database=None,
                phases=(Phase.generate,),
                suppress_health_check=list(HealthCheck),
                print_blob=True,
            ),
        )
