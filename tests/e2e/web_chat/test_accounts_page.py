"""Coming in, staying in and leaving, in the page: the login lives in the tab and refreshes once at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from e2e.web_chat.conftest import Site, watched_page
from e2e.web_chat.fake_accounts import EMAIL, PASSWORD, FakeAccounts
from playwright.async_api import Browser, Locator, Page, Route, expect

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]


@pytest.fixture
def accounts() -> FakeAccounts:
    return FakeAccounts()


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser, site: Site, accounts: FakeAccounts) -> AsyncIterator[Page]:
    async with watched_page(browser, site.url) as opened:
        await accounts.serve(opened)
        yield opened


def field(page: Page, view: str, name: str) -> Locator:
    """A field of one form, by its exact label: other forms and the dialog have names like it."""
    return page.locator(f"#entry-{view}").get_by_label(name, exact=True)


async def log_in(page: Page, password: str = PASSWORD) -> None:
    await field(page, "login", "E-mail address or user name").fill(EMAIL)
    await field(page, "login", "Password").fill(password)
    await page.keyboard.press("Enter")


async def is_told(page: Page, text: str) -> None:
    await expect(page.locator("#entry-note")).to_contain_text(text)


async def is_complained_of(page: Page, text: str) -> None:
    await expect(page.locator("#entry-problem")).to_contain_text(text)


async def ask_to_register(page: Page, site: Site, password: str) -> None:
    await page.goto(site.url)
    await page.get_by_role("button", name="Register").click()
    await field(page, "register", "Your name").fill("Ada Okafor")
    await field(page, "register", "E-mail address").fill(EMAIL)
    await field(page, "register", "Password").fill(password)
    await page.keyboard.press("Enter")


async def is_in(page: Page) -> None:
    await expect(page.locator("#entry")).to_be_hidden()
    await expect(page.locator("#workspace-name")).to_have_text("Ada")
    await expect(page.locator("#account-name")).to_have_text("ada")


async def test_from_registration_over_the_letter_to_the_chat(page: Page, site: Site, accounts: FakeAccounts) -> None:
    await ask_to_register(page, site, PASSWORD)
    await expect(page.get_by_role("heading", name="Check your e-mail")).to_be_visible()
    await is_told(page, "Look for our letter.")
    await expect(field(page, "sent", "E-mail address")).to_have_value(EMAIL)
    await page.get_by_role("button", name="Send it again").click()
    await is_told(page, "Another letter is on its way.")

    await page.goto(f"{site.url}/verify-email#token=pyv_right")
    await is_told(page, "Your address is confirmed. Log in now.")
    assert "pyv_" not in page.url
    await expect(field(page, "login", "E-mail address or user name")).to_have_value(EMAIL)
    await log_in(page)
    await is_in(page)
    registered = next(body for _, path, body in accounts.calls if path == "/auth/register")
    assert registered == {"email": EMAIL, "display_name": "Ada Okafor", "password": PASSWORD}


async def test_a_link_that_was_used_is_told_with_what_helps(page: Page, site: Site, accounts: FakeAccounts) -> None:
    await page.goto(f"{site.url}/verify-email#token=pyv_used")
    await is_complained_of(page, "This link was used before or has expired. If your address is confirmed already")
    await field(page, "sent", "E-mail address").fill(EMAIL)
    await page.keyboard.press("Enter")
    await is_told(page, "Another letter is on its way.")
    assert accounts.calls[-1] == ("POST", "/auth/resend-verification", {"email": EMAIL})

    await page.goto(f"{site.url}/reset-password#token=pyp_used")
    await field(page, "reset", "New password").fill("another password of this test")
    await page.keyboard.press("Enter")
    await is_complained_of(page, "Have another letter sent.")
    await expect(field(page, "forgot", "E-mail address")).to_be_focused()


async def test_a_refused_password_is_told_at_its_field(page: Page, site: Site) -> None:
    await ask_to_register(page, site, "password")
    await is_complained_of(page, "Password is among the best known passwords: choose another.")
    wrong = field(page, "register", "Password")
    await expect(wrong).to_be_focused()
    await expect(wrong).to_have_attribute("aria-invalid", "true")
    await page.get_by_role("button", name="I have an account").click()
    await expect(field(page, "login", "E-mail address or user name")).to_have_value(EMAIL)  # typed once


async def test_a_password_can_be_looked_at_and_is_hidden_again(page: Page, site: Site) -> None:
    await page.goto(site.url)
    typed = field(page, "login", "Password")
    await expect(typed).to_have_attribute("type", "password")
    await page.locator("#entry-login").get_by_label("Show the password").check()
    await expect(typed).to_have_attribute("type", "text")
    await page.get_by_role("button", name="Register").click()
    await page.get_by_role("button", name="I have an account").click()
    await expect(typed).to_have_attribute("type", "password")


@pytest.mark.parametrize(
    ("status", "headers", "detail", "told"),
    [
        (429, {"Retry-After": "600"}, "too many attempts", "Too many attempts. Try again in 10 minutes."),
        (503, {}, "the Auth Service cannot be reached", "The Auth Service cannot be reached. Try again in a minute."),
        (503, {}, "too many are checked: try again", "Too many are checked: try again."),
    ],
)
async def test_what_keeps_one_out_is_told_with_what_helps(
    page: Page, site: Site, status: int, headers: dict[str, str], detail: str, told: str
) -> None:
    async def refuse(route: Route) -> None:
        await route.fulfill(status=status, headers=headers, json={"detail": detail})

    await page.goto(site.url)
    await page.route("**/api/auth/login", refuse)
    await log_in(page)
    await expect(page.locator("#entry-problem")).to_have_text(told)
    await page.unroute("**/api/auth/login")
    await page.route("**/api/auth/login", lambda route: route.abort())
    await log_in(page)
    await is_complained_of(page, "The server cannot be reached. Check the connection and try again.")


async def test_a_server_that_does_not_answer_is_told(page: Page, site: Site) -> None:
    at_once = "AbortSignal.timeout = () => AbortSignal.abort(new DOMException('', 'TimeoutError'))"
    await page.add_init_script(at_once)
    await page.goto(site.url)
    await log_in(page)
    await is_complained_of(page, "The server does not answer at the moment. Try again in a minute.")


async def test_the_first_base_is_connected_where_it_is_missed(page: Page, site: Site, accounts: FakeAccounts) -> None:
    accounts.bases = []
    await page.goto(site.url)
    await log_in(page)
    await expect(page.get_by_role("heading", name="Connect a base")).to_be_visible()
    await expect(page.get_by_role("button", name="List all tables in my Airtable base")).to_be_hidden()
    base = page.get_by_label("Address or id of the base")
    problem = page.locator("#connect-problem")
    await base.fill("https://example.com/")
    await page.keyboard.press("Enter")
    await expect(problem).to_contain_text("This holds no base.")
    await base.fill("appNotThere000000")
    await page.keyboard.press("Enter")
    await expect(problem).to_have_text('Airtable does not show base "appNotThere000000" to this token.')
    await expect(base).to_be_focused()
    await base.fill("https://airtable.com/appAcmeRenovation/tblTasks?blocks=hide")
    await page.get_by_label("read records").check()
    await page.get_by_role("button", name="Connect the base").click()
    await expect(page.locator(".base")).to_have_text("crm")
    await expect(page.get_by_role("button", name="List all tables in my Airtable base")).to_be_visible()
    await expect(page.get_by_label("Message")).to_be_focused()
    asked = [body for _, path, body in accounts.calls if path == "/workspaces/ada/bases"]
    assert asked[-1]["base_id"] == "appAcmeRenovation"
    assert asked[-1]["access"] == "BASE_ACCESS_READ_ONLY"
    assert len({body["idempotency_key"] for body in asked}) == len(asked) == 2


async def test_who_may_not_connect_a_base_is_told_who_may(page: Page, site: Site, accounts: FakeAccounts) -> None:
    accounts.bases, accounts.role = [], "editor"
    await page.goto(site.url)
    await log_in(page)
    await expect(page.get_by_text("Ask an owner or admin of this workspace to connect one.")).to_be_visible()
    await expect(page.locator("#connect-form")).to_be_hidden()


async def test_a_wrong_password_is_told_and_the_right_one_lasts_over_a_reload(page: Page, site: Site) -> None:
    await page.goto(site.url)
    await log_in(page, "wrong")
    await is_complained_of(page, "This name and password do not fit together. Check both")
    await expect(field(page, "login", "Password")).to_be_focused()
    await log_in(page)
    await is_in(page)
    await page.reload()
    await is_in(page)
    kept = "document.cookie + JSON.stringify(localStorage) + document.documentElement.outerHTML"
    shown = await page.evaluate(kept)
    assert "access-" not in shown
    assert "refresh-" not in shown
    assert PASSWORD not in shown


async def test_nothing_but_coming_in_can_be_done_before(page: Page, site: Site) -> None:
    await page.goto(site.url)
    await expect(page.locator("#entry")).to_be_visible()
    for _ in range(3):
        await page.keyboard.press("Escape")
    await expect(page.locator("#entry")).to_be_visible()


async def test_a_new_password_by_letter(page: Page, site: Site) -> None:
    await page.goto(site.url)
    await page.get_by_role("button", name="Forgot the password?").click()
    await field(page, "forgot", "E-mail address").fill(EMAIL)
    await page.keyboard.press("Enter")
    await is_told(page, "a letter is on its way")
    await page.goto(f"{site.url}/reset-password#token=pyp_right")
    await field(page, "reset", "New password").fill("another password of this test")
    await expect(page.get_by_role("checkbox", name="Revoke my API keys too")).to_be_checked()
    await page.keyboard.press("Enter")
    await is_told(page, "The new password is set. Log in with it. API keys revoked: 2.")


async def test_many_calls_refresh_an_ending_login_once(page: Page, site: Site, accounts: FakeAccounts) -> None:
    await page.goto(site.url)
    accounts.expires_in = 1  # less than is kept in reserve: the next calls refresh
    await log_in(page)
    await expect(page.locator("#account-name")).to_have_text("ada")
    accounts.expires_in = 900
    await page.reload()
    await is_in(page)
    assert len(accounts.used) == len(set(accounts.used)) >= 1


LET_IT_END = "sessionStorage.session = JSON.stringify({...JSON.parse(sessionStorage.session), ends: 0})"


async def test_tabs_of_one_login_refresh_one_at_a_time(page: Page, site: Site, accounts: FakeAccounts) -> None:
    await page.goto(site.url)
    await log_in(page)
    await is_in(page)
    other = await page.context.new_page()  # a second tab is signed in by the first
    await other.goto(site.url)
    await is_in(other)
    for _ in range(3):
        await page.evaluate(LET_IT_END)
        await other.evaluate(LET_IT_END)
        before = len(accounts.used)
        calls = "Promise.all([1, 2, 3].map(() => import('/static/api.js').then(({api}) => api.me())))"
        first = page.evaluate(calls)
        second = other.evaluate(calls)
        await first
        await second
        assert len(accounts.used) == before + 1
    assert len(set(accounts.used)) == len(accounts.used)


async def test_a_login_that_ended_elsewhere_asks_again_and_goes_on(
    page: Page, site: Site, accounts: FakeAccounts
) -> None:
    await page.goto(site.url)
    await log_in(page)
    await is_in(page)
    accounts.ended = True
    await page.locator("#message").fill("List all tables")
    await page.keyboard.press("Enter")
    await expect(page.locator("#entry")).to_be_visible()
    await is_told(page, "You were logged out")
    await log_in(page)
    await is_in(page)


async def test_log_out_ends_it_in_all_tabs(page: Page, site: Site, accounts: FakeAccounts) -> None:
    await page.goto(site.url)
    await log_in(page)
    await is_in(page)
    other = await page.context.new_page()
    await other.goto(site.url)
    await is_in(other)
    await page.get_by_role("button", name="Log out").click()
    await expect(page.locator("#entry")).to_be_visible()
    await expect(other.locator("#entry")).to_be_visible()
    assert accounts.ended
    assert await page.evaluate("sessionStorage.session ?? ''") == ""


async def test_invitations_are_accepted_and_declined(page: Page, site: Site, accounts: FakeAccounts) -> None:
    accounts.invited_to = ["acme", "globex"]
    await page.goto(site.url)
    await log_in(page)
    await expect(page.get_by_text("You are invited to acme as editor.")).to_be_visible()
    await page.get_by_role("button", name="Decline: globex").click()
    await expect(page.get_by_text("You are invited to globex as editor.")).to_be_hidden()
    await page.get_by_role("button", name="Accept: acme").click()
    await expect(page.locator("#workspace")).to_have_value("acme")
    await expect(page.locator("#invitations")).to_be_hidden()
    await page.locator("#workspace").select_option("ada")
    await expect(page.locator("#workspace")).to_have_value("ada")


async def test_the_link_of_an_invitation_waits_for_the_login(page: Page, site: Site, accounts: FakeAccounts) -> None:
    accounts.invited_to = ["acme"]
    await page.goto(f"{site.url}/invitations#token=pyi-acme")
    await log_in(page)
    await expect(page.get_by_role("button", name="Accept: acme")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("#workspace")).to_have_value("acme")
    assert "pyi" not in page.url


async def test_a_link_to_an_invitation_that_does_not_count_is_told(page: Page, site: Site) -> None:
    await page.goto(f"{site.url}/invitations#token=pyi-globex")
    await log_in(page)
    await expect(page.locator("#banner")).to_contain_text("There is no such invitation, or it was used.")


async def test_a_first_workspace_in_the_making_is_waited_for(page: Page, site: Site, accounts: FakeAccounts) -> None:
    accounts.workspaces = []
    await page.goto(site.url)
    await log_in(page)
    await expect(page.get_by_text("Your first workspace is being made.")).to_be_visible()
    accounts.workspaces = ["ada"]
    await expect(page.locator("#workspace-name")).to_have_text("Ada")
    await expect(page.get_by_text("Your first workspace is being made.")).to_be_hidden()


async def test_a_key_works_in_place_of_a_login(page: Page, site: Site) -> None:
    await page.goto(site.url)
    await page.get_by_role("button", name="Use a key").click()
    await field(page, "key", "Key").fill("pya_bad")
    await page.keyboard.press("Enter")
    await is_told(page, "not accepted: pya_bad")
    await page.get_by_role("button", name="Use a key").click()
    await field(page, "key", "Key").fill("pya_good_key")
    await page.keyboard.press("Enter")
    await expect(page.locator("#workspace-name")).to_have_text("Ada")
    await page.get_by_role("button", name="Forget the key").click()
    await expect(page.locator("#entry")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_fits_a_phone(browser: Browser, site: Site, scheme: str) -> None:
    viewport = {"width": 360, "height": 640}
    async with watched_page(browser, site.url, viewport=viewport, color_scheme=scheme, has_touch=True) as page:
        await FakeAccounts().serve(page)
        await page.goto(site.url)
        for view in ("Register", "I have an account"):
            await page.get_by_role("button", name=view).click()
            assert await page.evaluate("document.documentElement.scrollWidth") <= 360
            assert await page.evaluate("document.querySelector('#entry').scrollWidth") <= 360
