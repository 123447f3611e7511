"""A tiny HTTP server that plays the platform's services, and scripts that play programs."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from unit.devkit.support import TinyServer


@pytest.fixture
def start_server() -> Iterator[Callable[[], TinyServer]]:
    """Start tiny servers on free ports; all are stopped after the test."""
    running: list[ThreadingHTTPServer] = []

    def start() -> TinyServer:
        server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
        tiny = TinyServer(server.server_port)
        server.RequestHandlerClass = _handler(tiny)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        running.append(server)
        return tiny

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


@pytest.fixture
def put_script(tmp_path: Path) -> Callable[[str, str], Path]:
    """Write an executable shell script to FOLDER/NAME below tmp_path."""

    def put(name: str, body: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return path

    return put


def _handler(tiny: TinyServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = tiny.answers.get(self.path, (404, {"title": "not found"}))
            raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def do_POST(self) -> None:
            tiny.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            tiny.headers.append({name.lower(): value for name, value in self.headers.items()})
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test output clean."""

    return Handler
