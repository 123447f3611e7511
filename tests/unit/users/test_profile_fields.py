"""What the fields of a profile may hold, and in which form it is kept."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyairtable_platform.common.errors import InvalidInput
from pyairtable_platform.users import fields


@pytest.mark.parametrize(
    ("given_name", "kept"), [("  Ada   Lovelace ", "Ada Lovelace"), ("A\u030angstro\u0308m", "Ångström"), ("   ", "")]
)
def test_a_display_name_is_one_tidy_line(given_name: str, kept: str) -> None:
    assert fields.display_name(given_name) == kept


@pytest.mark.parametrize("name", ["Ada\x00", "Ada\u202eecalevoL", "Ada\x1b[31m"])
def test_a_display_name_holds_nothing_that_deceives(name: str) -> None:
    with pytest.raises(InvalidInput, match="display_name: holds the sign U"):
        fields.display_name(name)


def test_a_text_about_oneself_may_have_lines() -> None:
    assert fields.about("One\r\ntwo\n") == "One\ntwo"
    with pytest.raises(InvalidInput, match="about"):
        fields.about("bell\x07")


@pytest.mark.parametrize(
    "url",
    ["https://pictures.example/ada.png", "https://pictures.example:8443/a?size=64#x", "https://bücher.example/a", ""],
)
def test_an_avatar_is_an_https_address(url: str) -> None:
    assert fields.avatar_url(f" {url} ") == url


@pytest.mark.parametrize(
    "url",
    [
        "http://pictures.example/ada.png",
        "javascript:alert(1)",
        "data:image/png;base64,AAAA",
        "//pictures.example/a",
        "https:///a",
        "https://",
        "https://ada:word@pictures.example/a",
        "https://@pictures.example/a",
        "https://pictures.example:99999/a",
        "https://[::1/a",
        "https://pictures.example/a b",
        'https://pictures.example/"onload="x',
        "https://pictures.example\\@evil.example/a",
    ],
)
def test_an_avatar_is_nothing_else(url: str) -> None:
    with pytest.raises(InvalidInput, match="avatar_url"):
        fields.avatar_url(url)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Argentina/Buenos_Aires", "UTC", ""])
def test_a_time_zone_is_one_of_ianas(zone: str) -> None:
    assert fields.time_zone(zone) == zone


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", "/etc/localtime", "+01:00", "europe/berlin\x00"])
def test_a_time_zone_is_nothing_else(zone: str) -> None:
    with pytest.raises(InvalidInput, match="time_zone"):
        fields.time_zone(zone)


def test_a_time_zone_in_another_case_is_told_right() -> None:
    with pytest.raises(InvalidInput, match="write America/New_York"):
        fields.time_zone("america/new york")


@pytest.mark.parametrize(
    ("tag", "kept"),
    [
        ("EN", "en"),
        ("de-de", "de-DE"),
        ("zh-hant-tw", "zh-Hant-TW"),
        ("es-419", "es-419"),
        ("sl-ROZAJ-biske", "sl-rozaj-biske"),
        ("de-ch-1901", "de-CH-1901"),
        ("ar-u-nu-latn", "ar-u-nu-latn"),
        ("zh-cmn-Hans-CN", "zh-cmn-Hans-CN"),
        ("en-x-twain", "en-x-twain"),
        ("", ""),
    ],
)
def test_a_locale_is_kept_in_the_usual_case(tag: str, kept: str) -> None:
    assert fields.locale(tag) == kept


@pytest.mark.parametrize(
    "tag",
    [
        "e",
        "german_DE",
        "de_DE",
        "de-",
        "de--DE",
        "en-a",
        "de-1901-1901",
        "en-u-nu-latn-u-ca-buddhist",
        "x-private",
        "dé",
    ],
)
def test_a_locale_is_nothing_else(tag: str) -> None:
    with pytest.raises(InvalidInput, match="locale: must be a BCP 47"):
        fields.locale(tag)


@settings(max_examples=100)
@given(st.sampled_from(sorted(fields.PROFILE)), st.text(max_size=60))
def test_whatever_is_kept_is_kept_again_as_it_is(name: str, text: str) -> None:
    check = fields.PROFILE[name]
    try:
        kept = check(text)
    except InvalidInput as error:
        assert error.violations[0].field == name
    else:
        assert check(kept) == kept


@pytest.mark.parametrize("name", ["", "acme", "a", "acme-2"])
def test_a_default_workspace_is_a_name(name: str) -> None:
    assert fields.default_workspace(name) == name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("default_workspace", "Acme!"),
        ("default_workspace", "-a"),
        ("theme", 7),
        ("model", "gemini 3"),
        ("model", "../x"),
    ],
)
def test_preferences_refuse_what_can_never_be_right(name: str, value: object) -> None:
    with pytest.raises(InvalidInput, match=f"preferences.{name}"):
        fields.PREFERENCES[name](value)
