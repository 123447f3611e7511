"""The demo's processes, their ports, and the environment that configures them, as tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from pyairtable_devkit.databases import PASSWORD, SUPERUSER, DurableValkey, Postgres, Valkey
from pyairtable_devkit.own_secrets import own_secret
from pyairtable_devkit.parts import DatabasePart, Part, ProcessPart, program
from pyairtable_devkit.ports import LOOPBACK

POSTGRES_PORT, VALKEY_PORT = 15432, 16379  # not the usual ones: those are often taken on people's machines
AIRTABLE_PORT, GEMINI_PORT = 8090, 8091
MAILBOX_PORT, SMTP_PORT = 8092, 8093
DATABASE = "pyairtable"
OWNER = "ada@acme.example"
"""Who owns the demo's workspace: declared in its document, and registered by the demo."""


@dataclass(frozen=True)
class Service:
    """A process of the platform: `pyairtable-platform serve NAME`."""

    name: str
    title: str
    http_port: int
    grpc_port: int


SERVICES = (
    Service("workspaces", "Workspace Service", 8006, 9006),
    Service("airtable-gateway", "Airtable Gateway", 8002, 9002),
    Service("mcp-server", "MCP Server", 8001, 9001),
    Service("auth", "Auth Service", 8004, 9004),
    Service("users", "User Service", 8005, 9005),
    Service("sagas", "Saga Service", 8008, 9008),
    Service("llm-orchestrator", "LLM Orchestrator", 8003, 9003),
    Service("api-gateway", "API Gateway", 8000, 9000),
)
"""They wait by themselves for what they need: most of a start is Python that imports, which need not wait."""


@dataclass(frozen=True)
class Upstreams:
    """Airtable and Gemini as the platform is told to reach them."""

    emulated: bool
    airtable_token: str = field(repr=False)
    airtable_url: str
    airtable_content_url: str
    gemini_key: str = field(repr=False)
    gemini_url: str
    base_id: str


@dataclass(frozen=True)
class Plan:
    """Everything that tells one stack from another. port_offset is added to every port."""

    data_dir: Path
    workspaces_dir: Path
    upstreams: Upstreams
    environment: Mapping[str, str] = field(repr=False)
    port_offset: int = 0
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """API_KEY and JWT_SECRET; without them everybody on this machine may do everything (OPEN_ACCESS)."""
    keeps_data: bool = False
    """What the databases and the Airtable emulator hold outlasts the stack."""

    @property
    def log_dir(self) -> Path:
        return self.data_dir / "logs"

    def port(self, usual: int) -> int:
        return usual + self.port_offset

    def http(self, service: str) -> str:
        """Return the HTTP address of a service."""
        usual = {one.name: one.http_port for one in SERVICES}[service]
        return f"http://{LOOPBACK}:{self.port(usual)}"


class PlanError(ValueError):
    """What was asked for cannot be started; the message says what is missing."""


def make_plan(data: Path, workspaces: Path, port_offset: int, environment: Mapping[str, str], *, write: bool) -> Plan:
    """Return the plan of a stack; over real bases it writes their Workspace document below data."""
    if environment.get("ENVIRONMENT", "development") != "development":
        raise PlanError("This is for development: it does not run with ENVIRONMENT=" + environment["ENVIRONMENT"])
    upstreams = choose_upstreams(environment, port_offset)
    folder = workspaces.resolve()
    if not upstreams.emulated:
        folder = data.resolve() / "workspaces"
        write_workspace(folder / "demo.yaml", real_bases(environment), writable=write)
    if not folder.is_dir():
        raise PlanError(f"There is no folder {folder}: run this in the repository, or name one with --workspaces")
    return Plan(
        data.resolve(),
        folder,
        upstreams,
        environment,
        port_offset,
        secrets=own_secrets(data.resolve(), environment),
        keeps_data=True,
    )


def own_secrets(data: Path, environment: Mapping[str, str]) -> Mapping[str, str]:
    """Return the secrets of the stack that keeps its data there: the caller's, or some of its own."""
    names = {"API_KEY": "api-key", "JWT_SECRET": "jwt-secret"}
    return {name: environment.get(name) or own_secret(data / "secrets", file) for name, file in names.items()}


def choose_upstreams(environment: Mapping[str, str], port_offset: int = 0) -> Upstreams:
    """Return the real services when both credentials are set, else the emulators."""
    token, key = environment.get("AIRTABLE_TOKEN", ""), environment.get("GEMINI_API_KEY", "")
    if not (token and key):
        return emulators(port_offset)
    bases = real_bases(environment)
    airtable = environment.get("AIRTABLE_API_URL") or "https://api.airtable.com"
    return Upstreams(
        emulated=False,
        airtable_token=token,
        airtable_url=airtable,
        airtable_content_url=environment.get("AIRTABLE_CONTENT_URL") or "https://content.airtable.com",
        gemini_key=key,
        gemini_url=environment.get("GEMINI_API_URL") or "https://generativelanguage.googleapis.com",
        base_id=bases[0],
    )


def real_bases(environment: Mapping[str, str]) -> list[str]:
    """Return the base ids of AIRTABLE_BASE (comma-separated; the first is the default)."""
    bases = [base.strip() for base in environment.get("AIRTABLE_BASE", "").split(",") if base.strip()]
    if not bases:
        raise PlanError(
            "AIRTABLE_TOKEN and GEMINI_API_KEY are set, so the real services would be used: set AIRTABLE_BASE to "
            "the ids of the bases (app..., comma-separated), or unset both to use the emulators"
        )
    return bases


def write_workspace(path: Path, bases: Sequence[str], *, writable: bool) -> None:
    """Write a Workspace document over real bases, the first of them the default."""
    access = "ReadWrite" if writable else "ReadOnly"
    document = {
        "apiVersion": "pyairtable.dev/v1alpha1",
        "kind": "Workspace",
        "metadata": {"name": "demo"},
        "spec": {
            "displayName": "Demo",
            "owners": [{"kind": "User", "name": OWNER}],
            "airtable": {
                "tokenSecretRef": {"name": "demo-airtable", "key": "token"},
                "bases": [
                    {"name": f"base-{number}", "baseId": base, "access": access, "default": number == 1}
                    for number, base in enumerate(bases, 1)
                ],
            },
        },
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(document, sort_keys=False))


def emulators(port_offset: int = 0) -> Upstreams:
    """Return the emulators' addresses and their fixed, documented, plainly unreal credentials."""
    airtable = f"http://{LOOPBACK}:{AIRTABLE_PORT + port_offset}"
    return Upstreams(
        emulated=True,
        airtable_token="patEmulatorAll.everything",  # noqa: S106
        airtable_url=airtable,
        airtable_content_url=airtable,
        gemini_key="emulator-gemini-key",
        gemini_url=f"http://{LOOPBACK}:{GEMINI_PORT + port_offset}",
        base_id="appAcmeRenovation",
    )


def parts(plan: Plan) -> list[Part]:
    """Return all parts of the stack in the order of their start."""
    return [*_emulators(plan), *_databases(plan), _migrate(plan), *_services(plan)]


def platform_environment(plan: Plan) -> dict[str, str]:
    """Return what every process of the platform is told; the caller's own variables fill the gaps."""
    database = f"postgresql://{SUPERUSER}:{PASSWORD}@{LOOPBACK}:{plan.port(POSTGRES_PORT)}/{DATABASE}"
    return {
        **plan.environment,
        "ENVIRONMENT": "development",
        **_access(plan),
        "HOST": LOOPBACK,
        "DATABASE_URL": database,
        "REDIS_URL": f"redis://{LOOPBACK}:{plan.port(VALKEY_PORT)}/0",
        "AIRTABLE_TOKEN": plan.upstreams.airtable_token,
        "AIRTABLE_API_URL": plan.upstreams.airtable_url,
        "AIRTABLE_CONTENT_URL": plan.upstreams.airtable_content_url,
        "GEMINI_API_KEY": plan.upstreams.gemini_key,
        "GEMINI_API_URL": plan.upstreams.gemini_url,
        "SMTP_HOST": LOOPBACK,
        "SMTP_PORT": str(plan.port(SMTP_PORT)),
        "SMTP_STARTTLS": "false",  # the mailbox speaks plain SMTP
        "PUBLIC_URL": plan.http("api-gateway").replace(LOOPBACK, "localhost"),
        "WORKSPACES_PATH": str(plan.workspaces_dir),
        **_targets(plan),
        **_without_proxy(plan.environment),
    }


def _access(plan: Plan) -> dict[str, str]:
    """Who gets in. Workspaces that people make use the stack's own Airtable token: there is no other here."""
    return {**plan.secrets, "SHARED_AIRTABLE_TOKEN": "true"} if plan.secrets else {"OPEN_ACCESS": "true"}


def _targets(plan: Plan) -> dict[str, str]:
    """Where each service finds the others."""
    grpc = {
        f"{service.name.replace('-', '_').upper()}_TARGET": f"{LOOPBACK}:{plan.port(service.grpc_port)}"
        for service in SERVICES
        if service.name != "api-gateway"
    }
    return {**grpc, "MCP_SERVER_URL": f"{plan.http('mcp-server')}/mcp"}


def _without_proxy(environment: Mapping[str, str]) -> dict[str, str]:
    """Keep loopback calls out of a proxy; of the two spellings, programs read either."""
    spared = environment.get("no_proxy") or environment.get("NO_PROXY")
    return dict.fromkeys(("no_proxy", "NO_PROXY"), ",".join(filter(None, [spared, LOOPBACK, "localhost"])))


def _emulators(plan: Plan) -> list[Part]:
    mailbox = _emulator(plan, "mailbox", MAILBOX_PORT, SMTP_PORT, options=["--smtp-port", str(plan.port(SMTP_PORT))])
    if not plan.upstreams.emulated:
        return [mailbox]
    kept = ["--keep", str(plan.data_dir / "airtable.json")] if plan.keeps_data else []
    return [
        _emulator(plan, "airtable", AIRTABLE_PORT, options=kept),
        _emulator(plan, "gemini", GEMINI_PORT),
        mailbox,
    ]


def _emulator(plan: Plan, name: str, *ports: int, options: Sequence[str] = ()) -> Part:
    return ProcessPart(
        name=name if name == "mailbox" else f"{name}-emulator",
        command=[program("pyairtable-devkit"), name, "--port", str(plan.port(ports[0])), *options],
        log_dir=plan.log_dir,
        env=plan.environment,
        ready_path="/_emulator",
        ports=tuple(map(plan.port, ports)),
    )


def _databases(plan: Plan) -> list[Part]:
    # Where the emulator of Airtable begins anew with every start, and with the same ids, what PostgreSQL remembers of
    # an earlier one (keys of writes, chats about records) would be wrong.
    anew = plan.upstreams.emulated and not plan.keeps_data
    folder = plan.data_dir / "postgres"
    valkey = DurableValkey if plan.keeps_data else Valkey
    return [
        DatabasePart("postgres", Postgres, plan.port(POSTGRES_PORT), folder, create=DATABASE, anew=anew),
        DatabasePart("valkey", valkey, plan.port(VALKEY_PORT), plan.data_dir / "valkey"),
    ]


def _migrate(plan: Plan) -> Part:
    return ProcessPart(
        name="migrate",
        command=[program("pyairtable-platform"), "migrate"],
        log_dir=plan.log_dir,
        env=platform_environment(plan),
        after=("postgres",),
    )


def _services(plan: Plan) -> list[Part]:
    environment = platform_environment(plan)
    return [
        ProcessPart(
            name=service.name,
            command=[program("pyairtable-platform"), "serve", service.name],
            log_dir=plan.log_dir,
            env={
                **environment,
                "HTTP_PORT": str(plan.port(service.http_port)),
                "GRPC_PORT": str(plan.port(service.grpc_port)),
            },
            ports=(plan.port(service.http_port), plan.port(service.grpc_port)),
        )
        for service in SERVICES
    ]
