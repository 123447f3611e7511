"""Accounts as the page's calls see them: answers to /api, so that logins end when a test wants them to."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from playwright.async_api import Page, Route

PASSWORD = "a password of this test"
EMAIL = "ada@acme.example"
LETTER_USED = (
    400,
    {"detail": "token: is not known, was used or has expired", "reason": "LETTER_TOKEN_INVALID", "errors": []},
)


@dataclass
class FakeAccounts:
    """One person's account, its logins and workspaces. Access tokens are `access-N`, refresh tokens `refresh-N`."""

    verified: bool = True
    expires_in: int = 900
    workspaces: list[str] = field(default_factory=lambda: ["ada"])
    bases: list[str] = field(default_factory=lambda: ["appAcmeRenovation"])
    """Of each workspace."""
    role: str = "owner"
    invited_to: list[str] = field(default_factory=list)
    tokens: int = 0
    used: list[str] = field(default_factory=list)
    """Refresh tokens as they were shown."""
    ended: bool = False
    calls: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    async def serve(self, page: Page) -> None:
        """Answer the calls of all pages of this page's context."""
        await page.context.route("**/api/**", self._answer)

    async def _answer(self, route: Route) -> None:
        request = route.request
        path = request.url.split("/api", 1)[1].partition("?")[0]
        body = json.loads(request.post_data or "{}")
        self.calls.append((request.method, path, body))
        public = getattr(self, f"post{path.replace('/', '_').replace('-', '_')}", None)
        if public is not None and request.method == "POST":
            status, answer = public(body)
        elif (shown := request.headers.get("authorization", "").removeprefix("Bearer ")) and self._counts(shown):
            status, answer = self._private(path, body)
        else:
            status, answer = 401, {"detail": f"not accepted: {shown or 'nothing was shown'}"}
        await route.fulfill(status=status, body=json.dumps(answer), content_type="application/json")

    def _counts(self, shown: str) -> bool:
        return shown.startswith("pya_good") or (not self.ended and shown == f"access-{self.tokens}")

    def _tokens(self) -> dict[str, Any]:
        self.tokens += 1
        return {
            "tokens": {
                "access_token": f"access-{self.tokens}",
                "refresh_token": f"refresh-{self.tokens}",
                "expires_in": self.expires_in,
                "login_id": "login-1",
            }
        }

    def post_auth_register(self, body: dict[str, Any]) -> tuple[int, Any]:
        if body["password"] == "password":
            detail = "is among the best known passwords: choose another"
            return 400, {"detail": f"password: {detail}", "errors": [{"field": "password", "detail": detail}]}
        self.verified = False
        return 200, {"message": "Look for our letter."}

    def post_auth_resend_verification(self, body: dict[str, Any]) -> tuple[int, Any]:
        return 200, {"message": "Another letter is on its way."}

    def post_auth_verify_email(self, body: dict[str, Any]) -> tuple[int, Any]:
        if body["token"] != "pyv_right":
            return LETTER_USED
        self.verified = True
        return 200, {"account": {"email": EMAIL}}

    def post_auth_login(self, body: dict[str, Any]) -> tuple[int, Any]:
        if not self.verified or body["login"] != EMAIL or body["password"] != PASSWORD:
            return 401, {"detail": "there is no account with this name and password that may log in"}
        self.ended = False
        return 200, self._tokens()

    def post_auth_refresh(self, body: dict[str, Any]) -> tuple[int, Any]:
        self.used.append(body["refresh_token"])
        if self.ended or body["refresh_token"] != f"refresh-{self.tokens}":
            return 401, {"detail": "this login has ended"}
        return 200, self._tokens()

    def post_auth_logout(self, body: dict[str, Any]) -> tuple[int, Any]:
        self.ended = True
        return 200, {}

    def post_auth_request_password_reset(self, body: dict[str, Any]) -> tuple[int, Any]:
        return 200, {"message": "If there is an account, a letter is on its way."}

    def post_auth_reset_password(self, body: dict[str, Any]) -> tuple[int, Any]:
        if body["token"] != "pyp_right":
            return LETTER_USED
        return 200, {"revoked_api_keys": 2 if body["revoke_api_keys"] else 0}

    def _private(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        shown = [
            {
                "name": name,
                "display_name": name.title(),
                "source": {"kind": "Api"},
                "members": [{"user_id": "user-ada", "role": self.role}],
                "bases": [{"name": "crm", "base_id": base} for base in self.bases],
            }
            for name in self.workspaces
        ]
        answers: dict[str, Any] = {
            "/health": {"status": "healthy", "environment": "production", "services": {}},
            "/auth/me": {"account": {"user_id": "user-ada", "email": EMAIL, "user_name": "ada"}},
            "/my/workspaces": {"workspaces": shown},
            "/workspaces": {"workspaces": shown[:1]},
            "/my/invitations": {
                "invitations": [
                    {"invitation_id": f"id-{name}", "workspace": name, "role": "editor"} for name in self.invited_to
                ]
            },
        }
        if path in ("/my/invitations/accept", "/my/invitations/decline"):
            return self._invitation(path, body)
        if path == "/workspaces/ada/bases":
            return self._connect(body["base_id"])
        return 200, answers.get(path, {})

    def _connect(self, base_id: str) -> tuple[int, Any]:
        if base_id != "appAcmeRenovation":
            return 404, {"detail": f'verify: Airtable does not show base "{base_id}" to this token', "status": 404}
        self.bases.append(base_id)
        return 200, {"base": {"name": "crm", "base_id": base_id}}

    def _invitation(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        name = (body.get("invitation_id") or body.get("token", "")).partition("-")[2]
        if name not in self.invited_to:
            return 404, {"detail": "there is no such invitation, or it was used"}
        self.invited_to.remove(name)
        if path.endswith("accept"):
            self.workspaces.append(name)
        return 200, {"workspace": name, "role": "editor"}
