"""Taking a workspace away, in order: keys revoked and the registry told, the access Secret, what grants rights, the
namespace by policy, and our finalizer last. Every step may be repeated after a crash.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from pyairtable_operator import compare, constants, decide
from pyairtable_operator.applying import Applier, all_of
from pyairtable_operator.decide import Action, Claim, NamespaceClaim
from pyairtable_operator.kube import Body, Kube
from pyairtable_operator.kube_errors import ConflictError, NotFoundError
from pyairtable_operator.manifests import ObjectKey
from pyairtable_operator.platform import PlatformError
from pyairtable_operator.reporting import Reporter
from pyairtable_operator.spec import Workspace
from pyairtable_operator.status import inventory_keys
from pyairtable_operator.store import Store
from pyairtable_operator.told import Registrar

log = logging.getLogger(__name__)

_STAYING = ("ResourceQuota", "LimitRange", "NetworkPolicy", "ServiceAccount")
"""Kinds that go on confining what runs in a namespace that is kept."""

_RIGHTS_ON_WORKSPACES = ("ClusterRole", "ClusterRoleBinding")


class Deletion:
    """Does what is left to do of a deletion."""

    def __init__(
        self, kube: Kube, store: Store, applier: Applier, registrar: Registrar, reporter: Reporter, grace: float
    ) -> None:
        """`grace`: seconds for which a platform that is away holds a deletion up."""
        self._kube = kube
        self._store = store
        self._applier = applier
        self._registrar = registrar
        self._reporter = reporter
        self._grace = timedelta(seconds=grace)
        self._off: set[str] = set()

    async def run(self, workspace: Workspace, now: datetime) -> str:
        """One go at it; returns what it waits for in words, empty when all is done."""
        waits = await self._platform(workspace, now)
        if waits:
            return waits
        key = ObjectKey("Namespace", "", workspace.namespace)
        kept = self._store.essence(key)
        made = inventory_keys(workspace)
        claim = decide.claim_namespace(workspace, kept, made)
        ours = claim.claim in (Claim.OURS, Claim.TERMINATING)
        remove = ours and not claim.adopted and workspace.spec.deletion_policy == "Delete"
        await self._objects(workspace, stay=not remove)
        if ours and kept is not None:
            return await self._namespace(workspace, key, kept, claim, remove=remove)
        if claim.claim is Claim.ABSENT and key in made and workspace.spec.deletion_policy == "Delete":
            self._reporter.namespace_deleted(workspace)
        return ""

    async def orphans(self, name: str) -> None:
        """Takes away rights on a Workspace that is not there: made by a pass that saw it still, or left when somebody
        took our finalizer off. The API server is asked first: it may be we who are behind.
        """
        rights = [key for key in self._store.of_workspace(name) if key.kind in _RIGHTS_ON_WORKSPACES]
        if not rights or not await self._kube.is_gone("Workspace", "", name):
            return
        for key in sorted(rights):
            kept = self._store.essence(key)
            if kept is not None:
                log.warning("%s grants rights on workspace %s, which is gone: deleting it", key, name)
                await self._applier.delete(key, compare.read(kept).uid)

    def forget(self, uid: str) -> None:
        """It is gone."""
        self._off.discard(uid)

    async def _platform(self, workspace: Workspace, now: datetime) -> str:
        if workspace.uid in self._off:
            return ""
        try:
            await self._registrar.remove(workspace)
        except PlatformError as error:
            if not self._may_go_on(workspace, now):
                return (
                    f"the platform has to take the access away and cannot be told: {error}. It is tried again; "
                    f"after {self._grace.total_seconds():.0f} s, or with the annotation "
                    f"{constants.FORCE_DELETE_ANNOTATION}=true, the deletion goes on without it"
                )
            log.warning("workspace %s is deleted without the platform knowing: %s", workspace.name, error)
            self._reporter.without_platform(workspace, error)
        self._off.add(workspace.uid)
        return ""

    def _may_go_on(self, workspace: Workspace, now: datetime) -> bool:
        since = workspace.meta.deleted_at or now
        return workspace.force_delete or now - since >= self._grace

    async def _objects(self, workspace: Workspace, *, stay: bool) -> None:
        """The access Secret first, then the rest; in a namespace that is kept, what confines stays without our mark."""
        actions = decide.deletions(workspace, self._store.of_workspace(workspace.name).values())
        secrets = [action for action in actions if action.key.kind == "Secret"]
        rest = [action for action in actions if action.key.kind != "Secret"]
        await all_of(self._applier.delete(action.key, action.uid) for action in secrets)
        if stay:
            staying = [action for action in rest if action.key.kind in _STAYING]
            await all_of(self._unmark(action) for action in staying)
            rest = [action for action in rest if action.key.kind not in _STAYING]
        else:
            rest = [action for action in rest if not action.key.namespace]  # the others go with the namespace
        await all_of(self._applier.delete(action.key, action.uid) for action in rest)

    async def _unmark(self, action: Action) -> None:
        try:
            await self._kube.merge(*action.key, _without_marks(action.uid))
        except (NotFoundError, ConflictError):
            log.info("%s is gone or another by now", action.key)
        self._store.gone(*action.key)

    async def _namespace(
        self, workspace: Workspace, key: ObjectKey, kept: bytes, claim: NamespaceClaim, *, remove: bool
    ) -> str:
        observed = compare.read(kept)
        if not remove:
            if claim.claim is Claim.OURS:
                patch = _without_marks(observed.uid, constants.ADOPTED_ANNOTATION, constants.ADOPT_ANNOTATION)
                self._store.changed("Namespace", await self._kube.merge(*key, patch))
                self._reporter.namespace_retained(workspace)
            return ""
        if not observed.terminating:
            await self._applier.delete(key, observed.uid)
        return (
            f"namespace {key.name} is being deleted. What holds it up is in its conditions: "
            f"kubectl get namespace {key.name} -o jsonpath='{{.status.conditions}}'"
        )


def _without_marks(uid: str, *annotations: str) -> Body:
    marks = (constants.WORKSPACE_LABEL, constants.MANAGED_BY_LABEL, constants.PART_OF_LABEL)
    return {
        "metadata": {
            "uid": uid,
            "labels": dict.fromkeys(marks),
            "annotations": dict.fromkeys((constants.OWNER_UID_ANNOTATION, *annotations)),
        }
    }
