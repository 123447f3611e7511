"""The contract's chores: generate its Python, lint it, compare it with what was accepted, find drift.

Every check works on a temporary copy and writes nothing into the tree. protoc comes with grpcio-tools and buf with
buf-bin, so all of it works offline.
"""

from __future__ import annotations

import argparse
import filecmp
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

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
        plugins = [f"--plugin={BIN}/protoc-gen-mypy", f"--plugin={BIN}/protoc-gen-mypy_grpc"]
        outputs = [f"--{kind}_out={out}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")]
        comments = [f"--descriptor_set_out={out}/set.binpb", "--include_source_info"]
        folders = [f"-I{PROTOS}", f"-I{googleapis()}"]
        run([sys.executable, "-m", "grpc_tools.protoc", *folders, *plugins, *outputs, *comments, *sources])
        target.mkdir(exist_ok=True)
        for name in ("pyairtable", "buf"):
            move_tree(out / name, target / name if name == "buf" else target)
        texts = read_comments((out / "set.binpb").read_bytes())
        (target / "comments.json").write_text(json.dumps(texts, indent=1, sort_keys=True) + "\n")


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


def read_comments(descriptor_set: bytes) -> dict[str, str]:
    """Comments of services, RPCs, messages, fields and enums by full name: the runtime's descriptors hold none."""
    from google.protobuf import descriptor_pb2

    found: dict[str, str] = {}
    for file in descriptor_pb2.FileDescriptorSet.FromString(descriptor_set).file:
        for location in file.source_code_info.location:
            name = path_name(file, list(location.path))
            if name and location.leading_comments and file.package.startswith("pyairtable."):
                lines = [line.strip() for line in location.leading_comments.strip().splitlines()]
                found[f"{file.package}.{name}"] = " ".join(line for line in lines if not line.startswith("buf:lint"))
    return found


def path_name(file: Any, path: list[int]) -> str:
    """The name that a source path of a FileDescriptorProto points at; empty for what has none."""
    names, node = [], file
    while path:
        field = node.DESCRIPTOR.fields_by_number.get(path.pop(0))
        if field is None or not field.is_repeated or not path or field.message_type is None:
            return ""
        node = getattr(node, field.name)[path.pop(0)]
        names.append(node.name)
    return ".".join(names)


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
        return {
            str(p.relative_to(folder))
            for p in folder.rglob("*")
            if p.suffix in (".py", ".pyi", ".json") and p.name != "__init__.py"
        }

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
