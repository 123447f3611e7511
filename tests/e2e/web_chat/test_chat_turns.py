"""A turn on the page: streamed text, steps, cost, errors, stop, and a lost connection."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from e2e.web_chat.conftest import CuttableProxy, Site, watched_page
from integration.api_gateway.upstream_fakes import FakeRun, until
from playwright.async_api import Browser, Page, Route, expect

from pyairtable_protos.chat.v1 import run_pb2

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

COST = run_pb2.CostInfo(model="fake-model", total_tokens=1234, total_cost_usd="0.00041200")


async def ask(page: Page, text: str) -> None:
    await page.get_by_label("Message").fill(text)
    await page.keyboard.press("Enter")


async def test_text_appears_while_it_is_written_and_ends_with_its_cost(page: Page, site: Site) -> None:
    go_on = asyncio.Event()

    async def script(run: FakeRun) -> None:
        run.say("There are **ten** ")
        await go_on.wait()
        run.say("tables.")
        run.done("There are **ten** tables.", COST)

    site.chat.scripts["How many?"] = script
    await ask(page, "How many?")
    answer = page.locator(".turn .markdown")
    await expect(answer).to_have_text("There are ten")
    await expect(answer.locator("strong")).to_have_text("ten")
    go_on.set()
    await expect(answer).to_have_text("There are ten tables.")
    await expect(page.locator(".turn-footer")).to_contain_text("$0.000412 · 1,234 tokens · fake-model")
    await expect(page.locator(".turn-footer .cost")).to_have_attribute("title", "$0.00041200")
    await expect(page.locator("#session-cost")).to_have_text("$0.000412")
    await expect(page.get_by_role("status")).to_have_text("Answer: There are ten tables.")


async def test_steps_show_how_they_go_and_open_to_their_arguments(page: Page, site: Site) -> None:
    go_on = asyncio.Event()

    async def script(run: FakeRun) -> None:
        run.start_tool("1", "get_records", table="Working hours")
        await go_on.wait()
        run.end_tool("1", "get_records", summary="214 records", duration_ms=1240)
        run.start_tool("2", "update_records", table="Invoices")
        run.end_tool("2", "update_records", is_error=True, error="the base is bound for reading only", duration_ms=7)
        run.done("Done.", COST)

    site.chat.scripts["Go"] = script
    await ask(page, "Go")
    first = page.locator(".step").nth(0)
    await expect(first.locator(".step-title")).to_have_text("Get records")
    await expect(first.get_by_label("running")).to_be_visible()
    go_on.set()
    await expect(first.get_by_label("succeeded")).to_be_visible()
    await expect(first.locator("summary")).to_contain_text("214 records")
    await expect(first.locator("summary")).to_contain_text("1.2 s")
    await expect(first.locator("pre")).to_be_hidden()
    await first.locator("summary").click()
    await expect(first.locator("pre")).to_contain_text('"table": "Working hours"')
    second = page.locator(".step").nth(1)
    await expect(second.get_by_label("failed")).to_be_visible()
    await expect(second.locator("summary")).to_contain_text("the base is bound for reading only")


async def test_a_run_that_fails_says_why_and_can_be_tried_again(page: Page, site: Site) -> None:
    async def script(run: FakeRun) -> None:
        if len(site.chat.runs) == 1:
            run.say("I was going to")
            run.write(failed=run_pb2.RunError(reason="MODEL_UNAVAILABLE", message="the model is overloaded"))
        else:
            run.done("Here you are.")

    site.chat.scripts["Go"] = script
    await ask(page, "Go")
    failure = page.get_by_role("alert").filter(has_text="overloaded")
    await expect(failure).to_contain_text("The model is overloaded")
    await expect(failure).to_contain_text("MODEL_UNAVAILABLE")
    await failure.get_by_role("button", name="Try again").click()
    await expect(page.locator(".turn .markdown")).to_have_text("Here you are.")
    await expect(page.locator(".turn")).to_have_count(1)


async def test_all_of_an_answer_is_said_to_screen_readers(page: Page, site: Site) -> None:
    async def script(run: FakeRun) -> None:
        run.say("I look.")
        run.start_tool("1", "list_tables")
        run.end_tool("1", "list_tables", summary="1 table")
        run.say("| Table | Fields |\n|---|---|\n| Tasks | 12 |")
        run.done("I look.| Table | Fields |\n|---|---|\n| Tasks | 12 |", COST)

    site.chat.scripts["Tables?"] = script
    await ask(page, "Tables?")
    await expect(page.get_by_role("status")).to_have_text("Answer: I look. Table Fields Tasks 12")


async def test_a_message_that_is_refused_is_told_with_its_request_id(page: Page, site: Site) -> None:
    async def refuse(call: Any) -> None:
        await call.abort(grpc.StatusCode.ABORTED, "this session has a run in progress")

    site.chat.refuse = refuse
    await ask(page, "Go")
    failure = page.locator(".failure")
    await expect(failure).to_contain_text("This session has a run in progress.")
    await expect(failure).to_contain_text("request ")
    await expect(page.get_by_label("Message")).to_be_editable()


async def test_a_message_sent_before_the_workspaces_are_known_goes_to_the_right_one(
    browser: Browser, site: Site
) -> None:
    site.chat.forget()
    workspaces_known = asyncio.Event()
    sent: list[Any] = []

    async def hold(route: Route) -> None:
        await workspaces_known.wait()
        await route.continue_()

    async def script(run: FakeRun) -> None:
        run.done("Ten.", COST)

    site.chat.scripts["Go"] = script
    async with watched_page(browser, site.url) as page:
        await page.route("**/api/workspaces", hold)
        page.on("request", lambda one: sent.append(one.post_data_json) if one.url.endswith("/chat/stream") else None)
        await page.goto(site.url)
        await ask(page, "Go")
        await expect(page.locator(".turn")).to_contain_text("Thinking")
        workspaces_known.set()
        await expect(page.locator(".turn .markdown")).to_have_text("Ten.")
        await expect(page.locator(".session")).to_have_count(1)
        await expect(page.locator(".turn .cost")).to_be_visible()  # the turn itself, not its history read again
    assert [request["workspace"] for request in sent] == ["acme"]


async def test_text_that_is_taken_back_is_replaced(page: Page, site: Site) -> None:
    go_on, rewind = asyncio.Event(), asyncio.Event()

    async def script(run: FakeRun) -> None:
        run.say("I look. ")
        run.start_tool("1", "list_tables")
        run.end_tool("1", "list_tables", summary="10 tables", duration_ms=5)
        run.say("There are **elev")
        await rewind.wait()
        run.write(rewound=run_pb2.RunRewound(response="I look. "))
        await go_on.wait()
        run.say("There are ten.")
        run.done("I look. There are ten.", COST)

    site.chat.scripts["Go"] = script
    await ask(page, "Go")
    said = page.locator(".turn .markdown")
    await expect(said).to_have_text(["I look.", "There are **elev"])
    rewind.set()
    await expect(said).to_have_text(["I look."])
    await expect(page.locator(".waiting")).to_have_text("Thinking")
    go_on.set()
    await expect(said).to_have_text(["I look.", "There are ten."])
    await expect(page.locator(".answer-body > *")).to_have_count(3)
    await expect(page.locator(".answer-body > *").nth(1).locator(".step-title")).to_have_text("List tables")


async def test_all_text_may_be_taken_back(page: Page, site: Site) -> None:
    async def script(run: FakeRun) -> None:
        run.say("Once upon")
        run.write(rewound=run_pb2.RunRewound())
        run.done("Ten.")

    site.chat.scripts["Go"] = script
    await ask(page, "Go")
    await expect(page.locator(".turn .markdown")).to_have_text(["Ten."])


async def test_text_that_was_not_taken_back_to_a_known_piece_is_set_whole(page: Page, site: Site) -> None:
    async def script(run: FakeRun) -> None:
        run.say("One two")
        run.write(rewound=run_pb2.RunRewound(response="Uno "))
        run.say("due")
        run.done("Uno due")

    site.chat.scripts["Go"] = script
    await ask(page, "Go")
    await expect(page.locator(".turn .markdown")).to_have_text(["Uno due"])


async def test_a_stream_that_ends_with_an_error_says_why_and_can_be_read_again(page: Page, site: Site) -> None:
    go_on = asyncio.Event()

    async def script(run: FakeRun) -> None:
        run.start_tool("1", "list_tables")
        run.say("Half an ans")
        run.break_streams(grpc.StatusCode.INTERNAL, "the log of this run cannot be read")
        await go_on.wait()
        run.say("wer.")
        run.done("Half an answer.", COST)

    site.chat.scripts["Go"] = script
    await ask(page, "Go")
    failure = page.get_by_role("alert").filter(has_text="the log of this run cannot be read")
    await expect(failure).to_contain_text("request ")
    await expect(page.locator(".turn .markdown")).to_have_text("Half an ans")
    await expect(page.locator(".waiting")).to_be_hidden()
    await expect(page.locator(".step").get_by_label("interrupted")).to_be_visible()
    await expect(page.get_by_role("button", name="Stop the answer")).to_be_hidden()
    await expect(page.get_by_label("Message")).to_be_editable()

    site.chat.runs["run-1"].broken = None
    go_on.set()
    await failure.get_by_role("button", name="Read the answer again").click()
    await expect(page.locator(".turn .markdown")).to_have_text("Half an answer.")
    await expect(page.locator(".turn")).to_have_count(1)
    assert len(site.chat.runs) == 1  # the message was not sent again: its run may have written something


async def test_stop_ends_the_run_and_keeps_what_was_written(page: Page, site: Site) -> None:
    async def script(run: FakeRun) -> None:
        run.say("So far so good")
        await asyncio.Event().wait()

    site.chat.scripts["Go"] = script
    await ask(page, "Go")
    await expect(page.locator(".turn .markdown")).to_have_text("So far so good")
    await page.get_by_role("button", name="Stop the answer").click()
    await expect(page.locator(".stopped")).to_be_visible()
    await expect(page.locator(".turn .markdown")).to_have_text("So far so good")
    assert site.chat.runs["run-1"].events[-1].HasField("cancelled")
    await expect(page.get_by_role("button", name="Send")).to_be_visible()


async def test_escape_stops_too(page: Page, site: Site) -> None:
    async def script(run: FakeRun) -> None:
        run.say("Endless")
        await asyncio.Event().wait()

    site.chat.scripts["Go"] = script
    await ask(page, "Go")
    await expect(page.locator(".turn .markdown")).to_have_text("Endless")
    await page.keyboard.press("Escape")
    await expect(page.locator(".stopped")).to_be_visible()


async def test_a_lost_connection_loses_and_repeats_nothing(browser: Browser, site: Site) -> None:
    site.chat.forget()
    go_on = asyncio.Event()

    async def script(run: FakeRun) -> None:
        run.start_tool("1", "list_tables")
        run.end_tool("1", "list_tables", summary="10 tables", duration_ms=5)
        run.say("one ")
        await go_on.wait()
        run.say("two ")
        run.say("three")
        run.done("one two three", COST)

    site.chat.scripts["Count"] = script
    async with CuttableProxy(site.url) as proxy, watched_page(browser, proxy.url) as page:
        await page.goto(proxy.url)
        await ask(page, "Count")
        await expect(page.locator(".turn .markdown")).to_have_text("one")
        proxy.refusing = True
        proxy.cut()
        await expect(page.locator("#banner")).to_contain_text("Reconnecting")
        go_on.set()  # the run goes on while nobody reads it
        proxy.refusing = False
        await expect(page.locator(".turn .markdown")).to_have_text("one two three")
        await expect(page.locator(".step")).to_have_count(1)
        await expect(page.locator("#banner")).to_be_hidden()
    assert len(site.chat.runs) == 1


async def test_a_message_whose_answer_was_lost_is_not_sent_twice(browser: Browser, site: Site) -> None:
    site.chat.forget()
    async with CuttableProxy(site.url) as proxy, watched_page(browser, proxy.url) as page:
        cut = asyncio.Event()

        async def script(run: FakeRun) -> None:
            proxy.cut()  # after the run was accepted, maybe before its first event reached the page
            cut.set()
            run.done("Once.")

        site.chat.scripts["Create it"] = script
        await page.goto(proxy.url)
        await ask(page, "Create it")
        await cut.wait()
        await expect(page.locator(".turn .markdown")).to_have_text("Once.")
    assert len(site.chat.runs) == 1


async def test_a_door_that_stays_away_is_said(browser: Browser, site: Site) -> None:
    site.chat.forget()
    async with CuttableProxy(site.url) as proxy, watched_page(browser, proxy.url) as page:
        await page.goto(proxy.url)
        await expect(page.locator("#workspace-name")).to_have_text("Acme Renovations")
        proxy.refusing = True
        proxy.cut()
        await ask(page, "Go")
        await expect(page.locator(".failure")).to_contain_text("The server cannot be reached")
    assert site.chat.runs == {}


async def test_closing_the_page_leaves_the_run_alone(browser: Browser, site: Site) -> None:
    site.chat.forget()
    go_on = asyncio.Event()

    async def script(run: FakeRun) -> None:
        run.say("begun")
        await go_on.wait()
        run.done("begun and ended")

    site.chat.scripts["Go"] = script
    async with watched_page(browser, site.url) as page:
        await page.goto(site.url)
        await ask(page, "Go")
        await expect(page.locator(".turn .markdown")).to_have_text("begun")
        address = page.url
    await until(lambda: site.chat.streams_open == 0)
    async with watched_page(browser, site.url) as page:
        await page.goto(address)  # the address names the chat: whoever comes back reads on
        await expect(page.locator(".turn .markdown")).to_have_text("begun")
        go_on.set()
        await expect(page.get_by_role("button", name="Send")).to_be_visible()
    assert site.chat.runs["run-1"].events[-1].HasField("done")
