"""When PostgreSQL is away, also while it starts or stops."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError

from pyairtable_platform.common.database import database_errors, unavailable

# PostgreSQL docs, appendix A: operator intervention (it starts, stops or was killed), insufficient resources.
_PASSING = ("57P", "53")


@contextmanager
def away_is_unavailable() -> Iterator[None]:
    """Raise Unavailable for a server that cannot be reached or says itself that it cannot serve now."""
    with database_errors():
        try:
            yield
        except DBAPIError as error:
            if str(getattr(error.orig, "sqlstate", None)).startswith(_PASSING):
                raise unavailable() from error
            raise
