"""What a credential allows: every kind of credential becomes a signed identity here, or is refused."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from pyairtable_platform.common import context
from pyairtable_platform.common.context import own_workspace
from pyairtable_platform.common.errors import Denied, InvalidInput, NotFound, Unauthenticated
from pyairtable_platform.common.identity import LOGIN_PREFIX, Identity, is_access_token, is_issued_here, unproved
from pyairtable_platform.common.registry import Workspace
from pyairtable_platform.common.roles import lesser

from . import keys
from .api_key_store import ApiKey
from .decisions import Authorization
from .memberships import Member, Person, Right, ServiceAccount, joined_at
from .records import AccessKey
from .signers import Signers
from .token_review import Reviewed, is_service_account

log = logging.getLogger(__name__)

K = TypeVar("K", AccessKey, ApiKey)

SERVICE_ACCOUNT = "service-account:"

NO_MEMBER = "the API key is not accepted: whose it is cannot use its workspace any more"
REMADE = "belongs to a workspace that was removed and made anew"


class AccessKeys(Protocol):
    """Access keys of workspaces by id."""

    async def find(self, key_id: str) -> AccessKey | None: ...

    async def used(self, key_id: str, minute: datetime) -> None: ...


class ApiKeys(Protocol):
    """API keys of people by id."""

    async def find(self, key_id: str) -> ApiKey | None: ...

    async def used(self, key_id: str, minute: datetime) -> None: ...


class People(Protocol):
    """People with active accounts."""

    async def of_login(self, login_id: str) -> Person | None: ...

    async def of_user(self, user_id: str) -> Person | None: ...


class Reviews(Protocol):
    """Who knows the tokens of ServiceAccounts."""

    async def review(self, token: str) -> Reviewed: ...

    async def still_there(self, account: ServiceAccount) -> bool: ...


class Rights(Protocol):
    """Who knows the workspaces and their members (Memberships)."""

    @property
    def revision(self) -> int: ...

    def resolve(self, name: str) -> Workspace: ...

    def right(self, member: Member, name: str) -> Right: ...

    def of(self, member: Member) -> list[Right]: ...

    def only_or(self, member: Member, preferred: str) -> Right: ...


class Preferences(Protocol):
    """Who knows what people prefer."""

    async def default_workspace(self, user_id: str) -> str: ...


class Audit(Protocol):
    """Keeps decisions."""

    def note(self, authorization: Authorization) -> None: ...


@dataclass(frozen=True)
class Authorized:
    """What a credential allows, until `expires_at` (seconds since 1970). No workspace: a person who is in none."""

    token: str
    principal: str
    workspace: str
    role: str
    expires_at: float
    ends: datetime | None = None
    """When the credential itself ends; None for one that does not, or that was not told."""


@dataclass
class Shown:
    """What was shown, and what is proved of it so far: for the audit, also of refusals."""

    kind: str = "unknown"
    session: str = ""
    user_id: str = ""
    workspace: str = ""


@dataclass(frozen=True)
class Sources:
    """Whom the decisions ask."""

    access_keys: AccessKeys
    api_keys: ApiKeys
    people: People
    rights: Rights
    preferences: Preferences
    audit: Audit
    reviews: Reviews | None = field(default=None)
    """None: there is no Kubernetes, and no ServiceAccount's token is taken."""


class Authorizing:
    """Decides on credentials."""

    def __init__(self, signers: Signers, sources: Sources) -> None:
        self._signers = signers
        self._ask = sources

    async def authorize(self, credential: str, workspace: str = "", *, enter: bool = False) -> Authorized:
        """What a credential allows now, as AuthService.Authorize says.

        Raises Unauthenticated for one that is not accepted, Denied for one that is for another workspace, InvalidInput
        for a person whose workspace cannot be told.
        """
        shown = Shown()
        try:
            found = await self._decided(shown, credential, workspace, enter)
        except (Unauthenticated, Denied, NotFound, InvalidInput) as refusal:
            self._note(shown, str(refusal.reason), shown.workspace or workspace)
            raise
        self._note(shown, "", found.workspace)
        return found

    async def _decided(self, shown: Shown, credential: str, workspace: str, enter: bool) -> Authorized:
        if credential.startswith(keys.PREFIX):
            shown.kind = "access key"
            return await self._of_access_key(
                shown, await key_of(credential, self._ask.access_keys.find, "access key"), workspace
            )
        if credential.startswith(keys.PERSONS_PREFIX):
            shown.kind = "API key"
            return await self._of_api_key(
                shown, await key_of(credential, self._ask.api_keys.find, "API key"), workspace
            )
        if is_access_token(credential):
            shown.kind = "access token"
            login = await self._signers.verify_login(credential)
            return await self._of_login(shown, login.login_id, login.user_id, workspace, enter, login.ends)
        if is_issued_here(credential):
            shown.kind = "identity token"
            return await self._renewed(shown, await self._signers.verify_for_renewal(credential), workspace, enter)
        if is_service_account(unproved(credential, "sub")):
            shown.kind = "ServiceAccount token"
            return await self._of_service_account(shown, credential, workspace)
        raise Unauthenticated("the credential is not accepted: it is of no kind that this installation knows")

    async def _renewed(self, shown: Shown, identity: Identity, workspace: str, enter: bool) -> Authorized:
        """A call goes on as long as its credential works, and a person enters a workspace; nobody changes theirs."""
        if identity.workspace:
            workspace = own_workspace(identity, workspace)
        kind, _, identifier = identity.session.partition(":")
        if kind == "access-key":
            return await self._of_access_key(shown, await self._ask.access_keys.find(identifier), workspace)
        if kind == "api-key":
            return await self._of_api_key(shown, await self._ask.api_keys.find(identifier), workspace)
        if kind == "login":
            return await self._of_login(shown, identifier, identity.user_id, workspace, enter, None)
        if kind == "service-account" and self._ask.reviews is not None:
            account = service_account_of(identity)
            if await self._ask.reviews.still_there(account):
                return await self._in_workspace(shown, account, identity.session, workspace, None)
        raise Unauthenticated("the identity token is not accepted: what it was made of is gone")

    async def _of_access_key(self, shown: Shown, key: AccessKey | None, workspace: str) -> Authorized:
        if key is None:
            raise Unauthenticated("the identity token is not accepted: its access key is gone")
        shown.session, shown.workspace = key.session, key.workspace
        if not key.works_at(datetime.now(UTC)):
            why = "was revoked" if key.revoked_at else "has expired"
            raise Unauthenticated(f"the access key {key.key_id} {why}: use another")
        require_own(key.workspace, workspace)
        found = self._ask.rights.resolve(key.workspace)
        if key.workspace_uid not in ("", found.source.uid):
            raise Unauthenticated(f"the access key {REMADE}")
        right = Right(found, key.role, self._ask.rights.revision)
        # It is its own principal.
        answer = await self._signed(key.session, key.session, right, key.expires_at)
        await note_use(self._ask.access_keys.used, key.key_id, key.last_used_at)
        return answer

    async def _of_api_key(self, shown: Shown, key: ApiKey | None, workspace: str) -> Authorized:
        if key is None:
            raise Unauthenticated("the identity token is not accepted: its API key is gone")
        shown.session, shown.user_id, shown.workspace = key.session, key.user_id, key.workspace
        if not key.works_at(datetime.now(UTC)):
            why = "was revoked" if key.revoked_at else "has expired"
            raise Unauthenticated(f"the API key {key.key_id} {why}: use another")
        require_own(key.workspace, workspace)
        person = await self._ask.people.of_user(key.user_id)
        if person is None:
            raise Unauthenticated(NO_MEMBER)
        right = self._right_of_key(person, key)
        answer = await self._signed(person.principal, key.session, right, key.expires_at)
        await note_use(self._ask.api_keys.used, key.key_id, key.last_used_at)
        return answer

    def _right_of_key(self, person: Person, key: ApiKey) -> Right:
        """At most the key's role and at most the person's own there."""
        own = next((each for each in self._ask.rights.of(person) if each.workspace.name == key.workspace), None)
        if own is None:
            raise Unauthenticated(NO_MEMBER)
        if key.workspace_uid not in ("", own.workspace.source.uid):
            raise Unauthenticated(f"the API key {REMADE}")
        if key.member_since not in (None, joined_at(person, own.workspace)):
            raise Unauthenticated("the API key is of a membership that has ended: make another")
        right = self._ask.rights.right(person, key.workspace)  # refuses a suspended one
        return Right(right.workspace, lesser(key.role, right.role), right.revision)

    async def _of_login(
        self, shown: Shown, login_id: str, user_id: str, workspace: str, enter: bool, ends: datetime | None
    ) -> Authorized:
        shown.session, shown.user_id = f"{LOGIN_PREFIX}{login_id}", user_id
        person = await self._ask.people.of_login(login_id)
        if person is None or person.user_id != user_id:
            raise Unauthenticated("the access token is not accepted: its login has ended, log in again")
        if workspace or enter:
            return await self._in_workspace(shown, person, shown.session, workspace, ends, is_admin=person.is_admin)
        return await self._signed(person.principal, shown.session, None, ends, is_admin=person.is_admin)

    async def _of_service_account(self, shown: Shown, token: str, workspace: str) -> Authorized:
        if self._ask.reviews is None:
            raise Unauthenticated("this installation takes no ServiceAccount tokens: it knows no Kubernetes API")
        found = await self._ask.reviews.review(token)
        session = f"{SERVICE_ACCOUNT}{found.account.uid}"
        return await self._in_workspace(shown, found.account, session, workspace, found.ends)

    async def _in_workspace(
        self,
        shown: Shown,
        member: Member,
        session: str,
        workspace: str,
        ends: datetime | None,
        *,
        is_admin: bool = False,
    ) -> Authorized:
        """A member in the workspace that was named, or in the one that is meant when none was."""
        shown.session = session
        if workspace:
            right = self._ask.rights.right(member, workspace)
        else:
            right = self._ask.rights.only_or(member, await self._preferred(member))
        return await self._signed(member.principal, session, right, ends, is_admin=is_admin)

    async def _preferred(self, member: Member) -> str:
        if isinstance(member, ServiceAccount) or len(self._ask.rights.of(member)) < 2:
            return ""
        return await self._ask.preferences.default_workspace(member.user_id)

    async def _signed(
        self, principal: str, session: str, right: Right | None, ends: datetime | None, *, is_admin: bool = False
    ) -> Authorized:
        workspace, role, revision = (right.workspace.name, right.role, right.revision) if right else ("", "", 0)
        signer = await self._signers.current()
        token, expires_at = signer.sign(
            principal=principal,
            workspace=workspace,
            role=role,
            ends=ends,
            session=session,
            revision=revision,
            is_admin=is_admin,
        )
        return Authorized(token, principal, workspace, role, expires_at, ends)

    def _note(self, shown: Shown, reason: str, workspace: str) -> None:
        address = context.current().address
        self._ask.audit.note(Authorization(shown.kind, reason, shown.session, shown.user_id, workspace, address))


async def note_use(used: Callable[[str, datetime], Awaitable[None]], key_id: str, last: datetime | None) -> None:
    """For people who look for keys that nobody uses: nobody is kept out because it cannot be written."""
    minute = datetime.now(UTC).replace(second=0, microsecond=0)
    if last is not None and last >= minute:
        return
    try:
        await used(key_id, minute)
    except Exception as error:  # a read-only PostgreSQL refuses writes (25006) and answers questions
        log.warning("the use of a key was not noted", extra={"key": key_id, "cause": str(error)})


async def key_of(text: str, find: Callable[[str], Awaitable[K | None]], name: str) -> K:
    """The key of this text."""
    key_id = keys.id_of(text)
    key = await find(key_id) if key_id else None
    if key is None or not hmac.compare_digest(key.sha256, keys.digest(text)):
        raise Unauthenticated(f"the {name} is not accepted: it is not one of this installation's")
    return key


def require_own(own: str, named: str) -> None:
    """Raise Denied when a key's caller names another workspace than the key's own."""
    own_workspace(Identity("", own, "", frozenset(), 0, ""), named)


def service_account_of(identity: Identity) -> ServiceAccount:
    """The ServiceAccount that an identity was made for."""
    namespace, _, name = identity.principal.removeprefix(SERVICE_ACCOUNT).partition(":")
    return ServiceAccount(namespace, name, identity.session.removeprefix(SERVICE_ACCOUNT))
