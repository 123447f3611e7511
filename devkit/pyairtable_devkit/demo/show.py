"""What the demo prints: coloured and alive on a terminal, plain lines when piped."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from pyairtable_devkit.demo.platform import Event
from pyairtable_devkit.ports import LOOPBACK
from pyairtable_devkit.stack import Progress, Stage


class Show:
    """The demo's voice. On a terminal a spinner names what is waited for; a pipe gets finished lines only."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._busy: list[str] = []
        self._status: Status | None = None
        self._mid_line = False

    def line(self, text: str = "") -> None:
        """Print a line; text is rich markup, so escape what comes from elsewhere."""
        self._end_line()
        self.console.print(text, highlight=False, soft_wrap=True)

    def heading(self, text: str) -> None:
        self.line()
        self.line(f"[bold]{text}[/bold]")

    def part(self, progress: Progress) -> None:
        """Tell how the start or the stop of the stack comes along."""
        part = progress.part
        match progress.stage:
            case Stage.STARTING:
                self._wait_for([*self._busy, part.name], "Starting")
            case Stage.READY:
                where = ", ".join(f"{LOOPBACK}:{port}" for port in part.ports) or "done"
                self.line(f"[green]✓[/green] {part.name:<18} {where:<32} {progress.seconds:5.1f} s")
                self._wait_for([name for name in self._busy if name != part.name], "Starting")
            case Stage.STOPPING:
                self._wait_for([part.name], "Stopping")

    @contextlib.contextmanager
    def busy(self, text: str) -> Iterator[None]:
        """Have a spinner say what the block waits for."""
        self._end_line()
        with self.console.status(text):
            yield

    def quiet(self) -> None:
        """End the spinner."""
        self._wait_for([], "")

    def event(self, event: Event) -> None:
        """Print an event of a chat turn as it happens."""
        match event.kind:
            case "text":
                self._end_line() if not self._mid_line else None
                self.console.print(event.payload["text"], end="", markup=False, highlight=False, soft_wrap=True)
                self._mid_line = True
            case "tool_started":
                arguments = ", ".join(f"{k}={_plain(v)!r}" for k, v in event.payload.get("arguments", {}).items())
                self.line(f"[dim]  → {escape(event.payload['tool'])}({escape(_short(arguments))})[/dim]")
            case "tool_ended":
                self.line(f"[dim]  ← {escape(_outcome(event.payload))}[/dim]")

    def held(self, text: str) -> None:
        self.line(f"[green]✓[/green] {escape(text)}")

    def failed(self, text: str) -> None:
        self.line(f"[red]✗[/red] {escape(text)}")

    def _wait_for(self, names: list[str], verb: str) -> None:
        self._busy = names
        if not names:
            if self._status:
                self._status.stop()
            self._status = None
            return
        text = f"{verb} {', '.join(names)} ..."
        if self._status is None:
            self._status = self.console.status(text)
            self._status.start()
        else:
            self._status.update(text)

    def _end_line(self) -> None:
        if self._mid_line:
            self.console.print()
            self._mid_line = False


def cost_line(cost: Mapping[str, Any], seconds: float) -> str:
    """Return a turn's tokens, price and time for people."""
    price = cost.get("total_cost_usd")
    money = f"${price}" if price else "no price known"
    counts = [f"{int(cost.get(f'{kind}_tokens', 0))} {kind}" for kind in ("input", "output", "thinking", "cached")]
    return f"cost {money}: {', '.join(counts)} tokens, {cost.get('model', 'unknown model')}, {seconds:.1f} s"


def _plain(value: Any) -> Any:
    """Return a whole number as such: on the wire every JSON number is a double."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _short(text: str, limit: int = 160) -> str:
    return text if len(text) <= limit else f"{text[:limit]}..."


def _outcome(payload: Mapping[str, Any]) -> str:
    if payload.get("is_error"):
        return f"{payload['tool']} failed: {payload.get('error')}"
    return f"{payload['tool']}: {payload.get('summary') or 'done'} ({payload.get('duration_ms', 0)} ms)"
