"""The command on a port that somebody else has."""

from __future__ import annotations

import typer
from typer.testing import CliRunner

from pyairtable_devkit.gemini.server import command
from pyairtable_devkit.listening import listen


def test_a_taken_port_is_one_sentence_and_a_failure() -> None:
    app = typer.Typer()
    app.command()(command)
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(app, ["--port", str(port)])
    assert result.exit_code == 1
    assert result.stderr == f"error: cannot listen on 127.0.0.1:{port}: Address already in use\n"
    assert result.stdout == ""
