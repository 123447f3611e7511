"""Webhooks: their calls, and who is told of which change (Airtable docs: webhooks)."""

import base64
import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pyairtable_devkit.airtable import errors
from pyairtable_devkit.airtable.clock import to_iso
from pyairtable_devkit.airtable.faults import Faults
from pyairtable_devkit.airtable.listing import filter_test
from pyairtable_devkit.airtable.model import Base
from pyairtable_devkit.airtable.render import LinkMaker, Renderer
from pyairtable_devkit.airtable.settings import Settings
from pyairtable_devkit.airtable.store import World
from pyairtable_devkit.airtable.webhook_changes import Recorder, Views
from pyairtable_devkit.airtable.webhook_delivery import Delivery
from pyairtable_devkit.airtable.webhook_model import (
    CHANGE_TYPES,
    DATA_TYPES,
    READABLE_AFTER_EXPIRY,
    SOURCES,
    Webhook,
)
from pyairtable_devkit.airtable.webhook_payloads import broken, payload

if TYPE_CHECKING:
    from pyairtable_devkit.airtable.emulator import Call, Emulator

MAX_PER_BASE = 10
MAX_PAYLOADS = 50


class Webhooks:
    """The webhooks of all bases."""

    def __init__(
        self, world: World, settings: Callable[[], Settings], faults: Faults, links: Callable[[], LinkMaker]
    ) -> None:
        self._world = world
        self._settings = settings
        self._links = links
        self._hooks: dict[str, list[Webhook]] = {}
        self._delivery = Delivery(world.clock, settings, faults)

    def of(self, base: Base) -> list[Webhook]:
        """The base's webhooks; those expired for a week are gone."""
        now = self._world.clock.now()
        kept = [hook for hook in self._hooks.get(base.id, ()) if now < hook.expires + READABLE_AFTER_EXPIRY]
        self._hooks[base.id] = kept
        return kept

    def find(self, base: Base, webhook_id: str) -> Webhook:
        """One webhook; ApiError when the base has none of this id."""
        for hook in self.of(base):
            if hook.id == webhook_id:
                return hook
        raise errors.typed(404, "NOT_FOUND")

    def add(self, base: Base, specification: dict[str, Any], url: str | None) -> Webhook:
        """A new webhook; ApiError when the base has as many as it may."""
        if len(self.of(base)) >= MAX_PER_BASE:
            raise errors.typed(422, "TOO_MANY_WEBHOOKS_IN_BASE")
        webhook_id = self._world.ids.new("ach")
        secret = hashlib.sha512(f"secret of {webhook_id}".encode()).digest()
        hook = Webhook(webhook_id, base.id, specification, url, secret, self._expiry())
        self._hooks[base.id].append(hook)
        return hook

    def remove(self, hook: Webhook) -> None:
        """Forgets a webhook with its payloads."""
        hook.notifications_enabled = False
        self._hooks[hook.base_id].remove(hook)

    def refresh(self, hook: Webhook) -> None:
        """Lets a webhook that has not expired live on."""
        if hook.is_live(self._world.clock.now()):
            hook.expires = self._expiry()

    def recorder(self, base: Base, user_id: str, source: str) -> Recorder:
        """What watches a transaction on this base."""
        now = self._world.clock.now()
        live = [hook for hook in self._hooks.get(base.id, ()) if hook.is_live(now)]
        values = self._world.values(base)
        renderer = Renderer(base, values, self._world.users, self._links())
        return Recorder(
            base,
            user_id,
            source,
            listening=bool(live),
            renderer=renderer,
            values=values,
            views=self._watched_views(base, live),
        )

    def publish(self, recorder: Recorder) -> None:
        """Makes the payloads of a finished transaction and asks for pings."""
        base = recorder.transaction.base
        base.transactions += 1
        transaction = recorder.finish()
        if transaction is None:
            return
        now = self._world.clock.now()
        user = self._world.users[transaction.user_id]
        known = _ids(base)
        for hook in self._hooks.get(base.id, ()):
            if not hook.is_live(now):
                continue
            if hook.watches() - known:
                told = broken("INVALID_HOOK", to_iso(now), base.transactions)
                hook.enabled = False
            else:
                made = payload(hook, transaction, to_iso(now), user)
                if made is None:
                    continue
                told = made
            hook.add(told, now)
            self._delivery.notify(hook)

    def stop(self) -> None:
        """Ends all notifications under way."""
        self._delivery.stop()

    def _expiry(self) -> Any:
        return self._world.clock.now() + timedelta(seconds=self._settings().webhook_lifetime)

    def _watched_views(self, base: Base, hooks: list[Webhook]) -> dict[str, Views]:
        scopes = {hook.filters.get("recordChangeScope", "") for hook in hooks}
        watched: dict[str, Views] = {}
        for table in base.tables.values():
            for view in table.views:
                if view.id in scopes:
                    test = filter_test(self._world, base, table, view.formula) if view.formula else lambda row: True
                    watched.setdefault(table.id, {})[view.id] = test
        return watched


def list_webhooks(emulator: "Emulator", call: "Call") -> Any:
    """GET /bases/{base}/webhooks."""
    now = emulator.clock.now()
    return {"webhooks": [hook.as_json(now) for hook in emulator.webhooks.of(call.base)]}


def create_webhook(emulator: "Emulator", call: "Call") -> Any:
    """POST /bases/{base}/webhooks: the only time the secret is told."""
    body = call.body_object()
    url = body.get("notificationUrl")
    if url is not None and not (isinstance(url, str) and urlsplit(url).scheme in ("http", "https")):
        raise errors.bad_request()
    specification = body.get("specification")
    _check_specification(call, specification)
    assert isinstance(specification, dict)
    hook = emulator.webhooks.add(call.base, specification, url)
    return {
        "id": hook.id,
        "macSecretBase64": base64.b64encode(hook.secret).decode(),
        "expirationTime": to_iso(hook.expires),
    }


def delete_webhook(emulator: "Emulator", call: "Call") -> Any:
    """DELETE /bases/{base}/webhooks/{ach}."""
    hook = emulator.webhooks.find(call.base, call.params["ach"])
    emulator.webhooks.remove(hook)
    return {"id": hook.id, "deleted": True}


def enable_notifications(emulator: "Emulator", call: "Call") -> Any:
    """POST .../enableNotifications: switches pings on or off; payloads are made either way."""
    enable = call.body_object().get("enable")
    if not isinstance(enable, bool):
        raise errors.bad_request()
    emulator.webhooks.find(call.base, call.params["ach"]).notifications_enabled = enable
    return {}


def refresh_webhook(emulator: "Emulator", call: "Call") -> Any:
    """POST .../refresh: seven more days."""
    hook = emulator.webhooks.find(call.base, call.params["ach"])
    emulator.webhooks.refresh(hook)
    return {"expirationTime": to_iso(hook.expires)}


def list_payloads(emulator: "Emulator", call: "Call") -> Any:
    """GET .../payloads: what happened since the cursor; this too lets the webhook live on."""
    hook = emulator.webhooks.find(call.base, call.params["ach"])
    _check_data_scopes(call, hook.filters["dataTypes"])
    query = dict(call.query)
    cursor, limit = _number(query.get("cursor"), 1), _number(query.get("limit"), MAX_PAYLOADS)
    if cursor < 1 or not 1 <= limit <= MAX_PAYLOADS or cursor > hook.next_cursor:
        raise errors.bad_request()
    emulator.webhooks.refresh(hook)
    start = max(cursor - hook.first_cursor, 0)
    page = hook.payloads[start : start + limit]
    following = hook.first_cursor + start + len(page) if page else cursor
    return {"payloads": page, "cursor": following, "mightHaveMore": following < hook.next_cursor}


def _number(text: str | None, default: int) -> int:
    if text is None:
        return default
    return int(text) if text.isdecimal() else -1


def _check_specification(call: "Call", specification: Any) -> None:
    options = specification.get("options") if isinstance(specification, dict) else None
    filters = options.get("filters") if isinstance(options, dict) else None
    if not isinstance(filters, dict) or not filters.get("dataTypes"):
        raise errors.bad_request()
    sets = {"dataTypes": DATA_TYPES, "changeTypes": CHANGE_TYPES, "fromSources": SOURCES}
    known = _ids(call.base)
    sets |= {"watchDataInFieldIds": known, "watchSchemasOfFieldIds": known}
    for name, allowed in sets.items():
        given = filters.get(name, [])
        if not isinstance(given, list) or not set(map(str, given)) <= allowed:
            raise errors.bad_request()
    scope = filters.get("recordChangeScope")
    if scope is not None and scope not in known:
        raise errors.bad_request()
    _check_data_scopes(call, filters["dataTypes"])
    _check_includes(options.get("includes") if isinstance(options, dict) else None, known)


def _check_includes(includes: Any, known: frozenset[str]) -> None:
    if includes is None:
        return
    wanted = includes.get("includeCellValuesInFieldIds") if isinstance(includes, dict) else 0
    if wanted is not None and wanted != "all" and not (isinstance(wanted, list) and set(wanted) <= known):
        raise errors.bad_request()


def _check_data_scopes(call: "Call", data_types: list[str]) -> None:
    """Watching data needs the scope to read it (Airtable docs: webhooks, scopes)."""
    needed = {"data.records:read" if kind == "tableData" else "schema.bases:read" for kind in data_types}
    if needed - call.token.scopes:
        raise errors.not_permitted_or_found()


def _ids(base: Base) -> frozenset[str]:
    """Ids of the base's tables, views and fields."""
    found: set[str] = set(base.tables)
    for table in base.tables.values():
        found |= set(table.fields) | {view.id for view in table.views}
    return frozenset(found)
