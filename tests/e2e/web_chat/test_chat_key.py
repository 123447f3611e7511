"""The page asks for an access key when the door wants one, once, and keeps it to itself."""

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


async def test_the_key_is_asked_for_once_and_kept_for_the_tab(page: Page, closed_site: Site) -> None:
    dialog = page.get_by_role("dialog", name="Access key")
    await expect(dialog).to_be_visible()
    await page.get_by_label("Access key", exact=True).last.fill("pya_bad")
    await page.keyboard.press("Enter")
    await expect(dialog.get_by_role("alert")).to_contain_text("no such key")
    await page.locator("#key").fill("pya_good_key_of_this_test")
    await dialog.get_by_role("button", name="Use this key").click()
    await expect(dialog).to_be_hidden()
    await expect(page.locator("#workspace-name")).to_have_text("Acme Renovations")
    await page.reload()
    await expect(page.locator("#workspace-name")).to_have_text("Acme Renovations")
    await expect(dialog).to_be_hidden()
    assert "pya_" not in page.url
    kept = "document.cookie + JSON.stringify(localStorage) + document.body.innerHTML"
    assert "pya_good" not in await page.evaluate(kept)
    for call in closed_site.behind.recorder.calls:
        assert "pya_" not in str(call.metadata)
        assert call.metadata["x-api-key"] == "not-a-secret-but-long"


async def test_not_now_leaves_a_page_that_asks_again(page: Page) -> None:
    dialog = page.get_by_role("dialog", name="Access key")
    await expect(dialog).to_be_visible()
    await dialog.get_by_role("button", name="Not now").click()
    await expect(dialog).to_be_hidden()
    await page.locator("#message").fill("List all tables")
    await page.keyboard.press("Enter")
    await expect(dialog).to_be_visible()
