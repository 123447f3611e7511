"""MemberService: messages to plain values and back."""

from __future__ import annotations

from typing import Any

from pyairtable_platform.common import context
from pyairtable_platform.common.workspace import member_message
from pyairtable_protos.workspaces.v1 import member_service_pb2 as rpc

from .invitation_rows import Invitation
from .invitations import Invitations
from .rules import Actor, actor_of
from .service import Members

_STATES = {
    "pending": rpc.INVITATION_STATE_PENDING,
    "accepted": rpc.INVITATION_STATE_ACCEPTED,
    "declined": rpc.INVITATION_STATE_DECLINED,
    "revoked": rpc.INVITATION_STATE_REVOKED,
    "expired": rpc.INVITATION_STATE_EXPIRED,
}


def caller() -> Actor:
    """Who calls."""
    return actor_of(context.identity())


class MemberServicer:
    """Implements pyairtable.workspaces.v1.MemberService."""

    def __init__(self, members: Members, invitations: Invitations) -> None:
        self._members = members
        self._invitations = invitations

    async def ListMembers(self, request: rpc.ListMembersRequest, call: Any) -> rpc.ListMembersResponse:
        return rpc.ListMembersResponse(members=map(member_message, await self._members.of(request.workspace)))

    async def UpdateMember(self, request: rpc.UpdateMemberRequest, call: Any) -> rpc.UpdateMemberResponse:
        member = await self._members.change_role(request.workspace, request.user_id, request.role, caller())
        return rpc.UpdateMemberResponse(member=member_message(member))

    async def RemoveMember(self, request: rpc.RemoveMemberRequest, call: Any) -> rpc.RemoveMemberResponse:
        await self._members.remove(request.workspace, request.user_id, caller())
        return rpc.RemoveMemberResponse()

    async def LeaveWorkspace(self, request: rpc.LeaveWorkspaceRequest, call: Any) -> rpc.LeaveWorkspaceResponse:
        await self._members.leave(request.workspace_name, caller())
        return rpc.LeaveWorkspaceResponse()

    async def CreateInvitation(self, request: rpc.CreateInvitationRequest, call: Any) -> rpc.CreateInvitationResponse:
        made = await self._invitations.create(request.workspace, request.email, request.role, caller())
        return rpc.CreateInvitationResponse(invitation=invitation_message(made))

    async def ListInvitations(self, request: rpc.ListInvitationsRequest, call: Any) -> rpc.ListInvitationsResponse:
        found = await self._invitations.of_workspace(request.workspace, request.with_ended)
        return rpc.ListInvitationsResponse(invitations=map(invitation_message, found))

    async def RevokeInvitation(self, request: rpc.RevokeInvitationRequest, call: Any) -> rpc.RevokeInvitationResponse:
        ended = await self._invitations.revoke(request.workspace, request.invitation_id, caller())
        return rpc.RevokeInvitationResponse(invitation=invitation_message(ended))

    async def ListMyInvitations(
        self, request: rpc.ListMyInvitationsRequest, call: Any
    ) -> rpc.ListMyInvitationsResponse:
        found = await self._invitations.of_person(caller())
        return rpc.ListMyInvitationsResponse(invitations=map(invitation_message, found))

    async def AcceptInvitation(self, request: rpc.AcceptInvitationRequest, call: Any) -> rpc.AcceptInvitationResponse:
        workspace, role = await self._invitations.accept(request.token, request.invitation_id, caller())
        return rpc.AcceptInvitationResponse(workspace=workspace, role=role)

    async def DeclineInvitation(
        self, request: rpc.DeclineInvitationRequest, call: Any
    ) -> rpc.DeclineInvitationResponse:
        await self._invitations.decline(request.token, request.invitation_id, caller())
        return rpc.DeclineInvitationResponse()


def invitation_message(invitation: Invitation) -> rpc.Invitation:
    """An invitation as the contract's message."""
    message = rpc.Invitation(
        invitation_id=invitation.invitation_id,
        workspace=invitation.workspace,
        workspace_display_name=invitation.display_name,
        email=invitation.email,
        role=invitation.role,
        state=_STATES[invitation.state],
        invited_by=invitation.invited_by,
    )
    message.created_at.FromDatetime(invitation.created_at)
    message.expires_at.FromDatetime(invitation.expires_at)
    return message
