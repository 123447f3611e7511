"""The page around the conversation: chats, workspace, keyboard, phone, accessible names."""

from __future__ import annotations

import asyncio

import pytest
from e2e.web_chat.conftest import Site, watched_page
from integration.api_gateway.upstream_fakes import FakeRun
from playwright.async_api import Browser, Page, expect

from pyairtable_protos.chat.v1 import run_pb2

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


async def ask(page: Page, text: str) -> None:
    await page.get_by_label("Message").fill(text)
    await page.keyboard.press("Enter")
    await expect(page.locator(".turn").last).to_contain_text(f"You said: {text}")


async def test_it_says_where_it_works_and_in_which_mode(page: Page) -> None:
    await expect(page.locator("#workspace-name")).to_have_text("Acme Renovations")
    await expect(page.locator(".base")).to_have_text("crm")
    await expect(page.locator(".base")).to_have_attribute("title", "appXXXXXXXXXXXXXX, read and write")
    await expect(page.get_by_text("Development mode")).to_be_visible()
    await expect(page.get_by_label("All services are healthy")).to_be_visible()


async def test_an_example_is_asked_by_a_click(page: Page) -> None:
    await page.get_by_role("button", name="List all tables in my Airtable base").click()
    await expect(page.locator(".turn")).to_contain_text("You said: List all tables in my Airtable base")
    await expect(page.locator("#welcome")).to_be_hidden()


async def test_chats_are_listed_opened_and_deleted(page: Page, site: Site) -> None:
    async def script(run: FakeRun) -> None:
        run.start_tool("1", "list_tables", base_id="crm")
        run.end_tool("1", "list_tables", summary="10 tables", duration_ms=5)
        cost = run_pb2.CostInfo(model="fake-model", total_tokens=1234, cached_tokens=1000, thinking_tokens=96)
        done = run_pb2.RunDone(response="Ten tables.", tools_used=["list_tables"], cost_info=cost)
        done.thinking_process = "I need the list."
        run.write(done=done)

    site.chat.scripts["Tables?"] = script
    await page.get_by_label("Message").fill("Tables?")
    await page.keyboard.press("Enter")
    await expect(page.locator(".turn .markdown")).to_have_text("Ten tables.")
    await page.get_by_role("button", name="New chat").click()
    await expect(page.locator(".turn")).to_have_count(0)
    await ask(page, "hello")
    chats = page.get_by_role("navigation", name="Chats")
    await chats.get_by_role("button", name="Tables?", exact=False).first.click()
    await expect(page.locator(".turn .markdown")).to_have_text("Ten tables.")
    assert page.url.endswith("#chat=session-1")

    await page.locator(".step summary").first.click()  # steps of an old answer are read when somebody asks
    await expect(page.locator(".step .step summary")).to_contain_text(["Thinking", "10 tables"])
    await expect(page.locator(".turn .cost")).to_have_text("1,234 tokens (1,000 cached, 96 thinking) · fake-model")
    await expect(page.locator(".turn .copy")).to_be_visible()

    await page.go_back()
    await expect(page.locator(".turn .markdown")).to_have_text("You said: hello")

    await chats.get_by_role("button", name="Delete chat: Tables?").click()
    await page.get_by_role("button", name="Keep it").click()
    assert len(site.chat.runs) == 2
    await chats.get_by_role("button", name="Delete chat: Tables?").click()
    await page.get_by_role("button", name="Delete", exact=True).click()
    await expect(page.locator(".session")).to_have_count(1)
    assert [run.session_id for run in site.chat.runs.values()] == ["session-2"]


async def test_a_second_message_stays_in_its_chat(page: Page, site: Site) -> None:
    await ask(page, "one")
    await ask(page, "two")
    assert {run.session_id for run in site.chat.runs.values()} == {"session-1"}
    await expect(page.locator(".session")).to_have_count(1)


async def test_a_chat_that_is_not_there_is_said_and_a_new_one_offered(page: Page, site: Site) -> None:
    await page.goto("about:blank")
    await page.goto(f"{site.url}/#chat=gone")
    await expect(page.get_by_role("alert").filter(has_text="there is no session gone")).to_be_visible()
    await expect(page.locator("#welcome")).to_be_visible()


async def test_everything_works_by_keyboard(page: Page, site: Site) -> None:
    await expect(page.get_by_label("Message")).to_be_focused()
    await page.keyboard.type("first line")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type("second line")
    assert site.chat.runs == {}
    await page.keyboard.press("Enter")
    await expect(page.locator(".question")).to_contain_text("first line\nsecond line")
    await expect(page.locator(".session")).to_contain_text("first line")  # the run was accepted
    assert site.chat.runs["run-1"].message == "first line\nsecond line"
    await page.get_by_role("button", name="New chat").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Message")).to_be_focused()
    reached = set()
    for _ in range(30):
        await page.keyboard.press("Tab")
        reached.add(
            await page.evaluate("document.activeElement.textContent.trim() || document.activeElement.ariaLabel")
        )
    assert any("first line" in str(name) for name in reached)  # the chat in the list
    assert "List all tables in my Airtable base" in reached


async def test_every_control_has_a_name_and_every_image_a_description(page: Page) -> None:
    await ask(page, "hello")
    nameless = await page.evaluate(
        """() => [...document.querySelectorAll("button, input, textarea, select, summary")]
            .filter((node) => !(node.textContent.trim() || node.ariaLabel || node.labels?.length))
            .map((node) => node.outerHTML)"""
    )
    assert nameless == []
    assert await page.locator("img:not([alt])").count() == 0
    assert await page.locator("html[lang]").count() == 1


async def test_a_phone_shows_it_without_scrolling_sideways(browser: Browser, site: Site) -> None:
    site.chat.forget()

    async def script(run: FakeRun) -> None:
        wide = "| " + " | ".join(f"Column {n}" for n in range(12)) + " |"
        text = f"{wide}\n|{'---|' * 12}\n{wide}\n\n`{'x' * 300}`\n\n```\n{'y' * 300}\n```\n\n{'z' * 300}"
        run.done(text)

    site.chat.scripts["Wide"] = script
    async with watched_page(browser, site.url, viewport={"width": 360, "height": 740}, has_touch=True) as page:
        await page.goto(site.url)
        await page.get_by_label("Message").fill("Wide")
        await page.get_by_role("button", name="Send").tap()
        await expect(page.locator(".markdown table")).to_be_visible()
        for selector in ("html", "#thread"):
            overflow = await page.locator(selector).evaluate("(node) => node.scrollWidth - node.clientWidth")
            assert overflow <= 0, selector
        await expect(page.get_by_role("button", name="New chat")).to_be_hidden()
        menu = page.get_by_role("button", name="Chats")
        await menu.tap()
        await expect(page.get_by_role("button", name="New chat")).to_be_focused()
        await page.keyboard.press("Shift+Tab")  # not to what lies behind
        assert await page.evaluate("document.activeElement.closest('.page')") is None
        await page.keyboard.press("Escape")
        await expect(menu).to_be_focused()
        await menu.tap()
        await page.get_by_role("button", name="New chat").tap()
        await expect(page.locator("#welcome")).to_be_visible()
        await expect(page.get_by_role("button", name="New chat")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_text_can_be_read_in_light_and_dark(browser: Browser, site: Site, scheme: str) -> None:
    async with watched_page(browser, site.url, color_scheme=scheme) as page:
        await page.goto(site.url)
        ratio = await page.evaluate(CONTRAST)
        assert ratio["text"] >= 7
        assert ratio["soft"] >= 4.5
        assert ratio["accent"] >= 4.5
        assert ratio["bad"] >= 4.5


CONTRAST = """() => {
    const style = getComputedStyle(document.documentElement);
    const hex = (name) => style.getPropertyValue(name).trim();
    const channels = (name) => hex(name).match(/[0-9a-f]{2}/gi).map((pair) => parseInt(pair, 16) / 255);
    const light = (name) => channels(name).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
    return { text: ratio("--text", "--ground"), soft: ratio("--soft", "--ground"),
             accent: ratio("--accent", "--surface"), bad: ratio("--bad", "--bad-soft") };
}"""


async def test_reading_up_is_not_disturbed_by_new_text(page: Page, site: Site) -> None:
    go_on = asyncio.Event()

    async def script(run: FakeRun) -> None:
        run.say("line\n\n" * 60)
        await go_on.wait()
        run.say("more\n\n" * 20)
        run.done("")

    site.chat.scripts["Long"] = script
    await page.get_by_label("Message").fill("Long")
    await page.keyboard.press("Enter")
    await expect(page.locator(".markdown p")).to_have_count(60)
    await page.locator("#thread").evaluate("(node) => { node.scrollTop = 0; }")
    await page.wait_for_function("thread.scrollTop === 0")
    go_on.set()
    await expect(page.locator(".markdown p")).to_have_count(80)
    assert await page.locator("#thread").evaluate("(node) => node.scrollTop") == 0
