"""One pass over one workspace: observe, decide, apply, tell. Level-triggered: it asks not what happened but what is.

A pass reads from memory only, and when all is as it should be it writes nothing and calls nobody.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pyairtable_operator import (
    access_keys,
    bases,
    bindings,
    compare,
    conditions,
    credentials,
    decide,
    findings,
    status,
    usage,
)
from pyairtable_operator.applying import Applier, Outcome, both
from pyairtable_operator.bindings import BindingStatuses
from pyairtable_operator.conditions import Finding
from pyairtable_operator.constants import ACCESS_SECRET, FINALIZER
from pyairtable_operator.credential_secrets import Credentials
from pyairtable_operator.credentials import CredentialVerdict
from pyairtable_operator.decide import Action, NamespaceClaim
from pyairtable_operator.deletion import Deletion
from pyairtable_operator.keys import Issued, KeyKeeper
from pyairtable_operator.kube import Kube
from pyairtable_operator.kube_errors import ConflictError, NotFoundError
from pyairtable_operator.manifests import Manifest, ObjectKey, TenantConfig, binding_objects, tenant_objects
from pyairtable_operator.reporting import Reporter
from pyairtable_operator.settings import Settings
from pyairtable_operator.spec import Base, InvalidSpec, Workspace, parse_meta, parse_workspace
from pyairtable_operator.status import Facts
from pyairtable_operator.store import Store
from pyairtable_operator.times import parse_time
from pyairtable_operator.told import Registrar
from pyairtable_operator.verification import Verifier
from pyairtable_operator.writer import WorkspaceWriter

log = logging.getLogger(__name__)

PATIENCE = 1.0
"""Seconds that a pass waits for Airtable; then it tells what it knows, and the answer brings the next pass."""


@dataclass(frozen=True, slots=True)
class PassResult:
    """`failed`: reason that deserves a repeat with back-off; `next_in`: seconds to the next pass, None: on events."""

    gone: bool = False
    failed: str = ""
    next_in: float | None = None


class Reconciler:
    """Brings a workspace to what its spec says. `reconcile` is never called twice at a time for one workspace."""

    def __init__(
        self,
        settings: Settings,
        kube: Kube,
        store: Store,
        credential_secrets: Credentials,
        registrar: Registrar,
        verifier: Verifier,
        reporter: Reporter,
        again: Callable[[str], None],
    ) -> None:
        """Wires the parts of a pass; `again` asks for another one."""
        self._again = again
        self._settings = settings
        self._store = store
        self._secrets = credential_secrets
        self._registrar = registrar
        self._verifier = verifier
        self._reporter = reporter
        self._config = config = tenant_config(settings)
        self._applier = Applier(kube, store)
        self._keys = KeyKeeper(kube, store, self._applier, config)
        self._statuses = BindingStatuses(kube, store)
        self._writer = WorkspaceWriter(kube, store)
        self._deletion = Deletion(kube, store, self._applier, registrar, reporter, settings.deletion_grace_seconds)

    async def reconcile(self, name: str) -> PassResult:
        """One pass. KubeError when the API server did not do as asked, NotLeaderError when we may not write."""
        document = self._store.document(ObjectKey("Workspace", "", name))
        if document is None:
            await self._deletion.orphans(name)
            self._forget(name)
            return PassResult(gone=True)
        now = datetime.now(UTC)
        try:
            workspace = parse_workspace(document)
        except InvalidSpec as error:
            if not document["metadata"].get("deletionTimestamp"):
                return await self._invalid(document, str(error), now)
            workspace = parse_workspace({**document, "spec": _bare_spec(document)})
        try:
            return await self._pass(workspace, now)
        except (ConflictError, NotFoundError) as error:
            # The Workspace, or what we know of it, has changed meanwhile: the watch brings the news.
            log.info("workspace %s: %s", name, error)
            return PassResult(failed="Stale")

    async def _pass(self, workspace: Workspace, now: datetime) -> PassResult:
        if workspace.deleting:
            return await self._delete(workspace, now)
        if workspace.plan_only:
            return await self._plan(workspace, now)
        if FINALIZER not in workspace.meta.finalizers:
            await self._writer.hold(workspace.meta)
        claim = self._claim(workspace)
        cut = [await self._cut(workspace, claim)] if workspace.spec.suspend else []
        if not claim.usable:
            found = (findings.judge_namespace(workspace, claim, (), ()), *cut, self._network(workspace, []))
            return await self._tell(workspace, Facts(findings=found), now, ())
        return await self._bring_about(workspace, claim, now)

    async def _cut(self, workspace: Workspace, claim: NamespaceClaim) -> Finding:
        """Tells the registry of a suspension before anything else, and whatever becomes of the namespace."""
        allowed = self._bases(workspace).allowed if claim.usable else workspace.spec.airtable.bases
        return await self._sync(workspace, allowed, self._verdict(workspace))

    async def _bring_about(self, workspace: Workspace, claim: NamespaceClaim, now: datetime) -> PassResult:
        asked = self._verify(workspace)
        desired = self._desired(workspace, claim)
        actions = self._actions(workspace, desired)
        outcome, issued = await self._apply(workspace, actions, now)
        if asked is not None:
            await self._await(asked, workspace.name)
        facts, unwritten = await self._facts(workspace, claim, desired, outcome, issued, now)
        self._reporter.did(workspace, claim, actions, outcome, issued)
        result = await self._tell(workspace, facts, now, actions, issued)
        failed = outcome.failed or issued.failed or bool(unwritten)
        return PassResult(failed="ApplyFailed") if failed else result

    async def _await(self, asked: asyncio.Task[None], name: str) -> None:
        _, late = await asyncio.wait([asked], timeout=PATIENCE)
        if late:
            asked.add_done_callback(lambda _: self._again(name))

    # -- observe and decide

    def _claim(self, workspace: Workspace) -> NamespaceClaim:
        key = ObjectKey("Namespace", "", workspace.namespace)
        reserved = (self._settings.operator_namespace, self._settings.credentials_namespace)
        return decide.claim_namespace(workspace, self._store.essence(key), status.inventory_keys(workspace), reserved)

    def _desired(self, workspace: Workspace, claim: NamespaceClaim) -> list[Manifest]:
        return [*tenant_objects(workspace, self._config, adopted=claim.adopted), *binding_objects(workspace)]

    def _actions(self, workspace: Workspace, desired: Sequence[Manifest]) -> list[Action]:
        observed = self._store.of_workspace(workspace.name)
        for manifest in desired:
            kept = self._store.essence(manifest.key)
            if kept is not None:
                observed[manifest.key] = kept
        return decide.plan(workspace, desired, observed, status.inventory_keys(workspace))

    def _verdict(self, workspace: Workspace) -> CredentialVerdict:
        verification = self._verifier.latest(workspace.name)
        namespace = self._settings.credentials_namespace
        opted_in, shared = self._opted_in(workspace), self._settings.shared_airtable_token
        return credentials.judge_credential(workspace, opted_in, verification, namespace, shared=shared)

    def _opted_in(self, workspace: Workspace) -> Mapping[str, credentials.CredentialSecret]:
        references = (workspace.spec.airtable.token_secret_ref, workspace.spec.llm.api_key_secret_ref)
        return self._secrets.some(reference.name for reference in references if reference is not None)

    def _verify(self, workspace: Workspace) -> asyncio.Task[None] | None:
        """Asks Airtable when that is due; the answer may come during this pass or bring another."""
        verdict = self._verdict(workspace)
        if not verdict.to_verify:
            self._verifier.forget(workspace.name)
            return None
        allowed = self._bases(workspace).allowed
        return self._verifier.ask(
            workspace,
            workspace.spec.airtable.token_secret_ref,
            verdict.to_verify,
            [base.base_id for base in allowed],
            known=_confirmed(workspace, verdict.to_verify),
        )

    def _bases(self, workspace: Workspace) -> bases.Bases:
        return bases.effective_bases(workspace, bindings.parse(self._store.bindings(workspace.namespace)).good)

    def _network(self, workspace: Workspace, desired: Sequence[Manifest]) -> Finding:
        policies = [item for item in desired if item.kind == "NetworkPolicy"]
        in_place = bool(policies) and all(
            (kept := self._store.essence(item.key)) is not None and not compare.differences(item, kept)
            for item in policies
        )
        return findings.judge_network(workspace, self._settings.network_policy_enforced, in_place=in_place)

    # -- apply

    async def _apply(self, workspace: Workspace, actions: Sequence[Action], now: datetime) -> tuple[Outcome, Issued]:
        """The namespace, then all in it with the access Secret at the same time."""
        first = [action for action in actions if action.key.kind == "Namespace"]
        rest = [action for action in actions if action.key.kind != "Namespace"]
        outcome = await self._applier.run(first)
        if outcome.failures or outcome.left:
            return outcome, Issued()
        others, issued = await both(self._applier.run(rest), self._keys.issue(workspace, now))
        others.written |= outcome.written
        return others, issued

    async def _facts(
        self,
        workspace: Workspace,
        claim: NamespaceClaim,
        desired: Sequence[Manifest],
        outcome: Outcome,
        issued: Issued,
        now: datetime,
    ) -> tuple[Facts, list[str]]:
        """Tells the platform and the bindings, and puts together what was found out; also the names of the
        BaseBindings whose status the API server did not take."""
        parsed = bindings.parse(self._store.bindings(workspace.namespace))
        allowed = bases.effective_bases(workspace, parsed.good)
        verification, verdict = self._verifier.latest(workspace.name), self._verdict(workspace)
        bound, count = bases.judge_bases(workspace, allowed, verification)
        synced, schemas = await both(
            self._sync(workspace, allowed.allowed, verdict),
            self._statuses.update(parsed, allowed, verdict, verification, now),
        )
        self._reporter.accepted(workspace, [name for name in schemas.accepted if name not in schemas.failed])
        facts = Facts(
            findings=(
                findings.judge_namespace(workspace, claim, outcome.left, outcome.failures),
                verdict.finding,
                *await self._key_finding(workspace, issued, now),
                bound,
                synced,
                self._network(workspace, desired),
                findings.judge_schema(schemas.drifts, schemas.unseen),
            ),
            credential=verdict,
            verification=verification,
            key=issued.record,
            bases=count,
            usage=self._usage(workspace, now),
            inventory=self._inventory(workspace, desired, outcome, issued, now),
        )
        return facts, schemas.failed

    async def _sync(self, workspace: Workspace, allowed: Sequence[Base], verdict: CredentialVerdict) -> Finding:
        opted_in = self._opted_in(workspace)
        model_key, _ = credentials.judge_model_key(workspace, opted_in, self._settings.credentials_namespace)
        return await self._registrar.tell(workspace, allowed, verdict.in_use, model_key)

    async def _key_finding(self, workspace: Workspace, issued: Issued, now: datetime) -> list[Finding]:
        if issued.fault is not None:
            return [issued.fault]
        if issued.record is None:
            return []
        keys = access_keys.declared(issued.record, now)
        fault = await self._registrar.declare(workspace, keys)
        if fault is not None:
            return [fault]
        until = access_keys.status_of(issued.record, now).get("previousExpiresAt", "")
        return [findings.key_issued(overlap_until=until)]

    def _usage(self, workspace: Workspace, now: datetime) -> Mapping[str, Any] | None:
        written = self._reporter.usage_written_at(workspace.name)
        return usage.coarse(self._verifier.usage(workspace.name), workspace.status.get("usage"), written, now)

    def _inventory(
        self, workspace: Workspace, desired: Sequence[Manifest], outcome: Outcome, issued: Issued, now: datetime
    ) -> list[dict[str, Any]]:
        before = status.inventory_keys(workspace)
        there = [(item.key, item.hash) for item in desired if self._is_ours(workspace, item.key, before)]
        written = set(outcome.written)
        if issued.record is not None:
            key = ObjectKey("Secret", workspace.namespace, ACCESS_SECRET)
            there.append((key, issued.record.sha256[:16]))
            if issued.told:
                written.add(key)
        return status.inventory(there, written, workspace.status.get("inventory") or (), now)

    def _is_ours(self, workspace: Workspace, key: ObjectKey, before: frozenset[ObjectKey]) -> bool:
        """Of a name that we want there may be an object of somebody else's, which was only looked at."""
        kept = self._store.essence(key)
        return kept is not None and (key in before or compare.read(kept).owner_uid == workspace.uid)

    # -- tell

    async def _tell(
        self, workspace: Workspace, facts: Facts, now: datetime, actions: Sequence[Action], issued: Issued | None = None
    ) -> PassResult:
        told = status.workspace_status(workspace, facts, now)
        if told != workspace.status:
            await self._writer.status(workspace.meta, told)
        self._reporter.tell(workspace.meta, workspace.status, told, now)
        next_in = self._next_in(workspace, facts, issued, now)
        return PassResult(next_in=next_in)

    def _next_in(self, workspace: Workspace, facts: Facts, issued: Issued | None, now: datetime) -> float | None:
        """When the next pass is due without anything happening."""
        times: list[float | None] = [conditions.retry_after(facts.findings), self._verifier.next_in(workspace.name)]
        if issued is not None and issued.next_at is not None:
            times.append(max(0.05, (issued.next_at - now).total_seconds()))
        return min((seconds for seconds in times if seconds is not None), default=None)

    # -- the other ways a pass can go

    async def _plan(self, workspace: Workspace, now: datetime) -> PassResult:
        """Shows what would be done, and does nothing."""
        claim = self._claim(workspace)
        actions = self._actions(workspace, self._desired(workspace, claim)) if claim.usable else []
        facts = Facts(plan=decide.plan_status(actions))
        if not claim.usable:
            facts = Facts(findings=(findings.judge_namespace(workspace, claim, (), ()),), plan=())
        result = await self._tell(workspace, facts, now, ())
        if claim.usable and facts.plan != workspace.status.get("plan"):
            self._reporter.planned(workspace, actions)
        return result

    async def _delete(self, workspace: Workspace, now: datetime) -> PassResult:
        if FINALIZER not in workspace.meta.finalizers:
            return PassResult()
        waits = await self._deletion.run(workspace, now)
        if waits:
            await self._tell(workspace, Facts(deleting=waits), now, ())
            return PassResult(next_in=10.0)
        await self._writer.let_go(workspace.meta)
        self._deletion.forget(workspace.uid)
        self._forget(workspace.name)
        return PassResult(gone=True)

    async def _invalid(self, document: Mapping[str, Any], error: str, now: datetime) -> PassResult:
        told = status.invalid_status(document, error, now)
        if told != document["status"]:
            await self._writer.status(parse_meta(document), told)
        self._reporter.tell(parse_meta(document), document["status"], told, now)
        return PassResult()

    def _forget(self, name: str) -> None:
        self._verifier.forget(name)
        self._registrar.again(name)
        self._reporter.forget(name)


def tenant_config(settings: Settings) -> TenantConfig:
    """What the objects of every tenant are made with."""
    return TenantConfig(
        platform_namespace=settings.operator_namespace,
        credentials_namespace=settings.credentials_namespace,
        rest_url=settings.public_rest_url,
        grpc_target=settings.public_grpc_target,
        mcp_url=settings.public_mcp_url,
        airtable_url=settings.public_airtable_url,
    )


def _bare_spec(document: Mapping[str, Any]) -> dict[str, Any]:
    """Of a Workspace whose spec cannot be read: what a deletion needs, if that much can be read."""
    spec = document.get("spec") or {}
    namespace = (spec.get("namespace") or {}).get("name") or ""
    policy = spec.get("deletionPolicy")
    return {"namespace": {"name": str(namespace)}, "deletionPolicy": policy if policy == "Delete" else "Retain"}


def _confirmed(workspace: Workspace, version: str) -> bool:
    """Whether the status says that this token and these bases were verified, not long ago."""
    credential = workspace.status.get("credential") or {}
    at = parse_time(credential.get("verifiedAt", ""))
    bound = any(
        item.get("type") == "BasesBound"
        and item.get("status") == "True"
        and item.get("observedGeneration") == workspace.meta.generation
        for item in workspace.status.get("conditions") or ()
    )
    return bound and at is not None and credential.get("hash") == version
