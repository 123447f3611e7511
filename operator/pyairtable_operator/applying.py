"""Carries out the steps of a plan: what goes, then what confines, then what grants; each group at the same time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar, cast

from pyairtable_operator.decide import Action, ActionKind
from pyairtable_operator.findings import ApplyFailure
from pyairtable_operator.kinds import MANAGED_KINDS
from pyairtable_operator.kube import Body, Kube
from pyairtable_operator.kube_errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidError,
    KubeError,
    NotFoundError,
    TemporaryKubeError,
)
from pyairtable_operator.manifests import Manifest, ObjectKey
from pyairtable_operator.store import Store

A = TypeVar("A")
B = TypeVar("B")

log = logging.getLogger(__name__)

_GRANTS = ("RoleBinding", "ClusterRoleBinding", "BaseBinding")
"""Kinds that come last: nobody gets rights before quota and policies stand."""

_CONFINING = ("ResourceQuota", "LimitRange", "NetworkPolicy")


@dataclass(slots=True)
class Outcome:
    """What came of a plan: `left` could not be done for now, `failures` were refused, `written` stand now."""

    left: list[Action] = field(default_factory=list)
    failures: list[ApplyFailure] = field(default_factory=list)
    written: set[ObjectKey] = field(default_factory=set)
    deleted: set[ObjectKey] = field(default_factory=set)

    @property
    def failed(self) -> bool:
        """Whether the same may succeed soon, with nothing changed."""
        return any(failure.temporary for failure in self.failures)


class Applier:
    """Writes objects, and puts what the server answers into the store, so that the next pass need not wait for it."""

    def __init__(self, kube: Kube, store: Store) -> None:
        """Keeps no state of its own."""
        self._kube = kube
        self._store = store

    async def run(self, actions: Sequence[Action]) -> Outcome:
        """Does all it can. TemporaryKubeError when the API server could not be asked; refusals and faults that it
        answers for an object stand in the outcome, and do not keep the others from being written."""
        outcome = Outcome(left=[item for item in actions if item.kind in (ActionKind.WAIT, ActionKind.CONFLICT)])
        await all_of(self.look(action.key) for action in outcome.left if action.key.kind in MANAGED_KINDS)
        todo = [item for item in actions if item.kind not in (ActionKind.WAIT, ActionKind.CONFLICT)]
        for group in _groups(todo):
            await all_of(self._do(action, outcome) for action in group if not _too_early(action, outcome))
            if any(failure.key.kind == "Namespace" for failure in outcome.failures):
                break
        return outcome

    async def apply(self, manifest: Manifest) -> Body:
        """Makes an object so. Edits are taken back; ConflictError when another applier declares a field."""
        body = dict(manifest.body)
        try:
            answer = await self._kube.apply(body)
        except ConflictError as error:
            if not error.edited:
                raise
            answer = await self._kube.apply(body, force=True)
        self._store.changed(manifest.kind, answer)
        return answer

    async def delete(self, key: ObjectKey, uid: str) -> None:
        """Deletes an object of this uid; one that is gone already is no error. The watch tells when it is gone."""
        try:
            await self._kube.delete(key.kind, key.namespace, key.name, uid)
        except NotFoundError:
            self._store.gone(key.kind, key.namespace, key.name)
        except ConflictError:
            log.info("%s has another uid by now: left alone", key)

    async def look(self, key: ObjectKey) -> None:
        """Reads an object that the watches do not tell about, since it carries no label of ours."""
        try:
            self._store.changed(key.kind, await self._kube.get(*key))
        except NotFoundError:
            self._store.gone(*key)

    async def _do(self, action: Action, outcome: Outcome) -> None:
        try:
            await self._step(action, outcome)
        except TemporaryKubeError as error:
            if not error.answered:
                raise
            outcome.failures.append(ApplyFailure(action.key, error.status, str(error)))
        except (InvalidError, AlreadyExistsError, ConflictError) as error:
            # Perhaps there is an object without our label: the next pass knows it.
            await self.look(action.key)
            outcome.failures.append(ApplyFailure(action.key, error.status, str(error)))
        except KubeError as error:
            outcome.failures.append(ApplyFailure(action.key, error.status, str(error)))

    async def _step(self, action: Action, outcome: Outcome) -> None:
        if action.kind in (ActionKind.DELETE, ActionKind.RECREATE):
            await self.delete(action.key, action.uid)
            outcome.deleted.add(action.key)
        if action.manifest is None:
            return
        if action.kind is ActionKind.RECREATE or (action.key.kind == "Namespace" and action.kind is ActionKind.CREATE):
            self._store.changed(action.key.kind, await self._kube.create(dict(action.manifest.body)))
        else:
            await self.apply(action.manifest)
        outcome.written.add(action.key)


def _too_early(action: Action, outcome: Outcome) -> bool:
    """Nobody is let in while what confines him could not be made; rights that stand are still corrected."""
    lets_in = action.kind is ActionKind.CREATE and action.key.kind == "RoleBinding"
    return lets_in and any(failure.temporary and failure.key.kind in _CONFINING for failure in outcome.failures)


def _groups(actions: Iterable[Action]) -> list[list[Action]]:
    groups: list[list[Action]] = [[], [], [], []]
    for action in actions:
        if action.kind is ActionKind.DELETE:
            groups[0].append(action)
        elif action.key.kind == "Namespace":
            groups[1].append(action)
        else:
            groups[3 if action.key.kind in _GRANTS else 2].append(action)
    return [group for group in groups if group]


async def both(one: Awaitable[A], other: Awaitable[B]) -> tuple[A, B]:
    """Runs the two at the same time, and to their end even when one fails: a pass that ended leaves no writer behind
    that would meet the next pass over the same workspace. Then raises the first failure."""
    first, second = await asyncio.gather(one, other, return_exceptions=True)
    for result in (first, second):
        if isinstance(result, BaseException):
            raise result
    return cast(tuple[A, B], (first, second))


async def all_of(steps: Iterable[Awaitable[None]]) -> None:
    """Runs them at the same time, and to their end even when one fails; then raises the first failure."""
    results = await asyncio.gather(*steps, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
