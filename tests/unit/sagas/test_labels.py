"""Names that sagas make of what people wrote."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, strategies

from pyairtable_platform.sagas.types.labels import dns_label


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Åsa.B", "asa-b"),
        ("  CRM -- (old) ", "crm-old"),
        ("Café 東京", "cafe"),
        ("東京", ""),
        ("", ""),
        ("a-very-long-name", "a-very-lo"),
        ("twelve---and", "twelve-an"),
        ("cut-here--------", "cut-here"),
    ],
)
def test_a_label_resembles_its_text(text: str, label: str) -> None:
    assert dns_label(text, 9) == label


@given(strategies.text(max_size=80))
def test_any_text_becomes_a_label_or_nothing(text: str) -> None:
    assert re.fullmatch(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?", dns_label(text, 63))
