"""What one evaluation of a formula on one record carries along."""

import datetime
from collections.abc import Callable
from typing import TypeAlias

from pyairtable_devkit.airtable.formula.errors import Uncomputable
from pyairtable_devkit.airtable.formula.values import Internal, Row

BUDGET = 5_000_000
"""Work of one evaluation, about one unit a character or list element handled; a few tenths of a second at most."""
FREE = 512
"""Texts and lists up to this size are not counted, which keeps the common case fast."""


class Context:
    """The record, the time, and how much work is left; one for each evaluation."""

    __slots__ = ("budget", "now", "row")

    def __init__(self, row: Row, now: datetime.datetime) -> None:
        self.row = row
        self.now = now
        self.budget = BUDGET

    def charge(self, size: int) -> None:
        """Count work; a formula that asks for too much (REPT in REPT in REPT) has no value."""
        self.budget -= size
        if self.budget < 0:
            raise Uncomputable


Evaluate: TypeAlias = Callable[[Context], Internal]
