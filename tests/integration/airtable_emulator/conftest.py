"""One emulator for this folder's tests, back to its seed for each of them."""

import http.server
import threading
from collections.abc import Callable, Iterator
from typing import Any, Self

import httpx2
import pytest
from pyairtable import Api, Base

from pyairtable_devkit.airtable.testing import BASE, TOKEN_ALL, EmulatorThread


@pytest.fixture(scope="session")
def running_emulator() -> Iterator[EmulatorThread]:
    """The emulator's process-wide thread; tests take `emulator`."""
    with EmulatorThread(limits=False) as running:
        yield running


@pytest.fixture
def emulator(running_emulator: EmulatorThread) -> EmulatorThread:
    """An emulator without limits, as fresh as after its start."""
    running_emulator.reset()
    return running_emulator


class Client:
    """Raw HTTP calls with a token, paths below /v0."""

    def __init__(self, url: str) -> None:
        self._http = httpx2.Client(base_url=url, trust_env=False, timeout=30)
        self.url = url

    def __call__(self, method: str, path: str, *, token: str | None = TOKEN_ALL, **options: Any) -> httpx2.Response:
        """Sends a request; `path` goes out as it is."""
        headers = dict(options.pop("headers", {}))
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        return self._http.request(method, f"/v0/{path}", headers=headers, **options)

    def data(self, method: str, path: str, **options: Any) -> Any:
        """The JSON of an answer that must be 200."""
        answer = self(method, path, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def rows(self, table: str, **params: Any) -> list[dict[str, Any]]:
        """One page of a table of the demo base."""
        records: list[dict[str, Any]] = self.data("GET", f"{BASE}/{table}", params=params)["records"]
        return records

    def close(self) -> None:
        """Closes its connections."""
        self._http.close()


@pytest.fixture(scope="session")
def raw_client(running_emulator: EmulatorThread) -> Iterator[Client]:
    """One client for all tests: making one takes longer than a test."""
    client = Client(running_emulator.url)
    yield client
    client.close()


@pytest.fixture
def call(emulator: EmulatorThread, raw_client: Client) -> Client:
    """Raw HTTP to the emulator, which is as fresh as after its start."""
    return raw_client


@pytest.fixture
def api(emulator: EmulatorThread) -> Iterator[Api]:
    """pyairtable's client, pointed at the emulator."""
    client = Api(TOKEN_ALL, endpoint_url=emulator.url, timeout=(5, 30))
    yield client
    client.session.close()


@pytest.fixture
def base(api: Api) -> Base:
    """The demo base through pyairtable."""
    return api.base(BASE)


class Receiver:
    """A web server that takes what is posted to it and hands out files."""

    def __init__(self) -> None:
        self.posted: list[tuple[bytes, str]] = []
        self.files: dict[str, tuple[bytes, str]] = {}
        self.answers: list[tuple[int, bytes]] = []
        self._arrived = threading.Condition()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def wait(self, condition: Callable[[], bool], seconds: float = 20) -> bool:
        """Waits until the condition holds after something was posted."""
        with self._arrived:
            return self._arrived.wait_for(condition, seconds)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                with receiver._arrived:
                    receiver.posted.append((body, self.headers.get("X-Airtable-Content-MAC", "")))
                    status, content = receiver.answers.pop(0) if receiver.answers else (204, b"")
                    receiver._arrived.notify_all()
                self.send_response(status)
                if status != 204:
                    self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def do_GET(self) -> None:
                content, kind = receiver.files.get(self.path, (b"", ""))
                self.send_response(200 if kind else 404)
                self.send_header("content-type", kind or "text/plain")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:
                """Says nothing."""

        return Handler


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A server that stands for the rest of the world."""
    with Receiver() as running:
        yield running
