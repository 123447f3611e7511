"""The tables of the demo: ports, order, environment, and the choice between emulators and real services."""

from pathlib import Path

import pytest
import yaml
from unit.devkit.support import REPOSITORY

from pyairtable_devkit import topology
from pyairtable_devkit.parts import DatabasePart, ProcessPart
from pyairtable_devkit.topology import Plan, PlanError

REAL = {"AIRTABLE_TOKEN": "token-of-nobody", "GEMINI_API_KEY": "key-of-nobody", "AIRTABLE_BASE": "appOne, appTwo"}
ACME = REPOSITORY / "examples" / "acme"


def plan(tmp_path: Path, environment: dict[str, str] | None = None, offset: int = 0, write: bool = False) -> Plan:
    return topology.make_plan(tmp_path, ACME, offset, environment or {}, write=write)


def process(plan: Plan, name: str) -> ProcessPart:
    found = next(part for part in topology.parts(plan) if part.name == name)
    assert isinstance(found, ProcessPart)
    return found


def test_every_part_stands_after_those_it_needs(tmp_path: Path) -> None:
    seen: set[str] = set()
    for part in topology.parts(plan(tmp_path)):
        assert seen.issuperset(part.after), part.name
        seen.add(part.name)
    assert len(seen) == 14


def test_the_documented_ports_are_used_each_once(tmp_path: Path) -> None:
    ports = [port for part in topology.parts(plan(tmp_path)) for port in part.ports]
    numbers = (0, 1, 2, 3, 4, 5, 6, 8)
    services = [base + number for base in (8000, 9000) for number in numbers]
    assert sorted(ports) == sorted([*services, 8090, 8091, 8092, 8093, 15432, 16379])


def test_an_offset_moves_every_port_and_every_address(tmp_path: Path) -> None:
    moved = plan(tmp_path, offset=100)
    assert min(port for part in topology.parts(moved) for port in part.ports) == 8100
    values = " ".join(topology.platform_environment(moved).values())
    assert ":8102" not in values  # nobody is told the gateway's REST address
    for address in (":15532/", ":16479/", ":8190", ":8191", ":9106", ":9102", ":9101", ":8101/mcp", ":9103"):
        assert address in values


def test_the_platform_is_configured_by_environment_only(tmp_path: Path) -> None:
    gateway = process(plan(tmp_path, {"LOG_LEVEL": "DEBUG", "PATH": "/bin"}), "airtable-gateway")
    assert gateway.command[1:] == ["serve", "airtable-gateway"]
    expected = {
        "LOG_LEVEL": "DEBUG",
        "PATH": "/bin",
        "ENVIRONMENT": "development",
        "HOST": "127.0.0.1",
        "HTTP_PORT": "8002",
        "GRPC_PORT": "9002",
        "DATABASE_URL": "postgresql://postgres:devkit@127.0.0.1:15432/pyairtable",
        "REDIS_URL": "redis://127.0.0.1:16379/0",
        "AIRTABLE_API_URL": "http://127.0.0.1:8090",
        "GEMINI_API_URL": "http://127.0.0.1:8091",
        "WORKSPACES_PATH": str(ACME),
        "WORKSPACES_TARGET": "127.0.0.1:9006",
        "AUTH_TARGET": "127.0.0.1:9004",
        "USERS_TARGET": "127.0.0.1:9005",
        "SAGAS_TARGET": "127.0.0.1:9008",
        "SMTP_PORT": "8093",
        "PUBLIC_URL": "http://localhost:8000",
        "SHARED_AIRTABLE_TOKEN": "true",
    }
    assert {name: gateway.env.get(name) for name in expected} == expected


@pytest.mark.parametrize("spelling", ["no_proxy", "NO_PROXY"])
def test_loopback_is_kept_out_of_a_proxy(tmp_path: Path, spelling: str) -> None:
    alone = topology.platform_environment(plan(tmp_path))
    behind = topology.platform_environment(plan(tmp_path, {spelling: "intranet.example"}))
    for either in ("no_proxy", "NO_PROXY"):
        assert alone[either] == "127.0.0.1,localhost"
        assert behind[either] == "intranet.example,127.0.0.1,localhost"


@pytest.mark.parametrize("lonely", ["AIRTABLE_TOKEN", "GEMINI_API_KEY"])
def test_one_credential_alone_is_not_used(tmp_path: Path, lonely: str) -> None:
    chosen = plan(tmp_path, {lonely: "something"})
    assert chosen.upstreams.emulated
    assert topology.platform_environment(chosen)[lonely] != "something"


def test_with_both_credentials_the_real_services_are_used(tmp_path: Path) -> None:
    real = plan(tmp_path, REAL)
    names = [part.name for part in topology.parts(real)]
    assert not [name for name in names if "emulator" in name]
    environment = topology.platform_environment(real)
    assert environment["AIRTABLE_TOKEN"] == "token-of-nobody"
    assert environment["AIRTABLE_API_URL"] == "https://api.airtable.com"
    assert environment["GEMINI_API_URL"] == "https://generativelanguage.googleapis.com"
    assert real.upstreams.base_id == "appOne"


@pytest.mark.parametrize(("write", "access"), [(False, "ReadOnly"), (True, "ReadWrite")])
def test_real_bases_are_declared_without_the_token(tmp_path: Path, write: bool, access: str) -> None:
    folder = plan(tmp_path, REAL, write=write).workspaces_dir
    text = (folder / "demo.yaml").read_text()
    bases = yaml.safe_load(text)["spec"]["airtable"]["bases"]
    assert [(base["baseId"], base["access"], base["default"]) for base in bases] == [
        ("appOne", access, True),
        ("appTwo", access, False),
    ]
    assert "token-of-nobody" not in text


def test_real_credentials_without_a_base_are_told(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="set AIRTABLE_BASE"):
        plan(tmp_path, {**REAL, "AIRTABLE_BASE": " "})


def test_a_missing_folder_of_workspaces_is_told(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"There is no folder .*nowhere"):
        topology.make_plan(tmp_path, tmp_path / "nowhere", 0, {}, write=False)


def test_credentials_do_not_show_in_a_repr(tmp_path: Path) -> None:
    real = plan(tmp_path, REAL)
    shown = repr(real) + repr(topology.parts(real))
    assert "token-of-nobody" not in shown
    assert "key-of-nobody" not in shown


def test_the_example_declares_the_base_of_the_emulator() -> None:
    document = yaml.safe_load((ACME / "workspace.yaml").read_text())
    assert document["spec"]["airtable"]["bases"][0]["baseId"] == topology.emulators().base_id


def test_production_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="ENVIRONMENT=production"):
        plan(tmp_path, {"ENVIRONMENT": "production"})


def postgres(of: Plan) -> DatabasePart:
    found = next(part for part in topology.parts(of) if part.name == "postgres")
    assert isinstance(found, DatabasePart)
    return found


def test_data_are_kept_by_database_and_emulator_alike(tmp_path: Path) -> None:
    kept = plan(tmp_path)
    assert not postgres(kept).anew
    assert process(kept, "airtable-emulator").command[-2:] == ["--keep", str(tmp_path / "airtable.json")]
    passing = topology.Plan(tmp_path, tmp_path, topology.emulators(), {})
    assert postgres(passing).anew
    assert "--keep" not in process(passing, "airtable-emulator").command


def test_a_stack_has_secrets_of_its_own_that_stay(tmp_path: Path) -> None:
    first = topology.platform_environment(plan(tmp_path / "one"))
    again = topology.platform_environment(plan(tmp_path / "one"))
    other = topology.platform_environment(plan(tmp_path / "other"))
    for name in ("API_KEY", "JWT_SECRET"):
        assert len(first[name]) >= 32
        assert first[name] == again[name] != other[name]
    assert "OPEN_ACCESS" not in first
    for path in (tmp_path / "one" / "secrets").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
    assert first["API_KEY"] not in repr(plan(tmp_path / "one"))


def test_secrets_of_the_caller_are_used(tmp_path: Path) -> None:
    told = {"API_KEY": "the-callers-own-key", "JWT_SECRET": "the-callers-own-secret"}
    environment = topology.platform_environment(plan(tmp_path, told))
    assert {name: environment[name] for name in told} == told
    assert not (tmp_path / "secrets").exists()


def test_without_secrets_the_stack_is_open_and_says_so(tmp_path: Path) -> None:
    passing = topology.Plan(tmp_path, tmp_path, topology.emulators(), {})
    assert topology.platform_environment(passing)["OPEN_ACCESS"] == "true"


def test_the_documents_name_the_one_who_registers(tmp_path: Path) -> None:
    for folder in (ACME, plan(tmp_path, REAL).workspaces_dir):
        (document,) = (yaml.safe_load(path.read_text()) for path in folder.glob("*.yaml"))
        assert {"kind": "User", "name": topology.OWNER} in document["spec"]["owners"]
