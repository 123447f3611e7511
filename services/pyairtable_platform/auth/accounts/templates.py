"""The letters as texts. Plain text: nothing in it is loaded, counted or can pretend. Pure."""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

VERIFY = "verify"
ALREADY_REGISTERED = "already-registered"
RESET = "reset"
PASSWORD_CHANGED = "password-changed"  # noqa: S105 - a letter, not a secret
WELCOME = "welcome"
INVITATION = "invitation"

LONGEST_VALUE = 2000


@dataclass(frozen=True)
class Letter:
    """What a letter says."""

    subject: str
    body: str


@dataclass(frozen=True)
class Template:
    """A letter with $names in the place of values."""

    subject: str
    body: str
    required: tuple[str, ...]


KEYS_REVOKED = "Your API keys were revoked: make new ones for the programs that need them."
KEYS_KEPT = "Your API keys go on working."

_END = "\n\nPyAirtable at $public_url\n"

TEMPLATES: Mapping[str, Template] = {
    VERIFY: Template(
        "Confirm your address for PyAirtable",
        """Hello $display_name,

somebody, hopefully you, registered this address with PyAirtable as "$user_name". To confirm it, open

$public_url/verify-email#token=$token

or give the token to whatever asked for it:

$token

It counts once, for a day. If you did not register, do nothing: without it the account cannot be used.""",
        ("display_name", "user_name", "token"),
    ),
    ALREADY_REGISTERED: Template(
        "You have an account with PyAirtable",
        """Hello $display_name,

somebody, maybe you, tried to register this address with PyAirtable. It has an account already, as "$user_name", and
nothing was changed. If you have forgotten the password, ask for another at

$public_url/reset-password""",
        ("display_name", "user_name"),
    ),
    RESET: Template(
        "Set a new password for PyAirtable",
        """Hello $display_name,

somebody, hopefully you, asked for a new password for your account "$user_name". To set one, open

$public_url/reset-password#token=$token

or give the token to whatever asked for it:

$token

It counts once, for an hour, and ends all logins; your API keys end too, unless you say that you want to keep them. If
you did not ask, do nothing: your password stays as it is.""",
        ("display_name", "user_name", "token"),
    ),
    PASSWORD_CHANGED: Template(
        "Your password for PyAirtable was changed",
        """Hello $display_name,

the password of your account "$user_name" was changed, and other logins were ended. $keys If that was not you, set
another password at once:

$public_url/reset-password""",
        ("display_name", "user_name", "keys"),
    ),
    WELCOME: Template(
        "Welcome to PyAirtable",
        """Hello $display_name,

your account "$user_name" is ready, and so is your workspace "$workspace":

$public_url""",
        ("display_name", "user_name", "workspace"),
    ),
    INVITATION: Template(
        'You are invited to the workspace "$display_name" of PyAirtable',
        """Hello,

$invited_by invites you to the workspace "$display_name" ($workspace) as $role. To accept or decline, log in or register
with this address and open

$public_url/invitations#token=$token

or give the token to whatever asked for it:

$token

If you do not know who that is, do nothing.""",
        ("workspace", "display_name", "role", "invited_by", "token"),
    ),
}


def composed(name: str, values: Mapping[str, str], public_url: str) -> Letter:
    """A letter with its values. Each value becomes one line without control characters: none can write more than it."""
    template = TEMPLATES[name]
    texts = {key: one_line(value) for key, value in values.items()} | {"public_url": public_url.rstrip("/")}
    subject = string.Template(template.subject).substitute(texts)
    body = string.Template(template.body + _END).substitute(texts)
    return Letter(subject[:200], body)


def missing_values(name: str, values: Mapping[str, str]) -> list[str]:
    """What a letter needs and does not get."""
    return [key for key in TEMPLATES[name].required if not values.get(key)]


def one_line(value: str) -> str:
    """A value as it may stand in a letter."""
    shown = "".join(" " if unicodedata.category(letter) in ("Cc", "Zl", "Zp") else letter for letter in value)
    return " ".join(shown.split())[:LONGEST_VALUE]
