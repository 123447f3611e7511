"""Calls to an installation: its door's REST API, with tokens that are renewed when they end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx2

from .errors import CommandError, NotLoggedIn, Refused
from .login_file import Login, LoginFile

CONNECT_SECONDS = 10.0
READ_SECONDS = 90.0
"""Streams say that they live every 15 seconds; calls that make something wait for half a minute."""


class Door:
    """The door of the installation where somebody is logged in. Every method raises CommandError."""

    def __init__(self, file: LoginFile) -> None:
        self._file = file
        timeout = httpx2.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
        self._http = httpx2.Client(timeout=timeout, headers={"accept": "application/json"})

    def __enter__(self) -> Door:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def log_in(self, url: str, login: str, password: str, device: str) -> Login:
        """Open a login and keep it; the one before, if any, ends."""
        body = {"login": login, "password": password, "device": device}
        tokens = self._post(f"{url}/auth/login", body)["tokens"]
        with self._file.locked():
            before = self._file.load_usable()
            opened = to_login(url, tokens)
            self._file.save(opened)
        if before is not None:
            self._end(before)
        return opened

    def log_out(self) -> bool:
        """End the login, here and at the installation; whether there was one. Here it ends in any case."""
        with self._file.locked():
            login = self._file.load()
            self._file.delete()
        if login is None:
            return False
        self._post(f"{login.url}/auth/logout", {"refresh_token": login.refresh_token})
        return True

    def forget(self) -> None:
        """Keep no login here any more, without telling the installation."""
        with self._file.locked():
            self._file.delete()

    @property
    def url(self) -> str:
        """Where the person is logged in."""
        return self._current().url

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """GET a path of the API, for example `/my/workspaces`."""
        return self._call("GET", path, params={name: value for name, value in query.items() if value != ""})

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST to a path of the API."""
        return self._call("POST", path, json=dict(body))

    def delete(self, path: str) -> dict[str, Any]:
        """DELETE a path of the API."""
        return self._call("DELETE", path)

    @contextmanager
    def stream(self, method: str, path: str, **options: Any) -> Iterator[Iterator[str]]:
        """The lines of a stream. One that breaks off raises httpx2.TransportError, so that it can be taken up again."""
        with self._send(method, path, **options) as response:
            yield response.iter_lines()

    def pages(self, path: str, items: str, **query: Any) -> list[dict[str, Any]]:
        """All items of a listing that comes in pages."""
        found: list[dict[str, Any]] = []
        token = ""
        while True:
            page = self.get(path, **query, page_token=token)
            found += page.get(items, [])
            token = page.get("next_page_token", "")
            if not token:
                return found

    def _call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        with reached(self._current().url), self._send(method, path, **options) as response:
            response.read()
            return answer_of(response)

    @contextmanager
    def _send(self, method: str, path: str, headers: Mapping[str, str] | None = None, **options: Any) -> Iterator[Any]:
        """Send a call; when its token is refused, once more with a new one."""
        refused = ""
        while True:
            login = self._fresh(refused)
            shown = {**(headers or {}), "authorization": f"Bearer {login.access_token}"}
            with self._http.stream(method, login.url + path, headers=shown, **options) as response:
                if response.status_code == httpx2.codes.UNAUTHORIZED and not refused:
                    refused = login.access_token
                    continue
                if response.is_error:
                    response.read()
                    raise problem_of(response)
                yield response
                return

    def _current(self) -> Login:
        login = self._file.load()
        if login is None:
            raise NotLoggedIn
        return login

    def _fresh(self, refused: str) -> Login:
        """A login whose access token counts, and is not the one that was refused."""
        login = self._current()
        if login.is_fresh() and login.access_token != refused:
            return login
        with self._file.locked():
            login = self._current()  # another command may have renewed it while we waited
            if not login.is_fresh() or login.access_token == refused:
                login = self._renewed(login)
        return login

    def _renewed(self, login: Login) -> Login:
        try:
            tokens = self._post(f"{login.url}/auth/refresh", {"refresh_token": login.refresh_token})["tokens"]
        except Refused as refusal:
            if refusal.status != httpx2.codes.UNAUTHORIZED:
                raise
            self._file.delete()
            raise NotLoggedIn("your login has ended") from refusal
        renewed = to_login(login.url, tokens)
        self._file.save(renewed)
        return renewed

    def _end(self, login: Login) -> None:
        """End a login that another one took the place of. It ends by itself, too, when the installation is away."""
        try:
            self._post(f"{login.url}/auth/logout", {"refresh_token": login.refresh_token})
        except CommandError:
            return

    def _post(self, address: str, body: Mapping[str, Any]) -> dict[str, Any]:
        with reached(address):
            response = self._http.post(address, json=dict(body))
        return answer_of(response)


def to_login(url: str, tokens: Mapping[str, Any]) -> Login:
    """The login of a pair of tokens (pyairtable.auth.v1.Tokens)."""
    expires_at = time.time() + float(tokens["expires_in"])
    return Login(url, tokens["login_id"], tokens["access_token"], tokens["refresh_token"], expires_at)


def answer_of(response: httpx2.Response) -> dict[str, Any]:
    """The JSON of an answer; raises Refused for an error."""
    if response.is_error:
        raise problem_of(response)
    try:
        answer = response.json()
    except ValueError as error:
        raise strange(response) from error
    if not isinstance(answer, dict):
        raise strange(response)
    return answer


def problem_of(response: httpx2.Response) -> Refused:
    """The error that an answer tells of (application/problem+json)."""
    try:
        problem = response.json()
        return refusal(problem, response.status_code)
    except (ValueError, TypeError, AttributeError):
        return strange(response)


def refusal(problem: Mapping[str, Any], status: int) -> Refused:
    """The error of problem details; raises AttributeError or TypeError for what is none."""
    detail = str(problem.get("detail") or problem.get("title") or "")
    if not detail:
        raise TypeError("no problem details")
    if wait := problem.get("retry_after_seconds"):
        detail += f" (try again in {float(wait):.0f} s)"
    if status >= httpx2.codes.INTERNAL_SERVER_ERROR and problem.get("request_id"):
        detail += f" (request {problem['request_id']})"
    return Refused(detail, status, str(problem.get("reason", "")))


def strange(response: httpx2.Response) -> Refused:
    """The error for an answer that no door of ours gives."""
    address = f"{response.url.scheme}://{response.url.netloc.decode()}{response.url.path}"
    return Refused(
        f"{address} answered with status {response.status_code} and nothing that PyAirtable would say: "
        "is the address right? It ends in /api, for example http://localhost:8000/api",
        response.status_code,
    )


@contextmanager
def reached(address: str) -> Iterator[None]:
    """Say it in a sentence when nobody answers."""
    try:
        yield
    except httpx2.TimeoutException as error:
        raise CommandError(f"{address} did not answer in time: try again later") from error
    except (httpx2.TransportError, httpx2.InvalidURL) as error:
        raise CommandError(
            f"{address} cannot be reached ({error}): is it right, and is the installation up?"
        ) from error


def part(text: str) -> str:
    """A text as a part of a path."""
    return quote(text, safe="")
