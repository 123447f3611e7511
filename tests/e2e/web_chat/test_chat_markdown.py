"""What a model writes is shown as text and a few elements; nothing in it is ever run, loaded or trusted."""

from __future__ import annotations

import json
from typing import Any

import pytest
from e2e.web_chat.conftest import Site
from integration.api_gateway.upstream_fakes import FakeRun
from playwright.async_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

DRAW = """async (source) => {
    const { showMarkdown } = await import("/static/markdown.js");
    const element = document.createElement("div");
    showMarkdown(element, source);
    return element.innerHTML;
}"""

CASES = {
    "plain": ("a < b & c", "<p>a &lt; b &amp; c</p>"),
    "paragraphs": ("one\ntwo\n\nthree", "<p>one<br>two</p><p>three</p>"),
    "emphasis": (
        "**b** *i* ***x*** ~~s~~ `c`",
        "<p><strong>b</strong> <em>i</em> <em><strong>x</strong></em> <del>s</del> <code>c</code></p>",
    ),
    "nested emphasis": ("**a *b* c**", "<p><strong>a <em>b</em> c</strong></p>"),
    "names keep their underscores": ("snake_case_name and 2 * 3 * 4", "<p>snake_case_name and 2 * 3 * 4</p>"),
    "escapes": (r"\*no\* \`no\`", "<p>*no* `no`</p>"),
    "headings": ("# A\n## B", "<h3>A</h3><h4>B</h4>"),
    "rule": ("a\n\n---\n\nb", "<p>a</p><hr><p>b</p>"),
    "list": ("- a\n- b\n  - c\n- d", "<ul><li>a</li><li>b<ul><li>c</li></ul></li><li>d</li></ul>"),
    "numbers": ("3. a\n4. b", '<ol start="3"><li>a</li><li>b</li></ol>'),
    "list then text": ("- a\n- b\n\nafter", "<ul><li>a</li><li>b</li></ul><p>after</p>"),
    "quote": ("> a\n> b", "<blockquote><p>a<br>b</p></blockquote>"),
    "code": ("```py\n<b>&\n```", '<pre tabindex="0" data-language="py"><code>&lt;b&gt;&amp;</code></pre>'),
    "code that is still being written": ("```\nx", '<pre tabindex="0" data-language=""><code>x</code></pre>'),
    "unclosed marks are text": ("**a `b [c](d", "<p>**a `b [c](d</p>"),
}


async def test_markdown(page: Page) -> None:
    for case, (source, expected) in CASES.items():
        assert await page.evaluate(DRAW, source) == expected, case


async def test_table(page: Page) -> None:
    drawn = await page.evaluate(DRAW, "| A | B |\n|---|--:|\n| x\\|y | **1** |\n| only |\n\nafter")
    assert '<thead><tr><th>A</th><th class="right">B</th></tr></thead>' in drawn
    assert '<tr><td>x|y</td><td class="right"><strong>1</strong></td></tr><tr><td>only</td></tr>' in drawn
    assert drawn.endswith("<p>after</p>")


async def test_columns_of_numbers_stand_to_the_right_unless_told_otherwise(page: Page) -> None:
    drawn = await page.evaluate(
        DRAW, "| n | left | text |\n|---|:--|---|\n| 1,200.50 | 1 | 3 rooms |\n| **-7 %** | 2 | 4 |\n| | 3 | |"
    )
    assert '<th class="right">n</th><th>left</th><th>text</th>' in drawn
    assert '<td class="right">1,200.50</td><td>1</td><td>3 rooms</td>' in drawn
    assert '<td class="right"><strong>-7 %</strong></td><td>2</td><td>4</td>' in drawn


async def test_links_lead_to_http_only_and_images_are_never_loaded(page: Page) -> None:
    link = '<a href="https://a.example/x" target="_blank" rel="noopener noreferrer nofollow">'
    assert await page.evaluate(DRAW, "[t](https://a.example/x)") == f"<p>{link}t</a></p>"
    assert await page.evaluate(DRAW, "see https://a.example/x.") == f"<p>see {link}https://a.example/x</a>.</p>"
    assert await page.evaluate(DRAW, "![pixel](https://a.example/x)") == f"<p>{link}pixel</a></p>"
    for bad in (
        "javascript:alert(1)",
        "data:text/html,x",
        "//a.example",
        "vbscript:x",
        " javascript:alert(1)",
        "/api/sessions",
    ):
        assert "<a" not in await page.evaluate(DRAW, f"[t]({bad})")


async def test_growing_text_redraws_only_what_changed(page: Page) -> None:
    kept = await page.evaluate(
        """async () => {
            const { showMarkdown } = await import("/static/markdown.js");
            const element = document.createElement("div");
            showMarkdown(element, "# Title\\n\\nfirst\\n\\nsec");
            const before = [...element.children];
            showMarkdown(element, "# Title\\n\\nfirst\\n\\nsecond");
            return [element.children[0] === before[0], element.children[1] === before[1], element.textContent];
        }"""
    )
    assert kept == [True, True, "Titlefirstsecond"]


async def test_hostile_repetition_is_drawn_soon(page: Page) -> None:
    for piece in (
        "*",
        "**a",
        "`",
        "[",
        "[a](",
        "_",
        "> ",
        "- ",
        "|",
        "~~",
        "https://",
        "\\",
        "\n- ",
        "1. ",
        "a|\n-|\n",
    ):
        milliseconds = await page.evaluate(
            """async (source) => {
                const { showMarkdown } = await import("/static/markdown.js");
                const started = performance.now();
                showMarkdown(document.createElement("div"), source);
                return performance.now() - started;
            }""",
            piece * (20_000 // len(piece)),
        )
        assert milliseconds < 10_000, piece  # what is quadratic takes minutes


HOSTILE = [
    "<script>window.pwned = 1</script>",
    "<img src=x onerror=window.pwned=1>",
    "<svg onload=window.pwned=1>",
    "<iframe srcdoc='<script>parent.pwned=1</script>'></iframe>",
    "<a href=javascript:window.pwned=1>x</a>",
    "[x](javascript:window.pwned=1)",
    "![x](https://evil.example/pixel.png)",
    "<style>*{display:none}</style>",
    "<form action=https://evil.example><input name=q></form>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    '"><img src=x onerror=window.pwned=1>',
    "{{constructor.constructor('window.pwned=1')()}}",
    "```\n</code></pre><script>window.pwned=1</script>\n```",
    "| <img src=x onerror=window.pwned=1> | b |\n|---|---|\n| <script>window.pwned=1</script> | c |",
    "**<img src=x onerror=window.pwned=1>**",
    "`<img src=x onerror=window.pwned=1>`",
    "> <script>window.pwned=1</script>",
    "- <img src=x onerror=window.pwned=1>",
    "<!-- --!><img src=x onerror=window.pwned=1>",
    "<math><mtext><table><mglyph><style><img src=x onerror=window.pwned=1>",
    'https://a.example/"onmouseover=window.pwned=1',
    '[a](https://a.example" onclick="window.pwned=1)',
    "\u202e<script>window.pwned=1</script>",
    "<base href=https://evil.example>",
    "<link rel=stylesheet href=https://evil.example/x.css>",
]


async def test_hostile_text_stays_text_wherever_it_stands(page: Page, site: Site) -> None:
    everything = "\n\n".join(HOSTILE)

    def script_for(text: str) -> Any:
        async def script(run: FakeRun) -> None:
            run.start_tool(text, text, note=text)
            run.end_tool(text, text, summary=text, duration_ms=1)
            run.start_tool("e", text)
            run.end_tool("e", text, is_error=True, error=text)
            run.say(text)
            run.done(text)

        return script

    site.chat.scripts[everything] = script_for(everything)
    await page.get_by_label("Message").fill(everything)
    await page.keyboard.press("Enter")
    await expect(page.locator(".turn-footer .copy")).to_be_visible()
    for summary in await page.locator(".step summary").all():
        await summary.click()
    await expect(page.locator(".session-title")).to_have_text(everything[:60].replace("\n\n", " "))
    forbidden = "script, iframe, object, embed, form, style, link, meta, base, svg, math, img:not(.avatar), [onerror]"
    assert await page.locator("#turns").locator(forbidden).count() == 0
    assert await page.locator("#sessions").locator(forbidden).count() == 0
    for href in await page.locator("#turns a").evaluate_all("(links) => links.map((link) => link.href)"):
        assert href.startswith("https://")
    assert await page.evaluate("window.pwned") is None
    shown = await page.locator(".turn").inner_text()
    assert "<script>window.pwned = 1</script>" in shown
    assert json.dumps(everything)[1:40] in shown


async def test_the_policy_refuses_what_the_page_never_does(page: Page) -> None:
    refused = await page.evaluate(
        """() => { try { document.body.innerHTML = "<b>x</b>"; return false; } catch { return true; } }"""
    )
    assert refused
