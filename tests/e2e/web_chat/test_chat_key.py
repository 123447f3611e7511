"""A workspace's access key opens the page: asked for once, and kept to itself."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from e2e.web_chat.conftest import Site, open_site
from integration.auth.fake_auth import FakeAuth, serving
from playwright.async_api import Browser, Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def closed_site() -> AsyncIterator[Site]:
    """A door that wants a credential, and takes keys that begin with pya_good."""
    fake = FakeAuth()
    fake.gate.set()
    async with serving(fake) as (target, _), open_site(api_key="not-a-secret-but-long", auth_target=target) as site:
        yield site


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser, closed_site: Site) -> AsyncIterator[Page]:
    context = await browser.new_context()
    opened = await context.new_page()
    await opened.goto(closed_site.url)
    yield opened
    await context.close()


async def use_key(page: Page, key: str) -> None:
    await page.get_by_role("button", name="Use a key").click()
    await page.locator("#key").fill(key)
    await page.keyboard.press("Enter")


async def test_a_key_is_asked_for_once_and_kept_for_the_tab(page: Page, closed_site: Site) -> None:
    entry = page.locator("#entry")
    await expect(entry).to_be_visible()
    await use_key(page, "pya_bad")
    await expect(page.locator("#entry-note")).to_contain_text("no such key")
    await use_key(page, "pya_good_key_of_this_test")
    await expect(entry).to_be_hidden()
    await expect(page.locator("#workspace-name")).to_have_text("Acme Renovations")
    await page.reload()
    await expect(page.locator("#workspace-name")).to_have_text("Acme Renovations")
    await expect(entry).to_be_hidden()
    assert "pya_" not in page.url
    kept = "document.cookie + JSON.stringify(localStorage) + document.body.innerHTML"
    assert "pya_good" not in await page.evaluate(kept)
    for call in closed_site.behind.recorder.calls:
        assert "pya_" not in str(call.metadata)
        assert call.metadata["x-api-key"] == "not-a-secret-but-long"


async def test_who_forgets_the_key_must_show_one_again(page: Page) -> None:
    await use_key(page, "pya_good_key_of_this_test")
    await expect(page.locator("#workspace-name")).to_have_text("Acme Renovations")
    await page.get_by_role("button", name="Forget the key").click()
    await expect(page.locator("#entry")).to_be_visible()
    await page.reload()
    await expect(page.locator("#entry")).to_be_visible()
