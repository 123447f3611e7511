"""AccountService and PersonDataService: messages to plain values and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from google.protobuf.message import Message

from pyairtable_platform.auth.memberships import Person, Right
from pyairtable_platform.common import context
from pyairtable_platform.common.errors import InvalidInput, Unauthenticated
from pyairtable_platform.common.identity import LOGIN_PREFIX
from pyairtable_platform.common.values import dict_to_struct, to_timestamp
from pyairtable_protos.auth.v1 import account_service_pb2 as rpc
from pyairtable_protos.common.v1 import person_data_pb2

from . import audit
from .administration import Administration, LetterWanted, Wishes
from .desk import Desk
from .password_changes import PasswordChanges
from .personal_data import PersonalData
from .records import Account, Login, State
from .registration import Registration
from .signing_in import SigningIn, Tokens

DEFAULT_PAGE_SIZE = 100

REGISTERED = "If this address can have an account, a letter is on its way to it: open what it says to go on."
LETTER_SENT = "If this address has an account that waits for it, a letter is on its way."

_STATES = {
    State.UNVERIFIED: rpc.ACCOUNT_STATE_UNVERIFIED,
    State.ACTIVE: rpc.ACCOUNT_STATE_ACTIVE,
    State.DISABLED: rpc.ACCOUNT_STATE_DISABLED,
}


@dataclass(frozen=True)
class Validated:
    """What a token says that counts now."""

    principal: str
    workspace: str
    role: str
    scope: Sequence[str]
    expires_at: datetime | None


class TokenChecks(Protocol):
    """Who knows which tokens count."""

    async def validate(self, token: str) -> Validated:
        """Raises Unauthenticated."""
        ...


class Memberships(Protocol):
    """Who knows the workspaces of people."""

    def of(self, member: Person) -> list[Right]: ...


class ApiKeyCalls(Protocol):
    """The RPCs of AccountService about API keys."""

    async def CreateApiKey(self, request: rpc.CreateApiKeyRequest, call: Any) -> rpc.CreateApiKeyResponse: ...

    async def ListApiKeys(self, request: rpc.ListApiKeysRequest, call: Any) -> rpc.ListApiKeysResponse: ...

    async def RevokeApiKey(self, request: rpc.RevokeApiKeyRequest, call: Any) -> rpc.RevokeApiKeyResponse: ...


class AccountServicer:
    """Implements pyairtable.auth.v1.AccountService."""

    def __init__(
        self, desk: Desk, memberships: Memberships, tokens: TokenChecks, api_keys: ApiKeyCalls, wishes: Wishes
    ) -> None:
        self._desk = desk
        self._registration = Registration(desk)
        self._signing_in = SigningIn(desk)
        self._passwords = PasswordChanges(desk)
        self._administration = Administration(desk, wishes)
        self._memberships = memberships
        self._tokens = tokens
        self.CreateApiKey = api_keys.CreateApiKey
        self.ListApiKeys = api_keys.ListApiKeys
        self.RevokeApiKey = api_keys.RevokeApiKey

    async def Register(self, request: rpc.RegisterRequest, call: Any) -> rpc.RegisterResponse:
        await self._registration.register(
            request.email, request.user_name, request.password, request.display_name, address()
        )
        return rpc.RegisterResponse(message=REGISTERED)

    async def VerifyEmail(self, request: rpc.VerifyEmailRequest, call: Any) -> rpc.VerifyEmailResponse:
        account = await self._registration.verify(request.token, address())
        return rpc.VerifyEmailResponse(account=self._account(account))

    async def ResendVerification(
        self, request: rpc.ResendVerificationRequest, call: Any
    ) -> rpc.ResendVerificationResponse:
        await self._registration.resend(request.email, address())
        return rpc.ResendVerificationResponse(message=LETTER_SENT)

    async def Login(self, request: rpc.LoginRequest, call: Any) -> rpc.LoginResponse:
        tokens = await self._signing_in.login(request.login, request.password, request.device, address())
        return rpc.LoginResponse(tokens=tokens_message(tokens))

    async def Refresh(self, request: rpc.RefreshRequest, call: Any) -> rpc.RefreshResponse:
        tokens = await self._signing_in.refresh(request.refresh_token, address())
        return rpc.RefreshResponse(tokens=tokens_message(tokens))

    async def Logout(self, request: rpc.LogoutRequest, call: Any) -> rpc.LogoutResponse:
        await self._signing_in.logout(request.refresh_token, address())
        return rpc.LogoutResponse()

    async def RequestPasswordReset(
        self, request: rpc.RequestPasswordResetRequest, call: Any
    ) -> rpc.RequestPasswordResetResponse:
        await self._passwords.request_reset(request.email, address())
        return rpc.RequestPasswordResetResponse(message=LETTER_SENT)

    async def ResetPassword(self, request: rpc.ResetPasswordRequest, call: Any) -> rpc.ResetPasswordResponse:
        revoke_keys = request.revoke_api_keys or not request.HasField("revoke_api_keys")
        ended = await self._passwords.reset(request.token, request.new_password, address(), revoke_api_keys=revoke_keys)
        return rpc.ResetPasswordResponse(ended=ended.logins, revoked_api_keys=ended.api_keys)

    async def ValidateToken(self, request: rpc.ValidateTokenRequest, call: Any) -> rpc.ValidateTokenResponse:
        found = await self._tokens.validate(request.token)
        return rpc.ValidateTokenResponse(
            principal=found.principal,
            workspace=found.workspace,
            role=found.role,
            scope=found.scope,
            expires_at=to_timestamp(found.expires_at) if found.expires_at else None,
        )

    async def GetMe(self, request: rpc.GetMeRequest, call: Any) -> rpc.GetMeResponse:
        user_id, _ = person()
        account = await self._administration.find(user_id)
        rights = self._memberships.of(Person(account.user_id, account.email_folded))
        memberships = [
            rpc.Membership(workspace=right.workspace.name, role=right.role, suspended=right.workspace.suspended)
            for right in rights
        ]
        return rpc.GetMeResponse(account=self._account(account), memberships=memberships)

    async def ListLogins(self, request: rpc.ListLoginsRequest, call: Any) -> rpc.ListLoginsResponse:
        user_id, login_id = person()
        logins = await self._signing_in.list(user_id)
        return rpc.ListLoginsResponse(logins=[login_message(login, login_id) for login in logins])

    async def EndLogin(self, request: rpc.EndLoginRequest, call: Any) -> rpc.EndLoginResponse:
        user_id, _ = person()
        await self._signing_in.end(user_id, request.login_id, address())
        return rpc.EndLoginResponse()

    async def LogoutEverywhere(self, request: rpc.LogoutEverywhereRequest, call: Any) -> rpc.LogoutEverywhereResponse:
        user_id, _ = person()
        ended = await self._signing_in.logout_everywhere(user_id, address(), revoke_api_keys=request.revoke_api_keys)
        return rpc.LogoutEverywhereResponse(ended=ended.logins, revoked_api_keys=ended.api_keys)

    async def ChangePassword(self, request: rpc.ChangePasswordRequest, call: Any) -> rpc.ChangePasswordResponse:
        user_id, login_id = person()
        ended = await self._passwords.change(
            user_id,
            login_id,
            request.current_password,
            request.new_password,
            address(),
            revoke_api_keys=request.revoke_api_keys,
        )
        return rpc.ChangePasswordResponse(ended=ended.logins, revoked_api_keys=ended.api_keys)

    async def ListMyAuditEvents(
        self, request: rpc.ListMyAuditEventsRequest, call: Any
    ) -> rpc.ListMyAuditEventsResponse:
        user_id, _ = person()
        size = request.page_size or DEFAULT_PAGE_SIZE
        events, token = await audit.page(self._desk.engine, user_id=user_id, size=size, token=request.page_token)
        return rpc.ListMyAuditEventsResponse(events=map(event_message, events), next_page_token=token)

    async def ListAuditEvents(self, request: rpc.ListAuditEventsRequest, call: Any) -> rpc.ListAuditEventsResponse:
        events, token = await audit.page(
            self._desk.engine,
            user_id=request.user_id,
            action=request.action,
            size=request.page_size or DEFAULT_PAGE_SIZE,
            token=request.page_token,
        )
        return rpc.ListAuditEventsResponse(events=map(event_message, events), next_page_token=token)

    async def LookupAccounts(self, request: rpc.LookupAccountsRequest, call: Any) -> rpc.LookupAccountsResponse:
        found = await self._administration.lookup(request.user_ids, request.emails)
        return rpc.LookupAccountsResponse(accounts=map(self._account, found))

    async def SetAccountState(self, request: rpc.SetAccountStateRequest, call: Any) -> rpc.SetAccountStateResponse:
        if request.state not in (rpc.ACCOUNT_STATE_ACTIVE, rpc.ACCOUNT_STATE_DISABLED):
            raise InvalidInput.at("state", "must be ACCOUNT_STATE_ACTIVE or ACCOUNT_STATE_DISABLED")
        is_enabled = request.state == rpc.ACCOUNT_STATE_ACTIVE
        account = await self._administration.set_state(
            request.user_id, is_enabled, request.idempotency_key, without_key(request)
        )
        return rpc.SetAccountStateResponse(account=self._account(account))

    async def SendLetter(self, request: rpc.SendLetterRequest, call: Any) -> rpc.SendLetterResponse:
        if bool(request.user_id) == bool(request.email):
            raise InvalidInput.at("user_id", "name either a user_id or an email")
        wanted = LetterWanted(request.template, dict(request.values), request.user_id, request.email, request.sent_by)
        await self._administration.send_letter(wanted, request.idempotency_key, without_key(request))
        return rpc.SendLetterResponse()

    def _account(self, account: Account) -> rpc.Account:
        return rpc.Account(
            user_id=account.user_id,
            email=account.email,
            user_name=account.user_name,
            display_name=account.display_name,
            state=_STATES[account.state],
            is_admin=self._administration.is_admin(account),
            created_at=to_timestamp(account.created_at),
            verified_at=to_timestamp(account.verified_at) if account.verified_at else None,
        )


class PersonDataServicer:
    """Implements pyairtable.common.v1.PersonDataService for what auth keeps."""

    def __init__(self, desk: Desk) -> None:
        self._data = PersonalData(desk)

    async def ExportPerson(
        self, request: person_data_pb2.ExportPersonRequest, call: Any
    ) -> person_data_pb2.ExportPersonResponse:
        return person_data_pb2.ExportPersonResponse(data=dict_to_struct(await self._data.export(request.user_id)))

    async def ErasePerson(
        self, request: person_data_pb2.ErasePersonRequest, call: Any
    ) -> person_data_pb2.ErasePersonResponse:
        if request.dry_run:
            erased = await self._data.would_erase(request.user_id)
        else:
            erased = await self._data.erase(request.user_id, request.idempotency_key, without_key(request))
        return person_data_pb2.ErasePersonResponse(erased=erased)


def address() -> str:
    """Where the call came from."""
    return context.current().address


def person() -> tuple[str, str]:
    """The id of the person who calls, and of their login."""
    identity = context.identity()
    if identity is None or not identity.is_person:
        raise Unauthenticated("log in: this is about your own account")
    return identity.user_id, identity.session.removeprefix(LOGIN_PREFIX)


def without_key(request: Any) -> bytes:
    """What was asked for, for the ledger."""
    asked: Message = type(request)()
    asked.CopyFrom(request)
    asked.ClearField("idempotency_key")
    return asked.SerializeToString(deterministic=True)


def tokens_message(tokens: Tokens) -> rpc.Tokens:
    return rpc.Tokens(
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token,
        token_type="Bearer",  # noqa: S106 - a kind, not a secret
        expires_in=tokens.expires_in,
        refresh_expires_at=to_timestamp(tokens.refresh_expires_at),
        login_id=tokens.login_id,
    )


def login_message(login: Login, current: str) -> rpc.Login:
    return rpc.Login(
        login_id=login.login_id,
        device=login.device,
        address=login.address,
        created_at=to_timestamp(login.created_at),
        used_at=to_timestamp(login.used_at),
        expires_at=to_timestamp(login.expires_at),
        is_current=login.login_id == current,
    )


def event_message(event: audit.Event) -> rpc.AuditEvent:
    return rpc.AuditEvent(
        event_id=str(event.event_id),
        occurred_at=to_timestamp(event.occurred_at),
        action=event.action,
        outcome=event.outcome,
        reason=event.reason,
        user_id=event.user_id,
        address=event.address,
        workspace=event.workspace,
        details=dict_to_struct(event.details),
    )
