"""The chat page as it is served: complete, cacheable by validation only, and nothing in it that its policy forbids."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from integration.api_gateway.conftest import Door

from pyairtable_platform.api_gateway.pages import FILES


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


async def test_everything_the_page_refers_to_is_there(door: Door) -> None:
    page = Tags()
    page.feed((await door.http.get("/")).text)
    wanted = [attrs[key] for _, attrs in page.found for key in ("src", "href") if attrs.get(key, "").startswith("/")]  # type: ignore[union-attr]
    scripts = [path.name for path in FILES.glob("*.js")]
    imports = {name for path in FILES.glob("*.js") for name in re.findall(r'from "\./(\w+\.js)"', path.read_text())}
    assert imports <= set(scripts)
    for path in {*wanted, *(f"/static/{name}" for name in scripts)}:
        answer = await door.http.get(str(path))
        assert answer.status_code == 200, path
        kind = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}[str(path).rpartition(".")[2]]
        assert answer.headers["content-type"].startswith(kind)


async def test_no_inline_script_style_or_handler(door: Door) -> None:
    page = Tags()
    page.feed((await door.http.get("/")).text)
    assert all(attrs.get("src") for tag, attrs in page.found if tag == "script")
    assert not [tag for tag, _ in page.found if tag == "style"]
    assert not [attrs for _, attrs in page.found if "style" in attrs or any(key.startswith("on") for key in attrs)]


def test_scripts_make_elements_and_never_html() -> None:
    for path in FILES.glob("*.js"):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|DOMParser", path.read_text()
        )


async def test_a_file_that_did_not_change_is_not_sent_again(door: Door) -> None:
    first = await door.http.get("/static/app.js")
    assert first.headers["cache-control"] == "no-cache"
    again = await door.http.get("/static/app.js", headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304
    assert "content-security-policy" in again.headers
