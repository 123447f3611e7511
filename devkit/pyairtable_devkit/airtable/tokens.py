"""Tokens: whose they are, their scopes, and their role in each base (Airtable docs: scopes, permissions)."""

from dataclasses import dataclass, field

ROLES = ("none", "read", "comment", "edit", "create")
"""Permission levels, lowest first; each holds the ones before it."""

SCOPES = frozenset(
    {
        "data.records:read",
        "data.records:write",
        "data.recordComments:read",
        "data.recordComments:write",
        "schema.bases:read",
        "schema.bases:write",
        "webhook:manage",
        "user.email:read",
    }
)


@dataclass(frozen=True, slots=True)
class Token:
    """A personal access token. `roles` is by base id; `role` holds for every base it does not name."""

    secret: str
    label: str
    user_id: str
    scopes: frozenset[str]
    role: str = "none"
    roles: dict[str, str] = field(default_factory=dict)

    def role_in(self, base_id: str) -> str:
        """The permission level in this base, `none` when the base is not granted."""
        return self.roles.get(base_id, self.role)

    def may(self, base_id: str, role: str) -> bool:
        """Whether the role in this base is at least the given one."""
        return ROLES.index(self.role_in(base_id)) >= ROLES.index(role)


def bearer(header: str | None) -> str | None:
    """The secret in an Authorization header, None unless it is of the Bearer kind."""
    scheme, _, secret = (header or "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" and secret.strip() else None
