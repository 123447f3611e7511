"""Webhooks: for now none can be created; changes are recorded for nobody."""

from collections.abc import Callable
from typing import Any

from pyairtable_devkit.airtable import errors
from pyairtable_devkit.airtable.faults import Faults
from pyairtable_devkit.airtable.model import Base, Record, Table
from pyairtable_devkit.airtable.settings import Settings
from pyairtable_devkit.airtable.store import World


class Recorder:
    def before_record(self, table: Table, record: Record) -> None: ...
    def record_created(self, table: Table, record: Record) -> None: ...
    def record_deleted(self, table: Table, record: Record) -> None: ...
    def schema_before(self) -> Any: ...
    def schema_after(self, before: Any) -> None: ...


class Webhooks:
    def __init__(self, world: World, settings: Callable[[], Settings], faults: Faults) -> None: ...
    def recorder(self, base: Base, user_id: str) -> Recorder:
        return Recorder()

    def publish(self, recorder: Recorder) -> None: ...
    def stop(self) -> None: ...


def list_webhooks(emulator: Any, call: Any) -> Any:
    return {"webhooks": []}


def _none(emulator: Any, call: Any) -> Any:
    raise errors.not_found()


create_webhook = delete_webhook = enable_notifications = refresh_webhook = list_payloads = _none
