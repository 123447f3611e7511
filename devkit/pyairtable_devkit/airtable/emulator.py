"""The emulator's parts put together, and the call that handlers are given."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson

from pyairtable_devkit.airtable import errors
from pyairtable_devkit.airtable.attachments import Attachments
from pyairtable_devkit.airtable.clock import Clock
from pyairtable_devkit.airtable.faults import Faults
from pyairtable_devkit.airtable.latency import Latency
from pyairtable_devkit.airtable.limits import Limiter
from pyairtable_devkit.airtable.listing import Listings
from pyairtable_devkit.airtable.model import Base, Table
from pyairtable_devkit.airtable.render import Renderer
from pyairtable_devkit.airtable.seed import Seed
from pyairtable_devkit.airtable.settings import Settings
from pyairtable_devkit.airtable.store import Change, World
from pyairtable_devkit.airtable.tokens import Token
from pyairtable_devkit.airtable.traffic import Traffic
from pyairtable_devkit.airtable.webhooks import Webhooks


@dataclass(slots=True)
class Call:
    """One authorised API call: what the route found, and the request it came in."""

    method: str
    params: dict[str, str]
    query: list[tuple[str, str]]
    raw_body: bytes
    is_json: bool
    origin: str
    token: Token
    settings: Settings
    found_base: Base | None = None
    found_table: Table | None = None
    _body: dict[str, Any] | None = field(default=None, repr=False)

    @property
    def base(self) -> Base:
        """The base in the path."""
        if self.found_base is None:
            raise errors.not_found()
        return self.found_base

    @property
    def table(self) -> Table:
        """The table in the path."""
        if self.found_table is None:
            raise errors.not_permitted_or_found()
        return self.found_table

    def body_object(self) -> dict[str, Any]:
        """The JSON object in the body; ApiError when there is none."""
        if self._body is None:
            try:
                parsed = orjson.loads(self.raw_body) if self.is_json else None
            except orjson.JSONDecodeError:
                parsed = None
            if parsed is None:
                status = int(self.settings.unparseable_body)
                raise errors.typed(status, "INVALID_REQUEST_BODY", "Could not parse request body")
            if not isinstance(parsed, dict):
                raise errors.bad_request()
            self._body = parsed
        return self._body


class Emulator:
    """One emulated Airtable: data, limits, faults and the record of what arrived."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._initial = settings
        self.origin = "http://localhost"
        """Where the last call reached us; links that no call asks for lead there."""
        self.seed = Seed.load(settings.seed, settings.random_seed)
        self.clock = Clock()
        self.restart(self.seed.world(self.clock))

    def reset(self) -> None:
        """Back to the seed and the first settings: data, limits, faults, log and counters."""
        self.settings = self._initial
        self.clock = Clock()
        self.stop()
        self.restart(self.seed.world(self.clock))

    def configure(self, changes: dict[str, Any]) -> None:
        """Changes settings while running; SettingsError names what is wrong."""
        self.settings = self.settings.changed(changes)
        self.traffic.keep(self.settings.log_entries)

    def restart(self, world: World) -> None:
        """Goes on with this world; nothing that happened before it is remembered."""
        seed = self.settings.random_seed
        self.limiter = Limiter()
        self.faults = Faults(seed)
        self.latency = Latency(seed)
        self.traffic = Traffic(self.settings.log_entries)
        self._take(world)

    def resume(self, world: World) -> None:
        """Goes on with other data; limits, faults, log and counters stay."""
        self.stop()
        self._take(world)

    def _take(self, world: World) -> None:
        self.world = world
        self.listings = Listings(world)
        self.attachments = Attachments(world, lambda: self.settings)
        self.webhooks = Webhooks(
            world, lambda: self.settings, self.faults, lambda: self.attachments.linker(self.origin)
        )

    def renderer(self, call: Call) -> Renderer:
        """What makes JSON of this base's records, with links to where the call came in."""
        links = self.attachments.linker(call.origin)
        return Renderer(call.base, self.world.values(call.base), self.world.users, links)

    @contextmanager
    def change(self, base: Base, user_id: str, source: str = "publicApi") -> Iterator[Change]:
        """A transaction on records: webhooks learn of it when it is complete."""
        recorder = self.webhooks.recorder(base, user_id, source)
        yield Change(self.world, base, user_id, recorder)
        self.webhooks.publish(recorder)

    @contextmanager
    def schema_change(self, base: Base, user_id: str, source: str = "publicApi") -> Iterator[None]:
        """A transaction on tables and fields; it counts even when it fails half way, so that no cache is stale."""
        recorder = self.webhooks.recorder(base, user_id, source)
        before = recorder.schema_before()
        try:
            yield
        finally:
            base.schema_revision += 1
        recorder.schema_after(before)
        self.webhooks.publish(recorder)

    def stop(self) -> None:
        """Ends what runs in the background: fetches and webhook notifications."""
        self.webhooks.stop()
        self.attachments.stop()
