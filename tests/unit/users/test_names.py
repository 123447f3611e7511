"""How people are found and listed by their names."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyairtable_platform.common.errors import InvalidInput, Reason
from pyairtable_platform.users.names import LONGEST_SORT_NAME, fold, from_token, sort_name, to_token, words
from pyairtable_platform.users.records import Place


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ärzte", "arzte"),
        ("ŁUKASZ", "łukasz"),
        ("STRASSE", "Straße"),
        ("Ａｄａ", "ada"),
        ("İstanbul", "istanbul"),
        ("ﬁn", "FIN"),
    ],
)
def test_what_people_take_for_equal_is_equal(one: str, other: str) -> None:
    assert fold(one) == fold(other)


def test_words_are_parts_of_names_and_addresses() -> None:
    assert words("Ada.Lovelace+test@acme.example") == ["ada", "lovelace", "test", "acme", "example"]
    assert words("山田 太郎 Ольга") == ["山田", "太郎", "ольга"]
    assert words("!!! 🚀 _") == []


@settings(max_examples=200)
@given(st.text(max_size=300))
def test_folding_twice_changes_nothing_more(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert len(sort_name(text).encode()) <= LONGEST_SORT_NAME


@settings(max_examples=200)
@given(
    st.text(max_size=100), st.text(max_size=100), st.booleans(), st.text("0123456789abcdef", min_size=1, max_size=32)
)
def test_a_page_token_leads_back_to_its_place(name: str, search: str, with_deleted: bool, user_id: str) -> None:
    place = Place(sort_name(name), user_id)
    token = to_token(place, search, with_deleted)
    assert len(token) <= 256  # the contract's limit
    assert from_token(token, search, with_deleted) == place


@pytest.mark.parametrize("token", ["x", "====", "é", "AAAA", "Zm9v", "\ud800"])
def test_a_token_of_somebody_else_is_refused(token: str) -> None:
    with pytest.raises(InvalidInput, match="is not one of ours") as refusal:
        from_token(token, "", False)
    assert refusal.value.reason is Reason.PAGE_TOKEN_INVALID


def test_a_token_of_another_search_is_refused() -> None:
    token = to_token(Place("ada", "u1"), "ad", False)
    assert from_token(token, " AD ", False).user_id == "u1"  # the same search
    for search, with_deleted in (("b", False), ("ad", True)):
        with pytest.raises(InvalidInput, match="of another listing"):
            from_token(token, search, with_deleted)
