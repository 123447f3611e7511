"""Whether a credential and bases really work, asked of Airtable before a workspace is put in force with them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pyairtable_platform.common.errors import DeadlineExceeded, Denied, NotFound, PyAirtableError, Reason
from pyairtable_platform.common.registry import LlmPolicy, SecretRef, Source, Workspace
from pyairtable_platform.common.workspace import CUSTOM_RESOURCE

from . import wire
from .answers import Refusal
from .calls import AirtableCalls, Errand
from .explain import Target, explain
from .fingerprints import base_fingerprint, table_fingerprint
from .service import Registry, errand_for

PARALLEL_BASES = 8
_MARGIN_SECONDS = 0.2
"""Kept from the caller's deadline, so that our answer still reaches it."""
_OF_THE_CREDENTIAL = frozenset({Reason.AIRTABLE_TOKEN_REJECTED, Reason.CREDENTIAL_MISSING, Reason.QUOTA_EXHAUSTED})
"""What is no fault of a single base."""
_SCHEMA_SCOPE = "the token needs the scope schema.bases:read to see bases and their schema: add it in Airtable"


@dataclass(frozen=True, slots=True)
class VerifiedTable:
    """A table, and what tells its schema from another."""

    id: str
    name: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class VerifiedBase:
    """A base as the token sees it; with a reason and a problem when it cannot be used."""

    base_id: str
    name: str = ""
    permission_level: str = ""
    tables: tuple[VerifiedTable, ...] = ()
    fingerprint: str = ""
    reason: Reason | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Verified:
    """What Airtable says of a credential."""

    user_id: str
    scopes: tuple[str, ...]
    bases: tuple[VerifiedBase, ...]


class Verifier:
    """Asks Airtable on behalf of a workspace that need not be in the registry, and whose budget is not asked."""

    def __init__(self, calls: AirtableCalls, registry: Registry) -> None:
        self._calls = calls
        self._registry = registry

    async def verify(self, workspace: str, credential: SecretRef, base_ids: Sequence[str]) -> Verified:
        """Whose the credential is, and each base in the order of `base_ids`.

        Raises typed errors for what concerns the credential or Airtable as a whole; what is wrong with a base is told
        of the base.
        """
        errand = candidate_errand(workspace, self._source(workspace), credential)
        try:
            user = await self._calls.make(wire.whoami(), errand)
        except Refusal as refusal:
            raise explained(refusal, Target()) from refusal
        bases = await self._bases(list(dict.fromkeys(base_ids)), errand) if base_ids else {}
        scopes = tuple(str(scope) for scope in user.get("scopes") or ())
        return Verified(str(user["id"]), scopes, tuple(bases[base_id] for base_id in base_ids))

    def _source(self, workspace: str) -> Source:
        """What declared the workspace of this name that is in force."""
        try:
            return self._registry.find(workspace).source
        except NotFound:
            return Source(CUSTOM_RESOURCE)  # no tenant's: its object is not in force yet

    async def _bases(self, base_ids: Sequence[str], errand: Errand) -> dict[str, VerifiedBase]:
        try:
            visible = await self._visible(errand)
        except Refusal as refusal:
            error = explain(refusal, Target()) or Denied(_SCHEMA_SCOPE)
            return {base_id: with_problem(VerifiedBase(base_id), error) for base_id in base_ids}
        limit = asyncio.Semaphore(PARALLEL_BASES)

        async def verified(base_id: str) -> VerifiedBase:
            async with limit:
                return await self._base(base_id, visible, errand)

        answers = await asyncio.gather(*map(verified, base_ids), return_exceptions=True)
        bases: dict[str, VerifiedBase] = {}
        for base_id, answer in zip(base_ids, answers, strict=True):
            if isinstance(answer, BaseException):
                raise answer
            bases[base_id] = answer
        return bases

    async def _visible(self, errand: Errand) -> dict[str, wire.Json]:
        """The bases that Airtable shows to the token, by id."""
        found: dict[str, wire.Json] = {}
        offset, offsets = "", {""}
        while True:
            answer = await self._calls.make(wire.list_bases(offset), errand)
            found.update({str(base["id"]): base for base in answer["bases"]})
            offset = answer.get("offset") or ""
            if offset in offsets:
                return found
            offsets.add(offset)

    async def _base(self, base_id: str, visible: Mapping[str, wire.Json], errand: Errand) -> VerifiedBase:
        if base_id not in visible:
            return with_problem(VerifiedBase(base_id), not_shown(base_id))
        listed = visible[base_id]
        base = VerifiedBase(base_id, str(listed.get("name", "")), str(listed.get("permissionLevel", "")))
        try:
            answer = await self._calls.make(wire.base_schema(base_id), errand)
        except Refusal as refusal:
            return with_problem(base, explained(refusal, Target(base_id)))
        except PyAirtableError as error:
            if error.reason in _OF_THE_CREDENTIAL or isinstance(error, DeadlineExceeded):
                raise
            return with_problem(base, error)
        return with_tables(base, answer["tables"])


def candidate_errand(workspace: str, source: Source, credential: SecretRef) -> Errand:
    """Calls that are counted for a workspace as it may become."""
    candidate = Workspace(workspace, workspace, 0, False, credential, 0, (), LlmPolicy(), source=source)
    return replace(errand_for(candidate, _MARGIN_SECONDS), bulk=True, is_candidate=True)


def with_tables(base: VerifiedBase, tables: Sequence[wire.Json]) -> VerifiedBase:
    """The base with its tables by name."""
    known = [VerifiedTable(str(table["id"]), str(table["name"]), table_fingerprint(table)) for table in tables]
    known.sort(key=lambda table: (table.name.lower(), table.id))
    fingerprint = base_fingerprint([(table.id, table.fingerprint) for table in known])
    return replace(base, tables=tuple(known), fingerprint=fingerprint)


def with_problem(base: VerifiedBase, error: PyAirtableError) -> VerifiedBase:
    """The base with why it cannot be used."""
    return replace(base, reason=error.reason, problem=error.message)


def explained(refusal: Refusal, target: Target) -> PyAirtableError:
    """The error for a refusal; one that may mean several things is taken for a missing scope: the base was listed."""
    return explain(refusal, target) or Denied(_SCHEMA_SCOPE)


def not_shown(base_id: str) -> NotFound:
    text = (
        f'Airtable does not show base "{base_id}" to this token: add the base to the token\'s access in Airtable, or '
        "correct the id"
    )
    return NotFound(text, reason=Reason.BASE_NOT_FOUND, base=base_id)
