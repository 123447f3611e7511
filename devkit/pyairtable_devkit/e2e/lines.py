"""Five of the six lines. Each yields a fact as it holds, and raises StepFailedError where one does not."""

import base64
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import httpx2

from pyairtable_devkit.demo.people import Door
from pyairtable_devkit.demo.platform import PlatformClient, Turn
from pyairtable_devkit.demo.questions import HoursPerProject, ListTables, Question, Sources, require
from pyairtable_devkit.demo.show import Show
from pyairtable_devkit.demo.sign_in import SignIn
from pyairtable_devkit.e2e.journey import AT_ONCE, refused, until_refused
from pyairtable_devkit.e2e.world import World
from pyairtable_devkit.ports import LOOPBACK
from pyairtable_devkit.topology import AIRTABLE_PORT, SERVICES

NOT_OFFERED = ("ProvisioningService", "PersonDataService")


def health(world: World) -> Iterator[str]:
    """Each process says of itself that it is healthy, and the door says it of all behind it."""
    answer = httpx2.get(f"{world.plan.http('api-gateway')}/api/health", timeout=30, trust_env=False)
    behind = answer.json()["services"]
    away = [name for name, said in behind.items() if said["status"] != "healthy"]
    require(not away and len(behind) == len(SERVICES) - 1, f"the door finds {len(behind)} behind it; not well: {away}")
    yield f"the door reaches the {len(behind)} behind it"
    platform = PlatformClient(world.plan)
    try:
        answers = platform.health()
    finally:
        platform.close()
    sick = [f"{title} is {said.get('status')}: {sick_checks(said)}" for title, said in answers.items() if ill(said)]
    require(not sick, "; ".join(sick))
    yield f"{len(answers)}/{len(SERVICES)} processes are healthy, with their databases and peers"


def ill(said: Mapping[str, Any]) -> bool:
    return said.get("status") != "healthy"


def sick_checks(said: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {check.get('error', '')}" for name, check in said.get("checks", {}).items() if ill(check))


def authentication(world: World) -> Iterator[str]:
    """Whom it lets in, and whom not."""
    carol, stranger = world.person("carol"), world.door()
    refused(lambda: carol.log_in(stranger), "the login of an unknown account", (401,))
    carol.sign_up(stranger, world.mailbox)
    tokens = carol.log_in(stranger)
    door = world.door(tokens["access_token"])
    require(door.get("/auth/me")["account"]["email"] == carol.email, "the token is for somebody else")
    yield "a registered person logs in, an unknown one does not"
    wrong = {"login": carol.email, "password": "not the password"}
    refused(lambda: stranger.post("/auth/login", **wrong), "a wrong password", (401,))
    for name, token in forgeries(str(tokens["access_token"])).items():
        refused(partial(world.door(token).get, "/auth/me"), f"a token that is {name}", (401,))
    refused(lambda: stranger.get("/auth/me"), "a call without a credential", (401,))
    refused(lambda: stranger.get("/bases"), "a call without a credential", (401,))
    yield "refused: a wrong password, no credential, a token unsigned, changed or invented"
    refused(lambda: door.get("/bases", workspace="acme"), "a foreign workspace", (401, 403, 404))
    yield "a foreign workspace stays closed"
    renewed = stranger.post("/auth/refresh", refresh_token=tokens["refresh_token"])["tokens"]
    require(renewed["refresh_token"] != tokens["refresh_token"], "the refresh token was not exchanged")
    again = world.door(renewed["access_token"])
    again.get("/auth/me")
    stranger.post("/auth/logout", refresh_token=renewed["refresh_token"])
    refused(lambda: stranger.post("/auth/refresh", refresh_token=renewed["refresh_token"]), "a refresh after log-out")
    refused_soon(again)
    yield "tokens are exchanged by refresh, and end with log-out"
    before = world.mailbox.last(carol.email)
    stranger.post("/auth/request-password-reset", email=carol.email)
    token = world.mailbox.token(carol.email, "reset-password", after=before)
    old, carol.password = carol.password, f"{carol.password} anew"
    stranger.post("/auth/reset-password", token=token, new_password=carol.password)
    refused(lambda: stranger.post("/auth/login", login=carol.email, password=old), "the old password", (401,))
    carol.log_in(stranger)
    yield "a new password by letter replaces the old one"


def refused_soon(door: Door) -> None:
    """The end of a login is in force within a second."""
    seconds = until_refused(lambda: door.get("/auth/me"), time.monotonic())
    require(seconds <= AT_ONCE, f"an access token was taken for {seconds:.2f} s after log-out")


def forgeries(token: str) -> dict[str, str]:
    """Tokens that look right."""
    head, claims, signature = token.split(".")
    none = encoded({"alg": "none", "typ": "at+jwt"})
    other = encoded({**decoded(claims), "sub": "user:" + "0" * 32})
    return {
        "unsigned": f"{none}.{claims}.",
        "changed": f"{head}.{other}.{signature}",
        "cut": f"{head}.{claims}.{signature[:-4]}",
        "invented": "pyu_0123456789abcdef_not-a-key",
    }


def encoded(value: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def decoded(part: str) -> dict[str, Any]:
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


def routing(world: World, key: str) -> Iterator[str]:
    """One address for everything: REST, streams, gRPC."""
    door = world.door(key)
    reached: dict[str, Callable[[], Sequence[Any]]] = {
        "auth": lambda: door.get("/.well-known/jwks.json")["keys"],
        "workspaces": lambda: door.get("/workspaces")["workspaces"],
        "airtable-gateway": lambda: door.get("/bases")["bases"],
        "mcp-server": lambda: door.get("/tools")["tools"],
        "sagas": lambda: door.get("/saga-types")["types"],
        "llm-orchestrator": lambda: [door.get("/sessions")],
    }
    for name, ask in reached.items():
        require(bool(ask()), f"the door gets nothing from {name}")
    refused(lambda: door.get("/users/me"), "a profile without a person", (401, 403))  # only the user service knows it
    yield f"REST reaches {', '.join(reached)} and users below /api"
    listed = world.grpc(key, "list").split()
    services = [name.rpartition(".")[2] for name in listed if name.startswith("pyairtable.")]
    offered = [name for name in NOT_OFFERED if name in services]
    require(len(services) == 9 and not offered, f"reflection at the door lists {services}")
    tools = json.loads(world.grpc(key, "pyairtable.tools.v1.ToolService/ListTools"))["tools"]
    yield f"gRPC passes through: {len(services)} services by reflection, {len(tools)} tools; inner ones are not offered"
    unknown = httpx2.get(f"{door.url}/api/nothing-here", headers={"x-request-id": "e2e-1"}, trust_env=False)
    shape = (unknown.status_code, unknown.headers["content-type"], unknown.headers["x-request-id"])
    require(shape[1:] == ("application/problem+json", "e2e-1") and shape[0] in (401, 404), f"a wrong address: {shape}")
    page = httpx2.get(f"{door.url}/", trust_env=False)
    require("script-src 'self'" in page.headers["content-security-policy"], "the page has no policy")
    yield "errors are problem+json with the request's id, the web chat is served with its policy"


def pipeline(world: World, key: str) -> Iterator[str]:
    """A question through the door to the model, its tools and Airtable, and the answer held against Airtable itself."""
    platform = PlatformClient(world.plan, key)
    sources = Sources(platform, world.airtable, world.plan.upstreams.base_id)
    try:
        for question in (ListTables(), HoursPerProject()):
            before = counted(world)
            turn = asked(question, sources, world.mark)
            after = counted(world)
            silent = [name for name in after if after[name] <= before[name]]
            require(not silent, f"not asked: {', '.join(silent)}")
            require(bool(turn.tools), "no tool was used")
            held = question.check(turn, sources)
            yield f"{question.title.lower()}: {held}, by {', '.join(turn.tools)}, ${turn.cost['total_cost_usd']}"
        tools = world.mcp(key, "tools/list")["tools"]
        require(len(tools) == 16, f"MCP lists {len(tools)} tools")
        yield f"{len(tools)} tools over MCP"
    finally:
        platform.close()


def asked(question: Question, sources: Sources, mark: str) -> Turn:
    question.prepare(sources)
    return sources.platform.chat(question.text, f"e2e-{mark}", lambda event: None)


def counted(world: World) -> dict[str, int]:
    """How many calls the emulators of the model and of Airtable have answered."""
    airtable = f"http://{LOOPBACK}:{world.plan.port(AIRTABLE_PORT)}"
    return {
        "the model": len(httpx2.get(f"{world.gemini}/_emulator/log").json()["entries"]),
        "Airtable": int(httpx2.get(f"{airtable}/_emulator/log").json()["last"]),
    }


def database(world: World, show: Show) -> Iterator[str]:
    """What was kept before every process was killed, PostgreSQL and Valkey among them, is there after."""
    coming = SignIn(world.plan, show)
    try:
        for _, step in coming.steps():
            step()
        title = f"Written before the restart {world.mark}"
        platform = PlatformClient(world.plan, coming.key)
        platform.chat(f"Create a task '{title}' for the project 'Villa Rossi kitchen'", f"kept-{world.mark}", ignore)
        platform.close()
        before = remembered(world, coming, title)
        world.restart()
        yield "every process was ended by kill -9 and started again"
        after = remembered(world, coming, title)
        differing = [name for name in before if before[name] != after[name]]
        require(not differing, "; ".join(f"{n}: {before[n]} became {after[n]}" for n in differing))
        yield f"unchanged since: {', '.join(before)}"
    finally:
        coming.close()


def remembered(world: World, coming: SignIn, title: str) -> dict[str, Any]:
    """What is asked of the stack before and after: a login with the password, and everything with the same key."""
    door = world.door(coming.key)
    me = world.door(coming.ada.log_in(world.door())["access_token"])
    account, session = me.get("/auth/me"), f"kept-{world.mark}"
    tasks = [record["id"] for record in world.airtable.records("Tasks", f"{{Task}} = '{title}'")]
    require(len(tasks) == 1, f"{len(tasks)} records in Airtable are called {title!r}")
    return {
        "the account": account["account"],
        "its memberships": account["memberships"],
        "its profile": me.get("/users/me").get("profile"),
        "its keys": [key["key_id"] for key in me.get("/api-keys")["api_keys"]],
        "workspaces": [(one["name"], one["source"]["uid"]) for one in me.get("/my/workspaces")["workspaces"]],
        "bases": door.get("/bases")["bases"],
        "the chat": [said["content"] for said in door.get(f"/sessions/{session}/history")["messages"]],
        "its cost": door.get(f"/sessions/{session}/cost-summary")["cost_info"],
        "sagas": [(one["saga_id"], one["state"]) for one in me.get("/sagas")["sagas"]],
        "the record in Airtable": tasks,
    }


def ignore(event: object) -> None:
    """Nobody watches this chat."""
