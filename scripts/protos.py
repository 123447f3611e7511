"""The contract's chores: generate its Python, lint it, compare it with what was accepted, find drift.

Every check works on a temporary copy and writes nothing into the tree. protoc comes with grpcio-tools and buf with
buf-bin, so all of it works offline.
"""

from __future__ import annotations

import argparse
import filecmp
import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
GENERATED = PROTOS / "pyairtable_protos"
ACCEPTED = PROTOS / "accepted.binpb"
BIN = Path(sys.executable).parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("chore", choices=["generate", "lint", "breaking", "drift", "check", "accept"])
    chore = parser.parse_args().chore
    if chore == "generate":
        generate(GENERATED)
        return 0
    if chore == "accept":
        return buf("build", "contract", "-o", str(ACCEPTED))
    checks = {
        "lint": lambda: buf("lint"),
        "breaking": lambda: buf("breaking", "contract", "--against", str(ACCEPTED)),
        "drift": drift,
    }
    chosen = checks.values() if chore == "check" else [checks[chore]]
    return max(check() for check in chosen)


def generate(target: Path) -> None:
    """Write the Python of every proto below `target`, replacing what was generated before."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        sources = sorted(str(path.relative_to(PROTOS)) for path in own_protos())
        run(
            [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTOS}", f"-I{googleapis()}", f"--plugin={BIN}/protoc-gen-mypy"]
            + [f"--plugin={BIN}/protoc-gen-mypy_grpc", f"--python_out={out}", f"--grpc_python_out={out}"]
            + [f"--mypy_out={out}", f"--mypy_grpc_out={out}", *sources]
        )
        target.mkdir(exist_ok=True)
        for name in ("pyairtable", "buf"):
            move_tree(out / name, target / name if name == "buf" else target)


def move_tree(source: Path, target: Path) -> None:
    """Move generated modules into our package: `pyairtable` is the import name of the public Airtable client."""
    for area in sorted(path for path in source.iterdir() if path.is_dir()):
        shutil.rmtree(target / area.name, ignore_errors=True)
    for path in sorted(source.rglob("*.py*")):
        destination = target / path.relative_to(source)
        destination.parent.mkdir(parents=True, exist_ok=True)
        destination.write_text(renamed(path.read_text()))
        for folder in (destination.parent, destination.parent.parent):
            (folder / "__init__.py").touch()


def renamed(text: str) -> str:
    """Rewrite imports of generated modules; names on the wire stay `pyairtable.*`."""
    text = re.sub(r"^(from|import) pyairtable\.", r"\1 pyairtable_protos.", text, flags=re.M)
    text = re.sub(r"^(from|import) buf\.", r"\1 pyairtable_protos.buf.", text, flags=re.M)
    return re.sub(r"\bpyairtable\.(\w+)\.v1\.(\w+_pb2)", r"pyairtable_protos.\1.v1.\2", text)


def drift() -> int:
    """Fail when the generated Python is not what the protos say."""
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        differing = sorted(differences(Path(folder), GENERATED))
    for name in differing:
        print(f"protos/pyairtable_protos/{name} differs from its proto: run `make protos`")
    return 1 if differing else 0


def differences(fresh: Path, kept: Path) -> set[str]:
    def files(folder: Path) -> set[str]:
        return {str(p.relative_to(folder)) for p in folder.rglob("*.py*") if p.suffix in (".py", ".pyi") and p.parent != folder}

    both = files(fresh) & files(kept)
    changed = {name for name in both if not filecmp.cmp(fresh / name, kept / name, shallow=False)}
    return changed | (files(fresh) ^ files(kept))


def buf(*arguments: str) -> int:
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        shutil.copytree(PROTOS / "pyairtable", workspace / "contract" / "pyairtable")
        shutil.copytree(PROTOS / "buf", workspace / "imported" / "buf")
        shutil.copytree(googleapis() / "google" / "api", workspace / "imported" / "google" / "api")
        shutil.copy(PROTOS / "buf.yaml", workspace)
        return subprocess.run([BIN / "buf", *arguments], cwd=workspace, check=False).returncode


def own_protos() -> list[Path]:
    return [*(PROTOS / "pyairtable").rglob("*.proto"), *(PROTOS / "buf").rglob("*.proto")]


def googleapis() -> Path:
    """The folder that googleapis-common-protos keeps its .proto files in."""
    spec = importlib.util.find_spec("google.api")
    assert spec and spec.submodule_search_locations, "googleapis-common-protos is not installed: run `make setup`"
    return Path(next(iter(spec.submodule_search_locations))).parent.parent


def run(command: list[str]) -> None:
    """Run a generator; its chatter is shown only when it fails."""
    done = subprocess.run(command, cwd=PROTOS, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)


if __name__ == "__main__":
    sys.exit(main())
