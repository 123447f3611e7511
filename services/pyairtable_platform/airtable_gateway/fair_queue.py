"""Who is next: interactive before bulk, and callers in turn, so that none of them can starve another. Pure."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

BULK_EVERY = 5
"""While both kinds wait, every fifth place is for bulk work: it goes on, slowly."""


class Waiting(Protocol):
    """What stands in the queue."""

    @property
    def caller(self) -> str:
        """Whose work it is."""

    @property
    def bulk(self) -> bool:
        """Whether it is part of something large."""


W = TypeVar("W", bound=Waiting)


@dataclass
class _Line(Generic[W]):
    """Work of one kind: a line for each caller, served in turn."""

    by_caller: OrderedDict[str, deque[W]] = field(default_factory=OrderedDict)

    def __len__(self) -> int:
        return sum(map(len, self.by_caller.values()))

    def __iter__(self) -> Iterator[W]:
        for waiting in self.by_caller.values():
            yield from waiting

    def push(self, item: W) -> None:
        self.by_caller.setdefault(item.caller, deque()).append(item)

    def first(self) -> W | None:
        return next(iter(self.by_caller.values()))[0] if self.by_caller else None

    def remove(self, item: W, *, served: bool) -> None:
        waiting = self.by_caller[item.caller]
        waiting.remove(item)
        if not waiting:
            del self.by_caller[item.caller]
        elif served:
            self.by_caller.move_to_end(item.caller)

    def ahead_of_new(self, caller: str) -> int:
        """At least so many are served before one that `caller` adds now."""
        rounds, ahead, had_its_turn = len(self.by_caller.get(caller, ())), 0, False
        for name, waiting in self.by_caller.items():
            had_its_turn = had_its_turn or name == caller
            ahead += min(len(waiting), rounds if had_its_turn else rounds + 1)
        return ahead


class FairQueue(Generic[W]):
    """The calls that wait for one base."""

    def __init__(self) -> None:
        self._interactive: _Line[W] = _Line()
        self._bulk: _Line[W] = _Line()
        self._interactive_served = 0

    def __len__(self) -> int:
        return len(self._interactive) + len(self._bulk)

    def __iter__(self) -> Iterator[W]:
        yield from self._interactive
        yield from self._bulk

    def push(self, item: W) -> None:
        """Add one at the end of its caller's line."""
        self._line(item).push(item)

    def first(self) -> W | None:
        """The one whose turn it is; it stays."""
        bulk_is_due = self._interactive_served >= BULK_EVERY - 1
        lines = (self._bulk, self._interactive) if bulk_is_due else (self._interactive, self._bulk)
        return lines[0].first() or lines[1].first()

    def serve(self, item: W) -> None:
        """Take one out because its turn has come."""
        self._interactive_served = 0 if item.bulk or not len(self._bulk) else self._interactive_served + 1
        self._line(item).remove(item, served=True)

    def give_up(self, item: W) -> None:
        """Take one out that does not want to wait any more."""
        self._line(item).remove(item, served=False)

    def ahead_of_new(self, caller: str, *, bulk: bool) -> int:
        """At least so many are served before one that is added now."""
        if not bulk:
            return self._interactive.ahead_of_new(caller)
        bulk_ahead = self._bulk.ahead_of_new(caller)
        due = (BULK_EVERY - 1) * (bulk_ahead + 1) - self._interactive_served
        return bulk_ahead + max(0, min(len(self._interactive), due))

    def _line(self, item: W) -> _Line[W]:
        return self._bulk if item.bulk else self._interactive
