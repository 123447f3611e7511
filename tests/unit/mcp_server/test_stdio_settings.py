"""`mcp-stdio` works as whoever holds the key it is given."""

from __future__ import annotations

import pytest

from pyairtable_platform.common.settings import load
from pyairtable_platform.mcp_server.settings import StdioSettings

KEYS = ("API_KEY", "PYAIRTABLE_API_KEY", "OPEN_ACCESS")


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ({"PYAIRTABLE_API_KEY": "pyu_mine"}, "pyu_mine"),
        ({"API_KEY": "of-the-installation"}, "of-the-installation"),
        ({"PYAIRTABLE_API_KEY": "pya_mine", "API_KEY": "of-the-installation"}, "pya_mine"),
        ({"OPEN_ACCESS": "true"}, None),
    ],
)
def test_the_key_of_a_person_or_workspace_comes_first(
    monkeypatch: pytest.MonkeyPatch, told: dict[str, str], shown: str | None
) -> None:
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert load(StdioSettings).shown_key() == shown


def test_without_any_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SystemExit):
        load(StdioSettings)
    assert "PYAIRTABLE_API_KEY" in capsys.readouterr().err
