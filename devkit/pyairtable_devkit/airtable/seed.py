"""Seeds: a YAML document with users, tokens, bases, tables and rows (format: docs/emulator-airtable.md).

Ids come from the names on the way to a thing, so the same seed gives the same ids in every run.
"""

import pickle
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from pyairtable_devkit.airtable.clock import Clock
from pyairtable_devkit.airtable.ids import IdFactory, is_id, stable_id
from pyairtable_devkit.airtable.model import Base, User
from pyairtable_devkit.airtable.seed_rows import RowLoader
from pyairtable_devkit.airtable.seed_tables import SeedError, load_tables
from pyairtable_devkit.airtable.store import World
from pyairtable_devkit.airtable.tokens import ROLES, SCOPES, Token

Document = dict[str, Any]

_SCOPE_SETS = {
    "all": SCOPES,
    "read": frozenset(
        {"data.records:read", "data.recordComments:read", "schema.bases:read", "webhook:manage", "user.email:read"}
    ),
}


@dataclass(frozen=True)
class Seed:
    """A seed file, read and built once; worlds are copies of what it describes."""

    path: Path
    _frozen: bytes

    @classmethod
    def load(cls, path: Path, random_seed: int) -> "Seed":
        """Reads a seed file; SeedError says which file cannot be read or which part of it is wrong."""
        try:
            changed = path.stat().st_mtime_ns
        except OSError as error:
            raise SeedError(f"cannot read the seed {path}: {error.strerror}") from error
        return cls(path, _frozen_world(path, changed, random_seed))

    def world(self, clock: Clock) -> World:
        """A fresh world that lives by this clock."""
        world: World = pickle.loads(self._frozen)  # noqa: S301  (made by ourselves, see _frozen_world)
        world.clock = clock
        return world


@lru_cache(maxsize=4)
def _frozen_world(path: Path, changed: int, random_seed: int) -> bytes:
    """The world of a seed file in a form that is quickly copied; tests start many emulators of one seed."""
    return pickle.dumps(build_world(read_document(path), random_seed), protocol=pickle.HIGHEST_PROTOCOL)


def read_document(path: Path) -> Document:
    """The content of a seed file; SeedError when it is not a seed."""
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506  (a safe loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SeedError(f"cannot read the seed {path}: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("bases"), list):
        raise SeedError(f"the seed {path} has no list of bases")
    return document


def build_world(document: Document, random_seed: int) -> World:
    """The world that a seed describes; SeedError names the part that is wrong or missing."""
    world = World(Clock(), IdFactory(random_seed))
    try:
        for user in document.get("users", []):
            world.users[user["id"]] = User(user["id"], user["email"], user["name"])
        for spec in document.get("tokens", []):
            token = _token(spec, world)
            world.tokens[token.secret] = token
        for spec in document["bases"]:
            _base(world, spec, random_seed)
    except KeyError as error:
        raise SeedError(f"the seed lacks {error}") from error
    world.forget_readers()
    return world


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML without its own idea of dates: cells hold ISO text, as in the API."""


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _token(spec: Document, world: World) -> Token:
    scopes = spec.get("scopes", "all")
    granted = _SCOPE_SETS.get(scopes) if isinstance(scopes, str) else frozenset(scopes)
    if granted is None or granted - SCOPES:
        raise SeedError(f"token {spec.get('label')}: scopes must be all, read, or a list of Airtable's scopes")
    roles = {"default": spec.get("role", "none"), **spec.get("bases", {})}
    if wrong := set(roles.values()) - set(ROLES):
        raise SeedError(f"token {spec.get('label')}: there is no role {sorted(wrong)[0]}; roles are {', '.join(ROLES)}")
    if spec["user"] not in world.users:
        raise SeedError(f"token {spec.get('label')}: there is no user {spec['user']}")
    default = roles.pop("default")
    return Token(spec["token"], spec["label"], spec["user"], granted, default, roles)


def _base(world: World, spec: Document, random_seed: int) -> None:
    name = spec["name"]
    base_id = spec.get("id") or stable_id("app", random_seed, name)
    if not is_id(base_id, "app"):
        raise SeedError(f"base {name}: {base_id} is not a base id (app and 14 letters or digits)")
    workspace = spec.get("workspace", "wspAcmeRenovation")
    world.workspaces.setdefault(workspace, workspace)
    base = Base(base_id, name, workspace)
    world.bases[base_id] = base
    tables = spec.get("tables", [])
    load_tables(base, tables)
    start = datetime.fromisoformat(spec.get("created", "2026-01-05T08:00:00")).replace(tzinfo=UTC)
    author = spec.get("author") or next(iter(world.users))
    loader = RowLoader(world, base, author, start, timedelta(minutes=7), random_seed)
    loader.load(tables)
