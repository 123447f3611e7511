"""What the fields of a profile and of preferences may hold. Each check returns the value as it is kept."""

from __future__ import annotations

import functools
import re
import unicodedata
import zoneinfo
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from pyairtable_platform.common.errors import InvalidInput
from pyairtable_protos.users.v1 import user_service_pb2 as rpc

Check = Callable[[Any], Any]

# RFC 5646, section 2.1: language[-extlang][-script][-region]*(-variant)*(-extension)[-x-private].
_LANGUAGE_TAG = re.compile(
    r"(?P<language>[a-z]{2,3}(?:-[a-z]{3}){0,3}|[a-z]{5,8})"
    r"(?:-(?P<script>[a-z]{4}))?"
    r"(?:-(?P<region>[a-z]{2}|[0-9]{3}))?"
    r"(?P<variants>(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*)"
    r"(?P<extensions>(?:-[a-wyz0-9](?:-[a-z0-9]{2,8})+)*)"
    r"(?P<private>-x(?:-[a-z0-9]{1,8})+)?"
)
_WORKSPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:-]{0,99}")
# Signs that turn the writing direction: with them a name can pass for another one.
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def display_name(text: str) -> str:
    """One line; empty is the user name (who calls this puts it there)."""
    name = " ".join(unicodedata.normalize("NFC", text).split())
    _check_signs("display_name", name, "")
    return name


def about(text: str) -> str:
    """A few lines."""
    lines = unicodedata.normalize("NFC", text).replace("\r\n", "\n").strip()
    _check_signs("about", lines, "\n\t")
    return lines


def avatar_url(text: str) -> str:
    """An https address: what a browser of another person will load must not show who looks at it to anybody between."""
    url = text.strip()
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        has_host, has_user, _ = bool(parts.hostname), "@" in parts.netloc, parts.port
    except ValueError as error:
        raise InvalidInput.at("avatar_url", "is no address: https://HOST/PATH") from error
    if parts.scheme != "https" or not has_host:
        raise InvalidInput.at("avatar_url", "must be the https address of a picture: https://HOST/PATH")
    if has_user:
        raise InvalidInput.at("avatar_url", "must hold no user name and no password")
    if any(character.isspace() or not character.isprintable() or character in "\\\"'<>" for character in url):
        raise InvalidInput.at("avatar_url", "holds a sign that no address holds: escape it (%20)")
    return url


def time_zone(text: str) -> str:
    """A name of the IANA time zone database."""
    name = text.strip()
    if not name or name in time_zones().values():
        return name
    known = time_zones().get(name.casefold().replace(" ", "_"))
    hint = f": write {known}" if known else ", for example Europe/Berlin"
    raise InvalidInput.at("time_zone", f"must be the name of an IANA time zone{hint}")


@functools.cache
def time_zones() -> Mapping[str, str]:
    """All names of time zones by themselves in small letters."""
    return {name.casefold(): name for name in zoneinfo.available_timezones()}


def locale(text: str) -> str:
    """A BCP 47 tag, in the case that RFC 5646 recommends (section 2.1.1)."""
    tag = text.strip().lower()
    if not tag:
        return ""
    found = _LANGUAGE_TAG.fullmatch(tag)
    if found is None or _repeats(found["variants"].split("-")[1:]) or _repeats(_singletons(found["extensions"])):
        raise InvalidInput.at("locale", "must be a BCP 47 language tag, for example en, de-DE or zh-Hant-TW")
    script, region = found["script"], found["region"]
    parts = [found["language"], script.title() if script else "", region.upper() if region else ""]
    rest = "".join(found[name] or "" for name in ("variants", "extensions", "private"))
    return "-".join(filter(None, parts)) + rest


def default_workspace(text: str) -> str:
    """The name of a workspace; whether the person is a member is told where it is used."""
    name = text.strip()
    if name and not _WORKSPACE.fullmatch(name):
        raise InvalidInput.at(
            "preferences.default_workspace", "must be the name of a workspace: small letters, digits and hyphens"
        )
    return name


def theme(number: int) -> int:
    """One of pyairtable.users.v1.Theme."""
    if number not in rpc.Theme.values():
        raise InvalidInput.at("preferences.theme", f"must be one of {', '.join(rpc.Theme.keys())}")
    return number


def model(text: str) -> str:
    """The name of a model; which there are is the orchestrator's business."""
    name = text.strip()
    if name and not _MODEL.fullmatch(name):
        raise InvalidInput.at("preferences.model", "must be the name of a model, for example gemini-3-flash")
    return name


PROFILE: Mapping[str, Check] = {
    "display_name": display_name,
    "avatar_url": avatar_url,
    "about": about,
    "time_zone": time_zone,
    "locale": locale,
}
"""The fields of a profile that its person may change."""

PREFERENCES: Mapping[str, Check] = {
    "default_workspace": default_workspace,
    "theme": theme,
    "model": model,
    "letters_about_invitations": bool,
    "show_costs": bool,
}


def _check_signs(field: str, text: str, allowed: str) -> None:
    for character in text:
        if character in _TURNING or (unicodedata.category(character) == "Cc" and character not in allowed):
            raise InvalidInput.at(field, f"holds the sign U+{ord(character):04X}, which cannot be shown: leave it out")


def _singletons(extensions: str) -> list[str]:
    return [part for part in extensions.split("-") if len(part) == 1]


def _repeats(parts: list[str]) -> bool:
    return len(parts) != len(set(parts))
