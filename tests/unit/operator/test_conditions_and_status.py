"""Conditions say what is wrong and what to do; a status in which nothing is new is the same to the byte."""

import copy
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema
import orjson
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from kubernetes_kit.plane import CRDS
from kubernetes_kit.tenant_documents import minimal_document, rich_document, workspace_of

from pyairtable_operator import conditions, findings, reasons
from pyairtable_operator.access_keys import KeyRecord, PreviousKey
from pyairtable_operator.bases import Bases, effective_bases, judge_base, judge_bases
from pyairtable_operator.binding_status import binding_status, invalid_binding_status
from pyairtable_operator.conditions import Finding, finding
from pyairtable_operator.credentials import (
    EMPTY,
    SHARED,
    BaseCheck,
    CredentialSecret,
    Verification,
    judge_credential,
    judge_model_key,
)
from pyairtable_operator.decide import Action, ActionKind, Claim, NamespaceClaim
from pyairtable_operator.drift import Drift, Table
from pyairtable_operator.event_reasons import condition_events
from pyairtable_operator.kube_errors import ForbiddenError
from pyairtable_operator.manifests import ObjectKey
from pyairtable_operator.reasons import REASONS, WORKSPACE_TYPES
from pyairtable_operator.registration import entry
from pyairtable_operator.spec import Binding, Workspace, parse_binding
from pyairtable_operator.status import Facts, invalid_status, inventory, inventory_keys, workspace_status

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NAMESPACE = "pyairtable-credentials"
VERSION, NEWER = "a" * 16, "b" * 16
CRM, STOCK = "appAcmeRenovation", "appAcmeStock00001"


def all_true() -> list[Finding]:
    names = {row.condition: row.name for row in REASONS.values() if row.status == "True"}
    return [finding(name, names[name]) for name in WORKSPACE_TYPES]


def with_reason(condition: str, reason: str) -> tuple[Finding, ...]:
    return tuple(finding(condition, reason) if item.reason.condition == condition else item for item in all_true())


def shown(status: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {item["type"]: (item["status"], item["reason"]) for item in status["conditions"]}


# The table


@pytest.mark.parametrize("row", REASONS.values(), ids=lambda row: f"{row.condition}-{row.name}")
def test_a_reason_is_a_word_for_programs_and_a_sentence_for_people(row: reasons.Reason) -> None:
    assert row.name.isalpha()
    assert row.name[0].isupper()
    assert row.doc.endswith(".")
    assert row.status in ("True", "False", "Unknown")
    assert not (row.status == "True" and (row.blocks or row.terminal or row.retry_seconds))
    assert not (row.terminal and row.retry_seconds)


@pytest.mark.parametrize("row", REASONS.values(), ids=lambda row: f"{row.condition}-{row.name}")
def test_ready_follows_from_what_blocks(row: reasons.Reason) -> None:
    if row.condition not in WORKSPACE_TYPES:
        return
    workspace = workspace_of(rich_document())
    told = shown(workspace_status(workspace, Facts(findings=with_reason(row.condition, row.name)), NOW))
    assert told["Ready"] == (("False", row.name) if row.blocks else ("True", "Ready"))
    assert told.get("Stalled") == (("True", row.name) if row.terminal else None)


def test_the_first_pass_sets_every_condition() -> None:
    status = workspace_status(workspace_of(minimal_document()), Facts(), NOW)
    assert shown(status) == dict.fromkeys(WORKSPACE_TYPES, ("Unknown", "Pending")) | {"Ready": ("False", "Pending")}
    assert status["phase"] == "Pending"
    assert {item["observedGeneration"] for item in status["conditions"]} == {1}


@pytest.mark.parametrize(
    ("facts", "changes", "phase", "reason"),
    [
        (Facts(tuple(all_true())), {}, "Ready", "Ready"),
        (Facts(tuple(all_true())), {"suspend": True}, "Suspended", "Suspended"),
        (Facts(tuple(all_true()), deleting="2 objects are left"), {"suspend": True}, "Deleting", "Deleting"),
        (Facts(plan=[]), {}, "Pending", "Planned"),
        (Facts(with_reason("CredentialsValid", "TokenRejected")), {"suspend": True}, "Degraded", "TokenRejected"),
        (Facts(with_reason("BasesBound", "Pending")), {}, "Pending", "Pending"),
        (Facts(with_reason("SchemaCurrent", "SchemaDrifted")), {}, "Ready", "Ready"),
        (Facts(with_reason("CredentialsValid", "RotationRejected")), {}, "Ready", "Ready"),
    ],
)
def test_phase_is_derived(facts: Facts, changes: dict[str, Any], phase: str, reason: str) -> None:
    status = workspace_status(workspace_of(rich_document(), **changes), facts, NOW)
    assert status["phase"] == phase
    assert shown(status)["Ready"][1] == reason


def test_retry_is_the_soonest_that_is_worth_it() -> None:
    assert conditions.retry_after(all_true()) is None
    assert conditions.retry_after([*with_reason("PlatformSynced", "PlatformUnavailable")]) == 10


# From status to status


def after(workspace_document: dict[str, Any], status: dict[str, Any]) -> Workspace:
    document = copy.deepcopy(workspace_document)
    document["status"] = orjson.loads(orjson.dumps(status))
    return workspace_of(document)


reason_sets = st.tuples(
    *(st.sampled_from([row for row in REASONS.values() if row.condition == name]) for name in WORKSPACE_TYPES)
)
verifications = st.one_of(
    st.none(),
    st.builds(
        Verification,
        version=st.sampled_from([VERSION, NEWER]),
        at=st.datetimes(datetime(2026, 11, 22), datetime(2026, 11, 23)).map(lambda time: time.replace(tzinfo=UTC)),
        problem=st.sampled_from(["", "AIRTABLE_TOKEN_REJECTED", "AIRTABLE_UNAVAILABLE"]),
        user_id=st.sampled_from(["", "usrA"]),
    ),
)
keys = st.one_of(
    st.none(),
    st.builds(
        KeyRecord,
        key_id=st.just("abcdefghijkl"),
        sha256=st.just("c" * 64),
        rotated_at=st.just(NOW),
        honoured_request=st.just(""),
        previous=st.one_of(st.none(), st.just(PreviousKey("old", "d" * 64, NOW + timedelta(days=100)))),
    ),
)


@settings(max_examples=150, deadline=None)
@given(
    reason_sets, verifications, keys, st.integers(0, 7), st.booleans(), st.timedeltas(timedelta(0), timedelta(days=9))
)
def test_a_pass_that_finds_nothing_new_changes_nothing(
    rows: tuple[reasons.Reason, ...],
    verification: Verification | None,
    key: KeyRecord | None,
    left_out: int,
    suspend: bool,
    later: timedelta,
) -> None:
    document = rich_document()
    document["spec"]["suspend"] = suspend
    secrets = {"acme-airtable": CredentialSecret("acme-airtable", "acme", {"token": VERSION})}
    objects = [(ObjectKey("Namespace", "", "ws-acme"), "e" * 16), (ObjectKey("Role", "ws-acme", "r"), "f" * 16)]

    def one_pass(workspace: Workspace, now: datetime, written: tuple[ObjectKey, ...]) -> dict[str, Any]:
        found = tuple(finding(row.condition, row.name) for row in rows[: len(rows) - left_out])
        facts = Facts(
            findings=found,
            credential=judge_credential(workspace, secrets, verification, NAMESPACE),
            verification=verification,
            key=key,
            bases="2/2",
            inventory=inventory(objects, written, workspace.status.get("inventory") or (), now),
        )
        return workspace_status(workspace, facts, now)

    first = one_pass(workspace_of(document), NOW, (objects[0][0],))
    second = one_pass(after(document, first), NOW + later, ())
    assert orjson.dumps(second) == orjson.dumps(first)
    # Also over a status whose keys came back in another order.
    shuffled = dict(reversed(first.items()))
    assert one_pass(after(document, shuffled), NOW + later, ()) == first


def test_a_transition_is_dated_and_a_new_reason_alone_is_not() -> None:
    document = rich_document()
    first = workspace_status(workspace_of(document), Facts(with_reason("BasesBound", "BaseNotFound")), NOW)
    document["metadata"]["generation"] = 4
    later = NOW + timedelta(hours=1)
    second = workspace_status(after(document, first), Facts(with_reason("BasesBound", "BaseReadOnly")), later)
    third = workspace_status(after(document, second), Facts(tuple(all_true())), later)

    def bound(status: dict[str, Any]) -> tuple[str, int]:
        item = next(item for item in status["conditions"] if item["type"] == "BasesBound")
        return item["lastTransitionTime"], item["observedGeneration"]

    assert bound(first) == ("2026-11-22T12:00:00Z", 3)
    assert bound(second) == ("2026-11-22T12:00:00Z", 4)
    assert bound(third) == ("2026-11-22T13:00:00Z", 4)


def test_what_a_pass_did_not_get_to_keeps_its_condition_and_generation() -> None:
    document = rich_document()
    first = workspace_status(workspace_of(document), Facts(tuple(all_true()), bases="2/2"), NOW)
    document["metadata"]["generation"] = 4
    fault = finding("NamespaceReady", "NamespaceTerminating")
    second = workspace_status(after(document, first), Facts((fault,)), NOW)
    generations = {item["type"]: item["observedGeneration"] for item in second["conditions"]}
    assert generations["NamespaceReady"] == generations["Ready"] == second["observedGeneration"] == 4
    assert generations["BasesBound"] == 3
    assert shown(second)["BasesBound"] == ("True", "NoBases")
    assert second["bases"] == "2/2"


def test_an_invalid_spec_keeps_what_was_and_says_what_is_wrong() -> None:
    document = rich_document()
    document["status"] = workspace_status(workspace_of(document), Facts(tuple(all_true()), bases="2/2"), NOW)
    document["metadata"]["generation"] = 9
    status = invalid_status(document, 'spec.namespace.quota.pods: "many" is not a quantity', NOW)
    assert shown(status)["Ready"] == ("False", "InvalidSpec")
    assert shown(status)["Stalled"] == ("True", "InvalidSpec")
    assert status["phase"] == "Degraded"
    assert (status["bases"], status["observedGeneration"]) == ("2/2", 9)
    assert invalid_status(
        {**document, "status": status}, 'spec.namespace.quota.pods: "many" is not a quantity', NOW
    ) == (status)


def test_the_time_of_a_verification_is_written_hourly() -> None:
    document = rich_document()
    secrets = {"acme-airtable": CredentialSecret("acme-airtable", "acme", {"token": VERSION})}
    status: dict[str, Any] = {}
    times = []
    for minutes in (0, 20, 40, 59, 60, 80, 130):
        at = NOW + timedelta(minutes=minutes)
        workspace = after(document, status)
        answer = Verification(VERSION, at, user_id="usrA")
        verdict = judge_credential(workspace, secrets, answer, NAMESPACE)
        status = workspace_status(workspace, Facts(credential=verdict, verification=answer), at)
        times.append(status["credential"]["verifiedAt"][11:16])
    assert times == ["12:00", "12:00", "12:00", "12:00", "13:00", "13:00", "14:10"]


def test_inventory_is_dated_by_writes() -> None:
    keys = [ObjectKey("Namespace", "", "n"), ObjectKey("Role", "n", "r"), ObjectKey("Secret", "n", "s")]
    first = inventory([(key, "1") for key in keys], keys, (), NOW)
    later = NOW + timedelta(hours=1)
    second = inventory([(keys[0], "1"), (keys[1], "2"), (keys[2], "1")], [keys[2]], first, later)
    assert [entry["appliedAt"][11:13] for entry in second] == ["12", "13", "13"]
    assert inventory_keys(after(rich_document(), {"inventory": second})) == set(keys)
    assert "namespace" not in first[0]
    assert len(inventory([(ObjectKey("Role", "n", str(number)), "1") for number in range(400)], (), (), NOW)) == 300


def test_a_full_status_fits_the_schema() -> None:
    crd = yaml.safe_load((CRDS / "workspaces.yaml").read_text())
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
    secrets = {"acme-airtable": CredentialSecret("acme-airtable", "acme", {"token": VERSION})}
    workspace = workspace_of(rich_document())
    answer = Verification(VERSION, NOW, user_id="usrA")
    facts = Facts(
        tuple(all_true()),
        judge_credential(workspace, secrets, answer, NAMESPACE),
        answer,
        KeyRecord("abcdefghijkl", "c" * 64, NOW, "", PreviousKey("old", "d" * 64, NOW + timedelta(days=1))),
        "2/2",
        {"month": "2026-11", "calls": 12, "percent": 1},
        inventory([(ObjectKey("Namespace", "", "n"), "1")], (), (), NOW),
        [{"action": "Update", "kind": "Role", "name": "r", "namespace": "n", "fields": ["rules"]}],
    )
    status = workspace_status(workspace, facts, NOW)
    known = jsonschema.Draft202012Validator({**schema, "additionalProperties": False})
    known.validate(status)
    assert set(status) == set(schema["properties"])


# What was found out


def test_messages_of_a_namespace_say_what_to_do() -> None:
    workspace = workspace_of(rich_document())
    quota = ObjectKey("Secret", "ws-acme", "pyairtable-access")
    told = {
        Claim.NOT_OURS: "kubectl annotate namespace ws-acme pyairtable.dev/adopt-by=acme",
        Claim.TERMINATING: "kubectl get namespace ws-acme -o jsonpath=",
        Claim.NOT_ALLOWED: "belongs to the cluster or the platform",
    }
    for claim, remedy in told.items():
        assert remedy in findings.judge_namespace(workspace, NamespaceClaim(claim), (), ()).message
    held = findings.judge_namespace(workspace, NamespaceClaim(Claim.NOT_OURS, holder="other"), (), ())
    assert "belongs to workspace other" in held.message
    ours = NamespaceClaim(Claim.OURS)
    over = findings.ApplyFailure(quota, 403, "exceeded quota: pyairtable, requested: secrets=1")
    assert findings.judge_namespace(workspace, ours, (), [over]).reason.name == "QuotaExceeded"
    refused = findings.ApplyFailure(quota, 403, "forbidden.")
    assert findings.judge_namespace(workspace, ours, (), [refused]).message.endswith("forbidden. It is tried again.")
    waiting = Action(ActionKind.WAIT, quota)
    assert findings.judge_namespace(workspace, ours, [waiting], ()).reason.status == "Unknown"
    assert findings.judge_namespace(workspace, ours, (), ()).reason.status == "True"


@pytest.mark.parametrize(
    ("secret", "reason", "remedy"),
    [
        (None, "SecretNotUsable", f"kubectl -n {NAMESPACE} label secret acme-airtable pyairtable.dev/workspace=acme"),
        (("other", {"token": VERSION}), "SecretForAnotherWorkspace", "label --overwrite secret acme-airtable"),
        (("acme", {"other": VERSION}), "SecretNotUsable", "has no key token"),
        (("acme", {"token": EMPTY}), "SecretEmpty", "holds nothing under token"),
    ],
)
def test_a_secret_that_must_not_be_used_withdraws_the_token(
    secret: tuple[str, dict[str, str]] | None, reason: str, remedy: str
) -> None:
    document = rich_document()
    document["status"] = {"credential": {"hash": VERSION}}
    secrets = {"acme-airtable": CredentialSecret("acme-airtable", *secret)} if secret else {}
    verdict = judge_credential(workspace_of(document), secrets, Verification(VERSION, NOW), NAMESPACE)
    assert (verdict.finding.reason.name, verdict.in_use, verdict.to_verify) == (reason, "", "")
    assert remedy in verdict.finding.message


def test_a_withdrawn_token_is_forgotten_so_that_it_is_verified_anew() -> None:
    document = rich_document()
    document["status"] = {"credential": {"hash": VERSION, "verifiedAt": "2026-11-22T12:00:00Z"}}
    workspace = workspace_of(document)
    verdict = judge_credential(workspace, {}, Verification(VERSION, NOW), NAMESPACE)
    assert "credential" not in workspace_status(workspace, Facts(credential=verdict), NOW)
    kept = workspace_status(workspace, Facts(), NOW)
    assert kept["credential"] == document["status"]["credential"]


@pytest.mark.parametrize(
    ("before", "now", "answer", "reason", "in_use"),
    [
        ("", VERSION, None, "Pending", ""),
        ("", VERSION, (VERSION, ""), "Verified", VERSION),
        ("", VERSION, (VERSION, "AIRTABLE_TOKEN_REJECTED"), "TokenRejected", ""),
        ("", VERSION, (VERSION, "DENIED"), "ScopesMissing", ""),
        ("", VERSION, (VERSION, "AIRTABLE_UNAVAILABLE"), "AirtableUnavailable", ""),
        ("", VERSION, (VERSION, "GATEWAY_UNAVAILABLE"), "GatewayUnavailable", ""),
        ("", VERSION, (NEWER, ""), "Pending", ""),
        (VERSION, VERSION, None, "Verified", VERSION),
        (VERSION, VERSION, (VERSION, "AIRTABLE_UNAVAILABLE"), "Verified", VERSION),
        (VERSION, VERSION, (VERSION, "AIRTABLE_TOKEN_REJECTED"), "TokenRejected", VERSION),
        (VERSION, NEWER, None, "RotationPending", VERSION),
        (VERSION, NEWER, (VERSION, ""), "RotationPending", VERSION),
        (VERSION, NEWER, (NEWER, "AIRTABLE_UNAVAILABLE"), "RotationPending", VERSION),
        (VERSION, NEWER, (NEWER, "AIRTABLE_TOKEN_REJECTED"), "RotationRejected", VERSION),
        (VERSION, NEWER, (NEWER, ""), "Verified", NEWER),
    ],
)
def test_a_token_is_in_use_once_airtable_accepted_it(
    before: str, now: str, answer: tuple[str, str] | None, reason: str, in_use: str
) -> None:
    document = rich_document()
    document["status"] = {"credential": {"hash": before}} if before else {}
    secrets = {"acme-airtable": CredentialSecret("acme-airtable", "acme", {"token": now})}
    verification = Verification(answer[0], NOW, answer[1]) if answer else None
    verdict = judge_credential(workspace_of(document), secrets, verification, NAMESPACE)
    assert (verdict.finding.reason.name, verdict.in_use, verdict.to_verify) == (reason, in_use, now)


def test_tokens_that_are_not_needed_and_not_named() -> None:
    assert judge_credential(workspace_of(minimal_document()), {}, None, NAMESPACE).finding.reason.name == "NotNeeded"
    document = rich_document()
    del document["spec"]["airtable"]["tokenSecretRef"]
    assert judge_credential(workspace_of(document), {}, None, NAMESPACE).finding.reason.name == "NoCredentialRef"


def test_the_installations_own_token_is_verified_as_any_other_and_never_declared() -> None:
    document = rich_document()
    del document["spec"]["airtable"]["tokenSecretRef"]
    workspace = workspace_of(document)
    asked = judge_credential(workspace, {}, None, NAMESPACE, shared=True)
    assert (asked.finding.reason.name, asked.to_verify) == ("Pending", SHARED)
    accepted = judge_credential(workspace, {}, Verification(SHARED, NOW), NAMESPACE, shared=True)
    assert (accepted.finding.reason.name, accepted.in_use) == ("Verified", SHARED)
    refused = Verification(SHARED, NOW, "AIRTABLE_TOKEN_REJECTED")
    verdict = judge_credential(workspace, {}, refused, NAMESPACE, shared=True)
    assert verdict.finding.reason.name == "TokenRejected"
    assert "AIRTABLE_TOKEN of the airtable-gateway" in verdict.finding.message
    assert not entry(workspace, (), accepted.in_use, "").HasField("airtable_token")


def test_a_model_key_has_to_opt_in_too_and_does_not_take_the_token_along() -> None:
    document = rich_document()
    document["spec"]["llm"]["apiKeySecretRef"] = {"name": "gemini", "key": "key"}
    secrets = {"acme-airtable": CredentialSecret("acme-airtable", "acme", {"token": VERSION})}
    verdict = judge_credential(workspace_of(document), secrets, Verification(VERSION, NOW), NAMESPACE)
    assert (verdict.finding.reason.name, verdict.in_use) == ("SecretNotUsable", VERSION)
    assert judge_model_key(workspace_of(document), secrets, NAMESPACE)[0] == ""
    secrets["gemini"] = CredentialSecret("gemini", "acme", {"key": NEWER})
    assert judge_model_key(workspace_of(document), secrets, NAMESPACE) == (NEWER, None)
    assert judge_credential(workspace_of(document), secrets, Verification(VERSION, NOW), NAMESPACE).in_use == VERSION


def binding(name: str, base_id: str, *, managed: bool = False, **spec: Any) -> Binding:
    labels = {"app.kubernetes.io/managed-by": "pyairtable-operator"} if managed else {}
    meta = {"name": name, "namespace": "ws-acme", "generation": 2, "labels": labels}
    return parse_binding({"metadata": meta, "spec": {"baseId": base_id, **spec}})


def test_the_tenant_binds_what_he_may_and_nothing_twice() -> None:
    bases = effective_bases(
        workspace_of(rich_document()),
        [
            binding("own", "appTenantsOwn0001", default=True, access="ReadOnly", tables=["A"]),
            binding("again", "appTenantsOwn0001"),
            binding("crm", "appTenantsOwn0001"),
            binding("payroll", "appOfSomebodyElse"),
            binding("stock", "appTamperedBase01", managed=True),
        ],
    )
    assert [base.name for base in bases.allowed] == ["crm", "stock", "again"]
    assert bases.allowed[1].base_id == STOCK
    assert {name: item.reason.name for name, item in bases.refused.items()} == {
        "crm": "DuplicateBase",
        "own": "DuplicateBase",
        "payroll": "BaseNotAllowed",
    }
    assert not bases.allowed[2].default


def test_a_tenants_default_counts_where_there_is_none() -> None:
    bases = effective_bases(
        workspace_of(rich_document(), airtable__bases=[]), [binding("own", "appTenantsOwn0001", default=True)]
    )
    assert [(base.name, base.default) for base in bases.allowed] == [("own", True)]


def verification(**problems: Any) -> Verification:
    checks = {CRM: BaseCheck(CRM, permission_level="create"), STOCK: BaseCheck(STOCK, permission_level="edit")}
    return Verification(VERSION, NOW, bases=checks | problems)


@pytest.mark.parametrize(
    ("answer", "reason", "count"),
    [
        (verification(), "AllBound", "2/2"),
        (None, "Pending", "0/2"),
        (Verification(VERSION, NOW, "AIRTABLE_UNAVAILABLE", "Airtable is away"), "NotVerified", "0/2"),
        (verification(**{CRM: BaseCheck(CRM, "BASE_NOT_FOUND")}), "BaseNotFound", "1/2"),
        (verification(**{CRM: BaseCheck(CRM, "DENIED")}), "BaseNotFound", "1/2"),
        (verification(**{CRM: BaseCheck(CRM, permission_level="edit")}), "BaseReadOnly", "1/2"),
        (verification(**{STOCK: BaseCheck(STOCK, permission_level="read")}), "BaseReadOnly", "1/2"),
        (verification(**{STOCK: BaseCheck(STOCK, permission_level="of tomorrow")}), "AllBound", "2/2"),
        (verification(**{CRM: BaseCheck(CRM, "AIRTABLE_UNAVAILABLE", "away")}), "NotVerified", "1/2"),
    ],
)
def test_bases_are_bound_as_airtable_says(answer: Verification | None, reason: str, count: str) -> None:
    workspace = workspace_of(rich_document())
    found, shown_count = judge_bases(workspace, effective_bases(workspace, ()), answer)
    assert (found.reason.name, shown_count) == (reason, count)


def test_airtable_being_away_does_not_unbind_bases_that_it_confirmed() -> None:
    document = rich_document()
    workspace = workspace_of(document)
    found, count = judge_bases(workspace, effective_bases(workspace, ()), verification())
    workspace = after(document, workspace_status(workspace, Facts((found,), bases=count), NOW))
    away = Verification(VERSION, NOW, "AIRTABLE_UNAVAILABLE")
    assert judge_bases(workspace, effective_bases(workspace, ()), away) == (found, "2/2")
    document["metadata"]["generation"] = 99  # another spec: not confirmed
    workspace = after(document, workspace.status)
    assert judge_bases(workspace, effective_bases(workspace, ()), away)[0].reason.name == "NotVerified"


def test_a_refused_binding_of_the_tenant_does_not_block_the_workspace() -> None:
    workspace = workspace_of(rich_document())
    bases = effective_bases(workspace, [binding("payroll", "appOfSomebodyElse")])
    found, count = judge_bases(workspace, bases, verification())
    assert (found.reason.name, found.reason.blocks, count) == ("BaseNotAllowed", False, "2/2")
    assert "spec.airtable.tenantBases" in found.message
    assert judge_bases(workspace_of(minimal_document()), Bases((), {}), None)[0].reason.name == "NoBases"


def test_network_says_what_the_cluster_does() -> None:
    strict, off = workspace_of(rich_document()), workspace_of(rich_document(), namespace__networkPolicy="Off")
    assert [findings.judge_network(strict, told, in_place=True).reason.name for told in ("yes", "no", "unknown")] == [
        "Enforced",
        "NotEnforced",
        "EnforcementNotVerified",
    ]
    assert findings.judge_network(off, "yes", in_place=False).reason.name == "PoliciesOff"
    assert findings.judge_network(strict, "yes", in_place=False).reason.status == "Unknown", "nothing isolates yet"


def test_a_full_quota_is_named_when_the_secret_does_not_fit() -> None:
    said = 'secrets "pyairtable-access" is forbidden: exceeded quota: own, requested: secrets=1, used: secrets=0'
    assert findings.key_refused(ForbiddenError(said, status=403)).reason.name == "QuotaExceeded"
    assert findings.key_refused(ForbiddenError("not allowed", status=403)).reason.name == "Conflict"


def test_a_long_message_is_cut_to_what_the_schema_takes() -> None:
    drift = Drift(added=tuple(f"Table {number}" for number in range(1000)))
    assert len(findings.judge_schema({"crm": drift}).message) <= 4096


# BaseBindings


def check(*tables: Table, fingerprint: str) -> BaseCheck:
    return BaseCheck(CRM, name="CRM", permission_level="create", tables=tables, fingerprint=fingerprint)


def test_drift_stays_until_it_is_accepted() -> None:
    one, other = Table("tbl1", "Clients", "f1"), Table("tbl1", "Clients", "f2")
    body: dict[str, Any] = {
        "metadata": {"name": "crm", "namespace": "ws-acme", "generation": 1, "annotations": {}},
        "spec": {"baseId": CRM},
    }

    def one_pass(seen: BaseCheck | None, note: str = "", minutes: int = 0) -> dict[str, tuple[str, str]]:
        body["metadata"]["annotations"] = {"pyairtable.dev/accept-schema": note}
        at = NOW + timedelta(minutes=minutes)
        result = binding_status(parse_binding(body), finding("Reachable", "Reachable"), seen, at, at)
        changed = result.status != body.get("status")
        body["status"] = orjson.loads(orjson.dumps(result.status))
        return shown(body["status"]) | {"changed": ("", str(changed))}

    assert one_pass(None)["SchemaCurrent"] == ("Unknown", "Pending")
    assert one_pass(check(one, fingerprint="F1"))["SchemaCurrent"] == ("True", "Current")
    assert one_pass(check(one, fingerprint="F1"), minutes=59)["changed"] == ("", "False")
    assert one_pass(None, minutes=59)["changed"] == ("", "False")
    assert one_pass(check(one, fingerprint="F1"), minutes=61)["changed"] == ("", "True")
    told = one_pass(check(other, fingerprint="F2"), minutes=62)
    assert (told["SchemaCurrent"], told["Ready"]) == (("False", "SchemaDrifted"), ("True", "Ready"))
    assert body["status"]["changedTables"] == ["Clients"]
    assert body["status"]["baseline"]["fingerprint"] == "F1"
    assert one_pass(check(other, fingerprint="F2"), note="F1", minutes=63)["SchemaCurrent"][0] == "False"
    assert one_pass(check(other, fingerprint="F2"), note="F2", minutes=64)["SchemaCurrent"][0] == "True"
    assert body["status"]["baseline"]["acceptedAt"] == "2026-11-22T13:04:00Z"
    assert "changedTables" not in body["status"]
    assert one_pass(check(other, fingerprint="F2"), note="F2", minutes=65)["changed"] == ("", "False")
    assert one_pass(check(one, fingerprint="F1"), note="F2", minutes=66)["SchemaCurrent"][0] == "False"
    assert one_pass(check(one, fingerprint="F1"), note="true", minutes=67)["SchemaCurrent"][0] == "True"


def test_a_binding_that_cannot_be_read_says_so_and_keeps_its_baseline() -> None:
    body = {"metadata": {"name": "crm", "generation": 5}, "status": {"baseline": {"fingerprint": "F1"}}}
    status = invalid_binding_status(body, "spec.baseId: no", NOW)
    assert shown(status)["Ready"] == ("False", "InvalidSpec")
    assert status["baseline"] == {"fingerprint": "F1"}
    refused = judge_base(effective_bases(workspace_of(rich_document()), ()).allowed[0], None)
    assert refused.reason.name == "Pending"


# Events


def told_events(status: dict[str, Any], previous: Mapping[str, Any]) -> list[tuple[str, str]]:
    news = condition_events(status["conditions"], previous.get("conditions") or ())
    return [(event.reason, event.type) for event in news]


def test_events_tell_what_is_new_and_only_that() -> None:
    workspace = workspace_of(rich_document())
    first = workspace_status(workspace, Facts(), NOW)
    assert told_events(first, {}) == []
    ready = workspace_status(workspace, Facts(tuple(all_true())), NOW)
    assert told_events(ready, first) == [("Ready", "Normal")]
    assert told_events(ready, ready) == []
    broken = workspace_status(workspace, Facts(with_reason("CredentialsValid", "TokenRejected")), NOW)
    assert told_events(broken, ready) == [("TokenRejected", "Warning")]
    assert told_events(ready, broken) == [("NotNeeded", "Normal"), ("Ready", "Normal")]
