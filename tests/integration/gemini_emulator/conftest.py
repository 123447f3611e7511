"""A running emulator for each test, and the real client pointed at it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import httpx2
import pytest
from google import genai
from google.genai import types
from google.genai.client import AsyncClient

from pyairtable_devkit.gemini.testing import GeminiEmulator

Connect = Callable[..., Awaitable[AsyncClient]]


@pytest.fixture(scope="session")
def running_gemini() -> Iterator[GeminiEmulator]:
    with GeminiEmulator() as emulator:
        yield emulator


@pytest.fixture
def gemini(running_gemini: GeminiEmulator) -> GeminiEmulator:
    running_gemini.reset()
    return running_gemini


@pytest.fixture
async def connect(gemini: GeminiEmulator) -> AsyncIterator[Connect]:
    """A maker of real clients; the transport is given, since the library takes aiohttp when that is installed."""
    async with AsyncExitStack() as stack:

        async def made(key: str = gemini.key, **options: Any) -> AsyncClient:
            transport = await stack.enter_async_context(httpx2.AsyncClient(timeout=20))
            http_options = types.HttpOptions(base_url=gemini.url, httpx_async_client=transport, **options)
            return await stack.enter_async_context(genai.Client(api_key=key, http_options=http_options).aio)

        yield made


@pytest.fixture
async def client(connect: Connect) -> AsyncClient:
    return await connect()


@pytest.fixture
def raw(gemini: GeminiEmulator) -> Iterator[httpx2.Client]:
    headers = {"x-goog-api-key": gemini.key}
    with httpx2.Client(base_url=gemini.url, headers=headers, timeout=10) as http:
        yield http
