"""Our context is added to a person's kubeconfig and taken out again; what is theirs stays."""

import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from pyairtable_devkit.cluster import kubeconfig
from pyairtable_devkit.cluster.kubeconfig import CONTEXT, Cluster, KubeconfigError
from pyairtable_devkit.cluster.pki import Pair

OURS = kubeconfig.for_certificate(Cluster("https://127.0.0.1:1", b"authority"), Pair(b"certificate", b"key"))
THEIRS: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Config",
    "preferences": {"colors": True},
    "current-context": "work",
    "clusters": [{"name": "work", "cluster": {"server": "https://work.example"}}],
    "contexts": [{"name": "work", "context": {"cluster": "work", "user": "me"}}],
    "users": [{"name": "me", "user": {"exec": {"command": "login"}}}],
}
FILE = Path("config")


def _names(document: dict[str, Any]) -> dict[str, list[str]]:
    return {plural: [entry["name"] for entry in document[plural]] for plural in ("clusters", "contexts", "users")}


def test_merging_adds_ours_and_keeps_theirs() -> None:
    both = kubeconfig.merged(THEIRS, OURS, FILE)
    assert _names(both) == {
        "clusters": ["work", CONTEXT],
        "contexts": ["work", CONTEXT],
        "users": ["me", CONTEXT],
    }
    assert both["current-context"] == "work"
    assert both["preferences"] == {"colors": True}


def test_merging_twice_replaces_and_removing_restores() -> None:
    once = kubeconfig.merged(THEIRS, OURS, FILE)
    assert kubeconfig.merged(once, OURS, FILE) == once
    assert kubeconfig.without_ours(once, FILE, refuse=True) == THEIRS


def test_into_an_empty_file_ours_becomes_the_current_context() -> None:
    alone = kubeconfig.merged({}, OURS, FILE)
    assert alone["current-context"] == CONTEXT
    assert kubeconfig.without_ours(alone, FILE, refuse=True)["current-context"] == ""


@pytest.mark.parametrize("plural", ["clusters", "contexts", "users"])
def test_a_name_that_is_somebody_elses_is_refused_and_never_removed(plural: str) -> None:
    singular = plural.removesuffix("s")
    foreign = {**THEIRS, plural: [*THEIRS[plural], {"name": CONTEXT, singular: {"server": "https://theirs.example"}}]}
    with pytest.raises(KubeconfigError, match="is not of our making"):
        kubeconfig.merged(foreign, OURS, FILE)
    assert kubeconfig.without_ours(foreign, FILE, refuse=False) == foreign


@pytest.mark.parametrize("text", ["a: [", "kind: Pod\n", "- a list\n", "\x00"])
def test_what_is_no_kubeconfig_is_left_as_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(KubeconfigError, match="left as it is"):
        kubeconfig.change(path, lambda theirs: kubeconfig.merged(theirs, OURS, path))
    assert path.read_text() == text
    assert [one.name for one in tmp_path.iterdir()] == ["config"]


def test_a_change_goes_through_a_link_and_stays_private(tmp_path: Path) -> None:
    real, link = tmp_path / "real" / "config", tmp_path / "config"
    link.symlink_to(real)
    kubeconfig.change(link, lambda theirs: kubeconfig.merged(theirs, OURS, link))
    assert link.is_symlink()
    assert yaml.safe_load(real.read_text())["current-context"] == CONTEXT
    assert stat.S_IMODE(real.stat().st_mode) == 0o600


def test_a_file_that_kubectl_is_changing_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "config.lock").touch()
    with pytest.raises(KubeconfigError, match="being changed by another program"):
        kubeconfig.change(tmp_path / "config", lambda theirs: kubeconfig.merged(theirs, OURS, FILE))
    assert (tmp_path / "config.lock").exists()


def test_the_file_of_another_tool_gets_our_names() -> None:
    other = {**THEIRS, "clusters": [{"name": "kind-x", "cluster": {"server": "https://127.0.0.1:2"}}]}
    ours = kubeconfig.renamed(other)
    assert _names(ours) == {"clusters": [CONTEXT], "contexts": [CONTEXT], "users": [CONTEXT]}
    assert ours["contexts"][0]["context"] == {"cluster": CONTEXT, "user": CONTEXT}
    assert ours["clusters"][0]["cluster"] == {"server": "https://127.0.0.1:2"}


def test_a_token_may_be_in_a_file() -> None:
    cluster = Cluster("https://127.0.0.1:1", b"authority")
    assert kubeconfig.for_token_file(cluster, Path("/t"))["users"][0]["user"] == {"tokenFile": "/t"}
    assert kubeconfig.for_token(cluster, "secret", "ns")["contexts"][0]["context"]["namespace"] == "ns"
    assert kubeconfig.cluster_of(OURS) == cluster
