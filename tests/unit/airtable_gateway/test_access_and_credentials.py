"""What a workspace may do where, with which token, and how much of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pyairtable_platform.airtable_gateway.access import (
    Need,
    Where,
    allowed_tables,
    base_for,
    may_create_bases,
    require_allowed,
)
from pyairtable_platform.airtable_gateway.credentials import WHAT, Credentials
from pyairtable_platform.airtable_gateway.usage import Counted, Usage
from pyairtable_platform.common.errors import Denied, FailedPrecondition, NotFound, QuotaExhausted, Reason, Unavailable
from pyairtable_platform.common.registry import BaseBinding, LlmPolicy, SecretRef, Source, Workspace
from pyairtable_platform.common.secret_sources import FileSecrets
from pyairtable_platform.common.secrets import Secrets

TABLES = [{"id": "tblOne", "name": "One"}, {"id": "tblTwo", "name": "Two"}]


def workspace(access: str = "ReadWrite", *, budget: int = 0, tables: tuple[str, ...] = ()) -> Workspace:
    binding = BaseBinding("crm", "appOne", access, True, tables)
    return Workspace("acme", "Acme", 1, False, SecretRef("acme-airtable", "token"), budget, (binding,), LlmPolicy())


@pytest.mark.parametrize(
    ("access", "granted"),
    [("ReadOnly", {Need.READ}), ("ReadWrite", {Need.READ, Need.WRITE}), ("Schema", set(Need))],
)
def test_a_binding_grants_what_it_says(access: str, granted: set[Need]) -> None:
    for need in Need:
        if need in granted:
            assert base_for(workspace(access), "", need).base_id == "appOne"
        else:
            with pytest.raises(Denied) as caught:
                base_for(workspace(access), "crm", need)
            expected = Reason.BASE_READ_ONLY if access == "ReadOnly" else Reason.DENIED
            assert caught.value.reason is expected


def test_bases_are_created_with_schema_access_only() -> None:
    may_create_bases(workspace("Schema"))
    with pytest.raises(Denied):
        may_create_bases(workspace("ReadWrite"))


@pytest.mark.parametrize("allowed", [("One",), ("tblOne",)])
def test_allowed_tables_are_known_by_id_and_name(allowed: tuple[str, ...]) -> None:
    where = Where(workspace(tables=allowed), workspace(tables=allowed).bases[0])
    assert allowed_tables(where.binding, TABLES) == TABLES[:1]
    for table in ("One", "tblOne"):
        require_allowed(replace(where, table=table), TABLES)
    for table in ("Two", "tblTwo", "Three"):
        with pytest.raises(NotFound) as caught:
            require_allowed(replace(where, table=table), TABLES)
        assert caught.value.reason is Reason.TABLE_NOT_FOUND


async def test_the_token_of_a_file_is_read_anew_and_shows_in_no_repr(tmp_path: Path) -> None:
    credentials = Credentials(secrets=Secrets(FileSecrets(tmp_path), WHAT), token="unused")
    file = tmp_path / "acme-airtable" / "token"
    file.parent.mkdir()
    for token in ("patFirst.not-real", "patSecond.not-real"):
        file.write_text(f"{token}\n")
        found = await credentials.of(workspace())
        assert found.value == token
        assert token not in repr(found)
        assert token not in found.key


@pytest.mark.parametrize("content", ["", "two\nlines", "grün"])
async def test_a_file_without_a_token_says_so(tmp_path: Path, content: str) -> None:
    (tmp_path / "acme-airtable").mkdir()
    (tmp_path / "acme-airtable" / "token").write_text(content)
    with pytest.raises(FailedPrecondition) as caught:
        await Credentials(secrets=Secrets(FileSecrets(tmp_path), WHAT), token="").of(workspace())
    assert caught.value.reason is Reason.CREDENTIAL_MISSING


@pytest.mark.parametrize("name", ["..", ".", "", "a/../../b"])
async def test_a_secret_name_cannot_leave_the_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "token").write_text("patOutside.not-real")
    stray = replace(workspace(), airtable_secret=SecretRef(name, "token"))
    with pytest.raises(FailedPrecondition):
        await Credentials(secrets=Secrets(FileSecrets(tmp_path / "inside"), WHAT), token="").of(stray)


async def test_a_token_is_shared_with_those_that_name_none_and_only_when_that_is_said(tmp_path: Path) -> None:
    secrets = Secrets(FileSecrets(tmp_path), WHAT)
    shared = Credentials(secrets=secrets, token="patShared.not-real", is_shared=True)
    for nothing in (None, SecretRef("", "")):
        nameless = replace(workspace(), airtable_secret=nothing)
        assert (await shared.of(nameless)).value == "patShared.not-real"
        with pytest.raises(FailedPrecondition, match="names no secret"):
            await Credentials(secrets=secrets, token="patShared.not-real").of(nameless)
    with pytest.raises(FailedPrecondition):  # it names one, which is not there
        await shared.of(workspace())


async def test_without_secrets_the_token_is_no_workspaces_that_calls_made_unless_it_is_shared() -> None:
    declared = replace(workspace(), airtable_secret=None)
    by_call = replace(declared, source=Source("Api", "uid-1"))
    own = Credentials(secrets=None, token="patOwn.not-real")
    assert (await own.of(declared)).value == "patOwn.not-real"
    with pytest.raises(FailedPrecondition, match="SHARED_AIRTABLE_TOKEN") as caught:
        await own.of(by_call)
    assert caught.value.reason is Reason.CREDENTIAL_MISSING
    shared = Credentials(secrets=None, token="patOwn.not-real", is_shared=True)
    assert (await shared.of(by_call)).value == "patOwn.not-real"


@dataclass
class FakeStore:
    """Counts in memory; can be away."""

    calls: dict[Counted, int] = field(default_factory=dict)
    is_away: bool = False
    questions: int = 0

    async def add_usage(self, counts: Mapping[Counted, int]) -> None:
        self._answer()
        for key, number in counts.items():
            self.calls[key] = self.calls.get(key, 0) + number

    async def usage(self, workspace: str, month: str) -> dict[str, int]:
        self._answer()
        return {base: number for (name, when, base), number in self.calls.items() if (name, when) == (workspace, month)}

    def _answer(self) -> None:
        self.questions += 1
        if self.is_away:
            raise Unavailable("away")


async def test_counting_asks_no_store_and_nothing_is_lost_while_it_is_away() -> None:
    store = FakeStore(is_away=True)
    usage = Usage(store)
    for _ in range(5):
        usage.count("acme", "appOne")
    assert store.questions == 0
    await usage.flush()
    store.is_away = False
    usage.count("acme", "")
    await usage.flush()
    await usage.flush()
    assert (await usage.by_base("acme"))[1] == {"appOne": 5, "": 1}
    assert sum(store.calls.values()) == 6


async def test_the_budget_counts_what_other_replicas_have_stored() -> None:
    store = FakeStore()
    one, two = Usage(store), Usage(store)
    limited = workspace(budget=10)
    await one.check_budget(limited)
    await two.check_budget(limited)
    for _ in range(6):
        one.count("acme", "appOne")
    for _ in range(4):
        two.count("acme", "appOne")
    await one.check_budget(limited)
    await two.flush()
    await one.flush()
    with pytest.raises(QuotaExhausted):
        await one.check_budget(limited)
    await two.flush()
    with pytest.raises(QuotaExhausted):
        await two.check_budget(limited)


async def test_a_new_month_begins_at_nothing() -> None:
    moment = datetime(2026, 11, 30, 23, 59, tzinfo=UTC)
    usage = Usage(FakeStore(), now=lambda: moment)
    usage.count("acme", "appOne")
    with pytest.raises(QuotaExhausted):
        await usage.check_budget(workspace(budget=1))
    moment = datetime(2026, 12, 1, tzinfo=UTC)
    await usage.flush()
    await usage.check_budget(workspace(budget=1))
    assert await usage.by_base("acme") == ("2026-12", {})
