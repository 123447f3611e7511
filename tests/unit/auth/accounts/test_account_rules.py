"""Addresses and names: which are taken, and which are the same."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyairtable_platform.auth.accounts import rules
from pyairtable_platform.common.errors import InvalidInput

TEXT = st.text(max_size=60)
LOCAL = st.from_regex(r"[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]{1,20}(\.[a-zA-Z0-9_-]{1,10}){0,2}", fullmatch=True)
LABEL = st.from_regex(r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,10}[a-zA-Z0-9])?", fullmatch=True).filter(
    lambda label: not label.lower().startswith("xn--")
)
DOMAIN = st.lists(LABEL, min_size=1, max_size=3).map(lambda labels: ".".join([*labels, "example"]))
EMAIL = st.builds("{}@{}".format, LOCAL, DOMAIN)


@given(TEXT)
def test_folding_is_final_and_knows_no_case(text: str) -> None:
    folded = rules.folded(text)
    assert rules.folded(folded) == folded
    assert rules.folded(text.casefold()) == folded
    assert rules.folded(unicodedata.normalize("NFD", text)) == folded


@given(EMAIL)
def test_addresses_are_kept_as_written_and_fold_to_one(email: str) -> None:
    assert rules.valid_email(f" {email} ") == email
    folded = rules.folded_email(email)
    assert folded == rules.folded_email(email.upper()) == rules.folded_email(email.lower())
    assert rules.folded_email(folded) == folded
    assert rules.folded_login(email.upper()) == folded
    assert rules.deliverable(email).isascii()


@given(TEXT | st.builds("{}@{}".format, TEXT, TEXT))
def test_whatever_is_taken_for_an_address_can_stand_in_a_header(text: str) -> None:
    try:
        email = rules.valid_email(text)
    except InvalidInput as error:
        assert [item.field for item in error.violations] == ["email"]
        return
    assert email.count("@") == 1
    assert not any(letter.isspace() or unicodedata.category(letter) == "Cc" for letter in email)
    folded = rules.folded_email(email)
    assert folded.isascii()
    assert rules.folded_email(folded) == folded


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ada@Acme.Example", "ada@acme.example"),
        ("ada@m\u00fcnchen.example", "ADA@XN--MNCHEN-3YA.example"),
        ("ada@mu\u0308nchen.example", "ada@M\u00dcNCHEN.example"),
        ("\uff41da@acme.example", "ada@acme.example"),
        ("ada@acme\u3002example", "ada@acme.example"),
    ],
)
def test_mailboxes_that_are_one(one: str, other: str) -> None:
    assert rules.folded_email(one) == rules.folded_email(other)


@pytest.mark.parametrize(
    "email",
    [
        "",
        "@",
        "ada",
        "ada@",
        "@acme.example",
        "ada@acme",
        "ada@@acme.example",
        "a b@acme.example",
        ".ada@acme.example",
        "ada.@acme.example",
        "a..b@acme.example",
        '"a b"@acme.example',
        "ada@[192.0.2.1]",
        "ada@192.0.2.1",
        "ada@-acme.example",
        "ada@acme-.example",
        "ada@acme..example",
        "ada@.example",
        "ada@acme.example.",
        "ada@stra\u00dfe.example",
        "ada@fa\u03c2.example",
        "ada@a\u200db.example",
        "\u0430da@acme.example",
        "ada\u0000@acme.example",
        "ada@acme.example\r\nBcc: eve@evil.example",
        "ada,eve@acme.example",
        "ada<eve@acme.example>",
        f"{'a' * 65}@acme.example",
        f"a@{'b' * 64}.example",
        f"a@{'.'.join(['b' * 60] * 5)}.example",
    ],
)
def test_what_is_no_address(email: str) -> None:
    with pytest.raises(InvalidInput):
        rules.valid_email(email)


@given(TEXT)
def test_a_name_that_is_taken_holds_nothing_odd_and_is_no_address(text: str) -> None:
    try:
        name = rules.valid_user_name(text)
    except InvalidInput as error:
        assert [item.field for item in error.violations] == ["user_name"]
        return
    assert rules.SHORTEST_NAME <= len(name) <= rules.LONGEST_NAME
    assert "@" not in name
    assert name.isprintable()
    assert rules.valid_user_name(name) == name
    assert rules.folded_login(name) == rules.folded(name)


@given(EMAIL)
def test_a_name_can_be_made_of_every_address(email: str) -> None:
    name = rules.user_name_from(email)
    assert rules.valid_user_name(name) == name
    other = rules.with_suffix(name, "x2y3z")
    assert rules.valid_user_name(other) == other


@pytest.mark.parametrize(
    "name",
    [
        "ada",
        "\u0410\u0434\u0430",
        "\u5c0f\u6797\u3055\u3093",
        "\u0928\u092e\u0938\u094d\u0924\u0947",
        "a.b-c_d",
        "007",
        "x" * 40,
    ],
)
def test_names_that_are_taken(name: str) -> None:
    assert rules.valid_user_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["ab", "x" * 41, "a b c", "-ada", ".ada", "_ada", "ada\u202e", "a\u200bda", "ada\n", "\ufdfa", "a/b", "\u0301ada"],
)
def test_names_that_are_not(name: str) -> None:
    if name.strip() == "ada":
        assert rules.valid_user_name(name) == "ada"
        return
    with pytest.raises(InvalidInput):
        rules.valid_user_name(name)


def test_display_names_are_one_line_that_shows_what_it_is() -> None:
    assert rules.valid_display_name("  Ada \t Lovelace\n") == "Ada Lovelace"
    assert rules.valid_display_name("") == ""
    for bad in ("Ada\x00", "Ada\u202eevil", "\x1b[31mAda", "A\u200bda"):
        with pytest.raises(InvalidInput):
            rules.valid_display_name(bad)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unknown", "unknown"),
    ],
)
def test_what_counts_as_one_address(address: str, network: str) -> None:
    assert rules.network_of(address) == network


@given(TEXT)
def test_whatever_is_typed_as_login_stands_for_something(text: str) -> None:
    assert "\0" not in rules.folded_login(text)
