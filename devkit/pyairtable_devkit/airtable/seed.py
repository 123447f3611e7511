"""Seeds: a YAML document with users, tokens, bases, tables and rows (format: docs/emulator-airtable.md).

Ids come from the names on the way to a thing, so the same seed gives the same ids in every run.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
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
    """A seed file, read once; worlds are made of it as often as needed."""

    path: Path
    document: Document

    @classmethod
    def load(cls, path: Path) -> "Seed":
        """Reads a seed file; SeedError names the file when it cannot be read."""
        try:
            document = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506  (a safe loader)
        except (OSError, yaml.YAMLError) as error:
            raise SeedError(f"cannot read the seed {path}: {error}") from error
        if not isinstance(document, dict) or not isinstance(document.get("bases"), list):
            raise SeedError(f"the seed {path} has no list of bases")
        return cls(path, document)

    def world(self, clock: Clock, random_seed: int) -> World:
        """A fresh world; SeedError says which part of the file is wrong."""
        world = World(clock, IdFactory(random_seed))
        for user in self.document.get("users", []):
            world.users[user["id"]] = User(user["id"], user["email"], user["name"])
        for spec in self.document.get("tokens", []):
            token = _token(spec, world)
            world.tokens[token.secret] = token
        for spec in self.document["bases"]:
            _base(world, spec, random_seed)
        return world


def load_seed(path: Path) -> Seed:
    """The seed in this file (see `Seed.load`)."""
    return Seed.load(path)


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
