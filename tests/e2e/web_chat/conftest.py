"""The chat page in a real Chromium, from a real door, before chats that are played by scripts."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest_asyncio
from integration.api_gateway.conftest import door_settings
from integration.api_gateway.upstream_fakes import Behind, FakeChat, fakes_behind
from playwright.async_api import Browser, Page, async_playwright, expect

from pyairtable_platform.api_gateway.main import build
from pyairtable_platform.common.testing import started
from pyairtable_protos.workspaces.v1 import workspace_pb2, workspace_service_pb2

WAIT_MS = 20_000
expect.set_options(timeout=WAIT_MS)
FLAGS = [
    "--no-sandbox",  # tests run as root in containers
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Site:
    """The door with the fakes behind it."""

    url: str
    behind: Behind

    @property
    def chat(self) -> FakeChat:
        return self.behind.chat


async def acme(*_: Any) -> Any:
    """The answer of ListWorkspaces."""
    base = workspace_pb2.BaseBinding(
        name="crm", base_id="appXXXXXXXXXXXXXX", access=workspace_pb2.BASE_ACCESS_READ_WRITE, is_default=True
    )
    workspace = workspace_pb2.Workspace(name="acme", display_name="Acme Renovations", bases=[base])
    return workspace_service_pb2.ListWorkspacesResponse(workspaces=[workspace])


@asynccontextmanager
async def open_site(**settings: Any) -> AsyncIterator[Site]:
    async with fakes_behind(chat_by_script=True) as behind:
        behind.recorder.answers["ListWorkspaces"] = acme
        # There is no Valkey and no limit: the page is what is tested here.
        settings = {"redis_url": "redis://127.0.0.1:1/0"} | settings
        async with started(build, door_settings(behind.target, **settings)) as server:
            yield Site(server.addresses.http_url, behind)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site() -> AsyncIterator[Site]:
    async with open_site() as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=chromium(), headless=True, args=FLAGS)
        yield launched
        await launched.close()


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser, site: Site) -> AsyncIterator[Page]:
    """The page, opened. Fails the test when the page had an error, was refused something or spoke to others."""
    site.chat.forget()
    async with watched_page(browser, site.url) as opened:
        await opened.goto(site.url)
        yield opened


@asynccontextmanager
async def watched_page(browser: Browser, url: str, **context: Any) -> AsyncIterator[Page]:
    """A page whose errors, refusals by policy, dialogs and requests to elsewhere fail the test at its end."""
    wrong: list[str] = []
    opened = await (await browser.new_context(**context)).new_page()
    opened.set_default_timeout(WAIT_MS)
    opened.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    opened.on("dialog", lambda dialog: wrong.append(f"dialog: {dialog.message}"))
    opened.on("console", lambda said: wrong.append(said.text) if "Content Security Policy" in said.text else None)
    opened.on("request", lambda sent: None if sent.url.startswith(url) else wrong.append(f"request: {sent.url}"))
    yield opened
    await opened.context.close()
    assert wrong == []


def chromium() -> str:
    """Where Chromium is (scripts/install-chromium.sh installs one)."""
    for name in (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"):
        if name and (found := shutil.which(name)):
            return found
    raise FileNotFoundError("there is no Chromium: run scripts/install-chromium.sh")


class CuttableProxy:
    """A TCP proxy before the door that loses every connection when told, and may refuse new ones."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname, parts.port
        self._writers: set[asyncio.StreamWriter] = set()
        self.refusing = False

    async def __aenter__(self) -> CuttableProxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut()
        self._server.close()
        await self._server.wait_closed()

    def cut(self) -> None:
        """Reset every connection."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            writer.transport.abort()
            return
        to_reader, to_writer = await asyncio.open_connection(self._host, self._port)
        both = {writer, to_writer}
        self._writers |= both
        await asyncio.gather(pump(reader, to_writer), pump(to_reader, writer))
        self._writers -= both


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until either side has gone."""
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    with suppress(OSError):
        writer.close()
        await writer.wait_closed()
