"""Runs the demo: brings the stack up, takes the steps, counts those that held, and says how to go on."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial

from rich.markup import escape

from pyairtable_devkit.demo import any_base
from pyairtable_devkit.demo.airtable import DirectAirtable
from pyairtable_devkit.demo.platform import PlatformClient, StepFailedError
from pyairtable_devkit.demo.questions import Question, Sources, acme_questions, require
from pyairtable_devkit.demo.show import Show, cost_line
from pyairtable_devkit.demo.sign_in import SignIn
from pyairtable_devkit.parts import Part, PartFailedError
from pyairtable_devkit.ports import LOOPBACK, PortTakenError
from pyairtable_devkit.stack import Stack, StopRequestedError, stop_signals
from pyairtable_devkit.topology import MAILBOX_PORT, OWNER, SERVICES, Plan

INTERRUPTED = 130
TOOL_COUNT = 16


def run(stack_of: Sequence[Part], show: Show, *, steps: Callable[[], bool], stay: Callable[[], None] | None) -> int:
    """Bring the parts up and take the steps; return the exit code.

    steps tells whether all of them held. stay is called when everything is to stay up until Ctrl-C, None stops it.
    """
    held = False
    try:
        with stop_signals(), Stack(stack_of, report=show.part) as stack:
            stack.start()
            show.quiet()
            held = steps()
            stack.check()
            if stay:
                stay()
                stack.wait()
    except (PartFailedError, PortTakenError) as error:
        show.quiet()
        show.failed(str(error))
        return 1
    except StopRequestedError:
        show.quiet()
        show.line("Stopped: no process is left behind.")
        return 0 if held else INTERRUPTED
    show.quiet()
    return 0 if held else 1


class Demo:
    """The steps of the demo. Each says what it holds, or why it does not, and is counted."""

    def __init__(self, *, write: bool, seconds: Callable[[], float]) -> None:
        self._write = write
        self._seconds = seconds
        self._mark = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
        self._session = f"demo {self._mark}"  # a new one each time: sessions outlive the stack, emulated records do not
        self._taken = 0
        self._held = 0
        self._first_answer: float | None = None

    def __call__(self, plan: Plan, show: Show) -> bool:
        """Take all steps; return whether each held."""
        visitor, coming = PlatformClient(plan), SignIn(plan, show)
        airtable = DirectAirtable(plan.upstreams)
        try:
            self._take(show, "Health of each service", partial(_health, visitor, show))
            if all(self._take(show, title, step) for title, step in coming.steps()):
                self._main_job(plan, show, coming.key, airtable)
        finally:
            visitor.close()
            coming.close()
            airtable.close()
        self._sum_up(show)
        if self._held < self._taken:
            show.line(f"  logs: {escape(str(plan.log_dir))}/*.log")
        return self._held == self._taken

    def _main_job(self, plan: Plan, show: Show, key: str, airtable: DirectAirtable) -> None:
        """What she came for: tools, and questions about her base."""
        platform = PlatformClient(plan, key)
        try:
            sources = Sources(platform, airtable, plan.upstreams.base_id)
            self._take(show, "The tools", partial(_tools, platform, show))
            for question in self._questions(plan, show, airtable):
                self._take(show, question.title, partial(self._ask, question, sources, show))
        finally:
            platform.close()

    def _questions(self, plan: Plan, show: Show, airtable: DirectAirtable) -> Sequence[Question]:
        if plan.upstreams.emulated:
            return acme_questions(self._mark)
        if not self._write:
            show.line("These are your real bases, so creating and updating are left out; --write includes them.")
        return any_base.questions(airtable.tables(), write=self._write, mark=self._mark)

    def _take(self, show: Show, title: str, step: Callable[[], str]) -> bool:
        self._taken += 1
        show.heading(f"{self._taken}. {title}")
        try:
            held = step()
        except StepFailedError as error:
            show.failed(str(error))
            return False
        self._held += 1
        show.held(held)
        return True

    def _ask(self, question: Question, sources: Sources, show: Show) -> str:
        with show.busy("Reading from Airtable what the answer must agree with ..."):
            question.prepare(sources)
        show.line(f"[cyan]> {escape(question.text)}[/cyan]")
        asked = time.monotonic()
        turn = sources.platform.chat(question.text, self._session, show.event)
        if self._first_answer is None:
            self._first_answer = self._seconds()
        show.line(f"[dim]  {escape(cost_line(turn.cost, time.monotonic() - asked))}[/dim]")
        with show.busy("Checking the answer against Airtable ..."):
            return question.check(turn, sources)

    def _sum_up(self, show: Show) -> None:
        show.line()
        first = f"; first answer {self._first_answer:.1f} s after the start" if self._first_answer else ""
        summary = f"{self._held} of {self._taken} steps held{first}"
        (show.held if self._held == self._taken else show.failed)(summary)


def _health(platform: PlatformClient, show: Show) -> str:
    answers = platform.health()
    notes: dict[str, None] = {}
    for title, answer in answers.items():
        checks = ", ".join(f"{name} {check.get('status')}" for name, check in answer.get("checks", {}).items())
        show.line(f"  {title}: {answer.get('status')}{f' ({escape(checks)})' if checks else ''}")
        notes |= dict.fromkeys(answer.get("notes", []))
    for note in notes:
        show.line(f"[dim]  note: {escape(note)}[/dim]")
    sick = [title for title, answer in answers.items() if answer.get("status") != "healthy"]
    require(not sick, f"not healthy: {', '.join(sick)}")
    return f"{len(answers)} services are healthy"


def _tools(platform: PlatformClient, show: Show) -> str:
    names = [tool["name"] for tool in platform.tools()]
    show.line(f"  {', '.join(names)}")
    require(len(names) == TOOL_COUNT, f"there are {len(names)} tools, not {TOOL_COUNT}")
    return f"{len(names)} tools"


def addresses(plan: Plan, show: Show) -> None:
    """Print what to try next, with the ports that are really in use."""
    http = {service.name: plan.http(service.name).replace(LOOPBACK, "localhost") for service in SERVICES}
    mailbox = f"http://localhost:{plan.port(MAILBOX_PORT)}"
    bearer = '-H "Authorization: Bearer $PYAIRTABLE_API_KEY"'
    show.heading("Try it")
    show.line(f"  chat in the browser   {http['api-gateway']}/")
    show.line(f"    log in as {OWNER} (cat {escape(str(plan.data_dir / 'secrets' / 'ada-password'))}), or register")
    show.line(f"  letters               {mailbox}/ (an emulator: none leaves it)")
    show.line(f"  MCP clients           {http['mcp-server']}/mcp")
    for command in (
        f"source {plan.data_dir / 'demo.env'}",
        f"curl -X POST {http['llm-orchestrator']}/chat {bearer} -H 'Content-Type: application/json' "
        """-d '{"message": "List all tables in my Airtable base", "session_id": "demo-user"}'""",
        f"curl {http['mcp-server']}/tools {bearer}",
        f"curl {http['airtable-gateway']}/bases {bearer}",
        f'.venv/bin/grpcurl -plaintext -H "authorization: Bearer $PYAIRTABLE_API_KEY" localhost:{plan.port(9000)} list',
        "./scripts/health-check.sh -v",
    ):
        show.line(f"  {escape(command)}")
    show.line(f"  logs: {plan.log_dir}/*.log")
    show.line()
    show.line("Everything stays up, and is there again at the next start. Ctrl-C stops it.")
