"""UserService: messages to plain values and back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pyairtable_platform.common import context
from pyairtable_platform.common.errors import InvalidInput, Unauthenticated
from pyairtable_platform.common.values import dict_to_struct, to_timestamp
from pyairtable_protos.users.v1 import user_service_pb2 as rpc

from . import fields
from .masks import named_fields, set_fields
from .peers import KeepersOfData
from .records import Preferences, Profile
from .service import UserService

DEFAULT_PAGE_SIZE = 100
OWN_PART = "users"
"""This service in an export."""


class UserServicer:
    """Implements pyairtable.users.v1.UserService."""

    def __init__(self, service: UserService, keepers: KeepersOfData) -> None:
        self._service = service
        self._keepers = keepers

    async def GetMyProfile(self, request: rpc.GetMyProfileRequest, call: Any) -> rpc.GetMyProfileResponse:
        profile = await self._service.get(caller())
        return rpc.GetMyProfileResponse(user=to_user(profile), preferences=to_preferences(profile.preferences))

    async def UpdateMyProfile(self, request: rpc.UpdateMyProfileRequest, call: Any) -> rpc.UpdateMyProfileResponse:
        paths = request.update_mask.paths
        names = named_fields(paths, fields.PROFILE) if paths else set_fields(request, fields.PROFILE)
        profile = await self._service.update(caller(), {name: getattr(request, name) for name in names})
        return rpc.UpdateMyProfileResponse(user=to_user(profile))

    async def UpdateMyPreferences(
        self, request: rpc.UpdateMyPreferencesRequest, call: Any
    ) -> rpc.UpdateMyPreferencesResponse:
        paths = request.update_mask.paths
        names = named_fields(paths, fields.PREFERENCES) if paths else list(fields.PREFERENCES)
        changes = {name: getattr(request.preferences, name) for name in names}
        liked = await self._service.update_preferences(caller(), changes)
        return rpc.UpdateMyPreferencesResponse(preferences=to_preferences(liked))

    async def DeleteMe(self, request: rpc.DeleteMeRequest, call: Any) -> rpc.DeleteMeResponse:
        return rpc.DeleteMeResponse(user=to_user(await self._service.delete(caller())))

    async def ExportMyData(self, request: rpc.ExportMyDataRequest, call: Any) -> rpc.ExportMyDataResponse:
        user_id = caller()
        data = await self._keepers.export(user_id)
        return rpc.ExportMyDataResponse(data=dict_to_struct({OWN_PART: await self._service.export(user_id), **data}))

    async def EraseMe(self, request: rpc.EraseMeRequest, call: Any) -> rpc.EraseMeResponse:
        user_id = caller()
        saga_id = await self._service.erase_me(user_id, request.confirm_email, f"user:{user_id}", context.request_id())
        return rpc.EraseMeResponse(saga_id=saga_id)

    async def ListUsers(self, request: rpc.ListUsersRequest, call: Any) -> rpc.ListUsersResponse:
        size = request.page_size or DEFAULT_PAGE_SIZE
        page, token = await self._service.page(request.search, request.with_deleted, size, request.page_token)
        return rpc.ListUsersResponse(users=map(to_user, page), next_page_token=token)

    async def GetUser(self, request: rpc.GetUserRequest, call: Any) -> rpc.GetUserResponse:
        return rpc.GetUserResponse(user=to_user(await self._service.get(request.user_id)))

    async def DeleteUser(self, request: rpc.DeleteUserRequest, call: Any) -> rpc.DeleteUserResponse:
        return rpc.DeleteUserResponse(user=to_user(await self._service.delete(request.user_id)))

    async def RestoreUser(self, request: rpc.RestoreUserRequest, call: Any) -> rpc.RestoreUserResponse:
        return rpc.RestoreUserResponse(user=to_user(await self._service.restore(request.user_id)))

    async def EraseUser(self, request: rpc.EraseUserRequest, call: Any) -> rpc.EraseUserResponse:
        administrator = context.identity()
        principal = administrator.principal if administrator else ""
        saga_id = await self._service.erase(request.user_id, principal, context.request_id())
        return rpc.EraseUserResponse(saga_id=saga_id)

    async def CreateProfile(self, request: rpc.CreateProfileRequest, call: Any) -> rpc.CreateProfileResponse:
        for name in ("user_id", "email", "user_name"):
            if not getattr(request.user, name):
                raise InvalidInput.at(f"user.{name}", "must not be empty")
        user = request.user
        new = Profile(user.user_id, user.email, user.user_name, user.display_name, datetime.now(UTC))
        asked = rpc.CreateProfileRequest(user=user).SerializeToString(deterministic=True)
        profile, created = await self._service.create(new, request.idempotency_key, asked)
        return rpc.CreateProfileResponse(user=to_user(profile), created=created)

    async def UndoCreateProfile(
        self, request: rpc.UndoCreateProfileRequest, call: Any
    ) -> rpc.UndoCreateProfileResponse:
        undone = await self._service.undo_create(request.user_id, request.undoes)
        return rpc.UndoCreateProfileResponse(undone=undone)

    async def LookupUsers(self, request: rpc.LookupUsersRequest, call: Any) -> rpc.LookupUsersResponse:
        found = await self._service.lookup(request.user_ids)
        return rpc.LookupUsersResponse(
            users=map(to_user, found),
            preferences={profile.user_id: to_preferences(profile.preferences) for profile in found},
        )


def caller() -> str:
    """The id of the person who calls."""
    identity = context.identity()
    if identity is None or not identity.user_id:
        raise Unauthenticated("this call is for a person who is signed in: show an access token (POST /auth/login)")
    return identity.user_id


def to_user(profile: Profile) -> rpc.User:
    """A person as callers see it."""
    texts = ("user_id", "email", "user_name", "display_name", "avatar_url", "about", "time_zone", "locale")
    user = rpc.User(**{name: getattr(profile, name) for name in texts}, created_at=to_timestamp(profile.created_at))
    if profile.deleted_at is not None:
        user.deleted_at.CopyFrom(to_timestamp(profile.deleted_at))
    return user


def to_preferences(liked: Preferences) -> rpc.Preferences:
    """Preferences as callers see them."""
    return rpc.Preferences(**{name: getattr(liked, name) for name in fields.PREFERENCES})
