"""Notification pings: signed, repeated on failure with growing delay, merged while one is under way.

Airtable docs: webhook notification delivery. The receiver must answer 200 or 204 with an empty body
within 25 s; after the last retry notifications are switched off, payloads go on being made.
"""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable

import httpx2
import orjson

from pyairtable_devkit.airtable import outbound
from pyairtable_devkit.airtable.clock import Clock, to_iso
from pyairtable_devkit.airtable.faults import Faults, Target
from pyairtable_devkit.airtable.settings import Settings
from pyairtable_devkit.airtable.webhook_model import Webhook

MAC_HEADER = "X-Airtable-Content-MAC"


def signature(secret: bytes, body: bytes) -> str:
    """The value of the MAC header for this body."""
    return "hmac-sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()


class Delivery:
    """Sends pings in the background, one webhook at a time in order."""

    def __init__(self, clock: Clock, settings: Callable[[], Settings], faults: Faults) -> None:
        self._clock = clock
        self._settings = settings
        self._faults = faults
        self._tasks: set[asyncio.Task[None]] = set()

    def notify(self, hook: Webhook) -> None:
        """Asks for a ping; joins one that has not been sent yet."""
        if hook.notification_url is None or not hook.notifications_enabled:
            return
        hook.ping_wanted = True
        if hook.delivery is None or hook.delivery.done():
            hook.delivery = asyncio.get_running_loop().create_task(self._run(hook))
            self._tasks.add(hook.delivery)
            hook.delivery.add_done_callback(self._tasks.discard)

    def stop(self) -> None:
        """Gives up all pings that are under way."""
        for task in self._tasks:
            task.cancel()

    async def _run(self, hook: Webhook) -> None:
        async with outbound.client(timeout=self._settings().webhook_timeout) as client:
            while hook.ping_wanted and hook.notifications_enabled:
                hook.ping_wanted = False
                target = Target("POST", hook.notification_url or "", hook.base_id, is_webhook=True)
                if self._faults.strike(target) is None:
                    await self._deliver(client, hook)

    async def _deliver(self, client: httpx2.AsyncClient, hook: Webhook) -> None:
        """One ping with its retries."""
        settings = self._settings()
        for attempt in range(settings.webhook_retries + 1):
            last = attempt == settings.webhook_retries
            if await self._attempt(client, hook, attempt, last):
                return
            if last or not hook.notifications_enabled:
                hook.notifications_enabled = False
                return
            await asyncio.sleep(settings.webhook_retry_delay * 2**attempt)

    async def _attempt(self, client: httpx2.AsyncClient, hook: Webhook, attempt: int, last: bool) -> bool:
        """Sends once and writes down how it went."""
        now = to_iso(self._clock.now())
        body = orjson.dumps({"base": {"id": hook.base_id}, "webhook": {"id": hook.id}, "timestamp": now})
        headers = {"content-type": "application/json", MAC_HEADER: signature(hook.secret, body)}
        started = time.monotonic()
        try:
            answer = await client.post(hook.notification_url or "", content=body, headers=headers)
            taken = answer.status_code in (200, 204) and not answer.content
            reason = f"The receiver answered {answer.status_code} with {len(answer.content)} bytes"
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            taken, reason = False, f"The receiver could not be reached: {type(error).__name__}"
        done = self._clock.now()
        hook.last_result = {
            "success": taken,
            "completionTimestamp": to_iso(done),
            "durationMs": round((time.monotonic() - started) * 1000, 3),
            "retryNumber": attempt,
        }
        if taken:
            hook.last_success = done
        else:
            hook.last_result |= {"error": {"message": reason}, "willBeRetried": not last}
        return taken
