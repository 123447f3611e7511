"""The commands for people. Each imports what it needs when it runs, so that `--help` is there at once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .errors import CommandError

if TYPE_CHECKING:
    from .door import Door

WorkspaceOption = Annotated[
    str, typer.Option("--workspace", "-w", envvar="PYAIRTABLE_WORKSPACE", help="Name of the workspace.")
]
RoleOption = Annotated[str, typer.Option(help="owner, admin, editor or viewer.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

workspaces = typer.Typer(help="Your workspaces.", invoke_without_command=True)
invitations = typer.Typer(help="Invitations that wait for you.", invoke_without_command=True)
keys = typer.Typer(help="Your API keys.", invoke_without_command=True)


def add_to(app: typer.Typer) -> None:
    """Give a command line the commands for people."""
    for command in (login, logout, whoami, members, invite, chat):
        app.command(rich_help_panel="For people")(command)
    for name, group in (("workspaces", workspaces), ("invitations", invitations), ("keys", keys)):
        app.add_typer(group, name=name, rich_help_panel="For people")


@contextmanager
def the_door() -> Iterator[Door]:
    """The installation where somebody is logged in; what goes wrong is told in one sentence."""
    from .door import Door, reached
    from .login_file import LoginFile
    from .show import safe

    try:
        with Door(LoginFile(Path(typer.get_app_dir("pyairtable")))) as door, reached("the installation"):
            yield door
    except (CommandError, KeyError) as error:
        text = str(error)
        if isinstance(error, KeyError):
            text = f"the answer lacks {text}: is this the API of a PyAirtable of the same version?"
        typer.echo(f"error: {safe(text)}", err=True)
        raise typer.Exit(1) from error


def login(
    url: Annotated[str, typer.Option(envvar="PYAIRTABLE_URL", help="The API.")] = "http://localhost:8000/api",
    name: Annotated[str, typer.Option("--login", help="E-mail address or user name; asked for if left out.")] = "",
    password_stdin: Annotated[bool, typer.Option(help="Read the password from standard input.")] = False,
    plain_http: Annotated[bool, typer.Option(help="Send the password over http:// to another machine.")] = False,
) -> None:
    """Log in. The password is asked for, or read from standard input; never give it as an argument."""
    from .address import checked_url, device_name

    with the_door() as door:
        address = checked_url(url, plain_http=plain_http)
        if not name and password_stdin:
            raise CommandError("with --password-stdin, name who logs in: --login NAME")
        who = name or typer.prompt("E-mail address or user name")
        door.log_in(address, who, password(password_stdin), device_name())
        account = door.get("/auth/me")["account"]
        typer.echo(f"Logged in at {address} as {account['user_name']} ({account['email']}).")


def password(from_stdin: bool) -> str:
    """The password, from standard input or from the person."""
    if from_stdin:
        text = sys.stdin.readline().removesuffix("\n").removesuffix("\r")
    elif sys.stdin.isatty():
        text = str(typer.prompt("Password", hide_input=True))
    else:
        raise CommandError("there is nobody to ask for the password: give it with --password-stdin")
    if not text:
        raise CommandError("the password is empty")
    return text


def logout(
    everywhere: Annotated[bool, typer.Option("--everywhere", help="End all your logins on all machines.")] = False,
    revoke_keys: Annotated[
        bool, typer.Option("--revoke-keys", help="With --everywhere: revoke your API keys too, for good.")
    ] = False,
) -> None:
    """Log out. API keys go on working unless --revoke-keys is given; `keys revoke` ends a single one."""
    if revoke_keys and not everywhere:
        raise CommandError("--revoke-keys goes with --everywhere; `keys revoke` ends a single key")
    with the_door() as door:
        if everywhere:
            ended = door.post("/auth/logout-everywhere", {"revoke_api_keys": revoke_keys})
            door.forget()
            keys = f"Revoked {ended.get('revoked_api_keys', 0)} API keys." if revoke_keys else "API keys go on working."
            typer.echo(f"Ended {ended.get('ended', 0)} logins. {keys}")
        else:
            typer.echo("Logged out." if door.log_out() else "Nobody was logged in.")


def whoami() -> None:
    """Show who is logged in, where, and with which roles."""
    from . import show

    with the_door() as door:
        me = door.get("/auth/me")
        account = me["account"]
        rows = [("user", account["user_name"]), ("email", account["email"]), ("id", account["user_id"])]
        rows += [("at", door.url)]
        rows += [("administrator", "yes")] if account.get("is_admin") else []
        rows += [("workspace", f"{one['workspace']} ({one['role']})") for one in me.get("memberships", [])]
        show.table(("", ""), rows, empty="")


@workspaces.callback()
def list_workspaces(context: typer.Context) -> None:
    """Your workspaces (without a command: list them)."""
    if context.invoked_subcommand is not None:
        return
    from . import show

    with the_door() as door:
        found = door.get("/my/workspaces").get("workspaces", [])
        rows = [(one["name"], one.get("display_name", ""), role_in(one), state_of(one)) for one in found]
        show.table(("NAME", "TITLE", "YOUR ROLE", "STATE"), rows, empty="You are in no workspace yet.")


def role_in(workspace: dict[str, Any]) -> str:
    """The caller's role: ListMyWorkspaces names nobody else."""
    return next((str(member["role"]) for member in workspace.get("members", [])), "")


def state_of(workspace: dict[str, Any]) -> str:
    """Whether it can be used."""
    return "suspended" if workspace.get("suspended") else "ready"


@workspaces.command("create")
def create_workspace(
    name: Annotated[str, typer.Argument(help="Small letters, digits and hyphens.")],
    title: Annotated[str, typer.Option(help="For people; the name if left out.")] = "",
) -> None:
    """Make a workspace that you own."""
    from .waiting import made_workspace

    with the_door() as door:
        made = made_workspace(door, name, title or name)
        typer.echo(f"Workspace {made} is ready.")


@workspaces.command("leave")
def leave_workspace(name: Annotated[str, typer.Argument(help="Its name.")], yes: YesOption = False) -> None:
    """Leave a workspace. To come back you need an invitation."""
    from .door import part

    with the_door() as door:
        confirm(f"Leave workspace {name}?", yes)
        door.post(f"/my/workspaces/{part(name)}/leave", {})
        typer.echo(f"You left workspace {name}.")


def members(workspace: WorkspaceOption = "") -> None:
    """List who is in a workspace."""
    from . import show
    from .door import part

    with the_door() as door:
        name = meant_workspace(door, workspace)
        found = door.get(f"/workspaces/{part(name)}/members").get("members", [])
        rows = [(one["email"], one["role"], show.moment(one.get("joined_at")), one.get("user_id", "")) for one in found]
        show.table(("EMAIL", "ROLE", "SINCE", "ID"), rows, empty="Nobody is in this workspace.")


def invite(
    email: Annotated[str, typer.Argument(help="Whom.")], role: RoleOption = "editor", workspace: WorkspaceOption = ""
) -> None:
    """Invite somebody to a workspace by letter."""
    from . import show
    from .door import part

    with the_door() as door:
        name = meant_workspace(door, workspace)
        made = door.post(f"/workspaces/{part(name)}/invitations", {"email": email, "role": role})["invitation"]
        typer.echo(f"Invited {email} to {name} as {made['role']}; it counts until {show.moment(made['expires_at'])}.")


@invitations.callback()
def list_invitations(context: typer.Context) -> None:
    """Invitations that wait for you (without a command: list them)."""
    if context.invoked_subcommand is not None:
        return
    from . import show

    with the_door() as door:
        rows = [
            (one["invitation_id"], one["workspace"], one["role"], show.moment(one.get("expires_at")))
            for one in door.get("/my/invitations").get("invitations", [])
        ]
        show.table(("ID", "WORKSPACE", "ROLE", "UNTIL"), rows, empty="No invitation waits for you.")


WhichInvitation = Annotated[str, typer.Argument(help="Its id, or the token of the letter (pyi_...).")]


@invitations.command("accept")
def accept_invitation(which: WhichInvitation = "") -> None:
    """Join a workspace. Without an id: by the only invitation there is."""
    with the_door() as door:
        joined = door.post("/my/invitations/accept", named_invitation(door, which))
        typer.echo(f"You are in workspace {joined['workspace']} as {joined['role']}.")


@invitations.command("decline")
def decline_invitation(which: WhichInvitation) -> None:
    """Refuse an invitation."""
    with the_door() as door:
        door.post("/my/invitations/decline", named_invitation(door, which))
        typer.echo("Declined.")


def named_invitation(door: Door, which: str) -> dict[str, str]:
    """An invitation as the API wants it named."""
    if which:
        return {"token" if which.startswith("pyi_") else "invitation_id": which}
    waiting = door.get("/my/invitations").get("invitations", [])
    if len(waiting) != 1:
        raise CommandError(f"{len(waiting)} invitations wait for you: name one by its id (`invitations` lists them)")
    return {"invitation_id": waiting[0]["invitation_id"]}


@keys.callback()
def list_keys(context: typer.Context, workspace: WorkspaceOption = "") -> None:
    """Your API keys (without a command: list them)."""
    if context.invoked_subcommand is not None:
        return
    from . import show

    with the_door() as door:
        rows = [
            (
                one["key_id"],
                one["workspace"],
                one["role"],
                one.get("name", ""),
                show.moment(one.get("last_used_at")),
                "revoked" if one.get("revoked_at") else show.moment(one.get("expires_at")),
            )
            for one in door.pages("/api-keys", "api_keys", workspace=workspace)
        ]
        show.table(("ID", "WORKSPACE", "ROLE", "NAME", "LAST USED", "UNTIL"), rows, empty="You have no API keys.")


@keys.command("create")
def create_key(
    name: Annotated[str, typer.Option(help="For people, for example what will use it.")] = "",
    role: Annotated[str, typer.Option(help="owner, admin, editor or viewer; your own if left out.")] = "",
    days: Annotated[int, typer.Option(min=0, help="After so many days it stops to work; 0: never.")] = 90,
    workspace: WorkspaceOption = "",
) -> None:
    """Make an API key for a workspace. The key, and nothing else, goes to standard output; it cannot be had again."""
    from datetime import UTC, datetime, timedelta

    from . import show

    with the_door() as door:
        body: dict[str, Any] = {"workspace": meant_workspace(door, workspace), "name": name, "role": role}
        if days:
            body["expires_at"] = (datetime.now(UTC) + timedelta(days=days)).isoformat()
        made = door.post("/api-keys", body)
        typer.echo(made["key"])
        about = made["api_key"]
        opens = f"workspace {about['workspace']} as {about['role']}"
        show.note(f"key {about['key_id']} for {opens}: keep it, it is not shown again")


@keys.command("revoke")
def revoke_key(key_id: Annotated[str, typer.Argument(help="As `keys` lists it.")]) -> None:
    """End an API key at once."""
    from .door import part

    with the_door() as door:
        door.delete(f"/api-keys/{part(key_id)}")
        typer.echo(f"Key {key_id} is revoked.")


def chat(
    message: Annotated[str, typer.Argument(help="What you want; - reads it from standard input.")],
    workspace: WorkspaceOption = "",
    session: Annotated[str, typer.Option("--session", "-s", help="Go on with this session.")] = "",
) -> None:
    """Ask something of your bases. The answer goes to standard output, what the tools do to standard error."""
    from .chat import Turn, show_turn

    with the_door() as door:
        text = sys.stdin.read() if message == "-" else message
        if not text.strip():
            raise CommandError("the message is empty")
        show_turn(Turn(door, text, meant_workspace(door, workspace), session))


def meant_workspace(door: Door, named: str) -> str:
    """The workspace that a person means: the one named, the only one, or the one of their preferences."""
    if named:
        return named
    names = [one["name"] for one in door.get("/my/workspaces").get("workspaces", [])]
    if not names:
        raise CommandError("you are in no workspace: make one (`workspaces create NAME`) or accept an invitation")
    if len(names) == 1:
        return str(names[0])
    preferred = door.get("/users/me").get("preferences", {}).get("default_workspace", "")
    if preferred in names:
        return str(preferred)
    raise CommandError(f"you are in several workspaces: name one with --workspace ({', '.join(names)})")


def confirm(question: str, yes: bool) -> None:
    """Ask before what cannot be taken back."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise CommandError("there is nobody to ask: add --yes")
    if not typer.confirm(question):
        raise CommandError("nothing was changed")
