"""Secrets of one stack: made once for its data folder, in files that only their owner can read."""

import os
import secrets
from pathlib import Path


def own_secret(folder: Path, name: str) -> str:
    """Return the secret of a name; it is made when it is asked for the first time."""
    path = folder / name
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        folder.mkdir(parents=True, exist_ok=True)
        write_private(path, f"{secrets.token_urlsafe(32)}\n")
        return path.read_text().strip()


def write_private(path: Path, text: str) -> None:
    """Write a file that nobody else can read, not even while it is being written; a kill leaves it whole or not."""
    beside = path.with_name(f"{path.name}.new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    beside.replace(path)
