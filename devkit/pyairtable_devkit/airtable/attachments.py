"""Attachments: fetched from a URL, uploaded as bytes, downloaded by links that live two hours.

Airtable docs: attachments. A given URL is really fetched, after the write was answered; when that
fails the item disappears from the cell, as with Airtable. Loopback addresses are allowed here.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import logging
import mimetypes
import struct
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx2

from pyairtable_devkit.airtable import errors, outbound
from pyairtable_devkit.airtable.clock import to_iso
from pyairtable_devkit.airtable.model import Record, Table
from pyairtable_devkit.airtable.render import LinkMaker
from pyairtable_devkit.airtable.settings import Settings
from pyairtable_devkit.airtable.store import World

if TYPE_CHECKING:
    from pyairtable_devkit.airtable.emulator import Call, Emulator

logger = logging.getLogger(__name__)

MAX_UPLOAD = 5 * 1024 * 1024
MAX_FETCHED = 64 * 1024 * 1024
"""Airtable takes 1 GB by URL; the emulator keeps attachments in memory."""
_LINK_KEY = b"links of the emulator are no secret"


class Attachments:
    """The content of attachments and the links to it."""

    def __init__(self, world: World, settings: Callable[[], Settings]) -> None:
        self._world = world
        self._settings = settings
        self._fetching: set[asyncio.Task[None]] = set()

    def linker(self, origin: str) -> LinkMaker:
        """Makes the JSON of stored items, with links below this origin."""
        expires = self._world.clock.now() + timedelta(seconds=self._settings().link_lifetime)
        stamp = str(int(expires.timestamp() * 1000))

        def link(item: dict[str, Any]) -> dict[str, Any]:
            if "size" not in item:
                return dict(item)
            name = quote(item["filename"], safe="")
            url = f"{origin}/_attachments/{stamp}/{_signature(stamp, item['id'])}/{item['id']}/{name}"
            shown = {"id": item["id"], "url": url} | {key: item[key] for key in item if key not in ("id", "url")}
            if "width" in item:
                size = {"url": url, "width": item["width"], "height": item["height"]}
                shown["thumbnails"] = {"small": size, "large": size, "full": size}
            return shown

        return link

    def download(self, parts: list[str]) -> tuple[bytes, str] | None:
        """Content and type behind the parts of a link, None when it is wrong or too old."""
        if len(parts) != 4 or not parts[0].isdecimal():
            return None
        stamp, signature, attachment_id, name = parts
        if not hmac.compare_digest(signature, _signature(stamp, attachment_id)):
            return None
        if int(stamp) < self._world.clock.now().timestamp() * 1000:
            return None
        content = self._world.blobs.get(attachment_id)
        return None if content is None else (content, mimetypes.guess_type(name)[0] or "application/octet-stream")

    def fetch_new(self, table: Table, rows: list[Record]) -> None:
        """Starts fetching what was given by URL in these records."""
        for target in table.fields.values():
            if target.type != "multipleAttachments":
                continue
            for row in rows:
                for item in row.cells.get(target.id, ()):
                    if "size" not in item:
                        self._start(self._fetch(table, row, target.id, item))

    async def settle(self) -> None:
        """Waits until nothing is being fetched."""
        while self._fetching:
            await asyncio.gather(*self._fetching)

    def stop(self) -> None:
        """Gives up whatever is being fetched."""
        for task in self._fetching:
            task.cancel()

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._fetching.add(task)
        task.add_done_callback(self._fetching.discard)

    async def _fetch(self, table: Table, row: Record, field_id: str, item: dict[str, Any]) -> None:
        try:
            content, kind = await _get(item["url"])
            fetched: dict[str, Any] | None = keep(self._world.blobs, item, content, kind)
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
            logger.info("attachment %s could not be fetched: %s", item["id"], error)
            fetched = None
        kept = [fetched if old is item else old for old in row.cells.get(field_id, ())]
        remaining = [old for old in kept if old is not None]
        if remaining:
            row.cells[field_id] = remaining
        else:
            row.cells.pop(field_id, None)
        row.revision += 1
        table.revision += 1


def upload(emulator: "Emulator", call: "Call") -> Any:
    """POST /{base}/{rec}/{field}/uploadAttachment: bytes in base64, added to the cell's list."""
    record_id, name = call.params["rec"], call.params["field"]
    table = next((item for item in call.base.tables.values() if record_id in item.records), None)
    if table is None:
        raise errors.not_permitted_or_found()
    target = table.field(name)
    if target is None:
        raise errors.unknown_field(name)
    if target.type != "multipleAttachments":
        raise errors.invalid_value(target.name)
    content, filename, kind = _uploaded(call.body_object())
    world, row = emulator.world, table.records[record_id]
    item = keep(world.blobs, {"id": world.ids.new("att"), "filename": filename}, content, kind)
    with emulator.change(call.base, call.token.user_id) as change:
        change.update(table, row, {target.id: [*row.cells.get(target.id, ()), item]})
    shown = emulator.renderer(call).cells(table, row)[target.id]
    return {"id": row.id, "createdTime": to_iso(row.created_time), "fields": {target.id: shown}}


def _uploaded(body: dict[str, Any]) -> tuple[bytes, str, str]:
    kind, filename, text = (body.get(key) for key in ("contentType", "filename", "file"))
    if not (isinstance(kind, str) and isinstance(filename, str) and isinstance(text, str)):
        raise errors.bad_request()
    try:
        content = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise errors.bad_request() from None
    if len(content) > MAX_UPLOAD:
        raise errors.typed(413, "REQUEST_TOO_LARGE", "Attachment is too large")
    return content, filename, kind


async def _get(url: str) -> tuple[bytes, str | None]:
    """The content behind a URL; ValueError when it is refused or too large."""
    async with (
        outbound.client(timeout=30.0) as client,
        client.stream("GET", url) as answer,
    ):
        answer.raise_for_status()
        content = bytearray()
        async for chunk in answer.aiter_bytes():
            content += chunk
            if len(content) > MAX_FETCHED:
                raise ValueError("it is too large")
        kind = answer.headers.get("content-type", "").partition(";")[0].strip()
        return bytes(content), kind or None


def keep(blobs: dict[str, bytes], item: dict[str, Any], content: bytes, content_type: str | None) -> dict[str, Any]:
    """The stored form of an attachment whose content is known; the content goes into `blobs`."""
    blobs[item["id"]] = content
    kind = content_type or mimetypes.guess_type(item["filename"])[0] or "application/octet-stream"
    full = {"id": item["id"], "filename": item["filename"], "size": len(content), "type": kind}
    if dimensions := _dimensions(content):
        full["width"], full["height"] = dimensions
    return full


def _signature(stamp: str, attachment_id: str) -> str:
    return hmac.new(_LINK_KEY, f"{stamp}/{attachment_id}".encode(), hashlib.sha256).hexdigest()[:32]


def _dimensions(content: bytes) -> tuple[int, int] | None:
    """Width and height of a PNG or GIF image, None for anything else."""
    if content[:8] == b"\x89PNG\r\n\x1a\n" and len(content) >= 24:
        width, height = struct.unpack(">II", content[16:24])
        return width, height
    if content[:6] in (b"GIF87a", b"GIF89a") and len(content) >= 10:
        width, height = struct.unpack("<HH", content[6:10])
        return width, height
    return None
