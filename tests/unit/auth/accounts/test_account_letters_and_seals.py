"""Letters as texts, what seals them, and refresh tokens that follow each other."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pyairtable_platform.auth.accounts import templates
from pyairtable_platform.auth.accounts.access_tokens import AUDIENCE, sign_access_token
from pyairtable_platform.auth.accounts.limits import LOGIN
from pyairtable_platform.auth.accounts.postman import message_id
from pyairtable_platform.auth.accounts.sealing import (
    Secrets,
    first_refresh_token,
    new_letter_token,
    new_salt,
    shown_refresh_token,
)
from pyairtable_platform.auth.accounts.settings import AccountSettings
from pyairtable_platform.auth.signing import Seal
from pyairtable_platform.common.errors import FailedPrecondition
from pyairtable_platform.common.identity import ISSUER

SECRETS = Secrets("plainly-not-a-real-secret-of-this-test")
ANYTHING = st.text(max_size=100)


@given(st.sampled_from(sorted(templates.TEMPLATES)), ANYTHING)
def test_a_letter_holds_its_values_as_single_lines(name: str, value: str) -> None:
    values = dict.fromkeys(templates.TEMPLATES[name].required, value)
    letter = templates.composed(name, values, "https://pyairtable.example/")
    assert "\n" not in letter.subject
    assert "\r" not in letter.subject
    assert templates.one_line(value) in letter.body
    lines = letter.body.replace(templates.one_line(value) or "\0", "")
    assert lines.count("\n") == templates.TEMPLATES[name].body.count("\n") + 3
    assert letter.body.endswith("PyAirtable at https://pyairtable.example\n")


def test_a_letter_tells_what_it_lacks() -> None:
    assert templates.missing_values(templates.WELCOME, {"workspace": "acme"}) == ["display_name", "user_name"]


@given(st.dictionaries(ANYTHING, ANYTHING, max_size=4), ANYTHING)
def test_a_sealed_letter_opens_with_its_key_only(letter: dict[str, str], key: str) -> None:
    sealed = SECRETS.seal(key, letter)
    assert SECRETS.open(key, sealed) == letter
    with pytest.raises(FailedPrecondition):
        SECRETS.open(f"{key}x", sealed)
    with pytest.raises(FailedPrecondition):
        Secrets("another secret").open(key, sealed)
    assert sealed != SECRETS.seal(key, letter)


def test_a_refresh_token_has_one_successor_for_each_salt() -> None:
    first, salt = first_refresh_token(), new_salt()
    second = SECRETS.successor(first, salt)
    assert second == SECRETS.successor(first, salt)
    assert second != SECRETS.successor(first, new_salt())
    assert second != Secrets("another secret").successor(first, salt)
    assert second.login_id == first.login_id
    assert shown_refresh_token(second.text) == second
    assert second.text not in repr(second)
    assert len(second.text) == len(first.text) == len("pyr_") + 16 + 1 + 43


@given(ANYTHING | st.text("pyr_abc", max_size=12))
def test_whatever_is_shown_as_refresh_token_is_read_or_not(text: str) -> None:
    shown = shown_refresh_token(text)
    assert shown is None or (shown.text == text and shown.login_id.isalnum())


def test_tokens_of_letters_are_random() -> None:
    tokens = {new_letter_token("pyv_") for _ in range(100)}
    assert len(tokens) == 100
    assert {len(token) for token in tokens} == {4 + 43}


def test_an_access_token_is_the_same_for_the_same_rotation() -> None:
    seal = Seal("a secret of this test")
    signer = seal.open(seal.new())
    issued_at = datetime.now(UTC)
    tokens = {sign_access_token(signer, user_id="u", login_id="l", issued_at=issued_at, jti="j") for _ in range(3)}
    assert len(tokens) == 1
    claims = jwt.decode(
        tokens.pop(), signer.private_key.public_key(), algorithms=["EdDSA"], audience=AUDIENCE, issuer=ISSUER
    )
    assert claims["exp"] - time.time() <= timedelta(minutes=15).total_seconds()
    assert (claims["sub"], claims["sid"], claims["jti"]) == ("user:u", "login:l", "j")


def test_message_ids_follow_the_key_and_hide_it() -> None:
    one = message_id("saga-1:welcome", "PyAirtable <no-reply@pyairtable.example>")
    assert one == message_id("saga-1:welcome", "PyAirtable <no-reply@pyairtable.example>")
    assert one != message_id("saga-2:welcome", "PyAirtable <no-reply@pyairtable.example>")
    assert one.endswith("@pyairtable.example>")
    assert "saga" not in one


def test_who_is_counted_is_not_written_down() -> None:
    bucket = LOGIN.of("ada@acme.example")
    assert bucket == LOGIN.of("ada@acme.example")
    assert LOGIN.of("a", "b") != LOGIN.of("ab")
    assert "ada" not in str(bucket.values())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mail_from", "nobody"),
        ("mail_from", "a@b.example\nBcc: c@d.example"),
        ("public_url", "pyairtable.example"),
        ("public_url", "https://a b"),
        ("password_hashes_at_once", 0),
        ("audit_retention_days", 0),
    ],
)
def test_wrong_settings_are_refused(name: str, value: object) -> None:
    with pytest.raises(ValidationError):
        AccountSettings.model_validate({name: value})


def test_settings_hide_the_password_of_the_mail_server() -> None:
    settings = AccountSettings.model_validate({"smtp_password": "plainly-not-real", "public_url": "https://x.example/"})
    assert "plainly-not-real" not in repr(settings)
    assert settings.public_url == "https://x.example"
