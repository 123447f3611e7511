"""A webhook: what it watches, the payloads it has, and how its notifications went."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pyairtable_devkit.airtable.clock import to_iso

DATA_TYPES = frozenset({"tableData", "tableFields", "tableMetadata"})
CHANGE_TYPES = frozenset({"add", "remove", "update"})
SOURCES = frozenset(
    {
        "client",
        "publicApi",
        "formSubmission",
        "formPageSubmission",
        "automation",
        "system",
        "sync",
        "anonymousUser",
        "unknown",
    }
)
PAYLOADS_KEPT_FOR = timedelta(days=7)
READABLE_AFTER_EXPIRY = timedelta(days=7)


@dataclass(slots=True)
class Webhook:
    """One webhook of a base. `payloads` holds those of the last week; the first has number `first_cursor`."""

    id: str
    base_id: str
    specification: dict[str, Any]
    notification_url: str | None
    secret: bytes
    expires: datetime
    enabled: bool = True
    notifications_enabled: bool = True
    payloads: list[dict[str, Any]] = field(default_factory=list)
    payload_times: list[datetime] = field(default_factory=list)
    first_cursor: int = 1
    last_success: datetime | None = None
    last_result: dict[str, Any] | None = None
    ping_wanted: bool = False
    delivery: asyncio.Task[None] | None = None

    @property
    def filters(self) -> dict[str, Any]:
        """The filters of its specification."""
        filters: dict[str, Any] = self.specification["options"]["filters"]
        return filters

    @property
    def includes(self) -> dict[str, Any]:
        """What its payloads are to hold besides the change itself."""
        return self.specification["options"].get("includes") or {}

    @property
    def next_cursor(self) -> int:
        """The number that the next payload will have."""
        return self.first_cursor + len(self.payloads)

    def is_live(self, now: datetime) -> bool:
        """Whether changes still make payloads."""
        return self.enabled and now < self.expires

    def add(self, payload: dict[str, Any], now: datetime) -> None:
        """Appends a payload and forgets those older than a week; numbers go on counting."""
        self.payloads.append(payload)
        self.payload_times.append(now)
        old = sum(1 for moment in self.payload_times if now - moment > PAYLOADS_KEPT_FOR)
        del self.payloads[:old], self.payload_times[:old]
        self.first_cursor += old

    def as_json(self, now: datetime) -> dict[str, Any]:
        """The webhook as the list shows it; the secret is never told again."""
        return {
            "id": self.id,
            "specification": self.specification,
            "notificationUrl": self.notification_url,
            "cursorForNextPayload": self.next_cursor,
            "isHookEnabled": self.is_live(now),
            "areNotificationsEnabled": self.notifications_enabled,
            "expirationTime": to_iso(self.expires),
            "lastSuccessfulNotificationTime": to_iso(self.last_success) if self.last_success else None,
            "lastNotificationResult": self.last_result,
        }

    def watches(self) -> set[str]:
        """Ids of tables, views and fields without which the webhook makes no sense."""
        filters = self.filters
        scope = filters.get("recordChangeScope")
        return {
            *([scope] if scope else []),
            *filters.get("watchDataInFieldIds", []),
            *filters.get("watchSchemasOfFieldIds", []),
        }
