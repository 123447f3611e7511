"""The emulator's two clocks: one for limits, one for the dates it writes."""

import time
from datetime import UTC, datetime, timedelta


class Clock:
    """Wall-clock time that a test may push forward, and a monotonic time that nothing changes."""

    def __init__(self) -> None:
        self.shift = timedelta()

    def now(self) -> datetime:
        """The emulator's date and time in UTC, to the millisecond, as Airtable stores it."""
        moment = datetime.now(UTC) + self.shift
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    def monotonic(self) -> float:
        """Seconds on the machine's monotonic clock: comparable between processes, never shifted."""
        return time.monotonic()

    def advance(self, seconds: float) -> None:
        """Lets links, webhooks and offsets grow older without waiting for it."""
        self.shift += timedelta(seconds=seconds)


def to_iso(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds and Z, the form of every time in Airtable's answers."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_iso(text: str) -> datetime:
    """The moment a stored time means; the reverse of `to_iso`."""
    return datetime.fromisoformat(text)
