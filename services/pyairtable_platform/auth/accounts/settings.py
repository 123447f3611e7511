"""Settings of accounts: letters, passwords and how long decisions are kept."""

from __future__ import annotations

from datetime import timedelta
from email.utils import parseaddr

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings

from pyairtable_platform.common.settings import COMMON


class AccountSettings(BaseSettings):
    """What accounts can be told."""

    model_config = COMMON

    smtp_host: str = ""
    """The mail server that takes letters to people. Empty: they wait, and /health says so, since nobody can register
    without one."""

    smtp_port: int = Field(default=587, ge=1, le=65535)
    """Its port; on 465 the connection is encrypted from its start."""

    smtp_user: str = ""
    """User at the mail server; empty: it wants none."""

    smtp_password: SecretStr = SecretStr("")
    """Password of SMTP_USER."""

    smtp_starttls: bool = True
    """Refuse to send a letter over a connection that is not encrypted. False only for a mail server on this machine."""

    mail_from: str = "PyAirtable <no-reply@localhost>"
    """Sender of letters: an address, or a name and an address in angle brackets."""

    public_url: str = "http://127.0.0.1:8000"
    """Where people reach this installation: links in letters begin with it."""

    password_hashes_at_once: int = Field(default=4, ge=1, le=64)
    """How many passwords are hashed or compared at once; each takes 64 MiB of memory and about a fifth of a second."""

    password_hashes_waiting: int = Field(default=64, ge=0, le=10_000)
    """How many more may wait for their turn; others are refused with RATE_LIMITED and told to come back."""

    audit_retention_days: int = Field(default=365, ge=1, le=36_500)
    """How long decisions about credentials are kept."""

    @field_validator("mail_from")
    @classmethod
    def is_sender(cls, value: str) -> str:
        if "@" not in parseaddr(value)[1] or not value.isprintable():
            raise ValueError("must be an address, or a name and an address in angle brackets")
        return value

    @field_validator("public_url")
    @classmethod
    def is_url(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")) or any(letter.isspace() for letter in value):
            raise ValueError("must begin with http:// or https://")
        return value.rstrip("/")

    @property
    def audit_kept(self) -> timedelta:
        """How long decisions about credentials are kept."""
        return timedelta(days=self.audit_retention_days)
