"""The rules of chats: who may start what, where, and what callers are told of it."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

import orjson

from pyairtable_platform.common import context
from pyairtable_platform.common.context import check_allowed
from pyairtable_platform.common.errors import Cancelled, DeadlineExceeded, InvalidInput
from pyairtable_platform.common.registry import Workspace
from pyairtable_platform.common.roles import Need

from .current_role import asker_of
from .entities import Message, NewRun, Run, RunEvent, RunState, Session, SessionCost, Whose
from .failures import error_of
from .follow import LogReader
from .spending import Spending
from .store.runs import RunStore
from .store.sessions import SessionStore, unknown_session
from .worker import Worker

_ANSWER_SECONDS = 0.5  # left of the caller's deadline to tell it where the run is


@dataclass(frozen=True)
class Ask:
    """A message of a user, as the caller sent it. `messages` are pairs of role and text."""

    workspace: str
    session_id: str
    message: str
    messages: Sequence[tuple[str, str]]
    base_id: str
    thinking_budget: int | None
    idempotency_key: str


class ChatService:
    """Chats of all workspaces. `resolve` finds a workspace by name; `check_model` raises when it has no key."""

    def __init__(
        self,
        *,
        resolve: Callable[[str], Workspace],
        check_model: Callable[[Workspace], Awaitable[object]],
        spending: Spending,
        runs: RunStore,
        sessions: SessionStore,
        reader: LogReader,
        worker: Worker,
        lease_seconds: float,
        defaults: Defaults,
    ) -> None:
        self._resolve = resolve
        self._check_model = check_model
        self._spending = spending
        self._runs = runs
        self._sessions = sessions
        self._reader = reader
        self._worker = worker
        self._lease_seconds = lease_seconds
        self._defaults = defaults

    async def start(self, ask: Ask) -> tuple[Whose, str]:
        """Accept a message; returns owner and id of its run, which goes on whether anybody waits or not."""
        workspace = self._resolve(ask.workspace)
        await self._check_model(workspace)
        await self._spending.require(workspace)
        new = self._new_run(ask, workspace)
        run_id, lease = await self._runs.start(new, owner=self._worker.owner(), lease_seconds=self._lease_seconds)
        if lease is not None and lease.owner:
            self._worker.take(lease)
        return new.whose, run_id

    async def chat(self, ask: Ask) -> Run:
        """Accept a message and wait for the answer. A run that fails is raised as the error it failed with."""
        whose, run_id = await self.start(ask)
        left = context.remaining_seconds()
        try:
            async with asyncio.timeout(None if left is None else max(0.1, left - _ANSWER_SECONDS)):
                async for _ in self._reader.follow(whose, run_id):
                    pass
        except TimeoutError as error:
            if isinstance(error, DeadlineExceeded):
                raise
            raise DeadlineExceeded(
                f"the answer takes longer than this call may; run {run_id} goes on: read it with WatchRun "
                f"(GET /runs/{run_id}/events)",
                run=run_id,
            ) from error
        return completed(await self._runs.get(whose, run_id))

    async def stream(self, ask: Ask) -> AsyncIterator[RunEvent]:
        """Accept a message and follow its run."""
        whose, run_id = await self.start(ask)
        async for event in self._reader.follow(whose, run_id):
            yield event

    async def watch(self, workspace: str, run_id: str, after: int) -> AsyncIterator[RunEvent]:
        """Follow a run from an event on."""
        whose = self._whose(workspace)
        run = await self._runs.get(whose, run_id)
        async for event in self._reader.follow(whose, run.id, after):
            yield event

    async def get_run(self, workspace: str, run_id: str) -> Run:
        """A run as it stands."""
        return await self._runs.get(self._whose(workspace), run_id)

    async def cancel_run(self, workspace: str, run_id: str) -> Run:
        """Ask for a run to be stopped, wherever its worker is. Raises Denied for who neither began it nor may write."""
        whose = self._whose(workspace)
        require_may_stop(await self._runs.principal_of(whose, run_id))
        await self._runs.request_cancel(whose, run_id)
        return await self._runs.get(whose, run_id)

    async def list_sessions(self, workspace: str, page_size: int, page_token: str) -> tuple[list[Session], str]:
        """A page of sessions, the last used first."""
        return await self._sessions.list_sessions(self._whose(workspace), page_size or 50, page_token)

    async def get_session(self, workspace: str, session_id: str) -> Session:
        """A session."""
        return await self._sessions.get_session(self._whose(workspace), known_id(session_id))

    async def list_messages(
        self, workspace: str, session_id: str, page_size: int, page_token: str
    ) -> tuple[list[Message], str]:
        """A page of messages, the oldest first."""
        whose = self._whose(workspace)
        return await self._sessions.list_messages(whose, known_id(session_id), page_size or 100, page_token)

    async def delete_session(self, workspace: str, session_id: str) -> None:
        """Delete a session; a run in progress stops."""
        await self._sessions.delete_session(self._whose(workspace), known_id(session_id))

    async def session_cost(self, workspace: str, session_id: str) -> SessionCost:
        """Tokens and cost of a session."""
        return await self._sessions.session_cost(self._whose(workspace), known_id(session_id))

    def _whose(self, workspace: str) -> Whose:
        return whose_chats(self._resolve(workspace))

    def _new_run(self, ask: Ask, workspace: Workspace) -> NewRun:
        message, seeds = conversation(ask)
        for field in ("session_id", "base_id", "idempotency_key"):
            without_nul(field, getattr(ask, field))
        asker = asker_of(principal(), role(), workspace)
        budget = self._defaults.thinking_budget if ask.thinking_budget is None else ask.thinking_budget
        return NewRun(
            whose=whose_chats(workspace),
            principal=asker.principal,
            role=asker.role,
            declaration=asker.declaration,
            session_id=ask.session_id or uuid.uuid4().hex,
            message=message,
            seeds=seeds,
            base_id=workspace.base(ask.base_id).base_id if ask.base_id else "",
            model=workspace.llm.model or self._defaults.model,
            thinking_budget=budget,
            idempotency_key=ask.idempotency_key,
            digest=digest(replace(ask, workspace=workspace.name)),
            request_id=context.request_id(),
            seconds=self._defaults.turn_seconds,
        )


@dataclass(frozen=True)
class Defaults:
    """What holds where neither request nor workspace say otherwise."""

    model: str
    thinking_budget: int | None
    turn_seconds: float


def whose_chats(workspace: Workspace) -> Whose:
    """The chats that the caller sees in a workspace: a person their own, by whatever credential; others the shared."""
    caller = context.identity()
    return Whose(workspace.tenant, caller.user_id if caller else "")


def require_may_stop(began: str) -> None:
    """Raise Denied unless the caller began the run, or may write in the workspace as who deletes sessions may."""
    if principal() != began:
        check_allowed(Need.WRITE)


def principal() -> str:
    """Who calls; empty for a peer that calls for nobody."""
    caller = context.identity()
    return caller.principal if caller else ""


def role() -> str:
    """The role of who calls, which the run may not exceed; empty for a peer that calls for nobody."""
    caller = context.identity()
    return context.current().role or (caller.role if caller else "")


def conversation(ask: Ask) -> tuple[str, list[tuple[str, str]]]:
    """The message and the conversation before it. Raises InvalidInput."""
    if ask.message and ask.messages:
        raise InvalidInput.at("messages", "give either message or messages, not both")
    if ask.messages:
        speaker, message = ask.messages[-1]
        if speaker != "user":
            raise InvalidInput.at("messages", 'the last one must be of the role "user"')
        seeds = list(ask.messages[:-1])
    else:
        message, seeds = ask.message, []
    if not message.strip():
        raise InvalidInput.at("message", "say something")
    for text in (message, *(text for _, text in seeds)):
        without_nul("message", text)
    return message, seeds


def without_nul(field: str, text: str) -> None:
    """Raise InvalidInput for text that PostgreSQL cannot hold."""
    if "\x00" in text:
        raise InvalidInput.at(field, "must not contain the character U+0000")


def known_id(session_id: str) -> str:
    """The id, unless it is one that no session can have."""
    if "\x00" in session_id:
        raise unknown_session(session_id.replace("\x00", "\\0"))
    return session_id


def digest(ask: Ask) -> str:
    """Tells requests apart that use the same idempotency key."""
    return hashlib.sha256(orjson.dumps(replace(ask, idempotency_key=""))).hexdigest()


def completed(run: Run) -> Run:
    """The run, if it has an answer; else raises why not."""
    if run.state is RunState.CANCELLED:
        raise Cancelled(f"run {run.id} was stopped", run=run.id)
    if run.failure is not None:
        raise error_of(run.failure.reason, run.failure.message, {**run.failure.metadata, "run": run.id})
    return run
