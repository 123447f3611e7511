"""Deletes all Workspaces, each by its deletionPolicy, and waits until the operator has finished with them.

Run by the chart before it takes the operator away: afterwards nobody could remove the finalizers, and namespaces would
stay in deletion for ever. Exit status 1, with names, when some are left after the time-out.
"""

import argparse
import os
import sys
import time
from typing import Any

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

GROUP, VERSION, PLURAL = "pyairtable.dev", "v1alpha1", "workspaces"
GONE = 404


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--timeout", type=float, default=600, help="seconds to wait until all are gone")
    seconds = parser.parse_args().timeout
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        config.load_incluster_config()  # type: ignore[no-untyped-call]
    else:
        config.load_kube_config()  # type: ignore[no-untyped-call]
    left = remove_all(client.CustomObjectsApi(), seconds)
    for workspace in left:
        print(f"still there: {describe(workspace)}")
    if left:
        print(
            "The operator did not finish. Let it (does it run, does it reach the API server?) and uninstall again; or\n"
            "  kubectl annotate workspaces --all pyairtable.dev/force-delete=true\n"
            "so that it does not wait for the platform."
        )
    return 1 if left else 0


def remove_all(api: Any, seconds: float) -> list[dict[str, Any]]:
    """Deletes and waits; the Workspaces that are still there."""
    deadline = time.monotonic() + seconds
    asked: set[str] = set()
    while left := listed(api):
        for workspace in left:
            name, uid = workspace["metadata"]["name"], workspace["metadata"]["uid"]
            if uid not in asked and "deletionTimestamp" not in workspace["metadata"]:
                policy = workspace.get("spec", {}).get("deletionPolicy", "Retain")
                print(f"deleting workspace {name} (deletionPolicy {policy})", flush=True)
                delete(api, name, uid)
            asked.add(uid)
        if time.monotonic() > deadline:
            return left
        time.sleep(1)
    return []


def listed(api: Any) -> list[dict[str, Any]]:
    """All Workspaces; none when the kind itself is gone."""
    try:
        answer: dict[str, Any] = api.list_cluster_custom_object(GROUP, VERSION, PLURAL)
    except ApiException as error:
        if error.status == GONE:
            return []
        raise
    items: list[dict[str, Any]] = answer["items"]
    return items


def delete(api: Any, name: str, uid: str) -> None:
    """Deletes this very object; one of the same name that came later is not meant."""
    options = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid=uid))
    try:
        api.delete_cluster_custom_object(GROUP, VERSION, PLURAL, name, body=options)
    except ApiException as error:
        if error.status not in (GONE, 409):
            raise


def describe(workspace: dict[str, Any]) -> str:
    """Name and what the operator says of it."""
    conditions = workspace.get("status", {}).get("conditions", [])
    ready: dict[str, str] = next((condition for condition in conditions if condition["type"] == "Ready"), {})
    return f"{workspace['metadata']['name']} {ready.get('reason', '')} {ready.get('message', '')}".rstrip()


if __name__ == "__main__":
    sys.exit(main())
