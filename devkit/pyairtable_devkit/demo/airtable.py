"""Airtable asked directly, past the platform: what the demo holds the platform's answers against."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx2

from pyairtable_devkit.demo.platform import StepFailedError
from pyairtable_devkit.topology import Upstreams

_SECOND, _PAUSE = 1.1, 0.25


class DirectAirtable:
    """One base over Airtable's own Web API (the emulator's, unless real credentials are in use).

    Airtable allows five calls a second and base, whoever makes them, and then refuses all for 30 s (Airtable docs:
    rate limits). The platform's limiter cannot know of these calls, so they keep away from its own.
    """

    def __init__(self, upstreams: Upstreams) -> None:
        self._base_id = upstreams.base_id
        self._http = httpx2.Client(
            base_url=upstreams.airtable_url,
            headers={"Authorization": f"Bearer {upstreams.airtable_token}"},
            timeout=30,
            trust_env=not upstreams.emulated,
        )

    def close(self) -> None:
        self._http.close()

    def tables(self) -> list[dict[str, Any]]:
        """Return the tables with their fields."""
        with _alone():
            return list(self._get(f"/v0/meta/bases/{self._base_id}/tables")["tables"])

    def records(self, table: str, formula: str = "") -> list[dict[str, Any]]:
        """Return all records of a table, or those that the formula selects."""
        with _alone():
            return list(self._pages(table, {"filterByFormula": formula} if formula else {}))

    def _pages(self, table: str, query: dict[str, str]) -> Iterator[dict[str, Any]]:
        offset = ""
        while True:
            page = self._get(f"/v0/{self._base_id}/{quote(table, safe='')}", query | _offset(offset))
            yield from page["records"]
            offset = page.get("offset", "")
            if not offset:
                return

    def _get(self, path: str, query: dict[str, str] | None = None) -> dict[str, Any]:
        time.sleep(_PAUSE)
        try:
            response = self._http.get(path, params=query)
        except httpx2.HTTPError as error:
            raise StepFailedError(f"Airtable GET {path}: {error!r}") from error
        if response.status_code != httpx2.codes.OK:
            raise StepFailedError(f"Airtable GET {path} answered {response.status_code}: {response.text[:300]}")
        return dict(response.json())


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Keep a second's distance to the calls of the platform before and after."""
    time.sleep(_SECOND)
    yield
    time.sleep(_SECOND)


def _offset(offset: str) -> dict[str, str]:
    return {"offset": offset} if offset else {}
